//! Which role is given where none is named, and which of several counts most.

use std::collections::HashMap;

use super::{OWNER, built_in::ADMIN, not_found, scope, scope_of, store};
use crate::{
    authority,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result, Violation},
    events::{self, Change},
    ids::OrganizationId,
    organizations::{self, Organization},
    tenants::{self, Tenant},
};

/// How many roles a tenant, or an organization of its own, may have: their order is part of every event about it.
pub const ROLES_MAX: usize = 1_000;

/// Whether a role may be given to whoever is given none.
pub fn may_be_default(role: &str) -> bool {
    role != OWNER && role != ADMIN
}

/// The role of whoever is given none in an organization.
pub async fn default_of(tx: &mut Tx, organization: &Organization) -> Result<String> {
    if !organization.default_role.is_empty() {
        return Ok(organization.default_role.clone());
    }
    Ok(tenants::get(tx, organization.tenant_id).await?.default_role)
}

/// Sets the default role of an organization or the tenant. Setting the same again changes nothing.
pub async fn set_default(ctx: &Ctx, tx: &mut Tx, id: Option<OrganizationId>, role: &str) -> Result<String> {
    let organization = match id {
        Some(id) => Some(organizations::lock_for_change(ctx, tx, id).await?),
        None => None,
    };
    // Held in any case: whoever deletes a role of the tenant looks at every default under this lock.
    let tenant = tenants::lock(tx, ctx.tenant_id).await?;
    let of = id.map_or(scope_of(ctx.tenant_id, None), |id| scope(ctx.tenant_id, id, role));
    if !store::exists(tx, ctx.tenant_id, of, role).await? {
        return Err(not_found());
    }
    authority::ensure_may_grant(ctx, tx, id, &[role], &[]).await?;
    let default_role = role.to_owned();
    let change = match organization {
        Some(before) => organizations::save(ctx, tx, &before, Organization { default_role, ..before.clone() }).await?.1,
        None => tenants::save(ctx, tx, &tenant, Tenant { default_role, ..tenant.clone() }).await?.1,
    };
    events::append(ctx, tx, change.into_iter().collect()).await?;
    Ok(role.to_owned())
}

/// Sets the order of the tenant's roles or of an organization's own. Setting the same again changes nothing.
pub async fn set_priority(ctx: &Ctx, tx: &mut Tx, id: Option<OrganizationId>, order: &[String]) -> Result<Vec<String>> {
    let role_priority = Json(order.to_vec());
    let change = if let Some(id) = id {
        let before = organizations::lock_for_change(ctx, tx, id).await?;
        ensure_complete(order, &before.role_priority.0, false)?;
        ensure_may_raise(ctx, tx, Some(id), &before.role_priority.0, order).await?;
        organizations::save(ctx, tx, &before, Organization { role_priority, ..before.clone() }).await?.1
    } else {
        let before = tenants::lock(tx, ctx.tenant_id).await?;
        ensure_complete(order, &before.role_priority.0, true)?;
        ensure_may_raise(ctx, tx, None, &before.role_priority.0, order).await?;
        tenants::save(ctx, tx, &before, Tenant { role_priority, ..before.clone() }).await?.1
    };
    events::append(ctx, tx, change.into_iter().collect()).await?;
    Ok(order.to_vec())
}

/// A role that comes to rank above another may from then on count in its place: whoever raises it gives what it holds.
async fn ensure_may_raise(
    ctx: &Ctx,
    tx: &mut Tx,
    id: Option<OrganizationId>,
    before: &[String],
    after: &[String],
) -> Result<()> {
    let place = |slug: &String| before.iter().position(|other| other == slug);
    let outranks_more = |at: usize, slug: &String| after[at..].iter().any(|lower| place(lower) < place(slug));
    let raised = after.iter().enumerate().filter(|(at, slug)| outranks_more(*at, slug));
    let raised: Vec<&str> = raised.map(|(_, slug)| slug.as_str()).collect();
    authority::ensure_may_grant(ctx, tx, id, &raised, &[]).await
}

