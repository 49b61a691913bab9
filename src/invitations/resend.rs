//! Sending an invitation again.

use std::time::Duration;

use super::{
    Invitation, MailStatus, Status, Token,
    create::{ensure_invitable, invited, issue},
    ensure_open, find, store, wire,
};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Result},
    events,
    fields::Email,
    ids::{InvitationId, OrganizationId},
    memberships::{self, NewMember, Person},
    organizations::{self, Organization},
    roles,
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
    if !matches!(before.status, Status::Pending | Status::Expired) {
        return Err(Error::illegal_transition("an invitation", before.status.name(), "PENDING"));
    }
    let member = member_of(tx, &before).await?;
    ensure_may_give(ctx, tx, &organization, &member).await?;
    let mut after = Invitation {
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
        after.user_id = added.membership.user_id;
        after.membership_id = added.membership.id;
        changes.extend(added.changes);
    }
    store::update(tx, &after).await?;
    store::replace_tokens(tx, &after).await?;
    store::cancel_mail(tx, &after).await?;
    let token = issue(ctx, tx, &after).await?;
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

/// Who the person would be: what was promised, and what was said of the membership.
pub(super) async fn member_of(tx: &mut Tx, invitation: &Invitation) -> Result<NewMember> {
    let Invitation { tenant_id, organization_id, membership_id, .. } = *invitation;
    let membership = memberships::get(tx, tenant_id, organization_id, membership_id).await?;
    let email = Email { original: invitation.email.clone(), key: invitation.email_key.clone() };
    Ok(NewMember {
        teams: invitation.teams()?,
        kind: membership.kind,
        metadata: membership.metadata.0,
        review_at: membership.review_at,
        ends_at: membership.ends_at,
        ..NewMember::active(Person::Email(email), invitation.roles.0.clone())
    })
}
