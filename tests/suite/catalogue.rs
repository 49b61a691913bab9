//! The catalogue of events, docs/events.md: written from the contract and from one real event of every type.

mod comments;
pub mod everything;
mod example;
mod page;

use std::{collections::BTreeSet, fs, path::PathBuf};

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, ReflectMessage as _, SerializeOptions};
use serde_json::json;

use crate::support::Engine;

/// What follows this line of the file is written by the test.
const MARK: &str = "<!-- From here on: `make catalogue`. -->\n";

fn file() -> PathBuf {
    crate::support::root().join("docs/events.md")
}

/// The file as it should be: its own words up to the mark, and the catalogue.
fn written(events: &[DynamicMessage]) -> String {
    let text = fs::read_to_string(file()).unwrap();
    let (words, _) = text.split_once(MARK).expect("the mark is in docs/events.md");
    format!("{words}{MARK}{}", page::of(events))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_complete() {
    let catalogue = written(&everything::events(Engine::Sqlite).await);
    if std::env::var_os("ROSTER_CATALOGUE").is_some_and(|what| what == "write") {
        fs::write(file(), &catalogue).unwrap();
    }
    let present = fs::read_to_string(file()).unwrap();
    let differs = present.lines().zip(catalogue.lines()).enumerate().find(|(_, (is, should))| is != should);
    assert_eq!(differs, None, "docs/events.md is not what the contract says: run `make catalogue`");
    assert!(present == catalogue, "docs/events.md is not what the contract says: run `make catalogue`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_tell_the_same() {
    let events = everything::events(Engine::Postgres).await;
    assert!(fs::read_to_string(file()).unwrap() == written(&events), "another catalogue than on SQLite");
}

/// Every event, as JSON and back, is the same to the byte; and whoever reads JSON ignores what a later version adds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_as_json_loses_nothing() {
    let events = everything::events(Engine::Sqlite).await;
    let types: BTreeSet<_> = events.iter().map(example::type_of).collect();
    assert_eq!(types, roster::events::TYPES.iter().map(|&name| name.to_owned()).collect());
    let tolerant = DeserializeOptions::new().deny_unknown_fields(false);
    for event in &events {
        let bytes = event.encode_to_vec();
        for whole in [false, true] {
            let options = SerializeOptions::new().skip_default_fields(!whole);
            let mut value = event.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
            value["addedLater"] = json!({"anything": [1]});
            let text = value.to_string();
            let mut reader = serde_json::Deserializer::from_str(&text);
            let back =
                DynamicMessage::deserialize_with_options(event.descriptor(), &mut reader, &tolerant).expect(&text);
            assert_eq!(back.encode_to_vec(), bytes, "{text}");
        }
        let typed = roster::proto::v1::Event::decode(&*bytes).unwrap();
        assert_eq!(typed.encode_to_vec().len(), bytes.len(), "the types that are generated know every field");
    }
}
