//! Creating a policy, or replacing it.

use super::{POLICIES_MAX, Policy, guard, invalid, limit_reached, lock, store, wire};
use crate::{
    cedar::{Message, Text},
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    etag, events,
    ids::{OrganizationId, TenantId},
    permissions,
};

/// A policy to put.
#[derive(Debug, Clone)]
pub struct Put {
    /// The organization whose own it is.
    pub organization_id: Option<OrganizationId>,
    /// What it is called there.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it says.
    pub text: String,
    /// The etag that it must have, or empty.
    pub etag: String,
}

/// Creates or replaces a policy; answers it with what looks like a mistake in it. Fails with `INVALID_POLICY`,
/// `LIMIT_REACHED`, `ETAG_MISMATCH`, `MISSING_PERMISSION`.
pub async fn put(ctx: &Ctx, tx: &mut Tx, input: &Put) -> Result<(Policy, Vec<Message>)> {
    let text = Text::parse(&input.text).map_err(|messages| invalid("policy.text", &messages))?;
    let scope_id = lock(ctx, tx, input.organization_id).await?;
    let warnings = ensure_valid(tx, ctx.tenant_id, "policy.text", &text).await?;
    let before = store::get(tx, ctx.tenant_id, scope_id, &input.name).await?;
    ensure_etag(before.as_ref(), &input.etag)?;
    guard::ensure_may_say(ctx, tx, input.organization_id, before.as_ref(), Some(&text)).await?;
    let mut after = Policy {
        tenant_id: ctx.tenant_id,
        scope_id,
        name: input.name.clone(),
        description: input.description.clone(),
        text: input.text.clone(),
        effect: text.effect(),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let change = match &before {
        None => {
            if store::count(tx, ctx.tenant_id, scope_id).await? >= i64::try_from(POLICIES_MAX).unwrap_or(i64::MAX) {
                return Err(limit_reached(input.organization_id));
            }
            store::insert(tx, &after).await?;
            wire::created(&after)
        }
        Some(before) if before.text == after.text && before.description == after.description => {
            return Ok((before.clone(), warnings));
        }
        Some(before) => {
            after.version = before.version + 1;
            after.created_at = before.created_at;
            store::update(tx, &after).await?;
            wire::updated(before, &after)
        }
    };
    store::set_permissions(tx, &after, &text.permissions).await?;
    events::append(ctx, tx, vec![change]).await?;
    Ok((after, warnings))
}

/// An etag is of a policy that is there.
fn ensure_etag(present: Option<&Policy>, etag: &str) -> Result<()> {
    match present {
        Some(policy) => etag::ensure(policy.version, etag),
        None if etag.is_empty() => Ok(()),
        None => Err(Error::new(Reason::EtagMismatch, "there is no policy of this name any more")),
    }
}

/// Holds a text against the model and the tenant's catalogue; answers what looks like a mistake.
pub async fn ensure_valid(tx: &mut Tx, tenant_id: TenantId, field: &str, text: &Text) -> Result<Vec<Message>> {
    let known = permissions::known(tx, tenant_id, &text.permissions).await?;
    let checked = text.check(&known)?;
    if checked.errors.is_empty() { Ok(checked.warnings) } else { Err(invalid(field, &checked.errors)) }
}
