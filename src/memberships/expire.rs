//! The end of a membership's time: Check denies from that instant on by itself; here the membership becomes suspended.

use super::{Membership, Status, get, store, transition, wire};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{FromRow, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    ids::{MembershipId, OrganizationId, TenantId},
    organizations,
};

/// The reason of the transition, as people read it.
const REASON: &str = "end time reached";

/// An active membership whose end is reached.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Due {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub membership_id: MembershipId,
}

/// Active memberships whose end is reached, of all tenants, at most so many.
pub async fn due(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<Due>> {
    store::due(tx, now, at_most).await
}

/// Suspends a membership whose end is reached, if it still is. That it may be an owner's is no matter: one with an end
/// is never the last.
pub async fn expire(ctx: &Ctx, tx: &mut Tx, due: Due) -> Result<()> {
    organizations::lock(ctx, tx, due.organization_id).await?;
    let before = get(tx, ctx.tenant_id, due.organization_id, due.membership_id).await?;
    let (_, change) = settle(ctx, tx, before).await?;
    let ctx = Ctx { reason: REASON.to_owned(), ..ctx.clone() };
    events::append(&ctx, tx, change.into_iter().collect()).await
}

/// A locked membership as it is once its end was heard of: whoever changes the end must not undo it before.
pub(super) async fn settle(ctx: &Ctx, tx: &mut Tx, before: Membership) -> Result<(Membership, Option<Change>)> {
    if before.status_at(ctx.now) == before.status {
        return Ok((before, None));
    }
    let ctx = Ctx { reason: REASON.to_owned(), ..ctx.clone() };
    let after = transition(&ctx, tx, &before, Status::Suspended).await?;
    let change = wire::suspended(&before, &after);
    Ok((after, Some(change)))
}

impl Membership {
    /// Whether its end is reached.
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }

    /// Where it stands at this time, whether a sweep has come by since its end or not.
    pub(super) fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Active && self.is_over(now) { Status::Suspended } else { self.status }
    }

    /// Fails with `MEMBERSHIP_ENDED` where its end is reached.
    pub fn ensure_not_over(&self, now: Timestamp) -> Result<()> {
        if self.is_over(now) { Err(over()) } else { Ok(()) }
    }
}

/// Nobody begins anything by a membership whose end time is reached.
pub fn over() -> Error {
    Error::new(Reason::MembershipEnded, "the end time of the membership is reached: set another, or none, first")
}
