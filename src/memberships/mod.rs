//! Memberships: users in organizations, with their roles.
//!
//! Every change holds the organization's lock. A membership's end takes its places in teams and its grants with it.

mod add;
mod assign;
mod end;
mod owners;
mod replace;
mod rpc;
mod store;
mod suspend;
mod wire;

pub use add::{Added, NewMember, Person, add, add_all, add_member};
pub use assign::{assign_role, revoke_role, set_roles};
pub use end::{end_all_of_organization, end_all_of_user, remove};
pub use owners::{ensure_owners_without, lock_all_of, lock_owned_by};
pub use replace::{holders_of_role, replace_role};
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
    /// A person, in the product's own screens.
    Manual,
    /// An invitation.
    Invitation,
    /// A verified domain.
    Domain,
    /// A directory.
    Directory,
    /// A sign-in by single sign-on.
    Sso,
    /// An import.
    Import,
}

impl Source {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Manual => "manual",
            Self::Invitation => "invitation",
            Self::Domain => "domain",
            Self::Directory => "directory",
            Self::Sso => "sso",
            Self::Import => "import",
        }
    }

    /// From how it is stored.
    fn parse(text: &str) -> Option<Self> {
        use Source::{Api, Directory, Domain, Import, Invitation, Manual, Sso};
        [Api, Manual, Invitation, Domain, Directory, Sso, Import].into_iter().find(|source| source.as_str() == text)
    }
}

/// Where an assignment came from: a source, and which of its things, such as a group of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Which source.
    pub source: Source,
    /// Which of its things; empty where it has none.
    pub reference: String,
}

impl Origin {
    /// A call of the API that says nothing else.
    pub fn api() -> Self {
        Self { source: Source::Api, reference: String::new() }
    }
}

/// A role of a membership. The same role of two origins is two assignments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment {
    /// The role's slug.
    pub role: String,
    /// Where it came from.
    pub origin: Origin,
}

/// The roles of a membership, ordered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignments(pub Vec<Assignment>);

impl Assignments {
    /// These roles, all of one origin.
    pub fn of(roles: &[String], origin: &Origin) -> Self {
        let assignment = |role: &String| Assignment { role: role.clone(), origin: origin.clone() };
        let mut assignments: Vec<_> = roles.iter().map(assignment).collect();
        assignments.sort();
        Self(assignments)
    }

    /// Whether a role is among them, from whatever source.
    pub fn contain(&self, role: &str) -> bool {
        self.0.iter().any(|assignment| assignment.role == role)
    }
}

impl TryFrom<String> for Assignments {
    type Error = String;

    /// From `role source reference` and so on, separated by U+001F, as the store reads them.
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let read = |entry: &str| {
            let mut parts = entry.splitn(3, ' ');
            let (role, source, reference) = (parts.next()?, parts.next()?, parts.next()?);
            let origin = Origin { source: Source::parse(source)?, reference: reference.to_owned() };
            Some(Assignment { role: role.to_owned(), origin })
        };
        let entries = text.split('\u{1f}').filter(|entry| !entry.is_empty());
        let read = entries.map(|entry| read(entry).ok_or_else(|| format!("not an assignment: {entry:?}")));
        let mut assignments = read.collect::<std::result::Result<Vec<_>, _>>()?;
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
