//! Users in the contract: in answers and in events.

use super::{Identity, Status, User};
use crate::{
    etag,
    events::{Change, changed, created},
    proto::v1::{self as pb, UserStatus, event::Data},
};

impl From<&User> for pb::User {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.id.to_string(),
            email: user.email.clone(),
            display_name: user.display_name.clone(),
            external_id: user.external_id.clone().unwrap_or_default(),
            status: UserStatus::from(user.status).into(),
            metadata: user.metadata.0.clone(),
            etag: etag::of(user.version),
            create_time: Some(user.created_at.into()),
            update_time: Some(user.updated_at.into()),
            identities: user.identities.0.iter().map(Into::into).collect(),
            suspended_from: user.suspended_from.map(UserStatus::from).unwrap_or_default().into(),
            erase_time: user.erased_at.map(Into::into),
        }
    }
}

impl From<&Identity> for pb::Identity {
    fn from(identity: &Identity) -> Self {
        Self { issuer: identity.issuer.clone(), subject: identity.subject.clone() }
    }
}

impl From<Status> for UserStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::PreProvisioned => Self::PreProvisioned,
            Status::Invited => Self::Invited,
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
            Status::Removed => Self::Removed,
        }
    }
}

/// The status that a filter names; none for any.
pub fn status(status: Option<UserStatus>) -> Option<Status> {
    match status? {
        UserStatus::Unspecified => None,
        UserStatus::PreProvisioned => Some(Status::PreProvisioned),
        UserStatus::Invited => Some(Status::Invited),
        UserStatus::Active => Some(Status::Active),
        UserStatus::Suspended => Some(Status::Suspended),
        UserStatus::Removed => Some(Status::Removed),
    }
}

fn change(user: &User, data: Data) -> Change {
    Change::in_tenant(user.tenant_id, "user", user.id, data).about(user.id)
}

pub fn created(user: &User) -> Change {
    change(user, created!(UserCreated, user))
}

pub fn updated(before: &User, after: &User) -> Change {
    change(after, changed!(UserUpdated, before, after))
}

pub fn suspended(before: &User, after: &User) -> Change {
    change(after, changed!(UserSuspended, before, after))
}

pub fn reactivated(before: &User, after: &User) -> Change {
    change(after, changed!(UserReactivated, before, after))
}

pub fn activated(before: &User, after: &User) -> Change {
    change(after, changed!(UserActivated, before, after))
}

pub fn deleted(before: &User, after: &User) -> Change {
    change(after, changed!(UserDeleted, before, after))
}

pub fn erased(user: &User) -> Change {
    change(user, created!(UserErased, user))
}

pub fn identity_linked(before: &User, after: &User) -> Change {
    change(after, changed!(UserIdentityLinked, before, after))
}

pub fn identity_unlinked(before: &User, after: &User) -> Change {
    change(after, changed!(UserIdentityUnlinked, before, after))
}