/// Fails with `INVALID_REQUEST`, naming whatever is wrong, unless this is each of the roles exactly once.
fn ensure_complete(order: &[String], roles: &[String], of_tenant: bool) -> Result<()> {
    let mut violations = Vec::new();
    let mut wrong = |field: String, description: String| violations.push(Violation { field, description });
    for (index, slug) in order.iter().enumerate() {
        if order[..index].contains(slug) {
            wrong(format!("roles[{index}]"), format!("{slug} is named twice"));
        } else if !roles.contains(slug) {
            wrong(format!("roles[{index}]"), format!("{slug} is none of these roles"));
        }
    }
    for slug in roles.iter().filter(|slug| !order.contains(slug)) {
        wrong("roles".to_owned(), format!("{slug} is missing"));
    }
    if of_tenant && order.first().is_none_or(|slug| slug != OWNER) {
        wrong("roles[0]".to_owned(), format!("{OWNER} is always the first"));
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::invalid(violations)) }
}

/// Puts a new role of the tenant at the end of the order.
pub(super) async fn with_tenant_role(ctx: &Ctx, tx: &mut Tx, slug: &str) -> Result<Option<Change>> {
    let before = tenants::lock(tx, ctx.tenant_id).await?;
    ensure_room(&before.role_priority.0)?;
    let role_priority = Json([&before.role_priority.0[..], &[slug.to_owned()]].concat());
    Ok(tenants::save(ctx, tx, &before, Tenant { role_priority, ..before.clone() }).await?.1)
}

/// Puts new own roles of a locked organization at the end of the order. The first of them gives it a default of its own:
/// what the tenant's is now. It stays when the last of them goes, for nobody shall silently be given something else.
pub(super) async fn with_own_roles(
    ctx: &Ctx,
    tx: &mut Tx,
    before: &Organization,
    slugs: &[String],
) -> Result<Option<Change>> {
    let role_priority = Json([&before.role_priority.0[..], slugs].concat());
    let mut after = Organization { role_priority, ..before.clone() };
    if before.default_role.is_empty() {
        after.default_role = tenants::lock(tx, ctx.tenant_id).await?.default_role;
    }
    Ok(organizations::save(ctx, tx, before, after).await?.1)
}

/// Fails with `LIMIT_REACHED` where there are as many roles as there may be.
pub(super) fn ensure_room(order: &[String]) -> Result<()> {
    if order.len() < ROLES_MAX {
        return Ok(());
    }
    let message = format!("at most {ROLES_MAX} roles of the tenant, or of one organization");
    Err(Error::new(Reason::LimitReached, message).with("limit", "roles"))
}

/// Which role counts most in an organization: its own before the tenant's, each in their order.
#[derive(Debug)]
pub struct Ranking(HashMap<String, usize>);

impl Ranking {
    /// The ranking in an organization.
    pub fn new(organization: &Organization, tenant: &Tenant) -> Self {
        let order = organization.role_priority.0.iter().chain(&tenant.role_priority.0);
        Self(order.enumerate().map(|(rank, slug)| (slug.clone(), rank)).collect())
    }

    /// The highest of some roles. One that has no rank, which is none of the organization, is below all others.
    pub fn highest<'r>(&self, roles: impl Iterator<Item = &'r String>) -> Option<&'r String> {
        roles.min_by_key(|slug| (self.0.get(*slug).copied().unwrap_or(usize::MAX), *slug))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slugs(slugs: &[&str]) -> Vec<String> {
        slugs.iter().map(|slug| (*slug).to_owned()).collect()
    }

    #[test]
    fn an_order_names_each_role_once() {
        let roles = slugs(&["owner", "a", "b"]);
        assert!(ensure_complete(&slugs(&["owner", "b", "a"]), &roles, true).is_ok());
        for bad in
            [&["a", "owner", "b"][..], &["owner", "a"], &["owner", "a", "b", "c"], &["owner", "a", "b", "a"], &[]]
        {
            assert!(ensure_complete(&slugs(bad), &roles, true).is_err(), "{bad:?}");
        }
        assert!(ensure_complete(&slugs(&["a", "owner", "b"]), &roles, false).is_ok());
    }

    #[test]
    fn the_highest_role_is_the_first_of_the_order() {
        let order = ["org-x", "owner", "a"].iter().enumerate();
        let ranking = Ranking(order.map(|(rank, slug)| ((*slug).to_owned(), rank)).collect());
        assert_eq!(ranking.highest(slugs(&["a", "owner", "org-x"]).iter()).unwrap(), "org-x");
        assert_eq!(ranking.highest(slugs(&["unknown", "a"]).iter()).unwrap(), "a");
        assert_eq!(ranking.highest([].iter()), None);
    }
}
