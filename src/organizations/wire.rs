//! Organizations in the contract: in answers and in events.

use super::{Organization, Status};
use crate::{
    etag,
    events::{Change, changed, created},
    proto::v1::{self as pb, OrganizationStatus, event::Data},
};

impl From<&Organization> for pb::Organization {
    fn from(organization: &Organization) -> Self {
        Self {
            organization_id: organization.id.to_string(),
            slug: organization.slug.clone(),
            display_name: organization.display_name.clone(),
            external_id: organization.external_id.clone().unwrap_or_default(),
            status: OrganizationStatus::from(organization.status).into(),
            metadata: organization.metadata.0.clone(),
            etag: etag::of(organization.version),
            create_time: Some(organization.created_at.into()),
            update_time: Some(organization.updated_at.into()),
            delete_time: organization.deleted_at.map(Into::into),
            default_role: organization.default_role.clone(),
            role_priority: organization.role_priority.0.clone(),
        }
    }
}

impl From<Status> for OrganizationStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
            Status::Deleting => Self::Deleting,
        }
    }
}

/// The status that a filter names; none for any.
pub fn status(status: Option<OrganizationStatus>) -> Option<Status> {
    match status? {
        OrganizationStatus::Unspecified => None,
        OrganizationStatus::Active => Some(Status::Active),
        OrganizationStatus::Suspended => Some(Status::Suspended),
        OrganizationStatus::Deleting => Some(Status::Deleting),
    }
}

fn change(organization: &Organization, data: Data) -> Change {
    Change::in_organization(organization.id, "organization", organization.id, data)
}

pub fn created(organization: &Organization) -> Change {
    change(organization, created!(OrganizationCreated, organization))
}

pub fn updated(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationUpdated, before, after))
}

pub fn suspended(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationSuspended, before, after))
}

pub fn reactivated(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationReactivated, before, after))
}

pub fn deleted(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationDeleted, before, after))
}
