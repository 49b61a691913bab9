//! The language of policies: Cedar, with Roster's words. What a policy may say, whether a text says it, and what a set
//! of policies says to one question.
//!
//! Nothing here knows the database or protobuf: the slice `policies` keeps texts, and the decision index asks sets of
//! them.

mod bounds;
mod compiled;
mod facts;
mod needs;
mod schema;
mod text;

pub use compiled::{Change, Compiled, Source, Verdict};
pub use facts::{Context, Facts};
pub use text::{Checked, Message, Scope, Text};

/// What a policy does where it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows, where nothing forbids.
    Permit,
    /// Vetoes.
    Forbid,
}

impl Effect {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

impl TryFrom<String> for Effect {
    type Error = String;

    /// As it was stored.
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "permit" => Ok(Self::Permit),
            "forbid" => Ok(Self::Forbid),
            _ => Err(format!("{text:?} is no effect of a policy")),
        }
    }
}

impl From<cedar_policy::Effect> for Effect {
    fn from(effect: cedar_policy::Effect) -> Self {
        match effect {
            cedar_policy::Effect::Permit => Self::Permit,
            cedar_policy::Effect::Forbid => Self::Forbid,
        }
    }
}

#[cfg(test)]
mod tests;
