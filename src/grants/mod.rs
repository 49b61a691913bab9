//! Grants: a principal holds a role or a permission on one resource.

mod given;
mod kept;
mod replace;
mod revoke;
mod rpc;
mod set;
mod store;
mod wire;

pub use given::{given_on, given_to_teams};
pub use kept::{forget, keep_all, purge, restore_all};
pub use replace::replace_role;
pub use revoke::{revoke, revoke_all_of_membership, revoke_all_of_resources, revoke_all_of_team};
pub use rpc::read_resource;
pub use set::{Set, set};

use crate::{
    clock::Timestamp,
    db::{
        FromRow, Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    ids::{GrantId, MembershipId, OrganizationId, TeamId, TenantId},
    organizations,
    resources::ResourceRef,
};

/// A right on one resource.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Grant {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: GrantId,
    /// `membership`, `team` or `role`.
    pub principal_kind: String,
    /// Its id, or the role's slug.
    pub principal_id: String,
    /// What kind of thing it is on.
    pub resource_type: String,
    /// Which thing it is on.
    pub resource_id: String,
    /// Everything that this role contains; or
    pub role: Option<String>,
    /// this permission.
    pub permission: Option<String>,
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Who holds a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A membership.
    Membership(MembershipId),
    /// A team, and the teams below it.
    Team(TeamId),
    /// Everybody who holds the role.
    Role(String),
}

impl Principal {
    /// As it is stored: its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Membership(_) => "membership",
            Self::Team(_) => "team",
            Self::Role(_) => "role",
        }
    }

    /// As it is stored: its id, or the role's slug.
    pub fn id(&self) -> String {
        match self {
            Self::Membership(id) => id.to_string(),
            Self::Team(id) => id.to_string(),
            Self::Role(slug) => slug.clone(),
        }
    }

    /// The role, where it is one.
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Role(slug) => Some(slug),
            Self::Membership(_) | Self::Team(_) => None,
        }
    }
}

/// What a grant gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Everything that the role contains.
    Role(String),
    /// One permission.
    Permission(String),
}

/// Which grants are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only on this.
    pub resource: Option<ResourceRef>,
    /// Only of this.
    pub principal: Option<Principal>,
}

/// The grants of an organization, oldest first.
pub async fn list(
    tx: &mut Tx,
    tenant_id: TenantId,
    organization_id: OrganizationId,
    filter: &Filter,
    page: &Page,
) -> Result<Paged<Grant>> {
    organizations::get(tx, tenant_id, organization_id).await?;
    let rows = store::list(tx, tenant_id, organization_id, filter, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |grant| grant.id.to_string()))
}

fn not_found() -> Error {
    Error::new(Reason::GrantNotFound, "no such grant in this organization")
}
