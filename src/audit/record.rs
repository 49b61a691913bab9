//! One line of a provable export: an event as a CloudEvent, with what proves it.
//!
//! The event is whole: what is one person's is in its place, and the proof says which fields that is, so that whoever
//! verifies takes them out again. The line is canonical JSON (RFC 8785): there is one way to write it, and so no byte
//! that could change unseen.

use prost_reflect::{DynamicMessage, Value as Field};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    events::{
        chain::{self, Hash, hex},
        cloud_event,
        store::Proven,
    },
};

/// What a record's data is: an event as ProtoJSON, and its proof.
const SCHEMA: &str = "urn:roster:json:audit-record:1";

/// What proves an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// The stream's chain before the event, in hexadecimal.
    pub previous_hash: String,
    /// The chain up to and with it.
    pub hash: String,
    /// What of it is somebody's.
    #[serde(default, skip_serializing_if = "PersonalProof::is_empty")]
    pub personal: PersonalProof,
}

/// What of an event is somebody's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalProof {
    /// Of the user whose call it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Seal>,
    /// Of the user whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Seal>,
}

impl PersonalProof {
    fn is_empty(&self) -> bool {
        self.actor.is_none() && self.subject.is_none()
    }
}

/// What is one person's, sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seal {
    /// The salted hash, in hexadecimal.
    pub seal: String,
    /// What is sealed; nothing where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none", flatten)]
    pub open: Option<Open>,
}

/// What is still there of what was sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    /// The salt, in hexadecimal.
    pub salt: String,
    /// The fields of the event that are sealed, each by its path.
    pub fields: Vec<Vec<String>>,
}

/// The line of a record; it ends with a line feed.
pub fn line(event: &Value, proof: &Proof) -> Result<Vec<u8>> {
    let mut line = chain::canonical(&cloud_event(event, proof)?)?;
    line.push(b'\n');
    Ok(line)
}

/// An event and its proof as a CloudEvent (CloudEvents 1.0, JSON format).
fn cloud_event(event: &Value, proof: &Proof) -> Result<Value> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut line = json!({
        "specversion": "1.0",
        "id": text("/eventId"),
        "source": cloud_event::source(text("/tenantId"), text("/organizationId")),
        "type": text("/type"),
        "time": text("/occurTime"),
        "sequence": cloud_event::sequence(text("/sequence").parse().unwrap_or(0)),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
        "data": {"event": event, "proof": serde_json::to_value(proof).map_err(Error::internal)?},
    });
    // CloudEvents attributes are never empty.
    if !text("/subject/id").is_empty() {
        line["subject"] = text("/subject/id").into();
    }
    Ok(line)
}

/// The bytes of the whole event of a row of the log.
pub fn whole(proven: &Proven) -> Vec<u8> {
    let Proven { payload, subject_payload, actor_payload, .. } = proven;
    let parts = [Some(payload), subject_payload.as_ref(), actor_payload.as_ref()];
    parts.into_iter().flatten().flatten().copied().collect()
}

/// The event of a row of the log, and its proof.
pub fn of(proven: &Proven, previous: &Hash) -> Result<(Value, Proof)> {
    let Proven { subject_payload, actor_payload, .. } = proven;
    let personal = PersonalProof {
        actor: seal(&proven.actor_seal, proven.actor_salt.as_deref(), actor_payload.as_deref())?,
        subject: seal(&proven.subject_seal, proven.subject_salt.as_deref(), subject_payload.as_deref())?,
    };
    let proof = Proof { previous_hash: hex(previous), hash: hex(&proven.hash), personal };
    Ok((chain::json(&whole(proven))?, proof))
}

fn seal(hash: &[u8], salt: Option<&[u8]>, payload: Option<&[u8]>) -> Result<Option<Seal>> {
    if hash.is_empty() {
        return Ok(None);
    }
    let open = match (salt, payload) {
        (Some(salt @ [_, ..]), Some(payload @ [_, ..])) => {
            let part = DynamicMessage::decode(chain::ENVELOPE.clone(), payload).map_err(Error::internal)?;
            let mut fields = Vec::new();
            paths(&part, &mut Vec::new(), &mut fields);
            Some(Open { salt: hex(salt), fields })
        }
        _ => None,
    };
    Ok(Some(Seal { seal: hex(hash), open }))
}

/// The paths of the personal fields of a message that has no others: in JSON's names.
fn paths(message: &DynamicMessage, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for (field, value) in message.fields() {
        path.push(field.json_name().to_owned());
        match value {
            Field::Message(inner) if !is_personal(&field) => paths(inner, path, found),
            _ => found.push(path.clone()),
        }
        path.pop();
    }
}

fn is_personal(field: &prost_reflect::FieldDescriptor) -> bool {
    let pool = chain::ENVELOPE.parent_pool();
    let option = pool.get_extension_by_name("roster.v1.personal").expect("part of the contract");
    field.options().has_extension(&option)
}

/// Takes fields out of an event; answers them. Nothing where one of them is not there.
pub fn take(event: &mut Value, fields: &[Vec<String>]) -> Option<Value> {
    let mut taken = Value::Object(Map::new());
    for path in fields {
        let (last, path) = path.split_last()?;
        let (mut from, mut to) = (&mut *event, &mut taken);
        for name in path {
            from = from.get_mut(name)?;
            to = to.as_object_mut()?.entry(name).or_insert_with(|| Value::Object(Map::new()));
        }
        let value = from.as_object_mut()?.remove(last)?;
        if to.as_object_mut()?.insert(last.clone(), value).is_some() {
            return None;
        }
    }
    Some(taken)
}
