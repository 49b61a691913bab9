//! Who joins by a domain.

use serde::{Deserialize, Serialize};

use super::{Domain, Status, get, lists::is_role_mailbox, store, touched, wire};
use crate::{
    authority,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    etag, events,
    ids::{DomainId, OrganizationId},
    organizations, roles,
};

/// Who joins by a domain, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AutoJoin {
    /// What happens.
    pub mode: Mode,
    /// The role that they get; empty: the organization's default.
    pub role: String,
    /// Local parts that are left out, `*` for anything.
    pub excluded: Vec<String>,
    /// Whether mailboxes of roles join.
    pub allow_role_mailboxes: bool,
    /// Whether addresses with a `+` join.
    pub allow_plus_addresses: bool,
    /// Whether addresses of domains below join.
    pub allow_subdomains: bool,
    /// How many members at most; 0: no limit.
    pub members_max: i32,
}

impl AutoJoin {
    /// Why this part of an address before the `@`, in lower case, is left out, if so. What follows a `+` hides nothing.
    pub fn leaves_out(&self, local: &str) -> Option<LeftOut> {
        let mailbox = local.split_once('+').map_or(local, |(mailbox, _)| mailbox);
        let is_excluded = |pattern: &String| matches(pattern, local) || matches(pattern, mailbox);
        if local.contains('+') && !self.allow_plus_addresses {
            return Some(LeftOut::PlusAddress);
        }
        if is_role_mailbox(mailbox) && !self.allow_role_mailboxes {
            return Some(LeftOut::RoleMailbox);
        }
        self.excluded.iter().any(is_excluded).then_some(LeftOut::Excluded)
    }
}

/// Why an address is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It has a `+`.
    PlusAddress,
    /// It is the mailbox of a role.
    RoleMailbox,
    /// By a pattern.
    Excluded,
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    // Of what stands between two stars, where it comes first: whatever follows has the most left.
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

/// What happens to a person who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    #[default]
    Off,
    /// They are told.
    Suggest,
    /// They are invited.
    Invite,
    /// They become a member.
    Join,
}

/// What to change of a domain.
#[derive(Debug, Clone)]
pub struct Update {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub id: DomainId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// Who joins by it from now on.
    pub auto_join: AutoJoin,
}

/// Changes who joins by a domain. Fails with `DOMAIN_NOT_VERIFIED`, `ROLE_NOT_FOUND`, `MISSING_PERMISSION`.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Domain> {
    let organization = organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    let before = get(tx, ctx.tenant_id, input.organization_id, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    if before.auto_join.0 == input.auto_join {
        return Ok(before);
    }
    if input.auto_join.mode != Mode::Off {
        if before.status != Status::Verified {
            return Err(Error::new(Reason::DomainNotVerified, "nobody joins by a domain that is not verified"));
        }
        let default = roles::default_of(tx, &organization).await?;
        let role = if input.auto_join.role.is_empty() { default } else { input.auto_join.role.clone() };
        roles::ensure_exist(tx, ctx.tenant_id, input.organization_id, std::slice::from_ref(&role)).await?;
        authority::ensure_may_grant(ctx, tx, Some(input.organization_id), &[&role], &[]).await?;
    }
    let after = Domain { auto_join: Json(input.auto_join.clone()), ..touched(ctx, &before) };
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("ann", "ann"),
            ("*", ""),
            ("*", "ann"),
            ("test-*", "test-1"),
            ("test-*", "test-"),
            ("*-bot", "ci-bot"),
            ("a*b*c", "abc"),
            ("a*b*c", "a1b2b3c"),
            ("*a*", "bab"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("ann", "anna"),
            ("test-*", "test"),
            ("*-bot", "bots"),
            ("ab*ba", "aba"),
            ("a*b*c", "acb"),
            ("*a*a*", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_follows_a_plus_hides_nothing() {
        let strict = AutoJoin { excluded: vec!["test-*".to_owned()], ..AutoJoin::default() };
        assert_eq!(strict.leaves_out("ann"), None);
        assert_eq!(strict.leaves_out("ann+x"), Some(LeftOut::PlusAddress));
        assert_eq!(strict.leaves_out("info"), Some(LeftOut::RoleMailbox));
        assert_eq!(strict.leaves_out("test-1"), Some(LeftOut::Excluded));
        let plus = AutoJoin { allow_plus_addresses: true, ..strict };
        assert_eq!(plus.leaves_out("ann+x"), None);
        assert_eq!(plus.leaves_out("info+x"), Some(LeftOut::RoleMailbox));
        assert_eq!(plus.leaves_out("test-1+x"), Some(LeftOut::Excluded));
        let all = AutoJoin { allow_role_mailboxes: true, excluded: Vec::new(), ..plus };
        assert_eq!(all.leaves_out("info+x"), None);
    }
}
