//! What a role contains, as a set of bits.

use super::symbols::{PermissionId, Symbols};

/// The permissions of a role: one bit each, patterns expanded over the permissions that had numbers when it was made.
#[derive(Debug, Clone, Default)]
pub struct Role {
    everything: bool,
    bits: Box<[u64]>,
    /// What stands before the `*` of its patterns, the separator included.
    prefixes: Box<[Box<str>]>,
    /// Permissions with this number or a higher one came after the bits: patterns are asked about them.
    expanded_to: PermissionId,
}

impl Role {
    /// The role with these permissions and patterns.
    pub fn new<'a>(symbols: &Symbols, entries: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut everything, mut prefixes, mut held) = (false, Vec::new(), Vec::new());
        for entry in entries {
            match entry.strip_suffix('*') {
                Some("") => everything = true,
                Some(prefix) => prefixes.push(Box::from(prefix)),
                None => held.push(symbols.permission(entry)),
            }
        }
        let mut role = Self { everything, prefixes: prefixes.into(), ..Self::default() };
        if !role.prefixes.is_empty() {
            role.expanded_to = symbols.permissions_len();
            symbols.for_each_permission(|id, slug| {
                if id < role.expanded_to && role.matches(slug) {
                    held.push(id);
                }
            });
        }
        role.bits = bits(&held);
        role
    }

    /// Whether it contains a permission, by its number and slug.
    pub fn contains(&self, id: PermissionId, slug: &str) -> bool {
        self.everything || self.has_bit(id) || (id >= self.expanded_to && self.matches(slug))
    }

    fn has_bit(&self, id: PermissionId) -> bool {
        self.bits.get(id as usize / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    fn matches(&self, slug: &str) -> bool {
        self.prefixes.iter().any(|prefix| slug.len() > prefix.len() && slug.starts_with(&**prefix))
    }

    /// What it takes beside itself, in bytes.
    pub fn bytes(&self) -> usize {
        self.bits.len() * 8 + self.prefixes.iter().map(|prefix| prefix.len() + 16).sum::<usize>()
    }
}

fn bits(ids: &[PermissionId]) -> Box<[u64]> {
    let words = ids.iter().max().map_or(0, |highest| *highest as usize / 64 + 1);
    let mut bits = vec![0; words];
    for id in ids {
        bits[*id as usize / 64] |= 1 << (id % 64);
    }
    bits.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_contains_what_follows_its_separator_also_what_comes_later() {
        let symbols = Symbols::default();
        let contains = |role: &Role, slug: &str| role.contains(symbols.permission(slug), slug);
        symbols.permission("invoices:read");
        let role = Role::new(&symbols, ["invoices:*", "users:read"]);
        for held in ["invoices:read", "invoices:items:read", "users:read"] {
            assert!(contains(&role, held), "{held}");
        }
        for lacked in ["invoices", "invoices:", "users:write", "invoice:read"] {
            assert!(!contains(&role, lacked), "{lacked}");
        }
        assert!(contains(&Role::new(&symbols, ["*"]), "anything"));
        assert!(!contains(&Role::default(), "anything") && !contains(&Role::new(&symbols, []), "invoices:read"));
    }

    #[test]
    fn many_permissions_keep_apart() {
        let symbols = Symbols::default();
        let slugs: Vec<String> = (0..1_000).map(|number| format!("thing-{number}:read")).collect();
        let role = Role::new(&symbols, slugs.iter().step_by(3).map(String::as_str));
        for (place, slug) in slugs.iter().enumerate() {
            assert_eq!(role.contains(symbols.permission(slug), slug), place % 3 == 0, "{slug}");
        }
    }
}
