//! The policies of a state, parsed when they change and never by a question.

use crate::{
    cedar::{Change, Compiled, Effect, Source},
    proto::v1 as pb,
};

/// The policies after some changes; nothing where there are none, so that whoever has none pays nothing.
pub fn changed<'a>(
    policies: Option<Box<Compiled>>,
    changes: impl IntoIterator<Item = Change<'a>>,
) -> Option<Box<Compiled>> {
    let changed = policies.unwrap_or_default().with_changes(changes);
    (!changed.is_empty()).then(|| Box::new(changed))
}

/// A policy as it is now.
pub fn put(policy: &pb::Policy) -> Change<'_> {
    Change::Put(Source { name: &policy.name, text: &policy.text, effect: effect(policy) })
}

/// A policy that is no more.
pub fn delete(policy: &pb::Policy) -> Change<'_> {
    Change::Delete(&policy.name)
}

/// A policy as it is stored.
pub fn stored<'a>(name: &'a str, text: &'a str, effect: &str) -> Change<'a> {
    Change::Put(Source { name, text, effect: Effect::try_from(effect.to_owned()).ok() })
}

/// What a policy was found to do when it was written.
fn effect(policy: &pb::Policy) -> Option<Effect> {
    match policy.effect() {
        pb::PolicyEffect::Permit => Some(Effect::Permit),
        pb::PolicyEffect::Forbid => Some(Effect::Forbid),
        pb::PolicyEffect::Unspecified => None,
    }
}
