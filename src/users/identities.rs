//! Accounts of identity providers: by which users are known to whoever verifies their tokens.

use super::{Status, User, not_found, store, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events,
    ids::{TenantId, UserId},
};

/// How many accounts a user may be linked to.
const IDENTITIES_MAX: usize = 20;
/// What stands between two accounts, and between their parts, as the store reads them: neither is in any part.
const BETWEEN: char = '\u{1e}';
const WITHIN: char = '\u{1f}';

/// An account of an identity provider (OpenID Connect Core 1.0, section 2: `iss` and `sub` together are unique).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Who says so: `iss`.
    pub issuer: String,
    /// Who it is there: `sub`.
    pub subject: String,
}

/// Accounts, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities(pub Vec<Identity>);

impl TryFrom<String> for Identities {
    type Error = String;

    /// From what the store reads: issuer and subject, account by account.
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let read = |entry: &str| match entry.split_once(WITHIN) {
            Some((issuer, subject)) => Ok(Identity { issuer: issuer.to_owned(), subject: subject.to_owned() }),
            None => Err(format!("not an identity: {entry:?}")),
        };
        let entries = text.split(BETWEEN).filter(|entry| !entry.is_empty());
        let mut identities: Vec<_> = entries.map(read).collect::<std::result::Result<_, _>>()?;
        identities.sort();
        Ok(Self(identities))
    }
}

/// Links a user to an account. Linking it again changes nothing. Fails with `IDENTITY_TAKEN`, `LIMIT_REACHED`.
pub async fn link(ctx: &Ctx, tx: &mut Tx, id: UserId, identity: &Identity) -> Result<User> {
    let before = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    if before.status == Status::Removed {
        return Err(Error::illegal_transition("a user", "REMOVED", "LINKED"));
    }
    if before.identities.0.contains(identity) {
        return Ok(before);
    }
    if before.identities.0.len() >= IDENTITIES_MAX {
        let message = format!("a user is linked to at most {IDENTITIES_MAX} accounts");
        return Err(Error::new(Reason::LimitReached, message).with("limit", "identities"));
    }
    if !store::insert_identity(tx, ctx.tenant_id, id, identity, ctx.now).await? {
        return Err(Error::new(Reason::IdentityTaken, "another user is linked to the account"));
    }
    let mut after = touched(ctx, &before);
    after.identities.0.push(identity.clone());
    after.identities.0.sort();
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::identity_linked(&before, &after)]).await?;
    Ok(after)
}

/// Ends the link between a user and an account. Fails with `IDENTITY_NOT_FOUND`.
pub async fn unlink(ctx: &Ctx, tx: &mut Tx, id: UserId, identity: &Identity) -> Result<User> {
    let before = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    if !store::delete_identity(tx, ctx.tenant_id, id, identity).await? {
        return Err(Error::new(Reason::IdentityNotFound, "the user is not linked to the account"));
    }
    let mut after = touched(ctx, &before);
    after.identities.0.retain(|linked| linked != identity);
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::identity_unlinked(&before, &after)]).await?;
    Ok(after)
}

/// The user whom an account is linked to. For `auth`, which verified the account's token.
pub async fn find_by_identity(tx: &mut Tx, tenant_id: TenantId, identity: &Identity) -> Result<Option<UserId>> {
    Ok(store::find_by_identity(tx, tenant_id, identity).await?.map(|user| user.id))
}

fn touched(ctx: &Ctx, before: &User) -> User {
    User { version: before.version + 1, updated_at: ctx.now, ..before.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_read_back_in_order() {
        let read = Identities::try_from("b\u{1f}2\u{1e}a\u{1f}x, y".to_owned()).unwrap();
        let pairs: Vec<_> = read.0.iter().map(|one| (one.issuer.as_str(), one.subject.as_str())).collect();
        assert_eq!(pairs, [("a", "x, y"), ("b", "2")]);
        assert_eq!(Identities::try_from(String::new()).unwrap(), Identities::default());
    }
}
