//! Policies in the contract: in answers and in events.

use super::Policy;
use crate::{
    cedar::{Effect, Message},
    etag,
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, event::Data},
};

impl From<&Policy> for pb::Policy {
    fn from(policy: &Policy) -> Self {
        Self {
            organization_id: policy.organization_id().map(|id| id.to_string()).unwrap_or_default(),
            name: policy.name.clone(),
            description: policy.description.clone(),
            text: policy.text.clone(),
            effect: pb::PolicyEffect::from(policy.effect).into(),
            etag: etag::of(policy.version),
            create_time: Some(policy.created_at.into()),
            update_time: Some(policy.updated_at.into()),
        }
    }
}

impl From<Effect> for pb::PolicyEffect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Permit => Self::Permit,
            Effect::Forbid => Self::Forbid,
        }
    }
}

impl From<Message> for pb::PolicyMessage {
    fn from(message: Message) -> Self {
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        Self {
            message: message.message,
            line: number(message.line),
            column: number(message.column),
            help: message.help,
        }
    }
}

fn change(policy: &Policy, data: Data) -> Change {
    match policy.organization_id() {
        Some(id) => Change::in_organization(id, "policy", &policy.name, data),
        None => Change::in_tenant(policy.tenant_id, "policy", &policy.name, data),
    }
}

pub fn created(policy: &Policy) -> Change {
    change(policy, created!(PolicyCreated, policy))
}

pub fn updated(before: &Policy, after: &Policy) -> Change {
    change(after, changed!(PolicyUpdated, before, after))
}

pub fn deleted(policy: &Policy) -> Change {
    change(policy, ended!(PolicyDeleted, policy))
}
