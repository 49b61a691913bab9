//! An event as rows of the log: what is nobody's, and beside it what is somebody's.

use uuid::Uuid;

use super::{
    chain::{Seal, Sealed},
    personal::{Part, Parts},
};
use crate::{
    clock::Timestamp,
    db::{Value, args},
    ids::{EventId, TenantId},
    proto::v1::{self as pb, EventActorKind},
};

/// Where an event stands, and what its columns say of it.
#[derive(Debug)]
pub struct Row<'e> {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The organization, or the tenant for its own stream.
    pub stream_id: Uuid,
    /// Its id.
    pub id: EventId,
    /// When.
    pub occurred_at: Timestamp,
    /// The event.
    pub event: &'e pb::Event,
    /// Whether its subject is no more.
    pub ended: bool,
}

impl Row<'_> {
    /// The row of what is nobody's.
    pub fn main(&self, parts: Parts, sealed: &Sealed) -> Vec<Value> {
        let Self { tenant_id, stream_id, id, occurred_at, event, ended } = *self;
        let subject = event.subject.clone().unwrap_or_default();
        let actor = event.actor.clone().unwrap_or_default();
        let seal = |seal: &Option<Seal>| seal.as_ref().map_or_else(Vec::new, |seal| seal.hash.to_vec());
        args![
            tenant_id,
            stream_id,
            event.sequence,
            id,
            event.r#type.as_str(),
            occurred_at,
            subject.kind,
            subject.id,
            actor_kind(actor.kind()),
            actor.id,
            ended,
            parts.payload,
            sealed.leaf.to_vec(),
            seal(&sealed.subject),
            seal(&sealed.actor)
        ]
    }

    /// The row of what is somebody's, where something is.
    pub fn personal(&self, parts: &Parts, sealed: &Sealed) -> Option<Vec<Value>> {
        if parts.subject.is_none() && parts.actor.is_none() {
            return None;
        }
        let columns = |part: &Option<Part>, seal: &Option<Seal>| {
            let salt = seal.as_ref().map_or_else(Vec::new, |seal| seal.salt.to_vec());
            part.as_ref().map_or_else(Default::default, |part| (Some(part.user_id), part.payload.clone(), salt))
        };
        let (subject_id, subject, subject_salt) = columns(&parts.subject, &sealed.subject);
        let (actor_id, actor, actor_salt) = columns(&parts.actor, &sealed.actor);
        let (tenant, id, time) = (self.tenant_id, self.id, self.occurred_at);
        Some(args![tenant, id, time, subject_id, subject, subject_salt, actor_id, actor, actor_salt])
    }
}

/// A kind of actor, as the log has it and filters name it.
pub fn actor_kind(kind: EventActorKind) -> &'static str {
    match kind {
        EventActorKind::Unspecified => "",
        EventActorKind::System => "system",
        EventActorKind::ApiKey => "api_key",
        EventActorKind::Operator => "operator",
        EventActorKind::User => "user",
        EventActorKind::Service => "service",
    }
}
