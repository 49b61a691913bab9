//! The hash chain of a stream: whoever changes, drops, inserts or moves an event breaks it from there on.
//!
//! What is hashed is JSON in its canonical form (RFC 8785), so that anybody can hash it again, in any language:
//!
//! - seal: SHA-256 of a salt of 32 bytes, and the JSON of an [`Event`](pb::Event) that holds nothing but what is one
//!   person's. It stays when the person is erased; the salt goes, and with it every way to guess what was sealed.
//! - leaf: SHA-256 of `{"event": …, "personal": {"actor": …, "subject": …}}`: the event without position and stream epoch
//!   and without what is sealed, and the seals in hexadecimal where there are any.
//! - hash: SHA-256 of the hash before, and the leaf. Before the first event of a stream it is SHA-256 of
//!   `roster.v1 chain`, a line feed, and the stream's id.
//!
//! Seals and leaf are made where an event is appended, by the transaction that makes it; the sequencer chains.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Stream, personal::Parts};
use crate::{
    error::{Error, Result},
    proto::DESCRIPTORS,
};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The envelope, as everything that reads events by their descriptor knows it.
pub static ENVELOPE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("compiled by build.rs");
    pool.get_message_by_name("roster.v1.Event").expect("part of the contract")
});

/// What is one person's, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// What the hash was salted with.
    pub salt: Hash,
    /// The salted hash.
    pub hash: Hash,
}

/// An event, as it enters the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The seal of what is of the user whom it is about, if anything.
    pub subject: Option<Seal>,
    /// The seal of what is of the user whose call it was, if anything.
    pub actor: Option<Seal>,
    /// What the chain is made of.
    pub leaf: Hash,
}

impl Sealed {
    /// Seals an event as it is stored.
    pub fn of(parts: &Parts) -> Result<Self> {
        let seal = |part: &Option<super::personal::Part>| part.as_ref().map(|part| seal(&part.payload)).transpose();
        let (subject, actor) = (seal(&parts.subject)?, seal(&parts.actor)?);
        let hash = |seal: &Option<Seal>| seal.as_ref().map(|seal| seal.hash);
        let leaf = leaf(json(&parts.payload)?, hash(&subject), hash(&actor))?;
        Ok(Self { subject, actor, leaf })
    }
}

fn seal(payload: &[u8]) -> Result<Seal> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Seal { salt, hash: commit(&salt, &json(payload)?)? })
}

/// The salted hash of what is one person's.
pub fn commit(salt: &[u8], part: &Value) -> Result<Hash> {
    Ok(Sha256::new().chain_update(salt).chain_update(canonical(part)?).finalize().into())
}

/// The leaf of an event without what is somebody's.
pub fn leaf(event: Value, subject: Option<Hash>, actor: Option<Hash>) -> Result<Hash> {
    let mut personal = Map::new();
    for (name, seal) in [("actor", actor), ("subject", subject)] {
        personal.extend(seal.map(|seal| (name.to_owned(), hex(&seal).into())));
    }
    Ok(Sha256::digest(canonical(&json!({"event": event, "personal": personal}))?).into())
}

/// The hash before the first event of a stream.
pub fn beginning(stream: Stream) -> Hash {
    Sha256::digest(format!("roster.v1 chain\n{stream}")).into()
}

/// The hash up to and with an event.
pub fn next(before: &Hash, leaf: &[u8]) -> Hash {
    Sha256::new().chain_update(before).chain_update(leaf).finalize().into()
}

/// The JSON of an event, or of some fields of one: ProtoJSON, without fields that are not set.
pub fn json(payload: &[u8]) -> Result<Value> {
    let message = DynamicMessage::decode(ENVELOPE.clone(), payload).map_err(Error::internal)?;
    serde_json::to_value(message).map_err(Error::internal)
}

/// JSON in its one canonical form (RFC 8785).
pub fn canonical(value: &Value) -> Result<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).map_err(Error::internal)
}

/// In hexadecimal, as JSON has it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From hexadecimal, in lower case as it is written; nothing where it is no hash.
pub fn unhex(text: &str) -> Option<Hash> {
    let is_lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 64 || !text.bytes().all(is_lower) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// A hash as it is stored.
pub fn read(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map_err(|_| Error::internal("a stored hash is none"))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{
        ids::{TenantId, UserId},
        proto::v1 as pb,
    };

    fn event(name: &str) -> pb::Event {
        let after = pb::User { user_id: "user_1".into(), display_name: name.into(), ..pb::User::default() };
        let data = pb::event::Data::UserCreated(pb::UserCreated { after: Some(after) });
        pb::Event { sequence: 7, data: Some(data), ..pb::Event::default() }
    }

    #[test]
    fn what_is_canonical_is_spelled_in_one_way() {
        let value = json!({"b": [1, "ü\n"], "a": {"z": null, "\u{1f600}": 1, "\u{fb33}": 2}});
        let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"a\":{\"z\":null,\"\u{1f600}\":1,\"\u{fb33}\":2},\"b\":[1,\"ü\\n\"]}", "UTF-16 order");
    }

    #[test]
    fn the_leaf_holds_no_personal_data_and_is_another_one_with_other_data() {
        let about = Some(UserId::generate());
        let sealed = |name: &str| Sealed::of(&Parts::of(&event(name), about)).unwrap();
        let (one, again) = (sealed("Ada"), sealed("Ada"));
        assert_ne!(one.subject, again.subject, "salted");
        assert!(one.actor.is_none());
        let seal = one.subject.clone().unwrap();
        let rest = json!({"sequence": "7", "userCreated": {"after": {"userId": "user_1"}}});
        assert_eq!(leaf(rest, Some(seal.hash), None).unwrap(), one.leaf);
        let part = json!({"userCreated": {"after": {"displayName": "Ada"}}});
        assert_eq!(commit(&seal.salt, &part).unwrap(), seal.hash);
        let bare = Parts { payload: event("Ada").encode_to_vec(), ..Parts::default() };
        assert_ne!(Sealed::of(&bare).unwrap().leaf, Sealed::of(&Parts::of(&event("Bob"), None)).unwrap().leaf);
    }

    #[test]
    fn a_chain_begins_with_its_stream_and_depends_on_every_leaf_before() {
        let (one, other) = (Stream::Tenant(TenantId::generate()), Stream::Tenant(TenantId::generate()));
        assert_ne!(beginning(one), beginning(other));
        let (a, b) = ([1; 32], [2; 32]);
        assert_ne!(next(&next(&beginning(one), &a), &b), next(&next(&beginning(one), &b), &a));
    }
}
