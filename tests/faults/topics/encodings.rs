//! Every encoding, on both topics, read by its headers alone and by a consumer that is none of ours.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Headers as _, Message as _},
};

use super::{assert_both_proven, house};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

/// A record as it is on the broker.
struct Record {
    partition: i32,
    key: String,
    value: Option<Vec<u8>>,
    headers: BTreeMap<String, String>,
}

/// Everything on a topic, by a plain consumer.
fn read(topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka())
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut records, mut ended, begin) = (Vec::new(), 0, Instant::now());
    while ended < partitions {
        assert!(begin.elapsed() < Duration::from_secs(30), "the topic does not end");
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = message.headers().unwrap().iter();
                records.push(Record {
                    partition: message.partition(),
                    key: text(message.key().unwrap()),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers.map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect(),
                });
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    records
}

/// The key of the stream that a state is of.
fn stream(key: &str) -> &str {
    key.split('/').next().unwrap()
}

fn check_records(topic: &str, encoding: &str, omits_personal: bool) {
    let (events, states) = (read(topic), read(&format!("{topic}-state")));
    let partitions: BTreeMap<_, _> = events.iter().map(|record| (record.key.clone(), record.partition)).collect();
    for record in &states {
        assert_eq!(
            record.partition,
            partitions[stream(&record.key)],
            "{}: beside the events of its stream",
            record.key
        );
    }
    let tombstones: Vec<_> = states.iter().filter(|record| record.value.is_none()).collect();
    // A team each; of the organization that is purged, the membership and the other team too.
    assert!(tombstones.len() >= 4, "{} tombstones", tombstones.len());
    assert!(events.iter().all(|record| record.value.is_some()));
    for (records, schema, message) in [(&events, 258u32, "Event"), (&states, 7, "State")] {
        for record in records.iter() {
            let (content_type, data_schema) = match encoding {
                "protobuf" => ("application/protobuf", format!("urn:roster:proto:roster.v1.{message}")),
                "json" => ("application/json", format!("urn:roster:json:roster.v1.{message}")),
                "confluent-json" => {
                    ("application/json; framing=confluent", format!("urn:roster:schema-registry:{schema}"))
                }
                _ => ("application/protobuf; framing=confluent", format!("urn:roster:schema-registry:{schema}")),
            };
            assert_eq!(record.headers["content-type"], content_type);
            assert_eq!(record.headers["ce_dataschema"], data_schema);
            let Some(value) = &record.value else { continue };
            let framed = [&[0][..], &schema.to_be_bytes()].concat();
            match encoding {
                "json" => assert!(serde_json::from_slice::<serde_json::Value>(value).unwrap().is_object()),
                "confluent-json" => {
                    assert_eq!(value[..5], framed);
                    assert!(serde_json::from_slice::<serde_json::Value>(&value[5..]).unwrap().is_object());
                }
                "confluent-protobuf" => assert_eq!(value[..6], [&framed[..], &[0]].concat()),
                _ => {}
            }
        }
        let holds = |record: &&Record| {
            let value = record.value.as_deref().unwrap_or_default();
            value.windows(house::ADDRESS.len()).any(|part| part == house::ADDRESS.as_bytes())
        };
        assert_eq!(records.iter().filter(holds).count() == 0, omits_personal, "personal fields of {message}");
    }
}

async fn publishes(encoding: &str, personal: &str) {
    let (database, topic) = (Database::fresh(Engine::Sqlite).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let more = ["--kafka-encoding", encoding, "--kafka-schema-id", "258", "--kafka-state-schema-id", "7"];
    let more = [&more[..], &["--stream-personal-data", personal, "--restore-days", "0"]].concat();
    let arguments = [&settings[..], &more.iter().map(ToString::to_string).collect::<Vec<_>>()].concat();
    let mut service = Process::start(free_port(), &arguments);
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    house::furnish(&caller).await;
    let (encoding, omits_personal) = (encoding.to_owned(), personal == "omit");
    tokio::task::spawn_blocking(move || {
        // Without the encoding: what a value is stands in its header.
        assert_both_proven(&settings);
        check_records(&topic, &encoding, omits_personal);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_encoding_is_read_by_its_headers_and_holds_what_it_says() {
    let _alone = alone().await;
    for encoding in ["protobuf", "json", "confluent-protobuf", "confluent-json"] {
        publishes(encoding, "include").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_fields_never_leave_where_they_are_omitted() {
    let _alone = alone().await;
    for encoding in ["protobuf", "json"] {
        publishes(encoding, "omit").await;
    }
}

#[test]
fn an_encoding_without_what_it_needs_does_not_start() {
    let bad = ["--kafka-brokers", "127.0.0.1:1", "--kafka-encoding", "confluent-json", "--kafka-state-schema-id", "0"];
    let more = ["--stream-personal-data", "some", "--kafka-transactional", "on", "--kafka-state-topic", "a b"];
    let answer = super::roster(&[&bad[..], &more].concat(), &[]);
    assert_eq!(answer.code, 2, "{answer:?}");
    for key in
        ["kafka_schema_id", "kafka_state_schema_id", "stream_personal_data", "kafka_transactional", "kafka_state_topic"]
    {
        assert!(answer.err.contains(&format!("  {key}: ")), "{key} is not told of: {}", answer.err);
    }
}
