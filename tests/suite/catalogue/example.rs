//! An event of a run as an example: what differs from run to run is replaced, always by the same.

use std::collections::BTreeMap;

use prost_reflect::DynamicMessage;
use roster::clock::Timestamp;

/// When every example happened.
const OCCURRED: &str = "2026-03-01T09:00:00Z";
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// The letters of an id, after its prefix and `_`.
const ID_LENGTH: usize = 26;

/// The type of an event.
pub fn type_of(event: &DynamicMessage) -> String {
    event.get_field_by_name("type").unwrap().as_str().unwrap().to_owned()
}

/// An event as JSON, line by line.
pub fn of(event: &DynamicMessage) -> String {
    let text = serde_json::to_string_pretty(event).unwrap();
    let occurred =
        text.lines().find_map(|line| value(line, "occurTime")).and_then(micros).expect("every event has one");
    let mut ids = Ids::default();
    let lines = text.lines().map(|line| line_of(line, occurred, &mut ids));
    lines.collect::<Vec<_>>().join("\n")
}

/// The text of a field, where the line is of that field.
fn value<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.trim().strip_prefix(&format!("\"{name}\": \""))?.trim_end_matches(',').strip_suffix('"')
}

fn micros(time: &str) -> Option<i64> {
    let time: prost_types::Timestamp = time.parse().ok()?;
    Some(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

fn line_of(line: &str, occurred: i64, ids: &mut Ids) -> String {
    let Some((name, old)) = line.split_once("\": \"") else { return line.to_owned() };
    let (name, old) = (name.trim().trim_start_matches('"'), old.trim_end_matches(',').trim_end_matches('"'));
    let new = match name {
        "sequence" if line.starts_with("  \"") => "7".to_owned(),
        // What a checkpoint covers ends before the checkpoint's own event.
        "sequence" => "6".to_owned(),
        "id" if old.parse::<i64>().is_ok() => "6".to_owned(),
        "hash" => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        "note" => "roster/tenant_01jng7q2000000000000000001\\n6\\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\\n\\n\u{2014} roster (signature)\\n".to_owned(),
        "verifierKey" => "roster+(id)+(key)".to_owned(),
        "position" => "1042".to_owned(),
        "streamEpoch" => "0195508d-7a40-7c1e-8f00-2b6f5a1d9e01".to_owned(),
        "address" => "192.0.2.7".to_owned(),
        "userAgent" => "grpc-go/1.75.0".to_owned(),
        "requestId" => "01JNG7Q2".to_owned(),
        "recordValue" => {
            format!("roster-challenge={}.b7csjDGMAWwcWB1xpPRfig", ids.replace("org_01jng7q2000000000000000001"))
        }
        _ if name.ends_with("Time") => time(old, occurred),
        _ => ids.replace(old),
    };
    line.replacen(&format!("\"{old}\""), &format!("\"{new}\""), 1)
}

/// A time as far from the example's own as it was from the event's, in whole days; one that is far away was given.
fn time(old: &str, occurred: i64) -> String {
    let Some(micros) = micros(old) else { return old.to_owned() };
    let days = (micros - occurred + DAY_MICROS / 2).div_euclid(DAY_MICROS);
    if days > 10_000 {
        return old.to_owned();
    }
    let base = self::micros(OCCURRED).expect("a time");
    prost_types::Timestamp::from(Timestamp(base + days * DAY_MICROS)).to_string()
}

/// What every id is called, by its kind and in the order in which they come.
#[derive(Default)]
struct Ids {
    names: BTreeMap<String, String>,
    counts: BTreeMap<String, usize>,
}

impl Ids {
    /// The text, with another id in place of every one: `org_…`, or two with a `/` between them.
    fn replace(&mut self, text: &str) -> String {
        text.split('/').map(|part| self.replace_one(part)).collect::<Vec<_>>().join("/")
    }

    fn replace_one(&mut self, text: &str) -> String {
        let begin = text.len().saturating_sub(ID_LENGTH);
        let Some((before, id)) = text.split_at_checked(begin) else { return text.to_owned() };
        let Some(prefix) = before.strip_suffix('_') else { return text.to_owned() };
        if !id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()) {
            return text.to_owned();
        }
        let count = self.counts.entry(prefix.to_owned()).or_default();
        let name = self.names.entry(text.to_owned()).or_insert_with(|| {
            *count += 1;
            format!("{prefix}_01jng7q2000000000000000{count:03}")
        });
        name.clone()
    }
}
