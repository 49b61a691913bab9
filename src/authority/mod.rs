//! What whoever makes a change may do, looked at again where it is made: in its transaction, under the organization's
//! lock.
//!
//! That the caller may call the method at all was decided before, in memory. A user's rights may have changed since; and
//! nobody gives what they lack, which only the state under the lock can say.

mod store;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    auth::scopes::{Scopes, covers},
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    ids::{OrganizationId, TenantId, UserId},
    organizations, permissions, roles,
    tenants::{self, RoleMode},
};

/// By what right a change is made.
#[derive(Debug, Clone)]
pub enum Authority {
    /// The service's own, or an operator's: everything.
    System,
    /// A service's scopes.
    Service(Scopes),
    /// A user's membership in the organization.
    User(UserAuthority),
    /// A user's own self: of anything else the operation knows nothing (`self_service` in the contract).
    Oneself(UserId),
}

/// A user who makes a change.
#[derive(Debug, Clone)]
pub struct UserAuthority {
    /// Who.
    pub user_id: UserId,
    /// What the method needs.
    pub permission: Arc<str>,
    /// Whether they may by a role. Where they may by something else, such as a policy, that they are still an active
    /// member is all that is looked at again.
    pub by_role: bool,
}

/// Fails where the caller may not, or may no more, change something in this organization: with
/// `ORGANIZATION_NOT_FOUND` for a user who is no member, with `MISSING_PERMISSION` for one who lacks the permission.
pub async fn ensure_may(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId) -> Result<()> {
    let Authority::User(user) = &ctx.authority else { return Ok(()) };
    let held = held(ctx, tx, organization_id, user).await?;
    if user.by_role && !held.iter().any(|entry| covers(entry, &user.permission)) {
        return Err(Error::missing_permission(&user.permission));
    }
    Ok(())
}

/// Whether the caller may see what is the tenant's own by this permission. No user may: theirs is an organization.
pub fn sees_of_tenant(ctx: &Ctx, permission: &str) -> bool {
    match &ctx.authority {
        Authority::System => true,
        Authority::Service(scopes) => scopes.allow(permission),
        Authority::User(_) | Authority::Oneself(_) => false,
    }
}

/// Whether the caller may give everything: then nobody needs to find out what is given.
pub fn gives_everything(ctx: &Ctx) -> bool {
    match &ctx.authority {
        Authority::System => true,
        Authority::Service(scopes) => scopes.include("*"),
        Authority::User(_) | Authority::Oneself(_) => false,
    }
}

/// Fails with `MISSING_PERMISSION` where the caller would give something that they lack: by one of these roles, or one
/// of these permissions. A role that is not there gives nothing.
///
/// A user gives what they hold in this organization. A service gives what an application checks freely, but of Roster's
/// own permissions only those that it has as scopes.
pub async fn ensure_may_grant(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    roles: &[&str],
    permissions: &[&str],
) -> Result<()> {
    if gives_everything(ctx) {
        return Ok(());
    }
    let giver = match (&ctx.authority, organization_id) {
        (Authority::System, _) => return Ok(()),
        (Authority::Service(scopes), _) => Giver::Service(scopes),
        (Authority::User(user), Some(id)) => Giver::User(held(ctx, tx, id, user).await?),
        (Authority::User(user), None) => return Err(Error::missing_permission(&user.permission)),
        (Authority::Oneself(_), _) => return Err(Error::internal("nobody gives anything about themself")),
    };
    for entry in permissions {
        giver.ensure_gives(entry)?;
    }
    for role in roles {
        for entry in given_by_role(ctx, tx, organization_id, role).await? {
            let given = giver.ensure_gives(&entry);
            given.map_err(|error| {
                if error.reason() == Reason::MissingPermission { error.with("role", role) } else { error }
            })?;
        }
    }
    Ok(())
}

/// Fails with `MISSING_PERMISSION` where what is granted to all who have a role is more than the caller has: before
/// somebody else gets it.
pub async fn ensure_may_hand_over(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, role: &str) -> Result<()> {
    if gives_everything(ctx) {
        return Ok(());
    }
    let granted = store::granted_to_role(tx, ctx.tenant_id, organization_id, role).await?;
    let roles: Vec<&str> = granted.iter().filter_map(|right| right.role.as_deref()).collect();
    let permissions: Vec<&str> = granted.iter().filter_map(|right| right.permission.as_deref()).collect();
    ensure_may_grant(ctx, tx, Some(organization_id), &roles, &permissions).await
}

