//! Memberships in the contract: in answers and in events.

use super::{Assignment, Kind, Membership, Source, Status};
use crate::{
    etag,
    events::{Change, changed, created},
    proto::v1::{self as pb, MembershipKind, MembershipSource, MembershipStatus, event::Data},
};

impl From<&Membership> for pb::Membership {
    fn from(membership: &Membership) -> Self {
        let assignment = |Assignment { role, origin }: &Assignment| pb::RoleAssignment {
            role: role.clone(),
            source: MembershipSource::from(origin.source).into(),
            source_reference: origin.reference.clone(),
        };
        Self {
            membership_id: membership.id.to_string(),
            organization_id: membership.organization_id.to_string(),
            user_id: membership.user_id.to_string(),
            status: MembershipStatus::from(membership.status).into(),
            roles: membership.roles.0.iter().map(assignment).collect(),
            source: MembershipSource::from(membership.source).into(),
            status_reason: membership.status_reason.clone(),
            create_time: Some(membership.created_at.into()),
            update_time: Some(membership.updated_at.into()),
            kind: MembershipKind::from(membership.kind).into(),
            source_reference: membership.source_reference.clone(),
            metadata: membership.metadata.0.clone(),
            review_time: membership.review_at.map(Into::into),
            end_time: membership.ends_at.map(Into::into),
            joined_time: membership.joined_at.map(Into::into),
            authenticated_via: membership.authenticated_via.clone(),
            etag: etag::of(membership.version),
        }
    }
}

impl From<Status> for MembershipStatus {
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

impl From<Source> for MembershipSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Api => Self::Api,
            Source::Manual => Self::Manual,
            Source::Invitation => Self::Invitation,
            Source::Domain => Self::Domain,
            Source::Directory => Self::Directory,
            Source::Sso => Self::Sso,
            Source::Import => Self::Import,
        }
    }
}

/// The source that a request names; none where it names none.
pub fn source(source: Option<MembershipSource>) -> Option<Source> {
    match source? {
        MembershipSource::Unspecified => None,
        MembershipSource::Api => Some(Source::Api),
        MembershipSource::Manual => Some(Source::Manual),
        MembershipSource::Invitation => Some(Source::Invitation),
        MembershipSource::Domain => Some(Source::Domain),
        MembershipSource::Directory => Some(Source::Directory),
        MembershipSource::Sso => Some(Source::Sso),
        MembershipSource::Import => Some(Source::Import),
    }
}

/// The status that a filter names.
pub fn status(status: Option<MembershipStatus>) -> Option<Status> {
    match status? {
        MembershipStatus::Unspecified => None,
        MembershipStatus::PreProvisioned => Some(Status::PreProvisioned),
        MembershipStatus::Invited => Some(Status::Invited),
        MembershipStatus::Active => Some(Status::Active),
        MembershipStatus::Suspended => Some(Status::Suspended),
        MembershipStatus::Removed => Some(Status::Removed),
    }
}

impl From<Kind> for MembershipKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Member => Self::Member,
            Kind::Guest => Self::Guest,
        }
    }
}

/// The kind that a request names; none where it names none.
pub fn kind(kind: Option<MembershipKind>) -> Option<Kind> {
    match kind? {
        MembershipKind::Unspecified => None,
        MembershipKind::Member => Some(Kind::Member),
        MembershipKind::Guest => Some(Kind::Guest),
    }
}

fn change(membership: &Membership, data: Data) -> Change {
    Change::in_organization(membership.organization_id, "membership", membership.id, data).about(membership.user_id)
}

pub fn created(membership: &Membership) -> Change {
    change(membership, created!(MembershipCreated, membership))
}

pub fn updated(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipUpdated, before, after))
}

pub fn activated(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipActivated, before, after))
}

pub fn erased(membership: &Membership) -> Change {
    change(membership, created!(MembershipErased, membership))
}

pub fn role_assigned(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipRoleAssigned, before, after))
}

pub fn role_revoked(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipRoleRevoked, before, after))
}

pub fn roles_changed(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipRolesChanged, before, after))
}

pub fn suspended(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipSuspended, before, after))
}

pub fn reactivated(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipReactivated, before, after))
}

pub fn removed(before: &Membership, after: &Membership) -> Change {
    change(after, changed!(MembershipRemoved, before, after))
}
