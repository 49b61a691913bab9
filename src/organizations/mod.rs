//! Organizations: the customers, and the unit of ordering of the log.
//!
//! Whatever changes something in an organization holds its row's lock ([`lock`]): that makes its events' order, and
//! rules such as the owner floor, safe.

mod create;
mod delete;
mod rpc;
mod store;
mod suspend;
mod wire;

use std::collections::BTreeMap;

pub use create::{Create, Created, create};
pub use delete::delete;
pub use suspend::{reactivate, suspend};

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag,
    events::{self, Stream},
    ids::{OrganizationId, TenantId},
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Organization {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: OrganizationId,
    /// Unique in the tenant.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// The application's own id.
    pub external_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Whatever the application keeps here.
    pub metadata: Json<BTreeMap<String, String>>,
    /// Counts its own changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed itself.
    pub updated_at: Timestamp,
    /// When its deletion began.
    pub deleted_at: Option<Timestamp>,
}

/// Where an organization stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// In use.
    Active,
    /// Denies every Check.
    Suspended,
    /// Deleted, its records kept for now.
    Deleting,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }
}

/// What to change of an organization.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub id: OrganizationId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// A new slug.
    pub slug: Option<String>,
    /// A new name.
    pub display_name: Option<String>,
    /// A new id of the application's, or none.
    pub external_id: Option<Option<String>>,
    /// New metadata, in place of all there is.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What an organization is looked up by.
#[derive(Debug, Clone)]
pub enum Key {
    /// Its slug.
    Slug(String),
    /// The application's own id.
    ExternalId(String),
}

/// An organization, locked against other writers until the transaction ends.
pub async fn lock(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<Organization> {
    let locked = store::lock(tx, tenant_id, id).await?.ok_or_else(not_found)?;
    tx.ledger.reached(Stream::Organization(id), locked.sequence);
    tx.ledger.reached(Stream::Tenant(tenant_id), locked.tenant_sequence);
    Ok(locked.organization)
}

/// [`lock`], for a change of something in the organization: one that is being deleted takes none.
pub async fn lock_for_change(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<Organization> {
    let organization = lock(tx, tenant_id, id).await?;
    if organization.status == Status::Deleting {
        return Err(Error::new(Reason::OrganizationDeleting, "the organization is being deleted"));
    }
    Ok(organization)
}

/// One organization.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<Organization> {
    store::get(tx, tenant_id, id).await?.ok_or_else(not_found)
}

/// The organization with this key.
pub async fn lookup(tx: &mut Tx, tenant_id: TenantId, key: &Key) -> Result<Organization> {
    let organization = match key {
        Key::Slug(slug) => store::find_by_slug(tx, tenant_id, slug).await?,
        Key::ExternalId(id) => store::find_by_external_id(tx, tenant_id, id).await?,
    };
    organization.ok_or_else(not_found)
}

/// Organizations, oldest first.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    status: Option<Status>,
    page: &Page,
) -> Result<Paged<Organization>> {
    let rows = store::list(tx, tenant_id, status, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |organization| organization.id.to_string()))
}

/// Changes an organization.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Organization> {
    let before = lock_for_change(tx, ctx.tenant_id, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.slug = input.slug.clone().unwrap_or(after.slug);
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    after.external_id = input.external_id.clone().unwrap_or(after.external_id);
    after.metadata = input.metadata.clone().map_or(after.metadata, Json);
    if after == before {
        return Ok(before);
    }
    ensure_free(tx, &after).await?;
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}

/// Says which key of an organization another one has. Where two race, the store says that one is taken.
async fn ensure_free(tx: &mut Tx, organization: &Organization) -> Result<()> {
    let another = |found: Option<Organization>| found.is_some_and(|found| found.id != organization.id);
    if another(store::find_by_slug(tx, organization.tenant_id, &organization.slug).await?) {
        return Err(slug_taken());
    }
    if let Some(external_id) = &organization.external_id
        && another(store::find_by_external_id(tx, organization.tenant_id, external_id).await?)
    {
        return Err(Error::new(Reason::ExternalIdTaken, "another organization has the external id"));
    }
    Ok(())
}

fn not_found() -> Error {
    Error::new(Reason::OrganizationNotFound, "no such organization")
}

fn slug_taken() -> Error {
    Error::new(Reason::SlugTaken, "another organization has the slug")
}
