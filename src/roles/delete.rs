//! Deleting a role, and what takes its place.

use std::collections::HashMap;

use super::{Role, get, may_be_default, not_found, scope, store, wire};
use crate::{
    authority,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    grants,
    ids::OrganizationId,
    memberships,
    organizations::{self, Organization},
    teams,
    tenants::{self, Tenant},
};

/// How many assignments, grants and defaults one deletion may change: they are locked, and their events appended, at
/// once.
const CHANGES_MAX: usize = 20_000;

/// A role to delete.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The organization whose own it is.
    pub organization_id: Option<OrganizationId>,
    /// Which.
    pub slug: String,
    /// What takes its place.
    pub instead: Instead,
}

/// What takes the place of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// Nothing: it must have no place.
    Nothing,
    /// Another role.
    Role(String),
    /// The default role of each organization.
    Default,
}

impl Instead {
    /// The role that is named.
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Role(slug) => Some(slug),
            Self::Nothing | Self::Default => None,
        }
    }
}

/// What becomes of the defaults when a role goes.
#[derive(Debug)]
pub(super) struct Defaults {
    role: String,
    /// What may be a default in its place, where something was named.
    successor: Option<String>,
    /// The tenant's default afterwards.
    tenant: String,
}

impl Defaults {
    /// Fails with `ROLE_IS_DEFAULT` where the tenant would be left without one.
    pub(super) fn without(role: &Role, instead: &Instead, tenant: &Tenant) -> Result<Self> {
        let successor = instead.role().filter(|slug| may_be_default(slug)).map(str::to_owned);
        let is_default = role.organization_id().is_none() && tenant.default_role == role.slug;
        let tenant = match &successor {
            None if is_default => return Err(is_default_of("the tenant")),
            Some(successor) if is_default => successor.clone(),
            _ => tenant.default_role.clone(),
        };
        Ok(Self { role: role.slug.clone(), successor, tenant })
    }

    /// The default that an organization has of its own afterwards; empty where it has none.
    fn own(&self, organization: &Organization) -> String {
        match &self.successor {
            _ if organization.default_role != self.role => organization.default_role.clone(),
            Some(successor) => successor.clone(),
            None => self.tenant.clone(),
        }
    }

    /// What whoever is given none gets in an organization afterwards.
    pub(super) fn of(&self, organization: &Organization) -> String {
        Some(self.own(organization)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| self.tenant.clone())
    }
}

/// Which role memberships get in the place of one.
#[derive(Debug)]
pub struct Successors {
    everywhere: String,
    exceptions: HashMap<OrganizationId, String>,
}

impl Successors {
    /// The role that memberships of an organization get.
    pub fn of(&self, id: OrganizationId) -> &str {
        self.exceptions.get(&id).unwrap_or(&self.everywhere)
    }
}

/// Deletes a role. Fails with `ROLE_IN_USE`, `ROLE_IS_DEFAULT`, `ROLE_NOT_EDITABLE`, `ROLE_NOT_FOUND`, `LIMIT_REACHED`.
///
/// Organizations are locked first, in order; then the role, against whoever would assign it anew; then the tenant, whose
/// lock also holds every default still. What came to concern another organization in between is tried again.
pub async fn delete(ctx: &Ctx, tx: &mut Tx, input: &Delete) -> Result<()> {
    let organizations = lock_organizations(ctx, tx, input).await?;
    let role = store::lock_alone(tx, ctx.tenant_id, super::scope_of(ctx.tenant_id, input.organization_id), &input.slug)
        .await?
        .ok_or_else(not_found)?;
    ensure_replaceable(tx, &role, &input.instead).await?;
    if input.instead == Instead::Nothing && !store::places(tx, &role, 1).await?.is_empty() {
        return Err(Error::new(Reason::RoleInUse, "a membership, a team or a grant has the role"));
    }
    let tenant = tenants::lock(tx, ctx.tenant_id).await?;
    let defaults = Defaults::without(&role, &input.instead, &tenant)?;
    ensure_may_give(ctx, tx, input, &defaults, &organizations).await?;
    let deletion = Deletion { role, instead: input.instead.clone(), tenant, organizations, defaults };
    let mut follows = deletion.change_settings(ctx, tx).await?;
    if deletion.instead != Instead::Nothing {
        follows.extend(deletion.replace(ctx, tx).await?);
    }
    store::delete(tx, &deletion.role).await?;
    let changes = std::iter::once(wire::deleted(&deletion.role)).chain(follows.into_iter().map(Change::cascaded));
    events::append(ctx, tx, changes.collect()).await
}

/// Whoever had the role gets another one, and whoever has that one gets what was granted to the role.
async fn ensure_may_give(
    ctx: &Ctx,
    tx: &mut Tx,
    input: &Delete,
    defaults: &Defaults,
    organizations: &[Organization],
) -> Result<()> {
    if input.instead == Instead::Nothing || authority::gives_everything(ctx) {
        return Ok(());
    }
    if let Instead::Role(slug) = &input.instead {
        authority::ensure_may_grant(ctx, tx, input.organization_id, &[slug], &[]).await?;
    }
    for organization in organizations {
        let successor = input.instead.role().map_or_else(|| defaults.of(organization), str::to_owned);
        authority::ensure_may_grant(ctx, tx, Some(organization.id), &[&successor], &[]).await?;
        if input.instead.role().is_some() {
            authority::ensure_may_hand_over(ctx, tx, organization.id, &input.slug).await?;
        }
    }
    Ok(())
}

