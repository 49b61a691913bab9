//! What a key's holder may do.

use std::sync::Arc;

/// The scope that no other includes: over the tenants themselves.
pub const PLATFORM: &str = "platform";

/// The scopes of a key: permissions of Roster's methods, patterns that end in `*` behind a separator, or `*` for
/// everything but `platform`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(Arc<[String]>);

impl Scopes {
    /// These scopes.
    pub fn new(scopes: Vec<String>) -> Self {
        Self(scopes.into())
    }

    /// Whether a permission is among them.
    pub fn allow(&self, permission: &str) -> bool {
        self.0.iter().any(|scope| covers(scope, permission))
    }

    /// Whether everything that another scope allows, these allow too.
    pub fn include(&self, scope: &str) -> bool {
        self.0.iter().any(|held| covers(held, scope))
    }

    /// The scopes as they were given.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Whether a permission, or a pattern, is covered by another: a pattern by every pattern that is the same or wider.
pub fn covers(held: &str, wanted: &str) -> bool {
    if held == PLATFORM || wanted == PLATFORM {
        return held == wanted;
    }
    match held.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => wanted.starts_with(prefix),
        None => held == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_what_they_name_and_nothing_else() {
        let scopes = Scopes::new(vec!["members:*".into(), "users:read".into()]);
        assert!(scopes.allow("members:write") && scopes.allow("users:read") && scopes.include("members:*"));
        assert!(!scopes.allow("users:write") && !scopes.include("users:*") && !scopes.include("*"));
        let everything = Scopes::new(vec!["*".into()]);
        assert!(everything.include("members:*") && !everything.allow(PLATFORM) && !everything.include(PLATFORM));
        let platform = Scopes::new(vec![PLATFORM.into()]);
        assert!(platform.allow(PLATFORM) && !platform.allow("users:read"));
    }
}
