//! Sets of permissions, as roles hold them.

use std::collections::BTreeSet;

/// What a role contains: permissions by slug, and patterns.
#[derive(Debug, Clone, Default)]
pub struct PermissionSet {
    everything: bool,
    slugs: BTreeSet<Box<str>>,
    /// What stands before the `*`, its separator included.
    prefixes: Vec<Box<str>>,
}

impl PermissionSet {
    /// The set that these entries of a role mean.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for entry in entries {
            match entry.strip_suffix('*') {
                Some("") => set.everything = true,
                Some(prefix) => set.prefixes.push(prefix.into()),
                None => drop(set.slugs.insert(entry.into())),
            }
        }
        set
    }

    /// Whether a permission is in the set.
    pub fn contains(&self, permission: &str) -> bool {
        self.everything
            || self.slugs.contains(permission)
            || self.prefixes.iter().any(|prefix| permission.len() > prefix.len() && permission.starts_with(&**prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_contains_what_follows_its_separator() {
        let set = PermissionSet::new(["invoices:*", "users:read"]);
        assert!(set.contains("invoices:read") && set.contains("invoices:items:read") && set.contains("users:read"));
        assert!(!set.contains("invoices") && !set.contains("invoices:") && !set.contains("users:write"));
        assert!(PermissionSet::new(["*"]).contains("anything"));
        assert!(!PermissionSet::default().contains("anything"));
    }
}