/// Locks every organization in which something will change.
async fn lock_organizations(ctx: &Ctx, tx: &mut Tx, input: &Delete) -> Result<Vec<Organization>> {
    if let Some(id) = input.organization_id {
        let organization = organizations::lock_for_change(ctx, tx, id).await?;
        let role = get(tx, ctx.tenant_id, Some(id), &input.slug).await?;
        concerned(tx, &role).await?;
        return Ok(vec![organization]);
    }
    let role = get(tx, ctx.tenant_id, None, &input.slug).await?;
    if input.instead == Instead::Nothing || role.built_in {
        return Ok(Vec::new());
    }
    let concerned = concerned(tx, &role).await?;
    organizations::lock_all(ctx, tx, concerned).await
}

/// The organizations in which a role has a place. Fails with `LIMIT_REACHED`.
async fn concerned(tx: &mut Tx, role: &Role) -> Result<Vec<OrganizationId>> {
    let mut places = store::places(tx, role, CHANGES_MAX + 1).await?;
    if role.organization_id().is_none() {
        places.extend(organizations::with_default(tx, role.tenant_id, &role.slug).await?);
    }
    if places.len() > CHANGES_MAX {
        let message = format!("the role has more than {CHANGES_MAX} places: take it from some of them first");
        return Err(Error::new(Reason::LimitReached, message).with("limit", "role_places"));
    }
    Ok(places)
}

/// Fails where a role cannot go, or where what is to take its place is not there.
pub(super) async fn ensure_replaceable(tx: &mut Tx, role: &Role, instead: &Instead) -> Result<()> {
    if role.built_in {
        return Err(Error::new(Reason::RoleNotEditable, "the role is built in, and cannot be deleted"));
    }
    let Some(slug) = instead.role() else { return Ok(()) };
    let place = role.organization_id().map_or(role.scope_id, |id| scope(role.tenant_id, id, slug));
    if store::exists(tx, role.tenant_id, place, slug).await? {
        return Ok(());
    }
    Err(Error::new(Reason::RoleNotFound, "the replacement is no role here").with("role", slug))
}

/// A deletion that nothing stands against, with everything locked that it changes.
struct Deletion {
    role: Role,
    instead: Instead,
    tenant: Tenant,
    organizations: Vec<Organization>,
    defaults: Defaults,
}

impl Deletion {
    /// Takes the role out of the order that it is in, and out of every default.
    async fn change_settings(&self, ctx: &Ctx, tx: &mut Tx) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        if self.role.organization_id().is_none() {
            let role_priority = self.without_role(&self.tenant.role_priority.0);
            let after = Tenant { role_priority, default_role: self.defaults.tenant.clone(), ..self.tenant.clone() };
            changes.extend(tenants::save(ctx, tx, &self.tenant, after).await?.1);
            for id in organizations::with_default(tx, ctx.tenant_id, &self.role.slug).await? {
                if self.instead == Instead::Nothing {
                    return Err(is_default_of("an organization").with("organization_id", id));
                }
                organizations::ensure_locked(tx, id)?;
            }
        }
        for before in &self.organizations {
            if self.instead == Instead::Nothing && before.default_role == self.role.slug {
                return Err(is_default_of("the organization"));
            }
            let role_priority = self.without_role(&before.role_priority.0);
            let after = Organization { role_priority, default_role: self.defaults.own(before), ..before.clone() };
            changes.extend(organizations::save(ctx, tx, before, after).await?.1);
        }
        Ok(changes)
    }

    fn without_role(&self, order: &[String]) -> Json<Vec<String>> {
        Json(order.iter().filter(|slug| **slug != self.role.slug).cloned().collect())
    }

    /// Puts what takes the role's place there: in memberships, teams and grants.
    async fn replace(&self, ctx: &Ctx, tx: &mut Tx) -> Result<Vec<Change>> {
        let (role, named) = (&self.role, self.instead.role());
        let mut changes = memberships::replace_role(ctx, tx, role, &self.successors()).await?;
        changes.extend(teams::replace_role(ctx, tx, role, named).await?);
        changes.extend(grants::replace_role(ctx, tx, role, named).await?);
        Ok(changes)
    }

    fn successors(&self) -> Successors {
        let default = |organization: &Organization| (organization.id, self.defaults.of(organization));
        match self.instead.role() {
            Some(slug) => Successors { everywhere: slug.to_owned(), exceptions: HashMap::new() },
            None => Successors {
                everywhere: self.defaults.tenant.clone(),
                exceptions: self.organizations.iter().map(default).collect(),
            },
        }
    }
}

fn is_default_of(whose: &str) -> Error {
    let message =
        format!("the role is the default of {whose}: name a replacement that may be the default, or set another");
    Error::new(Reason::RoleIsDefault, message)
}
