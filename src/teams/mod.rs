//! Teams: groups of memberships, in a tree.
//!
//! Every change holds the organization's lock, so the tree that a rule is checked against is the tree that is changed.

mod delete;
mod kept;
mod members;
mod replace;
mod rights;
mod rpc;
mod store;
mod tree;
mod wire;

pub use delete::delete;
pub use kept::{forget_places, keep_places, purge, restore_places};
pub use members::{
    Place, TeamMember, TeamMemberRole, add_member, join, leave_all, list_members, of_membership, remove_member,
    update_member,
};
pub use replace::replace_role;
pub use rights::TeamRoles;
use tree::Tree;

use crate::{
    authority,
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    etag, events, grants,
    ids::{OrganizationId, TeamId, TenantId},
    organizations, roles,
};

/// A group of memberships.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Team {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: TeamId,
    /// The team above it.
    pub parent_id: Option<TeamId>,
    /// Unique in the organization.
    pub name: String,
    /// For people.
    pub description: String,
    /// Slugs of the roles assigned to it, ordered.
    #[sqlx(try_from = "String")]
    pub roles: Slugs,
    /// Counts its own changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed itself.
    pub updated_at: Timestamp,
}

/// Slugs, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slugs(pub Vec<String>);

impl From<String> for Slugs {
    /// From `a,b`, as the store reads them.
    fn from(text: String) -> Self {
        let mut slugs: Vec<_> = text.split(',').filter(|slug| !slug.is_empty()).map(str::to_owned).collect();
        slugs.sort();
        Self(slugs)
    }
}

/// A team to create.
#[derive(Debug, Clone)]
pub struct Create {
    /// Where.
    pub organization_id: OrganizationId,
    /// Unique in the organization.
    pub name: String,
    /// For people.
    pub description: String,
    /// The team above it.
    pub parent_id: Option<TeamId>,
}

/// What to change of a team.
#[derive(Debug, Clone)]
pub struct Update {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub id: TeamId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Option<String>,
}

/// Creates a team.
pub async fn create(ctx: &Ctx, tx: &mut Tx, input: &Create) -> Result<Team> {
    organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    if let Some(parent) = input.parent_id {
        get(tx, ctx.tenant_id, input.organization_id, parent).await?;
        Tree::load(tx, ctx.tenant_id, input.organization_id).await?.ensure_child_fits(parent)?;
    }
    let team = Team {
        tenant_id: ctx.tenant_id,
        organization_id: input.organization_id,
        id: TeamId::generate(),
        parent_id: input.parent_id,
        name: input.name.clone(),
        description: input.description.clone(),
        roles: Slugs::default(),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &team).await?;
    events::append(ctx, tx, vec![wire::created(&team)]).await?;
    Ok(team)
}

/// One team.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, organization_id: OrganizationId, id: TeamId) -> Result<Team> {
    if let Some(team) = store::get(tx, tenant_id, organization_id, id).await? {
        return Ok(team);
    }
    organizations::get(tx, tenant_id, organization_id).await?;
    Err(not_found())
}

/// The teams of an organization, oldest first.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    page: &Page,
) -> Result<Paged<Team>> {
    organizations::get(tx, tenant_id, organization_id).await?;
    let rows = store::list(tx, tenant_id, organization_id, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |team| team.id.to_string()))
}

/// Changes the fields of a team.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Team> {
    let before = lock(ctx, tx, input.organization_id, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    let mut after = before.clone();
    after.name = input.name.clone().unwrap_or(after.name);
    after.description = input.description.clone().unwrap_or(after.description);
    save(ctx, tx, before, after, wire::updated).await
}

/// Gives a team another parent, or none. Fails with `TEAM_CYCLE`, `TEAM_TOO_DEEP`.
pub async fn move_to(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: TeamId,
    parent_id: Option<TeamId>,
) -> Result<Team> {
    let before = lock(ctx, tx, organization_id, id).await?;
    if let Some(parent) = parent_id {
        get(tx, ctx.tenant_id, organization_id, parent).await?;
        Tree::load(tx, ctx.tenant_id, organization_id).await?.ensure_can_move(id, parent)?;
        if before.parent_id != parent_id {
            ensure_may_give(ctx, tx, organization_id, parent).await?; // everybody in it comes below the parent
        }
    }
    let after = Team { parent_id, ..before.clone() };
    save(ctx, tx, before, after, wire::moved).await
}

/// Assigns a role to a team. Assigning it again changes nothing.
pub async fn assign_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: TeamId,
    role: &str,
) -> Result<Team> {
    let before = lock(ctx, tx, organization_id, id).await?;
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, &[role.to_owned()]).await?;
    if role == roles::OWNER {
        return Err(Error::invalid_field("role", "owner belongs to memberships, not to teams"));
    }
    let mut after = before.clone();
    if !before.roles.0.iter().any(|slug| slug == role) {
        authority::ensure_may_grant(ctx, tx, Some(organization_id), &[role], &[]).await?;
        store::assign(tx, &before, role).await?;
        after.roles.0.push(role.to_owned());
        after.roles.0.sort();
    }
    save(ctx, tx, before, after, wire::role_assigned).await
}

/// Fails with `MISSING_PERMISSION` where whoever comes into a team would get what the caller lacks: by its roles or
/// grants, or by those of the teams above.
pub async fn ensure_may_give(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: TeamId) -> Result<()> {
    if authority::gives_everything(ctx) {
        return Ok(());
    }
    let carried = store::carried_roles(tx, ctx.tenant_id, organization_id, id).await?;
    let teams = store::with_ancestors(tx, ctx.tenant_id, organization_id, id).await?;
    let granted = grants::given_to_teams(tx, ctx.tenant_id, organization_id, &teams).await?;
    let roles = carried.iter().chain(granted.iter().filter_map(|right| right.role.as_ref()));
    let roles: Vec<&str> = roles.map(String::as_str).collect();
    let permissions: Vec<&str> = granted.iter().filter_map(|right| right.permission.as_deref()).collect();
    authority::ensure_may_grant(ctx, tx, Some(organization_id), &roles, &permissions).await
}

/// Takes a role from a team. Taking one that is not assigned changes nothing.
pub async fn revoke_role(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: TeamId,
    role: &str,
) -> Result<Team> {
    let before = lock(ctx, tx, organization_id, id).await?;
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, &[role.to_owned()]).await?;
    let mut after = before.clone();
    after.roles.0.retain(|slug| slug != role);
    if after != before {
        store::revoke(tx, &before, role).await?;
    }
    save(ctx, tx, before, after, wire::role_revoked).await
}

async fn lock(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: TeamId) -> Result<Team> {
    organizations::lock_for_change(ctx, tx, organization_id).await?;
    get(tx, ctx.tenant_id, organization_id, id).await
}

/// Stores what differs, and tells the log; nothing where nothing differs.
async fn save(
    ctx: &Ctx,
    tx: &mut Tx,
    before: Team,
    mut after: Team,
    change: fn(&Team, &Team) -> events::Change,
) -> Result<Team> {
    if after == before {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = ctx.now;
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![change(&before, &after)]).await?;
    Ok(after)
}

fn not_found() -> Error {
    Error::new(Reason::TeamNotFound, "no such team in this organization")
}