/// What whoever gets a role gets: what it contains, and, in an organization, what is granted to all who have it.
async fn given_by_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    role: &str,
) -> Result<Vec<String>> {
    let scope_of =
        |role: &str| organization_id.map_or(ctx.tenant_id.uuid(), |id| roles::scope(ctx.tenant_id, id, role));
    let mut given = store::permissions_of(tx, ctx.tenant_id, scope_of(role), role).await?;
    let Some(id) = organization_id else { return Ok(given) };
    for right in store::granted_to_role(tx, ctx.tenant_id, id, role).await? {
        given.extend(right.permission);
        if let Some(role) = &right.role {
            given.extend(store::permissions_of(tx, ctx.tenant_id, scope_of(role), role).await?);
        }
    }
    Ok(given)
}

/// Who gives something, and what they have of their own.
enum Giver<'c> {
    Service(&'c Scopes),
    /// The entries of all roles that the user holds.
    User(BTreeSet<String>),
}

impl Giver<'_> {
    /// `entry` is a permission, a pattern, or `*`.
    fn ensure_gives(&self, entry: &str) -> Result<()> {
        let lacked = match self {
            Self::Service(scopes) => lacked_of_own(scopes, entry),
            Self::User(held) => lacked_of_all(held, entry),
        };
        lacked.map_or(Ok(()), |lacked| Err(Error::missing_permission(&lacked)))
    }
}

/// What Roster's own methods need, other than `platform`: the permissions that a service has as scopes.
fn own() -> impl Iterator<Item = &'static str> {
    permissions::OWN.iter().map(|(slug, _)| *slug)
}

/// What a service lacks of this entry: `*` itself, or the first of Roster's own permissions.
fn lacked_of_own(scopes: &Scopes, entry: &str) -> Option<String> {
    if entry == "*" {
        return (!scopes.include("*")).then(|| entry.to_owned());
    }
    let lacked = own().find(|own| covers(entry, own) && !scopes.allow(own));
    lacked.map(str::to_owned)
}

/// What a user lacks of this entry. A pattern, and `*`, also mean what will come: they are held by the same or a wider
/// one alone.
fn lacked_of_all(held: &BTreeSet<String>, entry: &str) -> Option<String> {
    (!held.iter().any(|held| covers(held, entry))).then(|| entry.to_owned())
}

/// What a user holds in an organization by their roles: permissions and patterns. Fails where they are no member, or not
/// an active one.
async fn held(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    user: &UserAuthority,
) -> Result<BTreeSet<String>> {
    let tenant_id = ctx.tenant_id;
    let standing = store::standing(tx, tenant_id, organization_id, user.user_id).await?;
    let standing = standing.ok_or_else(organizations::not_found)?;
    if !standing.is_active(ctx.now) {
        return Err(Error::missing_permission(&user.permission));
    }
    let entries = store::held(tx, tenant_id, organization_id, standing.membership_id).await?;
    combined(tx, tenant_id, organization_id, entries).await
}

/// What the roles of a membership amount to by the tenant's mode: all of them, or the highest alone.
async fn combined(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    entries: Vec<store::Entry>,
) -> Result<BTreeSet<String>> {
    let tenant = tenants::get(tx, tenant_id).await?;
    let all = |entries: Vec<store::Entry>| entries.into_iter().filter_map(|entry| entry.permission).collect();
    if tenant.role_mode == RoleMode::Union {
        return Ok(all(entries));
    }
    let organization = organizations::get(tx, tenant_id, organization_id).await?;
    let ranking = roles::Ranking::new(&organization, &tenant);
    let highest = ranking.highest(entries.iter().map(|entry| &entry.role)).cloned();
    Ok(all(entries.into_iter().filter(|entry| Some(&entry.role) == highest.as_ref()).collect()))
}

/// Whether a user is a member of an organization, active or not.
pub async fn is_member(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<bool> {
    Ok(store::standing(tx, tenant_id, organization_id, user_id).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_gives_of_rosters_own_permissions_what_its_scopes_have() {
        let scopes = Scopes::new(vec!["members:*".to_owned(), "teams:read".to_owned()]);
        for free in ["members:write", "members:*", "teams:read", "invoices:pay", "invoices:*"] {
            assert_eq!(lacked_of_own(&scopes, free), None, "{free}");
        }
        for (entry, lacked) in [
            ("teams:write", "teams:write"),
            ("teams:*", "teams:write"),
            ("*", "*"),
            ("organizations:read", "organizations:read"),
        ] {
            assert_eq!(lacked_of_own(&scopes, entry).as_deref(), Some(lacked), "{entry}");
        }
    }
}
