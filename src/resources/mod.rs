//! Resources: the application's own things, registered by it so that they stand in a tree.
//!
//! A resource is what the application calls it: its type and id are its identity, and nothing here makes new ones. Every
//! change holds the organization's lock, so the tree that a rule is checked against is the tree that is changed.

mod delete;
mod put;
mod rpc;
mod store;
mod tree;
mod wire;

use std::{fmt, str::FromStr};

pub use delete::{Deleted, delete};
pub use put::{Put, put};
pub(crate) use rpc::{Registry, check_reference, read_reference};

use crate::{
    clock::Timestamp,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    ids::{OrganizationId, TenantId},
    organizations,
};

/// Which thing of the application, whether it is registered or not.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ResourceRef {
    /// What kind of thing: without a `/`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Which.
    pub id: String,
}

impl fmt::Display for ResourceRef {
    /// `type/id`: the subject of its events, and its place in a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for ResourceRef {
    type Err = ();

    /// From `type/id`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, id) = text.split_once('/').ok_or(())?;
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }
}

/// A registered resource.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Resource {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Which: unique in the organization.
    #[sqlx(flatten)]
    pub reference: ResourceRef,
    /// What kind of thing stands above it; both or none.
    pub parent_type: Option<String>,
    /// Which thing stands above it.
    pub parent_id: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last moved itself.
    pub updated_at: Timestamp,
}

impl Resource {
    /// The resource above it.
    pub fn parent(&self) -> Option<ResourceRef> {
        let (kind, id) = self.parent_type.clone().zip(self.parent_id.clone())?;
        Some(ResourceRef { kind, id })
    }
}

/// Which resources are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this type.
    pub kind: Option<String>,
    /// Only those directly below this.
    pub parent: Option<ResourceRef>,
}

/// One registered resource.
pub async fn get(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    reference: &ResourceRef,
) -> Result<Resource> {
    if let Some(resource) = store::get(tx, tenant_id, organization_id, reference).await? {
        return Ok(resource);
    }
    organizations::get(tx, tenant_id, organization_id).await?;
    Err(not_found())
}

/// The registered resources of an organization, by type and id.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    filter: &Filter,
    page: &Page,
) -> Result<Paged<Resource>> {
    let after = page.after()?;
    let rows = match &filter.parent {
        Some(parent) => {
            get(tx, tenant_id, organization_id, parent).await?;
            store::list_below(tx, tenant_id, organization_id, parent, store::range(filter, after), page.limit()).await?
        }
        None => {
            organizations::get(tx, tenant_id, organization_id).await?;
            store::list(tx, tenant_id, organization_id, store::range(filter, after), page.limit()).await?
        }
    };
    Ok(page.cut(rows, |resource| resource.reference.to_string()))
}

fn not_found() -> Error {
    Error::new(Reason::ResourceNotFound, "no such resource is registered in this organization")
}

/// Takes every resource of an organization out of the table.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}
