//! Invitations: pending requests to join an organization.
//!
//! An invitation goes with an INVITED membership, which has what it promises: accepting makes that ACTIVE, and whatever
//! else ends the invitation removes it. Every change holds the organization's lock.

mod accept;
mod create;
mod end;
mod erase;
mod mails;
mod preview;
mod resend;
mod rpc;
mod store;
mod token;
mod wire;

use std::{collections::BTreeMap, time::Duration};

pub use accept::{Accept, Accepted, Accepter, accept};
pub use create::{Created, NewInvitation, Terms, create, create_all, invite};
pub use end::{Due, accepted_with, decline, due, expire, revoke, revoked_with};
pub use erase::{erase_all_of_user, organizations_of};
pub use mails::{DueMail, Outcome, Parcel, due_mails, prepare_mail, settle_mail};
pub use preview::{Preview, preview};
pub use resend::{Resend, resend};
pub use rpc::read_terms;
pub use token::Token;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    ids::{InvitationId, MembershipId, OrganizationId, TeamId, TenantId, UserId},
    organizations::{self, Organization},
};

/// For how long an invitation may be accepted where nobody says.
pub const LIFETIME_DEFAULT: Duration = Duration::from_hours(7 * 24);
/// For how long an invitation may be accepted at most.
pub const LIFETIME_MAX: Duration = Duration::from_hours(30 * 24);

/// A request to join an organization.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Invitation {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where to.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: InvitationId,
    /// The address as it was given.
    pub email: String,
    /// The address as it is compared.
    pub email_key: String,
    /// Where it stands.
    pub status: Status,
    /// The roles that it promises, ordered.
    pub roles: Json<Vec<String>>,
    /// The teams that it promises.
    pub team_ids: Json<Vec<String>>,
    /// Whom it is for.
    pub user_id: UserId,
    /// Who was invited: whose address, message and metadata these are.
    pub invited_user_id: UserId,
    /// The membership that goes with it.
    pub membership_id: MembershipId,
    /// Who invited, where that is a user.
    pub inviter_user_id: Option<UserId>,
    /// A word to the person.
    pub message: String,
    /// The language of its mail, or empty.
    pub locale: String,
    /// The template of its mail, or empty.
    pub template: String,
    /// Whatever the application keeps here.
    pub metadata: Json<BTreeMap<String, String>>,
    /// Whether somebody else of the same verified domain may accept it.
    pub same_domain: bool,
    /// Why it stands there.
    pub status_reason: String,
    /// What became of its last mail.
    pub mail_status: MailStatus,
    /// Why its mail was given up, or empty.
    pub mail_error: String,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Invitation {
    /// Where it stands at a time: one whose end is over is expired, recorded or not.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Pending && self.expires_at <= now { Status::Expired } else { self.status }
    }

    /// As it is read at a time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        Self { status: self.status_at(now), ..self.clone() }
    }

    /// The teams that it promises.
    fn teams(&self) -> Result<Vec<TeamId>> {
        let parse = |id: &String| id.parse().map_err(|()| Error::internal("a team of an invitation is no id"));
        self.team_ids.0.iter().map(parse).collect()
    }
}

/// Where an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// Waits for the person.
    Pending,
    /// Accepted.
    Accepted,
    /// Declined by the person.
    Declined,
    /// Taken back.
    Revoked,
    /// Its end was reached.
    Expired,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// What became of the last mail of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MailStatus {
    /// None was asked for.
    None,
    /// It is due, or being tried again.
    Pending,
    /// It went out.
    Sent,
    /// It was given up.
    Failed,
}

impl MailStatus {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// Which invitations are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Where to.
    pub organization_id: OrganizationId,
    /// Only those that stand there.
    pub status: Option<Status>,
    /// Only those for this address, by its key.
    pub email_key: Option<String>,
}

/// One invitation, as it is now.
pub async fn get(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: InvitationId) -> Result<Invitation> {
    Ok(find(tx, ctx.tenant_id, organization_id, id).await?.at(ctx.now))
}

async fn find(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, id: InvitationId) -> Result<Invitation> {
    if let Some(invitation) = store::get(tx, tenant, organization, id).await? {
        return Ok(invitation);
    }
    organizations::get(tx, tenant, organization).await?;
    Err(not_found())
}

/// Invitations of an organization, oldest first, as they are at a time.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    filter: &Filter,
    now: Timestamp,
    page: &Page,
) -> Result<Paged<Invitation>> {
    organizations::get(tx, tenant_id, filter.organization_id).await?;
    let rows = store::list(tx, tenant_id, filter, now, page.after()?, page.limit()).await?;
    let rows = rows.into_iter().map(|invitation| invitation.at(now)).collect();
    Ok(page.cut(rows, |invitation| invitation.id.to_string()))
}

/// Whether an invitation for an address was declined, or taken back.
pub async fn was_refused(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, email_key: &str) -> Result<bool> {
    store::was_refused(tx, tenant_id, id, email_key).await
}

/// Everything of an organization that is purged: its invitations, their tokens and their mails.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, organization_id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, organization_id).await
}

/// Fails with `ORGANIZATION_SUSPENDED`, `ORGANIZATION_DELETING`: such an organization takes nobody in.
fn ensure_open(organization: &Organization) -> Result<()> {
    match organization.status {
        organizations::Status::Active => Ok(()),
        organizations::Status::Suspended => {
            Err(Error::new(Reason::OrganizationSuspended, "the organization is suspended, and takes nobody in"))
        }
        organizations::Status::Deleting | organizations::Status::Purged => {
            Err(Error::new(Reason::OrganizationDeleting, "the organization is being deleted, or was purged"))
        }
    }
}

/// An invitation that is not there, or a token that never was valid.
fn not_found() -> Error {
    Error::new(Reason::InvitationNotFound, "no such invitation")
}
