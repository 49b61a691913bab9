//! Memberships: users in organizations, with their roles.
//!
//! Every change holds the organization's lock. A membership's end takes its places in teams and its grants with it.

mod add;
mod assign;
mod end;
mod owners;
mod rpc;
mod store;
mod suspend;
mod wire;

pub use add::{Added, NewMember, Person, add, add_all, add_member};
pub use assign::{assign_role, revoke_role, set_roles};
pub use end::{end_all_of_organization, end_all_of_user, remove};
pub use owners::{ensure_owners_without, lock_all_of, lock_owned_by};
pub use rpc::read_person;
pub use suspend::{reactivate, suspend};

use crate::{
    clock::Timestamp,
    db::{
        FromRow, Tx, Type,
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
    /// Where it came from.
    pub source: Source,
    /// Why it stands there.
    pub status_reason: String,
    /// Its roles, ordered.
    #[sqlx(try_from = "String")]
    pub roles: Assignments,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Where a membership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
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
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Removed => "REMOVED",
        }
    }
}

/// Where a membership or an assignment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Source {
    /// A call of the API.
    Api,
}

impl Source {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
        }
    }
}

/// The roles of a membership: slug and source, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignments(pub Vec<(String, Source)>);

impl Assignments {
    /// Whether a role is among them, from whatever source.
    pub fn contain(&self, role: &str) -> bool {
        self.0.iter().any(|(slug, _)| slug == role)
    }
}

impl TryFrom<String> for Assignments {
    type Error = String;

    /// From `slug source,slug source`, as the store reads them.
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let read = |entry: &str| match entry.split_once(' ') {
            Some((slug, "api")) => Ok((slug.to_owned(), Source::Api)),
            _ => Err(format!("not an assignment: {entry:?}")),
        };
        let entries = text.split(',').filter(|entry| !entry.is_empty());
        let mut assignments: Vec<_> = entries.map(read).collect::<std::result::Result<_, _>>()?;
        assignments.sort();
        Ok(Self(assignments))
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

/// Memberships, oldest first; without a status, all but removed ones.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    of: Of,
    status: Option<Status>,
    page: &Page,
) -> Result<Paged<Membership>> {
    if let Of::Organization(id) | Of::Both(id, _) = of {
        organizations::get(tx, tenant_id, id).await?;
    }
    if let Of::User(id) | Of::Both(_, id) = of {
        users::get(tx, tenant_id, id).await?;
    }
    let rows = store::list(tx, tenant_id, of, status, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |membership| membership.id.to_string()))
}

fn not_found() -> Error {
    Error::new(Reason::MembershipNotFound, "no such membership in this organization")
}
