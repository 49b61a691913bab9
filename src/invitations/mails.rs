//! The mails of invitations: due, made, sent or given up. What is queued is only that one is due; its token is made when
//! it is sent, and is good before the mail is out.

use super::{
    Invitation, MailStatus, Status, Token,
    create::{keep, prune},
    find,
    preview::inviter_name,
    store, wire,
};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{FromRow, Tx},
    error::Result,
    events,
    ids::{InvitationId, OrganizationId, TenantId},
    organizations::{self, Organization},
    users,
};

/// A mail that is due.
#[derive(Debug, Clone, FromRow)]
pub struct DueMail {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where the invitation is to.
    pub organization_id: OrganizationId,
    /// Of which invitation.
    pub invitation_id: InvitationId,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What a mail is made of.
#[derive(Debug)]
pub struct Parcel {
    /// The invitation.
    pub invitation: Invitation,
    /// Where to.
    pub organization: Organization,
    /// The inviter's name for people, or empty.
    pub inviter_name: String,
    /// The person's name, or empty.
    pub person_name: String,
    /// By which it is accepted: of this mail alone.
    pub token: Token,
}

/// What became of a mail.
#[derive(Debug)]
pub enum Outcome {
    /// It went out.
    Sent,
    /// It was given up, for this reason.
    Failed(String),
}

/// Mails of all tenants that are due, at most so many.
pub async fn due_mails(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<DueMail>> {
    store::due_mails(tx, now, at_most).await
}

/// Takes a mail on, until `again_at`: makes its token. None where there is nothing to send, now or any more.
pub async fn prepare_mail(ctx: &Ctx, tx: &mut Tx, mail: &DueMail, again_at: Timestamp) -> Result<Option<Parcel>> {
    let organization = organizations::lock(ctx, tx, mail.organization_id).await?;
    if !store::claim_mail(tx, mail, again_at).await? {
        return Ok(None);
    }
    let invitation = find(tx, ctx.tenant_id, mail.organization_id, mail.invitation_id).await?;
    // Of a suspended organization it waits; of one that is over nothing is left to say.
    if invitation.status_at(ctx.now) != Status::Pending || organization.status != organizations::Status::Active {
        return Ok(None);
    }
    let token = Token::generate()?;
    keep(ctx, tx, &invitation, &token, true).await?;
    prune(tx, &invitation, true).await?;
    let inviter_name = inviter_name(tx, &invitation).await?;
    let person_name = users::get(tx, ctx.tenant_id, invitation.user_id).await?.display_name;
    Ok(Some(Parcel { invitation, organization, inviter_name, person_name, token }))
}

/// Records what became of a mail, unless another one was asked for meanwhile or the invitation has ended.
pub async fn settle_mail(ctx: &Ctx, tx: &mut Tx, mail: &DueMail, outcome: &Outcome) -> Result<()> {
    organizations::lock(ctx, tx, mail.organization_id).await?;
    if !store::finish_mail(tx, mail).await? {
        return Ok(());
    }
    let before = find(tx, ctx.tenant_id, mail.organization_id, mail.invitation_id).await?;
    let (mail_status, mail_error) = match outcome {
        Outcome::Sent => (MailStatus::Sent, String::new()),
        Outcome::Failed(why) => (MailStatus::Failed, why.clone()),
    };
    let after = Invitation { mail_status, mail_error, updated_at: ctx.now, ..before.clone() };
    store::update(tx, &after).await?;
    let change = match outcome {
        Outcome::Sent => wire::mail_sent(&before, &after),
        Outcome::Failed(_) => wire::mail_failed(&before, &after),
    };
    events::append(ctx, tx, vec![change]).await
}
