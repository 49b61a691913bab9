//! The bytes of a value: protobuf or ProtoJSON, and either in Confluent's wire format.

use std::{borrow::Cow, collections::BTreeMap};

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::{feed::Feed, last::Last};
use crate::{
    config::{Format, Kafka},
    error::{Error, Result},
};

/// The first byte in Confluent's wire format; the id of the schema follows, in four bytes, the highest first.
const MAGIC: u8 = 0;
/// How many bytes both have.
const FRAME: usize = 5;

/// How the values of a topic are written and read.
#[derive(Debug)]
pub struct Codec {
    message: MessageDescriptor,
    format: Format,
    /// The id of the schema, in Confluent's wire format.
    schema_id: Option<u32>,
}

/// A value, as protobuf.
#[derive(Debug)]
pub struct Decoded<'v> {
    /// The message.
    pub bytes: Cow<'v, [u8]>,
    /// Whether these are the bytes that its writer had: JSON has lost their order.
    pub exact: bool,
}

impl Codec {
    /// How a topic is configured.
    pub fn new(feed: Feed, kafka: &Kafka) -> Self {
        Self { message: feed.message(), format: kafka.encoding.format, schema_id: feed.schema_id(kafka) }
    }

    /// What the value is, as its header says.
    pub fn content_type(&self) -> &'static str {
        match (self.format, self.schema_id) {
            (Format::Protobuf, None) => "application/protobuf",
            (Format::Json, None) => "application/json",
            (Format::Protobuf, Some(_)) => "application/protobuf; framing=confluent",
            (Format::Json, Some(_)) => "application/json; framing=confluent",
        }
    }

    /// Where the schema of the value is found, as its header says.
    pub fn data_schema(&self) -> String {
        match (self.format, self.schema_id) {
            (_, Some(id)) => format!("urn:roster:schema-registry:{id}"),
            (Format::Protobuf, None) => format!("urn:roster:proto:{}", self.message.full_name()),
            (Format::Json, None) => format!("urn:roster:json:{}", self.message.full_name()),
        }
    }

    /// Both of them, for people.
    pub fn describe(&self) -> String {
        format!("{} of the schema {}", self.content_type(), self.data_schema())
    }

    /// A value of this message, which is given as protobuf.
    pub fn encode(&self, protobuf: Vec<u8>) -> Result<Vec<u8>> {
        let Some(schema_id) = self.schema_id else { return self.bare(protobuf) };
        let mut value = vec![MAGIC];
        value.extend(schema_id.to_be_bytes());
        if self.format == Format::Protobuf {
            value.extend(indexes(&self.message));
        }
        value.extend(self.bare(protobuf)?);
        Ok(value)
    }

    fn bare(&self, protobuf: Vec<u8>) -> Result<Vec<u8>> {
        if self.format == Format::Protobuf {
            return Ok(protobuf);
        }
        let message = DynamicMessage::decode(self.message.clone(), protobuf.as_slice()).map_err(Error::internal)?;
        serde_json::to_vec(&message).map_err(Error::internal)
    }

    /// A value as protobuf, by what its header says it is; where there is none, by the configuration. None where it is
    /// no value of this message.
    pub fn decode<'v>(&self, value: &'v [u8], content_type: Option<&str>) -> Option<Decoded<'v>> {
        let content_type = content_type.unwrap_or(self.content_type());
        let (format, framing) = content_type.split_once(';').unwrap_or((content_type, ""));
        let framed = framing.trim() == "framing=confluent";
        let is_json = format.trim() == "application/json";
        let mut rest = match framed {
            true => value.get(FRAME..).filter(|_| value[0] == MAGIC)?,
            false => value,
        };
        if !is_json {
            if framed {
                rest = after_indexes(rest, &self.message)?;
            }
            return Some(Decoded { bytes: Cow::Borrowed(rest), exact: true });
        }
        let mut json = serde_json::Deserializer::from_slice(rest);
        let message = DynamicMessage::deserialize(self.message.clone(), &mut json).ok()?;
        json.end().ok()?;
        Some(Decoded { bytes: Cow::Owned(message.encode_to_vec()), exact: false })
    }
}

