//! The ends of an invitation other than its acceptance, each of which ends its membership too.

use super::{Invitation, MailStatus, Status, Token, accept, find, preview, resend::promised, store, wire};
use crate::{
    authority::Authority,
    clock::Timestamp,
    context::Ctx,
    db::{FromRow, Json, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    ids::{InvitationId, OrganizationId, TenantId},
    memberships::{self, Membership},
    organizations, users,
};

/// An invitation whose end is over.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Due {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where to.
    pub organization_id: OrganizationId,
    /// Its id.
    #[sqlx(rename = "id")]
    pub invitation_id: InvitationId,
}

/// Takes an invitation back.
pub async fn revoke(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: InvitationId) -> Result<Invitation> {
    organizations::lock(ctx, tx, organization_id).await?;
    let before = find(tx, ctx.tenant_id, organization_id, id).await?;
    match before.status_at(ctx.now) {
        Status::Pending => {}
        Status::Revoked => return Ok(before),
        from => return Err(Error::illegal_transition("an invitation", from.name(), "REVOKED")),
    }
    let (after, changes) = end(ctx, tx, &before, Status::Revoked).await?;
    events::append(ctx, tx, changes).await?;
    Ok(after)
}

/// Declines an invitation: a user what was sent to their own address, a service whatever it has the token of.
pub async fn decline(ctx: &Ctx, tx: &mut Tx, token: &Token) -> Result<Invitation> {
    let before = preview::lock(ctx, tx, token).await?.0;
    if let Authority::Oneself(user_id) = ctx.authority {
        let user = users::get(tx, ctx.tenant_id, user_id).await?;
        users::ensure_not_suspended(&user)?;
        if user.email_key != before.email_key {
            return Err(accept::another_address());
        }
    }
    let (after, changes) = end(ctx, tx, &before, Status::Declined).await?;
    events::append(ctx, tx, changes).await?;
    Ok(after)
}

/// Pending invitations of all tenants whose end is over, at most so many.
pub async fn due(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<Due>> {
    store::due(tx, now, at_most).await
}

/// Records that the end of an invitation is over, unless that changed meanwhile.
pub async fn expire(ctx: &Ctx, tx: &mut Tx, due: Due) -> Result<()> {
    organizations::lock(ctx, tx, due.organization_id).await?;
    let before = find(tx, ctx.tenant_id, due.organization_id, due.invitation_id).await?;
    if before.status == Status::Pending && before.status_at(ctx.now) == Status::Expired {
        let (_, changes) = end(ctx, tx, &before, Status::Expired).await?;
        events::append(ctx, tx, changes).await?;
    }
    Ok(())
}

/// What became of the invitation of a membership that ended by something else: it is taken back.
pub async fn revoked_with(ctx: &Ctx, tx: &mut Tx, membership: &Membership) -> Result<Option<Change>> {
    let Membership { tenant_id, organization_id, id, .. } = *membership;
    let Some(before) = store::pending_of_membership(tx, tenant_id, organization_id, id).await? else {
        return Ok(None);
    };
    let after = settle(ctx, tx, &before, Status::Revoked).await?;
    Ok(Some(wire::ended(&before, &after).cascaded()))
}

/// What became of the invitation of a membership whose user came without its token: it is accepted by that. Fails with
/// `INVITATION_EXPIRED` where its end is over; and for a user who comes by themself with `ADDRESS_NOT_VERIFIED`,
/// `INVITATION_ADDRESS_MISMATCH` where the address that they have proven is not the invited one.
pub async fn accepted_with(
    ctx: &Ctx,
    tx: &mut Tx,
    membership: &Membership,
    verified: Option<&Email>,
) -> Result<Option<Change>> {
    let Membership { tenant_id, organization_id, id, .. } = *membership;
    let Some(before) = store::pending_of_membership(tx, tenant_id, organization_id, id).await? else {
        return Ok(None);
    };
    if before.status_at(ctx.now) == Status::Expired {
        return Err(Error::new(Reason::InvitationExpired, "the end of the invitation is over"));
    }
    if let Authority::Oneself(_) = ctx.authority {
        let verified = verified.ok_or_else(accept::not_verified)?;
        if verified.key != before.email_key {
            return Err(accept::another_address());
        }
    }
    let after = settle(ctx, tx, &before, Status::Accepted).await?;
    Ok(Some(wire::ended(&before, &after).cascaded()))
}

/// Ends a pending invitation of a locked organization, and its membership with it.
pub(super) async fn end(
    ctx: &Ctx,
    tx: &mut Tx,
    before: &Invitation,
    status: Status,
) -> Result<(Invitation, Vec<Change>)> {
    let after = settle(ctx, tx, before, status).await?;
    let mut changes = vec![wire::ended(before, &after)];
    let membership = memberships::get(tx, before.tenant_id, before.organization_id, before.membership_id).await?;
    if membership.status == memberships::Status::Invited {
        let ended = memberships::end_pending(ctx, tx, &membership).await?;
        changes.extend(ended.into_iter().map(Change::cascaded));
    }
    Ok((after, changes))
}

/// Ends a pending invitation alone; a mail that is due for it is not sent any more. What was promised is what the
/// membership had last: that is what an accepted one gave, and what an expired one gives when it is sent again.
pub(super) async fn settle(ctx: &Ctx, tx: &mut Tx, before: &Invitation, status: Status) -> Result<Invitation> {
    let mail_status = if before.mail_status == MailStatus::Pending { MailStatus::None } else { before.mail_status };
    let (roles, teams) = promised(tx, before).await?;
    let after = Invitation {
        roles: Json(roles),
        team_ids: Json(teams.iter().map(ToString::to_string).collect()),
        status,
        status_reason: ctx.reason.clone(),
        mail_status,
        ended_at: Some(ctx.now),
        updated_at: ctx.now,
        ..before.clone()
    };
    store::update(tx, &after).await?;
    store::cancel_mail(tx, &after).await?;
    Ok(after)
}
