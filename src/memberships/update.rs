//! Changing what a membership carries, other than its roles and its status.

use std::collections::BTreeMap;

use super::{Kind, Membership, Status, expire, get_present, owners, store, wire};
use crate::{
    authority,
    clock::Timestamp,
    context::Ctx,
    db::{Json, Tx},
    error::Result,
    etag, events,
    fields::Fields,
    ids::{MembershipId, OrganizationId},
    organizations, roles,
};

/// What to change of a membership.
#[derive(Debug, Clone)]
pub struct Update {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub id: MembershipId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// What the member is to the organization now.
    pub kind: Option<Kind>,
    /// New metadata, in place of all there is.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When somebody should look at it, or never.
    pub review_at: Option<Option<Timestamp>>,
    /// From when on the member is denied, or never.
    pub ends_at: Option<Option<Timestamp>>,
}

/// Changes a membership. Fails with `ETAG_MISMATCH`, `LAST_OWNER`, `MISSING_PERMISSION`.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Membership> {
    organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    let before = get_present(tx, ctx.tenant_id, input.organization_id, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    if input.applied_to(&before) == before {
        return Ok(before);
    }
    let (before, ended) = expire::settle(ctx, tx, before).await?;
    let wanted = input.applied_to(&before);
    ensure_new_times(ctx, &before, &wanted)?;
    ensure_end_may_be(ctx, tx, &before, &wanted).await?;
    let after = store::save(tx, &before, &Membership { updated_at: ctx.now, ..wanted }).await?;
    events::append(ctx, tx, ended.into_iter().chain([wire::updated(&before, &after)]).collect()).await?;
    Ok(after)
}

impl Update {
    fn applied_to(&self, membership: &Membership) -> Membership {
        let mut wanted = membership.clone();
        wanted.kind = self.kind.unwrap_or(wanted.kind);
        wanted.metadata = self.metadata.clone().map_or(wanted.metadata, Json);
        wanted.review_at = self.review_at.unwrap_or(wanted.review_at);
        wanted.ends_at = self.ends_at.unwrap_or(wanted.ends_at);
        wanted
    }
}

/// A time that stays as it was may have passed.
fn ensure_new_times(ctx: &Ctx, before: &Membership, wanted: &Membership) -> Result<()> {
    let mut fields = Fields::new();
    for (field, old, new) in [
        ("membership.review_time", before.review_at, wanted.review_at),
        ("membership.end_time", before.ends_at, wanted.ends_at),
    ] {
        if new != old && new.is_some_and(|time| time <= ctx.now) {
            fields.wrong(field, "not in the future");
        }
    }
    fields.done()
}

/// An end must leave an owner; a later one, or none, gives the roles for longer.
async fn ensure_end_may_be(ctx: &Ctx, tx: &mut Tx, before: &Membership, wanted: &Membership) -> Result<()> {
    if before.ends_at == wanted.ends_at {
        return Ok(());
    }
    let Some(ends_at) = wanted.ends_at else { return ensure_may_give_for_longer(ctx, tx, before).await };
    if before.status == Status::Active && before.roles.contain(roles::OWNER) {
        owners::ensure_another(tx, before).await?;
    }
    if before.ends_at.is_some_and(|earlier| earlier < ends_at) {
        ensure_may_give_for_longer(ctx, tx, before).await?;
    }
    Ok(())
}

async fn ensure_may_give_for_longer(ctx: &Ctx, tx: &mut Tx, membership: &Membership) -> Result<()> {
    let given: Vec<&str> = membership.roles.0.iter().map(|assignment| assignment.role.as_str()).collect();
    authority::ensure_may_grant(ctx, tx, Some(membership.organization_id), &given, &[]).await
}
