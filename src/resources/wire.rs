//! Resources in the contract: in answers and in events.

use super::{Resource, ResourceRef};
use crate::{
    events::{Change, changed, created, ended},
    proto::v1::{self as pb, event::Data},
};

impl From<&ResourceRef> for pb::ResourceRef {
    fn from(reference: &ResourceRef) -> Self {
        Self { r#type: reference.kind.clone(), id: reference.id.clone() }
    }
}

impl From<&Resource> for pb::Resource {
    fn from(resource: &Resource) -> Self {
        Self {
            resource: Some((&resource.reference).into()),
            organization_id: resource.organization_id.to_string(),
            parent: resource.parent().as_ref().map(Into::into),
            create_time: Some(resource.created_at.into()),
            update_time: Some(resource.updated_at.into()),
        }
    }
}

fn change(resource: &Resource, data: Data) -> Change {
    Change::in_organization(resource.organization_id, "resource", &resource.reference, data)
}

pub fn created(resource: &Resource) -> Change {
    change(resource, created!(ResourceCreated, resource))
}

pub fn moved(before: &Resource, after: &Resource) -> Change {
    change(after, changed!(ResourceMoved, before, after))
}

pub fn deleted(resource: &Resource) -> Change {
    change(resource, ended!(ResourceDeleted, resource))
}
