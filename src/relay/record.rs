//! A Kafka record: key, value, and the headers of CloudEvents 1.0 (Kafka binding, binary mode).

use rdkafka::message::{Header, OwnedHeaders};

use super::encoding::Codec;
use crate::{
    events::cloud_event,
    proto::v1::{self as pb, EventActorKind},
};

/// A record on its way.
#[derive(Debug)]
pub struct Message {
    /// By what it is partitioned, unless that is said.
    pub key: String,
    /// Which partition.
    pub partition: Option<i32>,
    /// None: a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: OwnedHeaders,
}

/// The key of an event: its organization, or its tenant.
pub fn key(event: &pb::Event) -> &str {
    if event.organization_id.is_empty() { &event.tenant_id } else { &event.organization_id }
}

/// The headers of what an event brings: of itself, and of each state that it leaves. Those have ids and subjects of their
/// own.
pub fn headers(event: &pb::Event, codec: &Codec, (id, subject): (&str, &str), omits_personal: bool) -> OwnedHeaders {
    let actor = event.actor.as_ref();
    let time = event.occur_time.as_ref().map(ToString::to_string).unwrap_or_default();
    let sequence = cloud_event::sequence(event.sequence);
    let position = event.position.to_string();
    let source = cloud_event::source(&event.tenant_id, &event.organization_id);
    let schema_version = event.schema_version.to_string();
    let data_schema = codec.data_schema();
    let pairs = [
        ("content-type", codec.content_type()),
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", &source),
        ("ce_type", &event.r#type),
        ("ce_time", &time),
        ("ce_subject", subject),
        ("ce_dataschema", &data_schema),
        ("ce_partitionkey", key(event)),
        ("ce_sequence", &sequence),
        ("ce_recordedtime", &time),
        ("ce_correlationid", &event.correlation_id),
        ("ce_causationid", &event.causation_id),
        ("ce_authtype", actor.map_or("unknown", |actor| auth_type(actor.kind()))),
        ("ce_authid", actor.map_or("", |actor| actor.id.as_str())),
        ("traceparent", &event.trace_parent),
        ("x-position", &position),
        ("x-stream-epoch", &event.stream_epoch),
        ("x-schema-version", &schema_version),
        ("x-personal-data", if omits_personal { "omitted" } else { "" }),
    ];
    // CloudEvents attributes are never empty: one without a value is left out.
    let present = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    present.fold(OwnedHeaders::new_with_capacity(pairs.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    })
}

/// The kind of actor, in the words of the CloudEvents extension "Auth Context".
fn auth_type(kind: EventActorKind) -> &'static str {
    match kind {
        EventActorKind::System => "system",
        EventActorKind::ApiKey => "service_account",
        EventActorKind::Operator => "user",
        EventActorKind::User => "user",
        EventActorKind::Service => "service",
        EventActorKind::Unspecified => "unknown",
    }
}
