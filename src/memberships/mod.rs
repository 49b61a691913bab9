//! Memberships: users in organizations, with their roles.
//!
//! Every change holds the organization's lock. A membership's end takes its places in teams and its grants with it.

mod activate;
mod add;
mod assign;
mod assignments;
mod batch;
mod end;
mod erase;
mod expire;
mod hand_over;
mod kept;
mod owners;
mod replace;
mod rpc;
mod store;
mod suspend;
mod update;
mod wire;

use std::collections::BTreeMap;

pub use activate::{activate, activate_membership};
pub use add::{Added, NewMember, Person, Standing, add, add_all, add_member, already, ensure_may_give};
pub use assign::{assign_role, revoke_role, set_roles};
pub use assignments::{Assignment, Assignments, Origin, Source};
pub use batch::{in_lock_order, outcome};
pub use end::{end_all_of_organization, end_all_of_user, end_pending, leave, remove};
pub use erase::{erase_all_of_user, ever_of, organizations_of};
pub use expire::{Due, due, expire, over};
pub use hand_over::{HandOver, HandedOver, hand_over};
pub use kept::{purge, restore_all};
pub use owners::{ensure_owners_without, lock_owned_by};
pub use replace::{holders_of_role, replace_role};
pub use rpc::read_person;
pub use suspend::{reactivate, suspend};
pub use update::{Update, update};

use crate::{
    authority::Authority,
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    ids::{MembershipId, OrganizationId, TenantId, UserId},
    organizations, users,
};

/// A user in an organization.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Membership {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: MembershipId,
    /// Who.
    pub user_id: UserId,
    /// Where it stands.
    pub status: Status,
    /// What the member is to the organization.
    pub kind: Kind,
    /// Where it came from.
    pub source: Source,
    /// Which of its source's things it came from; empty where there is none.
    pub source_reference: String,
    /// Why it stands there.
    pub status_reason: String,
    /// How the member signed in when it became active; empty where that was not recorded.
    pub authenticated_via: String,
    /// Whatever the application keeps here.
    pub metadata: Json<BTreeMap<String, String>>,
    /// When it first became active.
    pub joined_at: Option<Timestamp>,
    /// When somebody should look whether it is still right.
    pub review_at: Option<Timestamp>,
    /// From when on the member is denied.
    pub ends_at: Option<Timestamp>,
    /// Its roles, ordered.
    #[sqlx(try_from = "String")]
    pub roles: Assignments,
    /// Counts its changes.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Where a membership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// Put here before the person ever came.
    PreProvisioned,
    /// Invited, and has not accepted yet.
    Invited,
    /// May act.
    Active,
    /// Denied; keeps its roles.
    Suspended,
    /// Over for good.
    Removed,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreProvisioned => "pre_provisioned",
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreProvisioned => "PRE_PROVISIONED",
            Self::Invited => "INVITED",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Removed => "REMOVED",
        }
    }
}

/// What a member is to an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// One of its own people.
    Member,
    /// Somebody from elsewhere.
    Guest,
}

impl Kind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }
}

/// Whose memberships are listed.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// All of an organization.
    Organization(OrganizationId),
    /// All of a user.
    User(UserId),
    /// Those of a user in an organization.
    Both(OrganizationId, UserId),
}

/// Which memberships are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only in this status; all but removed ones without it.
    pub status: Option<Status>,
    /// Only of this kind.
    pub kind: Option<Kind>,
}

/// Which membership a call is about, where a user may make it about themself.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which; for a user, where they name it, their own.
    pub id: Option<MembershipId>,
}

/// One membership, also a removed one.
pub async fn get(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    id: MembershipId,
) -> Result<Membership> {
    if let Some(membership) = store::get(tx, tenant_id, organization_id, id).await? {
        return Ok(membership);
    }
    organizations::get(tx, tenant_id, organization_id).await?;
    Err(not_found())
}

/// One membership that something is about to be done to: not a removed one.
pub async fn get_present(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    id: MembershipId,
) -> Result<Membership> {
    let membership = get(tx, tenant_id, organization_id, id).await?;
    if membership.status == Status::Removed {
        return Err(Error::illegal_transition("a membership", "REMOVED", "changed"));
    }
    Ok(membership)
}

/// The membership of a user in an organization, other than a removed one.
pub async fn find_present(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<Option<Membership>> {
    store::find_present(tx, tenant_id, organization_id, user_id).await
}

/// Whether somebody with this address was a member of an organization and is no more, or was put there and taken away
/// before they came: whoever comes by themself does not come back. (An invitation that was let expire is neither.)
pub async fn was_ended(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, email_key: &str) -> Result<bool> {
    store::was_ended(tx, tenant_id, id, email_key).await
}

/// How many memberships of an organization came from this one thing of a source, other than removed ones.
pub async fn count_of_origin(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, origin: &Origin) -> Result<i64> {
    store::count_of_origin(tx, tenant_id, id, origin).await
}

/// The membership that a call is about: a user's own, or, for a service, the one that it names. For a user who is no
/// member the organization does not exist, and nobody else's membership; one who is suspended may do nothing.
async fn whose(ctx: &Ctx, tx: &mut Tx, whose: Whose) -> Result<Membership> {
    let Whose { organization_id, id } = whose;
    let Authority::Oneself(user_id) = ctx.authority else {
        let id = id.ok_or_else(|| Error::invalid_field("membership_id", "required"))?;
        return get(tx, ctx.tenant_id, organization_id, id).await;
    };
    let own = store::find_present(tx, ctx.tenant_id, organization_id, user_id).await?;
    let own = own.ok_or_else(organizations::not_found)?;
    if users::get(tx, ctx.tenant_id, user_id).await?.status == users::Status::Suspended {
        return Err(Error::missing_permission("members:write"));
    }
    if id.is_some_and(|id| id != own.id) { Err(not_found()) } else { Ok(own) }
}

/// Memberships, oldest first.
pub async fn list(tx: &mut Tx, tenant_id: TenantId, of: Of, filter: Filter, page: &Page) -> Result<Paged<Membership>> {
    if let Of::Organization(id) | Of::Both(id, _) = of {
        organizations::get(tx, tenant_id, id).await?;
    }
    if let Of::User(id) | Of::Both(_, id) = of {
        users::get(tx, tenant_id, id).await?;
    }
    let rows = store::list(tx, tenant_id, of, filter, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |membership| membership.id.to_string()))
}

/// Moves a locked membership. Why is what the call says.
async fn transition(ctx: &Ctx, tx: &mut Tx, before: &Membership, status: Status) -> Result<Membership> {
    let status_reason = ctx.reason.clone();
    let after = Membership { status, status_reason, updated_at: ctx.now, ..before.clone() };
    store::save(tx, before, &after).await
}

fn not_found() -> Error {
    Error::new(Reason::MembershipNotFound, "no such membership in this organization")
}
