//! Organizations: the customers, and the unit of ordering of the log.
//!
//! Whatever changes something in an organization holds its row's lock ([`lock`]): that makes its events' order, and
//! rules such as the owner floor, safe.

mod branding;
mod create;
mod delete;
mod hold;
mod purge;
mod restore;
mod rpc;
mod slugs;
mod store;
mod suspend;
mod transfer;
mod wire;

use std::{collections::BTreeMap, time::Duration};

pub use branding::Branding;
pub use create::{Create, Created, create};
pub use delete::delete;
pub use hold::{first_held, is_held, place, release};
pub use purge::{next_to_purge, purge};
pub use restore::{Restore, restore};
pub use suspend::{reactivate, suspend};
pub use transfer::transfer_ownership;

use crate::{
    authority,
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag,
    events::{self, Change, Stream},
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
    /// The role of whoever is given none; empty where the tenant's default is followed.
    pub default_role: String,
    /// Its own roles, the highest first.
    pub role_priority: Json<Vec<String>>,
    /// What its own pages and mails look like.
    pub branding: Json<Branding>,
    /// Features that are on or off.
    pub feature_flags: Json<BTreeMap<String, bool>>,
    /// Where it stood before its deletion began.
    pub deleted_from: Option<Status>,
    /// Until when it can be restored, and when it is purged. None where its deletion began before there was an end.
    pub purge_at: Option<Timestamp>,
    /// Whether everything of it is kept, whatever retention says.
    pub legal_hold: bool,
}

/// For how long what an organization leaves behind is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Whatever is of an organization that was deleted, so that it can be restored.
    pub restore: Duration,
    /// A slug that it gave up, for itself.
    pub slug_hold: Duration,
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
    /// Gone for good: only that it was is left.
    Purged,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::Purged => "purged",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Deleting => "DELETING",
            Self::Purged => "PURGED",
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
    /// Another branding, in place of the present one.
    pub branding: Option<Branding>,
    /// New feature flags, in place of all there are.
    pub feature_flags: Option<BTreeMap<String, bool>>,
}

/// What an organization is looked up by.
#[derive(Debug, Clone)]
pub enum Key {
    /// Its slug.
    Slug(String),
    /// The application's own id.
    ExternalId(String),
}

/// An organization, locked against other writers until the transaction ends. Whoever asks must, under the lock, still
/// have the right to change something in it.
pub async fn lock(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let locked = store::lock(tx, ctx.tenant_id, id).await?.ok_or_else(not_found)?;
    tx.ledger.reached(Stream::Organization(id), locked.sequence);
    tx.ledger.reached(Stream::Tenant(ctx.tenant_id), locked.tenant_sequence);
    authority::ensure_may(ctx, tx, id).await?;
    Ok(locked.organization)
}

/// [`lock`], for a change of something in the organization: one that is being deleted, or was purged, takes none.
pub async fn lock_for_change(ctx: &Ctx, tx: &mut Tx, id: OrganizationId) -> Result<Organization> {
    let organization = lock(ctx, tx, id).await?;
    if matches!(organization.status, Status::Deleting | Status::Purged) {
        return Err(Error::new(Reason::OrganizationDeleting, "the organization is being deleted, or was purged"));
    }
    Ok(organization)
}

/// Locks organizations in the one order that everybody keeps.
pub async fn lock_all(ctx: &Ctx, tx: &mut Tx, mut ids: Vec<OrganizationId>) -> Result<Vec<Organization>> {
    ids.sort();
    ids.dedup();
    let mut locked = Vec::with_capacity(ids.len());
    for id in ids {
        locked.push(lock(ctx, tx, id).await?);
    }
    Ok(locked)
}

/// Fails with `CONFLICT`, so that the transaction is tried again, where an organization turned out to be concerned only
/// after the locks were taken.
pub fn ensure_locked(tx: &Tx, id: OrganizationId) -> Result<()> {
    if tx.ledger.has_seen(Stream::Organization(id)) {
        return Ok(());
    }
    Err(Error::new(Reason::Conflict, "the change came to concern another organization meanwhile"))
}

/// One organization, also a purged one.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<Organization> {
    store::get(tx, tenant_id, id).await?.ok_or_else(not_found)
}

/// An organization that was looked up.
#[derive(Debug)]
pub struct Found {
    /// The organization.
    pub organization: Organization,
    /// Whether the key is a slug that it had before.
    pub by_former_slug: bool,
}

/// The organization with this key; where nobody has a slug, the one that it is held back for.
pub async fn lookup(tx: &mut Tx, tenant_id: TenantId, key: &Key, now: Timestamp) -> Result<Found> {
    let found = match key {
        Key::Slug(slug) => store::find_by_slug(tx, tenant_id, slug).await?,
        Key::ExternalId(id) => store::find_by_external_id(tx, tenant_id, id).await?,
    };
    if let Some(organization) = found {
        return Ok(Found { organization, by_former_slug: false });
    }
    let Key::Slug(slug) = key else { return Err(not_found()) };
    let former = store::find_by_held_slug(tx, tenant_id, slug, now).await?;
    former.map(|organization| Found { organization, by_former_slug: true }).ok_or_else(not_found)
}

/// Organizations, oldest first; without a status, all but purged ones.
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
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update, retention: Retention) -> Result<Organization> {
    let before = lock_for_change(ctx, tx, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.slug = input.slug.clone().unwrap_or(after.slug);
    after.display_name = input.display_name.clone().unwrap_or(after.display_name);
    after.external_id = input.external_id.clone().unwrap_or(after.external_id);
    after.metadata = input.metadata.clone().map_or(after.metadata, Json);
    after.branding = input.branding.clone().map_or(after.branding, Json);
    after.feature_flags = input.feature_flags.clone().map_or(after.feature_flags, Json);
    if after != before {
        ensure_free(tx, &after).await?;
    }
    let (after, change) = save(ctx, tx, &before, after).await?;
    if after.slug != before.slug {
        slugs::take(ctx, tx, &after).await?;
        slugs::give_up(ctx, tx, &before, retention).await?;
    }
    events::append(ctx, tx, change.into_iter().collect()).await?;
    Ok(after)
}

/// Stores what differs of a locked organization; the change is the caller's to append.
pub async fn save(
    ctx: &Ctx,
    tx: &mut Tx,
    before: &Organization,
    mut after: Organization,
) -> Result<(Organization, Option<Change>)> {
    if after == *before {
        return Ok((after, None));
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    let change = wire::updated(before, &after);
    Ok((after, Some(change)))
}

/// Forgets the slugs that are held back no longer; answers how many, at most so many at once.
pub async fn sweep_slugs(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<u64> {
    store::release_slugs(tx, now, at_most).await
}

/// The organizations whose own default is this role of the tenant, by id.
pub async fn with_default(tx: &mut Tx, tenant_id: TenantId, role: &str) -> Result<Vec<OrganizationId>> {
    store::with_default(tx, tenant_id, role).await
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

/// An organization that is not there, or that the caller may not know of.
pub fn not_found() -> Error {
    Error::new(Reason::OrganizationNotFound, "no such organization")
}

fn slug_taken() -> Error {
    Error::new(Reason::SlugTaken, "another organization has the slug")
}
