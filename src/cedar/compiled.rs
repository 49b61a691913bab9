//! Sets of policies, ready to be asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use cedar_policy::{AuthorizationError, Authorizer, Decision, PolicyId, PolicySet};
use rustc_hash::FxHashMap;

use super::{Effect, Facts, Scope, Text, needs::Needs};

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

/// The policies of one scope, a tenant's or an organization's, parsed once.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    policies: BTreeMap<Box<str>, Parsed>,
    groups: Vec<Arc<Group>>,
    /// Groups that a permission is of, other than those that every permission is of.
    by_permission: FxHashMap<Box<str>, Vec<usize>>,
    /// Groups that every permission is of.
    of_all: Vec<usize>,
    /// Policies that veto since they cannot be read.
    unreadable: Vec<Box<str>>,
}

/// A policy as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is called in its scope.
    pub name: &'a str,
    /// What it was found to do when it was written; none where that is not known.
    pub effect: Option<Effect>,
    /// What it says.
    pub text: &'a str,
}

/// A change of a set.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// There is this policy now, in place of one with its name.
    Put(Source<'a>),
    /// There is no policy of this name any more.
    Delete(&'a str),
}

/// What a set says to a question, with the names of the policies that say so, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// At least one policy vetoes.
    Forbid(Vec<Box<str>>),
    /// No policy vetoes, and at least one permits.
    Permit(Vec<Box<str>>),
    /// No policy matches.
    Neither,
}

#[derive(Debug, Clone)]
enum Parsed {
    Readable(Arc<Text>),
    /// With the effect that it was written with.
    Unreadable(Option<Effect>),
}

/// Policies that apply to the same permissions, and what they read.
#[derive(Debug)]
struct Group {
    policies: PolicySet,
    needs: Needs,
}

impl Compiled {
    /// The set of these policies.
    pub fn new<'a>(sources: impl IntoIterator<Item = Source<'a>>) -> Self {
        Self::default().with_changes(sources.into_iter().map(Change::Put))
    }

    /// This set with changes. What does not change is not parsed again.
    #[must_use]
    pub fn with_changes<'a>(&self, changes: impl IntoIterator<Item = Change<'a>>) -> Self {
        let mut policies = self.policies.clone();
        for change in changes {
            match change {
                Change::Put(source) => drop(policies.insert(source.name.into(), Parsed::read(&source))),
                Change::Delete(name) => drop(policies.remove(name)),
            }
        }
        Self::grouped(policies)
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// What it takes, in bytes: a guess, for most policies are short.
    pub fn bytes(&self) -> usize {
        const EACH: usize = 4_096;
        self.policies.len() * EACH
    }

    /// Whether there is a policy of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.policies.contains_key(name)
    }

    /// Whether a question about this permission can be answered by anything but [`Verdict::Neither`]: whoever asks need
    /// not gather facts otherwise.
    pub fn concerns(&self, permission: &str) -> bool {
        !self.of_all.is_empty() || !self.unreadable.is_empty() || self.by_permission.contains_key(permission)
    }

    /// What the set says to a question. A forbid that fails while it is evaluated vetoes, as one that cannot be read; a
    /// permit that fails permits nothing.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        let mut found = Found { forbids: self.unreadable.clone(), permits: Vec::new() };
        let of_permission = self.by_permission.get(facts.permission).map_or(&[][..], Vec::as_slice);
        for index in self.of_all.iter().chain(of_permission) {
            self.groups[*index].evaluate(facts, &mut found);
        }
        found.verdict()
    }

    /// Groups policies by the permissions that they apply to, so that a question meets those alone that can match it.
    fn grouped(policies: BTreeMap<Box<str>, Parsed>) -> Self {
        let mut set = Self::default();
        let mut groups: BTreeMap<Scope, Group> = BTreeMap::new();
        for (name, parsed) in &policies {
            match parsed {
                Parsed::Readable(text) => groups.entry(text.scope()).or_default().add(name, text),
                Parsed::Unreadable(Some(Effect::Permit)) => {}
                Parsed::Unreadable(Some(Effect::Forbid) | None) => set.unreadable.push(name.clone()),
            }
        }
        for (index, (scope, group)) in groups.into_iter().enumerate() {
            set.groups.push(Arc::new(group));
            match scope {
                None => set.of_all.push(index),
                Some(permissions) => {
                    permissions.into_iter().for_each(|slug| set.by_permission.entry(slug).or_default().push(index));
                }
            }
        }
        set.policies = policies;
        set
    }
}

impl Parsed {
    /// What was accepted when it was written may be unreadable for a later version of the language: rather than to
    /// allow what it forbade, it then forbids. That is said once, here.
    fn read(source: &Source<'_>) -> Self {
        match Text::parse(source.text) {
            Ok(text) => Self::Readable(Arc::new(text)),
            Err(messages) => {
                let message = messages.first().map(|message| message.message.as_str()).unwrap_or_default();
                tracing::error!(policy = source.name, message, "policy cannot be read: it vetoes unless it permits");
                Self::Unreadable(source.effect)
            }
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self { policies: PolicySet::new(), needs: Needs::default() }
    }
}

/// What was found so far.
struct Found {
    forbids: Vec<Box<str>>,
    permits: Vec<Box<str>>,
}

impl Found {
    fn verdict(mut self) -> Verdict {
        self.forbids.sort_unstable();
        self.permits.sort_unstable();
        match (self.forbids.is_empty(), self.permits.is_empty()) {
            (false, _) => Verdict::Forbid(self.forbids),
            (true, false) => Verdict::Permit(self.permits),
            (true, true) => Verdict::Neither,
        }
    }
}

impl Group {
    fn add(&mut self, name: &str, text: &Text) {
        let policy = text.named(name);
        self.needs.add(&policy);
        // A name is taken once at most: names are the keys of a map.
        let _ = self.policies.add(policy);
    }

    fn evaluate(&self, facts: &Facts<'_>, found: &mut Found) {
        let (request, entities) = match facts.world(&self.needs) {
            Ok(world) => world,
            Err(fault) => {
                tracing::error!(%fault, "a question cannot be put to policies: those that forbid veto");
                return found.forbids.extend(self.forbids());
            }
        };
        let response = AUTHORIZER.is_authorized(&request, &self.policies, &entities);
        let matched = response.diagnostics().reason().map(name);
        match response.decision() {
            Decision::Allow => found.permits.extend(matched),
            Decision::Deny => found.forbids.extend(matched),
        }
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            let policy = self.policies.policy(error.policy_id());
            if policy.is_none_or(|policy| policy.effect() == cedar_policy::Effect::Forbid) {
                found.forbids.push(name(error.policy_id()));
            }
        }
    }

    fn forbids(&self) -> impl Iterator<Item = Box<str>> {
        let forbids = self.policies.policies().filter(|policy| policy.effect() == cedar_policy::Effect::Forbid);
        forbids.map(|policy| name(policy.id()))
    }
}

fn name(id: &PolicyId) -> Box<str> {
    let name: &str = id.as_ref();
    name.into()
}
