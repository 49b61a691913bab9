//! Organizations in the contract: in answers and in events.

use super::{Branding, Organization, Status};
use crate::{
    etag,
    events::{Change, changed, created},
    memberships::HandOver,
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
            branding: branding(&organization.branding.0),
            feature_flags: organization.feature_flags.0.clone(),
            purge_time: organization.purge_at.map(Into::into),
            legal_hold: organization.legal_hold,
        }
    }
}

/// None where nothing is set.
fn branding(branding: &Branding) -> Option<pb::Branding> {
    let Branding { logo_url, primary_color, background_color, text_color, support_email } = branding.clone();
    let given = pb::Branding { logo_url, primary_color, background_color, text_color, support_email };
    (given != pb::Branding::default()).then_some(given)
}

impl From<Option<pb::Branding>> for Branding {
    fn from(given: Option<pb::Branding>) -> Self {
        let pb::Branding { logo_url, primary_color, background_color, text_color, support_email } =
            given.unwrap_or_default();
        Self { logo_url, primary_color, background_color, text_color, support_email }
    }
}

impl From<Status> for OrganizationStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
            Status::Deleting => Self::Deleting,
            Status::Purged => Self::Purged,
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
        OrganizationStatus::Purged => Some(Status::Purged),
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

pub fn legal_hold_placed(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationLegalHoldPlaced, before, after))
}

pub fn legal_hold_released(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationLegalHoldReleased, before, after))
}

pub fn deleted(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationDeleted, before, after))
}

pub fn ownership_transferred(organization: &Organization, handed: &HandOver) -> Change {
    let data = pb::OrganizationOwnershipTransferred {
        before: Some(organization.into()),
        after: Some(organization.into()),
        owner_membership_id: handed.new_owner.to_string(),
        former_owner_membership_id: handed.owner.to_string(),
        former_owner_role: handed.former_owner_role.clone(),
    };
    change(organization, Data::OrganizationOwnershipTransferred(data))
}

pub fn restored(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationRestored, before, after))
}

pub fn purged(before: &Organization, after: &Organization) -> Change {
    change(after, changed!(OrganizationPurged, before, after))
}
