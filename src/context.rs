//! What an operation knows of its call: the tenant, who asks, when, and what the caller says about it.

use crate::{authority::Authority, clock::Timestamp, idempotency::Repeatable, ids::TenantId, proto::v1 as pb};

/// The context of one call.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The tenant that the call is about. Nothing else can be reached.
    pub tenant_id: TenantId,
    /// Who asks.
    pub actor: Actor,
    /// By what right.
    pub authority: Authority,
    /// When.
    pub now: Timestamp,
    /// The caller's id of the request, or empty.
    pub request_id: String,
    /// What the request is known by when it comes again, where it has an id.
    pub repeatable: Option<Repeatable>,
    /// Whether the caller may do nothing any more but hear the answer to this request again.
    pub answered_before: bool,
    /// Why, as the caller gave it, or empty.
    pub reason: String,
    /// The W3C trace context of the call, or empty.
    pub trace_parent: String,
}

/// Who makes a change, as the log records it.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What kind of actor.
    pub kind: pb::EventActorKind,
    /// Its id, empty for the system.
    pub id: String,
    /// The network address of the call, or empty.
    pub address: String,
    /// The user agent of the call, or empty.
    pub user_agent: String,
}

impl Actor {
    /// The service itself.
    pub fn system() -> Self {
        Self::of_kind(pb::EventActorKind::System)
    }

    /// A person at the command line.
    pub fn operator() -> Self {
        Self::of_kind(pb::EventActorKind::Operator)
    }

    fn of_kind(kind: pb::EventActorKind) -> Self {
        Self { kind, id: String::new(), address: String::new(), user_agent: String::new() }
    }
}

impl Ctx {
    /// A call that nobody made over the network: it may do everything.
    pub fn local(tenant_id: TenantId, actor: Actor, now: Timestamp) -> Self {
        let (request_id, repeatable, answered_before, reason, trace_parent) = Default::default();
        let authority = Authority::System;
        Self { tenant_id, actor, authority, now, request_id, repeatable, answered_before, reason, trace_parent }
    }
}
