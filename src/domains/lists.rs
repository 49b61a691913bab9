//! Domains that nobody can claim: public suffixes, and providers who give a mailbox to anybody. The lists are data with a
//! version of their own; an operator adds to them, and takes from them. And mailboxes that belong to no person.

use std::collections::HashSet;

/// Providers of free mail, and of mailboxes that are thrown away.
const FREE_MAIL: &str = include_str!("lists/free_mail.txt");
const DISPOSABLE: &str = include_str!("lists/disposable.txt");
/// Mailboxes of roles (RFC 2142).
const ROLE_MAILBOXES: &str = include_str!("lists/role_mailboxes.txt");

/// Why a domain cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Public {
    /// Anybody registers names below it: on the Public Suffix List (<https://publicsuffix.org/list/>), its section of private
    /// domains too.
    Suffix,
    /// A provider of free mail.
    FreeMail,
    /// A provider of mailboxes that are thrown away.
    Disposable,
    /// The operator refuses it.
    Refused,
}

/// The lists, with what an operator changed.
#[derive(Debug)]
pub struct Lists {
    free_mail: HashSet<&'static str>,
    disposable: HashSet<&'static str>,
    refused: HashSet<String>,
    allowed: HashSet<String>,
}

impl Default for Lists {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Lists {
    /// The lists as they come; and beside them domains that the operator refuses, and such that are allowed in spite of
    /// all lists.
    pub fn new(refused: Vec<String>, allowed: Vec<String>) -> Self {
        Self {
            free_mail: entries(FREE_MAIL).collect(),
            disposable: entries(DISPOSABLE).collect(),
            refused: refused.into_iter().collect(),
            allowed: allowed.into_iter().collect(),
        }
    }

    /// Why nobody can claim this domain, in lower case and A-labels, if so: itself, or one that it is below.
    pub fn public(&self, domain: &str) -> Option<Public> {
        let mut name = Some(domain);
        while let Some(present) = name {
            if self.allowed.contains(present) {
                return None;
            }
            if self.refused.contains(present) {
                return Some(Public::Refused);
            }
            if self.free_mail.contains(present) {
                return Some(Public::FreeMail);
            }
            if self.disposable.contains(present) {
                return Some(Public::Disposable);
            }
            name = present.split_once('.').map(|(_, above)| above);
        }
        let suffix = psl::suffix(domain.as_bytes());
        suffix
            .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == domain.as_bytes())
            .then_some(Public::Suffix)
    }
}

/// Whether the part of an address before the `@`, in lower case, names a role and not a person.
pub fn is_role_mailbox(local: &str) -> bool {
    entries(ROLE_MAILBOXES).any(|name| name == local)
}

/// The lines that are not comments.
fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_everybody_belongs_to_nobody() {
        let lists = Lists::default();
        for (domain, why) in [
            ("co.uk", Public::Suffix),
            ("com", Public::Suffix),
            ("github.io", Public::Suffix),
            ("xn--55qx5d.cn", Public::Suffix),
            ("gmail.com", Public::FreeMail),
            ("mail.gmail.com", Public::FreeMail),
            ("mailinator.com", Public::Disposable),
        ] {
            assert_eq!(lists.public(domain), Some(why), "{domain}");
        }
        for domain in ["example.com", "example.co.uk", "acme.github.io", "notgmail.com", "corp.internal"] {
            assert_eq!(lists.public(domain), None, "{domain}");
        }
    }

    #[test]
    fn an_operator_refuses_and_allows() {
        let lists = Lists::new(vec!["rival.com".to_owned()], vec!["hey.com".to_owned(), "github.io".to_owned()]);
        assert_eq!(lists.public("mail.rival.com"), Some(Public::Refused));
        assert_eq!((lists.public("hey.com"), lists.public("github.io")), (None, None));
    }

    #[test]
    fn the_lists_are_names_in_order() {
        for list in [FREE_MAIL, DISPOSABLE] {
            let all: Vec<_> = entries(list).collect();
            assert!(all.len() > 90 && all.iter().all(|name| name.contains('.') && *name == name.to_lowercase()));
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        }
    }
}
