//! The text of one policy: read, and held against the schema.

use std::{collections::BTreeSet, str::FromStr as _};

use cedar_policy::{
    ActionConstraint, EntityUid, ParseErrors, Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning,
    Validator, ffi::DetailedError,
};

use super::{
    Effect, bounds,
    schema::{self, TYPES},
};
use crate::{
    error::{Error, Result},
    fields::is_right_slug,
    ids::{Id, kind},
};

/// How many messages are told of each kind.
const MESSAGES_MAX: usize = 16;
/// How many bytes of a message are told.
const MESSAGE_MAX: usize = 500;
/// How many permissions a policy may name: each is a case of its own for the validator.
const PERMISSIONS_MAX: usize = 100;

/// The text of a policy, parsed: one static policy.
#[derive(Debug, Clone)]
pub struct Text {
    policy: Policy,
    /// The permissions that it names.
    pub permissions: BTreeSet<String>,
}

/// Permissions; none: all there are.
pub type Scope = Option<BTreeSet<Box<str>>>;

/// Something about a policy, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub message: String,
    /// In which line, from 1; 0 where it is about no place.
    pub line: u32,
    /// At which character of the line, from 1; 0 where it is about no place.
    pub column: u32,
    /// What may be done about it, or empty.
    pub help: String,
}

/// What a validation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Why the policy is refused.
    pub errors: Vec<Message>,
    /// What looks like a mistake.
    pub warnings: Vec<Message>,
}

impl Text {
    /// Reads a text: exactly one static policy.
    pub fn parse(source: &str) -> Result<Self, Vec<Message>> {
        if let Some((offset, message)) = bounds::exceeded(source) {
            return Err(vec![Message::at(source, Some(offset), message.to_owned(), None)]);
        }
        let policy = Policy::parse(None, source).map_err(|errors| why_not_one(source, &errors))?;
        let permissions = policy.entity_literals().into_iter().filter(|uid| *uid.type_name() == TYPES.action);
        let permissions: BTreeSet<_> = permissions.map(|uid| uid.id().unescaped().to_owned()).collect();
        if permissions.len() > PERMISSIONS_MAX {
            let message = format!("names {} permissions, at most {PERMISSIONS_MAX}", permissions.len());
            return Err(vec![Message::at(source, None, message, None)]);
        }
        Ok(Self { policy, permissions })
    }

    /// What the policy does where it matches.
    pub fn effect(&self) -> Effect {
        self.policy.effect().into()
    }

    /// The permissions whose questions the policy can match. Actions are in nothing, so that `in` means what `==` does.
    pub fn scope(&self) -> Scope {
        let slug = |uid: &EntityUid| uid.id().unescaped().into();
        match self.policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(uid) => Some(BTreeSet::from([slug(&uid)])),
            ActionConstraint::In(uids) => Some(uids.iter().map(slug).collect()),
        }
    }

    /// The policy, under a name.
    pub(super) fn named(&self, name: &str) -> Policy {
        self.policy.new_id(PolicyId::new(name))
    }

    /// Holds the policy against the schema; `known` are those of its permissions that the catalogue has. A policy that
    /// can never match is refused: whoever writes `principal == Roster::Role::"admin"` for `in` must hear of it.
    pub fn check(&self, known: &BTreeSet<String>) -> Result<Checked> {
        let schema = schema::schema(&self.permissions, known).map_err(Error::internal)?;
        let set = PolicySet::from_policies([self.policy.clone()]).map_err(Error::internal)?;
        let found = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let source = self.policy.to_cedar().unwrap_or_default(); // as it was read
        let message = |error: DetailedError| Message::of(&source, error);
        let mut errors: Vec<_> = found.validation_errors().map(|error| message(error.into())).collect();
        errors.extend(self.policy.entity_literals().iter().filter_map(malformed));
        let never = |warning: &&ValidationWarning| matches!(warning, ValidationWarning::ImpossiblePolicy(_));
        if errors.is_empty() {
            errors.extend(found.validation_warnings().filter(never).map(|warning| message(warning.into())));
        }
        let warnings = found.validation_warnings().filter(|warning| !never(warning));
        let warnings = warnings.map(|warning| message(warning.into())).collect();
        Ok(Checked { errors: tidy(errors), warnings: tidy(warnings) })
    }
}

/// Whatever has an id that nothing can have, matches nothing: that is a mistake.
fn malformed(uid: &EntityUid) -> Option<Message> {
    let (of, id) = (uid.type_name(), uid.id().unescaped());
    let (fits, form) = match of {
        of if *of == TYPES.user => (id.parse::<Id<kind::User>>().is_ok(), "user_…"),
        of if *of == TYPES.team => (id.parse::<Id<kind::Team>>().is_ok(), "team_…"),
        of if *of == TYPES.organization => (id.parse::<Id<kind::Organization>>().is_ok(), "org_…"),
        of if *of == TYPES.role => (is_right_slug(id), "the slug of a role"),
        of if *of == TYPES.resource => (id.split_once('/').is_some_and(|(of, _)| is_right_slug(of)), "type/id"),
        _ => return None,
    };
    let message = || format!("no entity has the id of {uid}: it is not of the form {form}");
    (!fits).then(|| Message::at("", None, message(), None))
}

/// Why a text is not one policy. The parser does not say that it found two, or a template.
fn why_not_one(source: &str, errors: &ParseErrors) -> Vec<Message> {
    let about_all = |message: String| vec![Message::at(source, None, message, None)];
    match PolicySet::from_str(source) {
        Ok(set) if set.num_of_templates() > 0 => {
            about_all("a template: slots such as ?principal are not for here".into())
        }
        Ok(set) if set.num_of_policies() != 1 => about_all(format!("{} policies, not one", set.num_of_policies())),
        _ => tidy(errors.iter().map(|error| Message::of(source, error.into())).collect()),
    }
}

/// In the order of the text, each once, and not too many.
fn tidy(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    messages.dedup();
    messages.truncate(MESSAGES_MAX);
    messages
}

impl Message {
    fn of(source: &str, error: DetailedError) -> Self {
        let offset = error.source_locations.first().map(|label| label.loc.start);
        Self::at(source, offset, without_names(&error.message), error.help.as_deref().map(without_names))
    }

    fn at(source: &str, offset: Option<usize>, message: String, help: Option<String>) -> Self {
        let (line, column) = offset.map_or((0, 0), |offset| place(source, offset));
        Self { message: shorten(message), line, column, help: shorten(help.unwrap_or_default()) }
    }
}

/// The validator speaks of `policy0`, which is what a policy without a name is called, and of the action that stands for
/// all the rest.
fn without_names(message: &str) -> String {
    message.replace("for policy `policy0`, ", "").replace(" for Roster::Action::\"*\"", "")
}

/// Line and character of an offset, both from 1.
fn place(source: &str, offset: usize) -> (u32, u32) {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn shorten(mut text: String) -> String {
    if text.len() > MESSAGE_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_MAX));
        text.push('…');
    }
    text
}