/// How the last record of a partition is written, where that is in another way than is configured: a sentence.
pub fn other(feed: Feed, kafka: &Kafka, last: &[Last]) -> Option<String> {
    let codec = Codec::new(feed, kafka);
    let (content_type, data_schema) = (codec.content_type(), codec.data_schema());
    let is_other = |record: &&Last| record.content_type != content_type || record.data_schema != data_schema;
    let ends = last.iter().rev().fold(BTreeMap::new(), |mut ends, record| {
        let end = ends.entry(record.partition).or_insert(record);
        if end.offset < record.offset {
            *end = record;
        }
        ends
    });
    let record = ends.into_values().filter(|record| !record.stream_epoch.is_empty()).find(is_other)?;
    let (partition, offset, was) = (record.partition, record.offset, or_nothing(&record.content_type));
    let schema = or_nothing(&record.data_schema);
    Some(format!(
        "the last record of partition {partition}, at offset {offset}, is {was} of the schema {schema}, and configured is {}",
        codec.describe()
    ))
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "(not said)" } else { text }
}

/// Which message of its file this is: how many indexes, then each, as zigzag numbers; the first of its file is a single 0.
fn indexes(message: &MessageDescriptor) -> Vec<u8> {
    // A descriptor's path has the number of a field of its parent before each index.
    let path: Vec<_> = message.path().iter().skip(1).step_by(2).copied().collect();
    if path == [0] {
        return vec![0];
    }
    let mut bytes = Vec::new();
    for number in std::iter::once(i32::try_from(path.len()).unwrap_or(0)).chain(path) {
        prost::encoding::encode_varint(u64::from(number.unsigned_abs()) << 1, &mut bytes);
    }
    bytes
}

/// What follows the indexes, where they name this message. The first of a file may also be spelled out.
fn after_indexes<'v>(value: &'v [u8], message: &MessageDescriptor) -> Option<&'v [u8]> {
    let expected = indexes(message);
    let spelled = [2, 0];
    let after = value.strip_prefix(expected.as_slice());
    after.or_else(|| value.strip_prefix(&spelled).filter(|_| expected == [0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Encoding, SchemaIds},
        proto::v1 as pb,
    };

    fn codec(feed: Feed, format: Format, framed: bool) -> Codec {
        let schema_ids = framed.then_some(SchemaIds { event: 258, state: 7 });
        Codec::new(feed, &Kafka { encoding: Encoding { format, schema_ids }, ..Kafka::default() })
    }

    fn event() -> pb::Event {
        let after = pb::Team { name: "cœur\u{1}".into(), ..pb::Team::default() };
        pb::Event {
            event_id: "evt_1".into(),
            sequence: i64::MAX,
            occur_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000 }),
            data: Some(pb::event::Data::TeamCreated(pb::TeamCreated { after: Some(after) })),
            ..pb::Event::default()
        }
    }

    #[test]
    fn every_encoding_gives_the_same_event_back_by_its_header_and_by_configuration() {
        let protobuf = event().encode_to_vec();
        for format in [Format::Protobuf, Format::Json] {
            for framed in [false, true] {
                let codec = codec(Feed::Events, format, framed);
                let value = codec.encode(protobuf.clone()).unwrap();
                let other = self::codec(Feed::Events, Format::Protobuf, false);
                for (reader, header) in [(&codec, None), (&other, Some(codec.content_type()))] {
                    let decoded = reader.decode(&value, header).unwrap();
                    assert_eq!(pb::Event::decode(&*decoded.bytes).unwrap(), event(), "{}", codec.content_type());
                }
            }
        }
    }

    #[test]
    fn confluents_frame_is_magic_and_schema_and_for_protobuf_the_message() {
        let value = codec(Feed::Events, Format::Protobuf, true).encode(vec![9]).unwrap();
        assert_eq!(value, [0, 0, 0, 1, 2, 0, 9], "Event is the first message of its file");
        let value = codec(Feed::State, Format::Json, true).encode(Vec::new()).unwrap();
        assert_eq!(value, [&[0, 0, 0, 0, 7][..], b"{}"].concat());
        let subject = Feed::Events.message().parent_file().messages().nth(1).unwrap();
        assert_eq!(indexes(&subject), [2, 2], "one index, and that is 1, in zigzag");
        let codec = codec(Feed::Events, Format::Protobuf, true);
        assert!(codec.decode(&[0, 0, 0, 1, 2, 2, 0, 9], None).is_some(), "spelled out");
        for wrong in [&[][..], &[0, 0, 0], &[1, 0, 0, 1, 2, 0, 9], &[0, 0, 0, 1, 2, 2, 2, 9]] {
            assert!(codec.decode(wrong, None).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn json_is_proto_json() {
        let value = codec(Feed::Events, Format::Json, false).encode(event().encode_to_vec()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(json["sequence"], "9223372036854775807");
        assert_eq!(json["occurTime"], "2023-11-14T22:13:20.000005Z");
        assert_eq!(json["teamCreated"]["after"]["name"], "cœur\u{1}");
        assert!(json.get("reason").is_none(), "what is not set is left out");
    }
}
