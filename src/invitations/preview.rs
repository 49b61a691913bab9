//! What the holder of a token is invited to.

use super::{Invitation, Status, Token, ensure_open, not_found, store};
use crate::{
    authority::Authority,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    organizations::{self, Organization},
    users,
};

/// What the holder of a token sees.
#[derive(Debug)]
pub struct Preview {
    /// The invitation.
    pub invitation: Invitation,
    /// The organization's name for people.
    pub organization_name: String,
    /// The inviter's name for people; empty where nobody was named.
    pub inviter_name: String,
}

/// What the holder of a token is invited to. Looking changes nothing.
pub async fn preview(ctx: &Ctx, tx: &mut Tx, token: &Token) -> Result<Preview> {
    ensure_not_suspended(ctx, tx).await?;
    let invitation = find(ctx, tx, token).await?;
    let organization = organizations::get(tx, ctx.tenant_id, invitation.organization_id).await?;
    ensure_open(&organization)?;
    let inviter_name = inviter_name(tx, &invitation).await?;
    Ok(Preview { organization_name: organization_name(&organization), inviter_name, invitation })
}

/// Fails with `USER_SUSPENDED` where it is a suspended user who calls.
pub(super) async fn ensure_not_suspended(ctx: &Ctx, tx: &mut Tx) -> Result<()> {
    match ctx.authority {
        Authority::Oneself(user_id) => users::ensure_not_suspended(&users::get(tx, ctx.tenant_id, user_id).await?),
        _ => Ok(()),
    }
}

/// The organization's name for people; its slug where it has none.
pub(super) fn organization_name(organization: &Organization) -> String {
    let Organization { display_name, slug, .. } = organization;
    if display_name.is_empty() { slug.clone() } else { display_name.clone() }
}

/// The inviter's name for people; their address where they have none.
pub(super) async fn inviter_name(tx: &mut Tx, invitation: &Invitation) -> Result<String> {
    let Some(id) = invitation.inviter_user_id else { return Ok(String::new()) };
    let user = users::get(tx, invitation.tenant_id, id).await?;
    Ok(if user.display_name.is_empty() { user.email } else { user.display_name })
}

/// The invitation that a token is good for, with its organization locked.
pub(super) async fn lock(ctx: &Ctx, tx: &mut Tx, token: &Token) -> Result<(Invitation, Organization)> {
    let organization_id = find(ctx, tx, token).await?.organization_id;
    let organization = organizations::lock(ctx, tx, organization_id).await?;
    // Again: somebody else may have used it before the lock was had.
    let invitation = find(ctx, tx, token).await?;
    ensure_open(&organization)?;
    Ok((invitation, organization))
}

/// The invitation that a token is good for. Says why it is good for nothing only of a token that once was.
async fn find(ctx: &Ctx, tx: &mut Tx, token: &Token) -> Result<Invitation> {
    let found = store::find_by_token(tx, ctx.tenant_id, token.hash()).await?;
    let found = found.filter(|found| token.is(&found.hash)).ok_or_else(not_found)?;
    let refused = |reason, message| Err(Error::new(reason, message));
    match found.invitation.status_at(ctx.now) {
        Status::Accepted => refused(Reason::InvitationUsed, "the invitation was accepted before"),
        Status::Declined => refused(Reason::InvitationDeclined, "the invitation was declined"),
        Status::Revoked => refused(Reason::InvitationRevoked, "the invitation was taken back"),
        _ if found.replaced => refused(Reason::InvitationTokenReplaced, "the invitation was sent again: use that one"),
        Status::Expired => refused(Reason::InvitationExpired, "the end of the invitation is over"),
        Status::Pending => Ok(found.invitation),
    }
}
