//! Sending an invitation again.

use std::time::Duration;

use super::{
    Invitation, MailStatus, Status, Token,
    create::{ensure_invitable, invited, issue, prune},
    ensure_open, find, store, wire,
};
use crate::{
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Result},
    events,
    fields::Email,
    ids::{InvitationId, OrganizationId, TeamId},
    memberships::{self, NewMember, Person},
    organizations::{self, Organization},
    roles, teams,
};

/// What to send again.
#[derive(Debug, Clone)]
pub struct Resend {
    /// Where to.
    pub organization_id: OrganizationId,
    /// Which.
    pub id: InvitationId,
    /// For how long it may be accepted from now on.
    pub lifetime: Duration,
    /// Whether a mail is sent.
    pub send_mail: bool,
}

/// Gives a pending or expired invitation a new token and a new end; the tokens of before end. What it promises is given
/// anew: nobody gives what they lack.
pub async fn resend(ctx: &Ctx, tx: &mut Tx, input: &Resend) -> Result<(Invitation, Token)> {
    let organization = organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    ensure_open(&organization)?;
    let before = find(tx, ctx.tenant_id, organization.id, input.id).await?;
    // Whoever was erased has no address to send anything to.
    if !matches!(before.status, Status::Pending | Status::Expired) || before.email_key.is_empty() {
        return Err(Error::illegal_transition("an invitation", before.status.name(), "PENDING"));
    }
    let member = member_of(tx, &before).await?;
    ensure_may_give(ctx, tx, &organization, &member).await?;
    if member.ends_at.is_some_and(|ends_at| ends_at <= ctx.now) {
        return Err(memberships::over());
    }
    let mut after = Invitation {
        roles: Json(member.roles.clone()),
        team_ids: Json(member.teams.iter().map(ToString::to_string).collect()),
        status: Status::Pending,
        status_reason: String::new(),
        mail_status: if input.send_mail { MailStatus::Pending } else { MailStatus::None },
        mail_error: String::new(),
        expires_at: ctx.now.plus(input.lifetime),
        ended_at: None,
        updated_at: ctx.now,
        ..before.clone()
    };
    let mut changes = Vec::new();
    if before.status == Status::Expired {
        // Its membership ended with it.
        if let Some(over) = ensure_invitable(ctx, tx, organization.id, &before.email_key).await? {
            changes.extend(super::end::end(ctx, tx, &over, Status::Expired).await?.1);
        }
        let added = memberships::add(ctx, tx, organization.id, &invited(&member, before.id), &member.roles).await?;
        (after.user_id, after.invited_user_id) = (added.membership.user_id, added.membership.user_id);
        after.membership_id = added.membership.id;
        changes.extend(added.changes);
    }
    store::update(tx, &after).await?;
    store::replace_tokens(tx, &after).await?;
    store::cancel_mail(tx, &after).await?;
    let token = issue(ctx, tx, &after).await?;
    prune(tx, &after, false).await?;
    changes.insert(0, wire::resent(&before, &after));
    events::append(ctx, tx, changes).await?;
    Ok((after, token))
}

/// Fails with `MISSING_PERMISSION` where the caller could not invite to this. The default role is given freely, as it was
/// by whoever named none.
async fn ensure_may_give(ctx: &Ctx, tx: &mut Tx, organization: &Organization, member: &NewMember) -> Result<()> {
    let default = roles::default_of(tx, organization).await?;
    let named = if member.roles == [default] { Vec::new() } else { member.roles.clone() };
    let asked = NewMember { roles: named, ..member.clone() };
    memberships::ensure_may_give(ctx, tx, organization.id, &asked, &member.roles).await
}

/// The roles and teams that whoever accepts gets: those that the membership has, which may have been given others since; of
/// one that is over, those that it had last.
pub(super) async fn promised(tx: &mut Tx, invitation: &Invitation) -> Result<(Vec<String>, Vec<TeamId>)> {
    let Invitation { tenant_id, organization_id, membership_id, .. } = *invitation;
    let membership = memberships::get(tx, tenant_id, organization_id, membership_id).await?;
    if membership.status == memberships::Status::Removed {
        return Ok((invitation.roles.0.clone(), invitation.teams()?));
    }
    let teams = teams::of_membership(tx, &membership).await?;
    Ok((membership.roles.slugs(), teams))
}

/// Who the person would be: what was promised, and what was said of the membership.
pub(super) async fn member_of(tx: &mut Tx, invitation: &Invitation) -> Result<NewMember> {
    let Invitation { tenant_id, organization_id, membership_id, .. } = *invitation;
    let membership = memberships::get(tx, tenant_id, organization_id, membership_id).await?;
    let email = Email { original: invitation.email.clone(), key: invitation.email_key.clone() };
    let (roles, teams) = promised(tx, invitation).await?;
    Ok(NewMember {
        teams,
        kind: membership.kind,
        metadata: membership.metadata.0,
        review_at: membership.review_at,
        ends_at: membership.ends_at,
        ..NewMember::active(Person::Email(email), roles)
    })
}
