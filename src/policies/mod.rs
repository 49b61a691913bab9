//! Policies: rules in Cedar, of the tenant or an organization's own. What they mean is `cedar`'s to say.

mod guard;
mod put;
mod rpc;
mod store;
mod trial;
mod wire;

use uuid::Uuid;

pub use put::{Put, put};
pub use trial::{Change, Sets, Trial, ensure_triable};

use crate::{
    cedar::{self, Effect, Text},
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result, Violation},
    etag, events,
    ids::{OrganizationId, TenantId},
    organizations, permissions, tenants,
};

/// How many policies a tenant has at most, and each organization.
const POLICIES_MAX: usize = 100;
/// How many messages an error tells, and how many characters of each: it travels in headers.
const TOLD_MAX: usize = 8;
const TOLD_CHARACTERS_MAX: usize = 200;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Policy {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The organization whose own it is, or the tenant again.
    pub scope_id: Uuid,
    /// What it is called there, never changed.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it says, in Cedar.
    pub text: String,
    /// What it does where it matches.
    #[sqlx(try_from = "String")]
    pub effect: Effect,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Policy {
    /// The organization whose own it is.
    pub fn organization_id(&self) -> Option<OrganizationId> {
        (self.scope_id != self.tenant_id.uuid()).then_some(OrganizationId::from_uuid(self.scope_id))
    }
}

fn scope_of(tenant_id: TenantId, organization_id: Option<OrganizationId>) -> Uuid {
    organization_id.map_or(tenant_id.uuid(), OrganizationId::uuid)
}

/// One policy, of the tenant or an organization's own.
pub async fn get(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: Option<OrganizationId>,
    name: &str,
) -> Result<Policy> {
    if let Some(id) = organization_id {
        organizations::get(tx, tenant_id, id).await?;
    }
    store::get(tx, tenant_id, scope_of(tenant_id, organization_id), name).await?.ok_or_else(not_found)
}

/// The tenant's policies, or an organization's own; by name.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: Option<OrganizationId>,
    page: &Page,
) -> Result<Paged<Policy>> {
    if let Some(id) = organization_id {
        organizations::get(tx, tenant_id, id).await?;
    }
    let scope = scope_of(tenant_id, organization_id);
    let rows = store::list(tx, tenant_id, scope, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |policy| policy.name.clone()))
}

/// Deletes a policy. Fails with `POLICY_NOT_FOUND`, `ETAG_MISMATCH`, `MISSING_PERMISSION`.
pub async fn delete(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    name: &str,
    etag: &str,
) -> Result<()> {
    let scope = lock(ctx, tx, organization_id).await?;
    let policy = store::get(tx, ctx.tenant_id, scope, name).await?.ok_or_else(not_found)?;
    etag::ensure(policy.version, etag)?;
    guard::ensure_may_say(ctx, tx, organization_id, Some(&policy), None).await?;
    store::delete(tx, &policy).await?;
    events::append(ctx, tx, vec![wire::deleted(&policy)]).await
}

/// What is wrong with a text, and what looks like a mistake; with what it does, where it is a policy at all.
pub async fn validate(tx: &mut Tx, tenant_id: TenantId, text: &str) -> Result<(Option<Effect>, cedar::Checked)> {
    match Text::parse(text) {
        Ok(text) => {
            let known = permissions::known(tx, tenant_id, &text.permissions).await?;
            Ok((Some(text.effect()), text.check(&known)?))
        }
        Err(errors) => Ok((None, cedar::Checked { errors, warnings: Vec::new() })),
    }
}

/// Nobody else changes policies there until the transaction ends: that keeps their number.
async fn lock(ctx: &Ctx, tx: &mut Tx, organization_id: Option<OrganizationId>) -> Result<Uuid> {
    match organization_id {
        Some(id) => drop(organizations::lock_for_change(ctx, tx, id).await?),
        None => drop(tenants::lock(tx, ctx.tenant_id).await?),
    }
    Ok(scope_of(ctx.tenant_id, organization_id))
}

fn not_found() -> Error {
    Error::new(Reason::PolicyNotFound, "no such policy")
}

fn limit_reached(organization_id: Option<OrganizationId>) -> Error {
    let whose = if organization_id.is_some() { "an organization" } else { "a tenant" };
    Error::new(Reason::LimitReached, format!("{whose} has at most {POLICIES_MAX} policies"))
        .with("limit", format!("{POLICIES_MAX} policies"))
}

/// Refuses a text, for the first of many reasons. `field` is where the request has it.
fn invalid(field: &str, messages: &[cedar::Message]) -> Error {
    let violation = |message: &cedar::Message| {
        let cedar::Message { message, line, column, .. } = message;
        let place = if *line > 0 { format!("line {line}, column {column}: ") } else { String::new() };
        let mut description = format!("{place}{message}");
        if let Some((end, _)) = description.char_indices().nth(TOLD_CHARACTERS_MAX) {
            description.truncate(end);
            description.push('…');
        }
        Violation { field: field.to_owned(), description }
    };
    let violations: Vec<_> = messages.iter().take(TOLD_MAX).map(violation).collect();
    let first = violations.first().map(|violation| violation.description.as_str()).unwrap_or_default();
    Error::new(Reason::InvalidPolicy, format!("not a valid policy: {first}")).violations(violations)
}

/// Takes every policy of an organization's own out of the tables.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}
