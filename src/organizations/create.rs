//! Creating an organization, with its first owners in the same transaction.

use std::collections::BTreeMap;

use super::{Branding, Organization, Status, ensure_free, slugs, store, wire};
use crate::{
    context::Ctx,
    db::{Json, Tx},
    error::Result,
    events,
    ids::{MembershipId, OrganizationId},
    memberships::{self, NewMember, Person},
    roles,
};

/// An organization to create.
#[derive(Debug, Clone)]
pub struct Create {
    /// Unique in the tenant.
    pub slug: String,
    /// For people.
    pub display_name: String,
    /// The application's own id.
    pub external_id: Option<String>,
    /// Whatever the application keeps here.
    pub metadata: BTreeMap<String, String>,
    /// What its own pages and mails look like.
    pub branding: Branding,
    /// Features that are on or off.
    pub feature_flags: BTreeMap<String, bool>,
    /// Its first owners.
    pub initial_owners: Vec<Person>,
}

/// What was created.
#[derive(Debug)]
pub struct Created {
    /// The organization.
    pub organization: Organization,
    /// The memberships of its owners, in the order that they were asked for.
    pub owners: Vec<MembershipId>,
}

/// Creates an organization.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<Created> {
    let organization = Organization {
        tenant_id: ctx.tenant_id,
        id: OrganizationId::generate(),
        slug: input.slug.clone(),
        display_name: input.display_name.clone(),
        external_id: input.external_id.clone(),
        status: Status::Active,
        metadata: Json(input.metadata.clone()),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
        deleted_at: None,
        default_role: String::new(),
        role_priority: Json(Vec::new()),
        branding: Json(input.branding.clone()),
        feature_flags: Json(input.feature_flags.clone()),
        deleted_from: None,
        purge_at: None,
        legal_hold: false,
    };
    ensure_free(tx, &organization).await?;
    store::insert(tx, &organization).await?;
    slugs::take(ctx, tx, &organization).await?;
    let mut changes = vec![wire::created(&organization)];
    let persons: Vec<_> = input.initial_owners.iter().map(Some).collect();
    let mut owners = Vec::with_capacity(persons.len());
    for place in memberships::in_lock_order(tx, ctx.tenant_id, &persons).await? {
        let owner = NewMember::active(input.initial_owners[place].clone(), vec![roles::OWNER.to_owned()]);
        let added = memberships::add(ctx, tx, organization.id, &owner, &owner.roles).await?;
        owners.push((place, added.membership.id));
        changes.extend(added.changes);
    }
    events::append(ctx, tx, changes).await?;
    owners.sort_unstable();
    Ok(Created { organization, owners: owners.into_iter().map(|(_, id)| id).collect() })
}
