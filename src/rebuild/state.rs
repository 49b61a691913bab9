//! The state that the database has, held against one that was rebuilt.

use super::{Difference, Fold};
use crate::{
    api_keys,
    clock::Timestamp,
    db::{
        Tx,
        page::{Page, Paged, SIZE_MAX},
    },
    domains,
    error::Result,
    events::Stream,
    grants,
    ids::{OrganizationId, TenantId},
    invitations,
    memberships::{self, Filter, Of, Status},
    organizations, permissions, policies,
    proto::v1 as pb,
    resources, roles, teams, tenants, users,
};

/// Compares everything that the database has with a rebuilt state.
pub async fn compare(tx: &mut Tx, mut fold: Fold) -> Result<Difference> {
    for tenant in all(tx, async |tx, page| tenants::list(tx, page).await).await? {
        fold.expect(Stream::Tenant(tenant.id), "tenant", tenant.id, &pb::Tenant::from(&tenant));
        compare_tenant(tx, tenant.id, &mut fold).await?;
        for status in [None, Some(organizations::Status::Purged)] {
            let listed = all(tx, async |tx, page| organizations::list(tx, tenant.id, status, page).await).await?;
            for organization in listed {
                let id = organization.id;
                fold.expect(Stream::Organization(id), "organization", id, &pb::Organization::from(&organization));
                compare_organization(tx, tenant.id, id, &mut fold).await?;
            }
        }
    }
    Ok(fold.finish())
}

/// What belongs to a tenant and to no organization.
async fn compare_tenant(tx: &mut Tx, id: TenantId, fold: &mut Fold) -> Result<()> {
    let stream = Stream::Tenant(id);
    for key in all(tx, async |tx, page| api_keys::list(tx, id, page).await).await? {
        fold.expect(stream, "api_key", key.id, &pb::ApiKey::from(&key));
    }
    for user in all(tx, async |tx, page| users::list(tx, id, None, page).await).await? {
        fold.expect(stream, "user", user.id, &pb::User::from(&user));
    }
    for permission in all(tx, async |tx, page| permissions::list(tx, id, page).await).await? {
        fold.expect(stream, "permission", &permission.slug, &pb::Permission::from(&permission));
    }
    for role in all(tx, async |tx, page| roles::list(tx, id, None, page).await).await? {
        fold.expect(stream, "role", &role.slug, &pb::Role::from(&role));
    }
    for policy in all(tx, async |tx, page| policies::list(tx, id, None, page).await).await? {
        fold.expect(stream, "policy", &policy.name, &pb::Policy::from(&policy));
    }
    Ok(())
}

async fn compare_organization(tx: &mut Tx, tenant: TenantId, id: OrganizationId, fold: &mut Fold) -> Result<()> {
    let stream = Stream::Organization(id);
    let listed = all(tx, async |tx, page| roles::list(tx, tenant, Some(id), page).await).await?;
    for role in listed.iter().filter(|role| role.organization_id().is_some()) {
        fold.expect(stream, "role", &role.slug, &pb::Role::from(role));
    }
    // Removed ones are listed by themselves.
    for status in [None, Some(Status::Removed)] {
        let (of, filter) = (Of::Organization(id), Filter { status, kind: None });
        for member in all(tx, async |tx, page| memberships::list(tx, tenant, of, filter, page).await).await? {
            fold.expect(stream, "membership", member.id, &pb::Membership::from(&member));
        }
    }
    // As they are stored: that an end is over is an event only when it is recorded.
    let (filter, then) = (invitations::Filter { organization_id: id, status: None, email_key: None }, Timestamp(0));
    for invitation in all(tx, async |tx, page| invitations::list(tx, tenant, &filter, then, page).await).await? {
        fold.expect(stream, "invitation", invitation.id, &pb::Invitation::from(&invitation));
    }
    for domain in all(tx, async |tx, page| domains::list(tx, tenant, id, page).await).await? {
        fold.expect(stream, "domain", domain.id, &pb::Domain::from(&domain));
    }
    for grant in all(tx, async |tx, page| grants::list(tx, tenant, id, &<_>::default(), page).await).await? {
        fold.expect(stream, "grant", grant.id, &pb::Grant::from(&grant));
    }
    for resource in all(tx, async |tx, page| resources::list(tx, tenant, id, &<_>::default(), page).await).await? {
        fold.expect(stream, "resource", &resource.reference, &pb::Resource::from(&resource));
    }
    for policy in all(tx, async |tx, page| policies::list(tx, tenant, Some(id), page).await).await? {
        fold.expect(stream, "policy", &policy.name, &pb::Policy::from(&policy));
    }
    for team in all(tx, async |tx, page| teams::list(tx, tenant, id, page).await).await? {
        fold.expect(stream, "team", team.id, &pb::Team::from(&team));
        for member in all(tx, async |tx, page| teams::list_members(tx, tenant, id, team.id, page).await).await? {
            let place = format!("{}/{}", member.team_id, member.membership_id);
            fold.expect(stream, "team_member", place, &pb::TeamMember::from(&member));
        }
    }
    Ok(())
}

/// All pages of a list.
async fn all<T>(tx: &mut Tx, list: impl AsyncFn(&mut Tx, &Page) -> Result<Paged<T>>) -> Result<Vec<T>> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let mut page = list(tx, &Page::parse(SIZE_MAX, &token, "")?).await?;
        items.append(&mut page.items);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(items);
        }
    }
}
