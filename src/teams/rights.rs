//! Which roles memberships hold through their teams.

use std::collections::{BTreeSet, HashMap};

use super::{store, tree::Tree};
use crate::{
    db::Tx,
    error::Result,
    ids::{MembershipId, OrganizationId, TeamId, TenantId},
};

/// The roles of an organization's teams, and where some of its memberships are.
pub struct TeamRoles {
    tree: Tree,
    roles: HashMap<TeamId, Vec<String>>,
    places: HashMap<MembershipId, Vec<TeamId>>,
}

impl TeamRoles {
    /// Loads the teams, and the places of the memberships from one id to another.
    pub async fn load(
        tx: &mut Tx,
        tenant_id: TenantId,
        organization_id: OrganizationId,
        first: MembershipId,
        last: MembershipId,
    ) -> Result<Self> {
        let tree = Tree::load(tx, tenant_id, organization_id).await?;
        let mut roles: HashMap<_, Vec<_>> = HashMap::new();
        for (team, role) in store::roles(tx, tenant_id, organization_id).await? {
            roles.entry(team).or_default().push(role);
        }
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for (membership, team) in store::places(tx, tenant_id, organization_id, first, last).await? {
            places.entry(membership).or_default().push(team);
        }
        Ok(Self { tree, roles, places })
    }

    /// What a membership holds through its teams and those above them.
    pub fn of(&self, membership: MembershipId) -> BTreeSet<String> {
        let teams = self.places.get(&membership).into_iter().flatten().flat_map(|team| self.tree.path(*team));
        teams.filter_map(|team| self.roles.get(&team)).flatten().cloned().collect()
    }
}
