//! Handing the ownership of an organization over.

use super::{lock_for_change, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::Result,
    events::{self, Change},
    ids::OrganizationId,
    memberships::{self, HandOver, HandedOver},
};

/// Makes another member an owner in the place of one. Fails with `NOT_AN_OWNER`, `MEMBER_NOT_ACTIVE`,
/// `OWNERSHIP_OF_ANOTHER`.
pub async fn transfer_ownership(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, input: &HandOver) -> Result<HandedOver> {
    let organization = lock_for_change(ctx, tx, id).await?;
    let mut handed = memberships::hand_over(ctx, tx, id, input).await?;
    let mut changes = vec![wire::ownership_transferred(&organization, input)];
    changes.extend(handed.changes.drain(..).map(Change::cascaded));
    events::append(ctx, tx, changes).await?;
    Ok(handed)
}
