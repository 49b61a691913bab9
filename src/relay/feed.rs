//! The two topics: what each carries, and how it has to be made for that.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

use crate::{
    config::{Format, Kafka, Transactional},
    proto::DESCRIPTORS,
};

static CONTRACT: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("compiled by build.rs"));

/// What a record weighs at most as protobuf: what brokers take where nobody configured them otherwise.
const PROTOBUF_BYTES_MAX: u32 = 1_048_588;
/// And as JSON, which writes some characters with six times as many bytes.
const JSON_BYTES_MAX: u32 = 8_388_608;
/// For how long a tombstone stays, in milliseconds: whoever reads from the beginning has a week.
const TOMBSTONES_MS: &str = "604800000";
/// For how long a state stays that another one has taken the place of, in milliseconds: what is erased goes within a day.
const COMPACTED_MS: &str = "86400000";

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Every event.
    Events,
    /// The latest state of every thing.
    State,
}

/// A topic as it has to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub topic: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; -1: as the brokers are set.
    pub replication_factor: i32,
    /// Its settings.
    pub settings: Vec<(&'static str, String)>,
}

impl Feed {
    /// Those that are configured.
    pub fn configured(kafka: &Kafka) -> Vec<Self> {
        [Self::Events, Self::State].into_iter().filter(|feed| !feed.topic(kafka).is_empty()).collect()
    }

    /// Its topic.
    pub fn topic(self, kafka: &Kafka) -> &str {
        match self {
            Self::Events => &kafka.topic,
            Self::State => &kafka.state_topic,
        }
    }

    /// What its values are.
    pub fn message(self) -> MessageDescriptor {
        let name = match self {
            Self::Events => "roster.v1.Event",
            Self::State => "roster.v1.State",
        };
        CONTRACT.get_message_by_name(name).expect("part of the contract")
    }

    /// The id of its schema in a registry, in Confluent's wire format.
    pub fn schema_id(self, kafka: &Kafka) -> Option<u32> {
        let ids = kafka.encoding.schema_ids?;
        Some(match self {
            Self::Events => ids.event,
            Self::State => ids.state,
        })
    }

    /// Whether it is written in transactions.
    pub fn is_transactional(self, kafka: &Kafka) -> bool {
        match kafka.transactional {
            Transactional::Off => false,
            Transactional::State => self == Self::State,
            Transactional::All => true,
        }
    }

    /// How its topic has to be: events are kept for good, or the state could not be rebuilt from them; of states the
    /// latest is.
    pub fn wanted(self, kafka: &Kafka) -> Wanted {
        let mut settings = match self {
            Self::Events => vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", "-1".to_owned()),
                ("retention.bytes", "-1".to_owned()),
            ],
            Self::State => vec![
                ("cleanup.policy", "compact".to_owned()),
                ("delete.retention.ms", TOMBSTONES_MS.to_owned()),
                ("max.compaction.lag.ms", COMPACTED_MS.to_owned()),
            ],
        };
        settings.push(("max.message.bytes", bytes_max(kafka).to_string()));
        settings.push(("compression.type", "producer".to_owned()));
        settings.push(("unclean.leader.election.enable", "false".to_owned()));
        if kafka.replication_factor >= 3 {
            // One broker may be away, and what is acknowledged is on all others.
            settings.push(("min.insync.replicas", (kafka.replication_factor - 1).to_string()));
        }
        Wanted {
            topic: self.topic(kafka).to_owned(),
            partitions: kafka.partitions,
            replication_factor: kafka.replication_factor,
            settings,
        }
    }
}

/// What a record may weigh, in bytes.
pub fn bytes_max(kafka: &Kafka) -> u32 {
    match kafka.encoding.format {
        Format::Protobuf => PROTOBUF_BYTES_MAX,
        Format::Json => JSON_BYTES_MAX,
    }
}

/// Whether a topic that takes records of so many bytes takes every one. What brokers take by themselves suffices for
/// protobuf: an event weighs 900,000 bytes at most, and headers and key come on top.
pub fn takes_every_record(kafka: &Kafka, bytes: i64) -> bool {
    let needed = match kafka.encoding.format {
        Format::Protobuf => 1_000_000,
        Format::Json => i64::from(JSON_BYTES_MAX),
    };
    bytes >= needed
}
