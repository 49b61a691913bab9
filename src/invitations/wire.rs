//! Invitations in the contract: in answers and in events. Neither ever shows a token, or a hash of one.

use super::{Invitation, MailStatus, Status};
use crate::{
    events::{Change, changed, created},
    proto::v1::{self as pb, InvitationMailStatus, InvitationStatus, event::Data},
};

impl From<&Invitation> for pb::Invitation {
    fn from(invitation: &Invitation) -> Self {
        Self {
            invitation_id: invitation.id.to_string(),
            organization_id: invitation.organization_id.to_string(),
            email: invitation.email.clone(),
            status: InvitationStatus::from(invitation.status).into(),
            roles: invitation.roles.0.clone(),
            team_ids: invitation.team_ids.0.clone(),
            user_id: invitation.user_id.to_string(),
            invited_user_id: invitation.invited_user_id.to_string(),
            membership_id: invitation.membership_id.to_string(),
            inviter_user_id: invitation.inviter_user_id.map(|id| id.to_string()).unwrap_or_default(),
            message: invitation.message.clone(),
            locale: invitation.locale.clone(),
            template: invitation.template.clone(),
            metadata: invitation.metadata.0.clone(),
            allow_same_verified_domain: invitation.same_domain,
            status_reason: invitation.status_reason.clone(),
            mail_status: InvitationMailStatus::from(invitation.mail_status).into(),
            mail_error: invitation.mail_error.clone(),
            expire_time: Some(invitation.expires_at.into()),
            end_time: invitation.ended_at.map(Into::into),
            create_time: Some(invitation.created_at.into()),
            update_time: Some(invitation.updated_at.into()),
        }
    }
}

impl From<Status> for InvitationStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Accepted => Self::Accepted,
            Status::Declined => Self::Declined,
            Status::Revoked => Self::Revoked,
            Status::Expired => Self::Expired,
        }
    }
}

impl From<MailStatus> for InvitationMailStatus {
    fn from(status: MailStatus) -> Self {
        match status {
            MailStatus::None => Self::Unspecified,
            MailStatus::Pending => Self::Pending,
            MailStatus::Sent => Self::Sent,
            MailStatus::Failed => Self::Failed,
        }
    }
}

/// The status that a filter names; none for any.
pub fn status(status: Option<InvitationStatus>) -> Option<Status> {
    match status? {
        InvitationStatus::Unspecified => None,
        InvitationStatus::Pending => Some(Status::Pending),
        InvitationStatus::Accepted => Some(Status::Accepted),
        InvitationStatus::Declined => Some(Status::Declined),
        InvitationStatus::Revoked => Some(Status::Revoked),
        InvitationStatus::Expired => Some(Status::Expired),
    }
}

fn change(invitation: &Invitation, data: Data) -> Change {
    Change::in_organization(invitation.organization_id, "invitation", invitation.id, data)
        .about(invitation.invited_user_id)
}

pub fn created(invitation: &Invitation) -> Change {
    change(invitation, created!(InvitationCreated, invitation))
}

pub fn resent(before: &Invitation, after: &Invitation) -> Change {
    change(after, changed!(InvitationResent, before, after))
}

/// What an invitation came to. (One that goes on was sent again.)
pub fn ended(before: &Invitation, after: &Invitation) -> Change {
    let data = match after.status {
        Status::Accepted => changed!(InvitationAccepted, before, after),
        Status::Declined => changed!(InvitationDeclined, before, after),
        Status::Revoked => changed!(InvitationRevoked, before, after),
        Status::Expired => changed!(InvitationExpired, before, after),
        Status::Pending => changed!(InvitationResent, before, after),
    };
    change(after, data)
}

pub fn erased(invitation: &Invitation) -> Change {
    change(invitation, created!(InvitationErased, invitation))
}

pub fn mail_sent(before: &Invitation, after: &Invitation) -> Change {
    change(after, changed!(InvitationMailSent, before, after))
}

pub fn mail_failed(before: &Invitation, after: &Invitation) -> Change {
    change(after, changed!(InvitationMailFailed, before, after))
}
