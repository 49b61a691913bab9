//! The tree of an organization's teams, and its two rules: no cycles, and at most 16 levels.

use std::collections::HashMap;

use super::store;
use crate::{
    db::Tx,
    error::{Error, Reason, Result},
    ids::{OrganizationId, TeamId, TenantId},
};

/// How many levels the tree may have.
const DEPTH_MAX: usize = 16;

/// Every team of an organization, with its parent.
pub struct Tree(HashMap<TeamId, Option<TeamId>>);

impl Tree {
    /// The tree as it is; the organization must be locked.
    pub async fn load(tx: &mut Tx, tenant_id: TenantId, organization_id: OrganizationId) -> Result<Self> {
        Ok(Self(store::parents(tx, tenant_id, organization_id).await?.into_iter().collect()))
    }

    /// A team and all its ancestors, from below.
    pub fn path(&self, id: TeamId) -> impl Iterator<Item = TeamId> {
        std::iter::successors(Some(id), |id| self.0.get(id).copied().flatten()).take(self.0.len())
    }

    /// How many levels a team and the teams below it have.
    fn height(&self, id: TeamId) -> usize {
        let distance = |below: TeamId| self.path(below).position(|above| above == id).map(|steps| steps + 1);
        self.0.keys().filter_map(|below| distance(*below)).max().unwrap_or(1)
    }

    /// A team and all teams below it, from the deepest up.
    pub fn subtree(&self, id: TeamId) -> Vec<TeamId> {
        let below = self.0.keys().copied().filter(|below| self.path(*below).any(|above| above == id));
        let mut teams: Vec<_> = below.collect();
        teams.sort_by_key(|team| (std::cmp::Reverse(self.path(*team).count()), *team));
        teams
    }

    /// Whether a team has teams below it.
    pub fn has_children(&self, id: TeamId) -> bool {
        self.0.values().any(|parent| *parent == Some(id))
    }

    /// Fails with `TEAM_TOO_DEEP` where a new child of this team would be too deep.
    pub fn ensure_child_fits(&self, parent: TeamId) -> Result<()> {
        ensure_depth(self.path(parent).count() + 1)
    }

    /// Fails with `TEAM_CYCLE` or `TEAM_TOO_DEEP` where a team cannot move below another.
    pub fn ensure_can_move(&self, id: TeamId, parent: TeamId) -> Result<()> {
        if self.path(parent).any(|above| above == id) {
            return Err(Error::new(Reason::TeamCycle, "the team would become its own ancestor"));
        }
        ensure_depth(self.path(parent).count() + self.height(id))
    }
}

fn ensure_depth(depth: usize) -> Result<()> {
    if depth <= DEPTH_MAX {
        return Ok(());
    }
    Err(Error::new(Reason::TeamTooDeep, format!("the tree of teams would have {depth} levels, at most {DEPTH_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of teams, the first at the top.
    fn chain(length: usize) -> (Tree, Vec<TeamId>) {
        let ids: Vec<_> = (0..length).map(|_| TeamId::generate()).collect();
        let parents = ids.iter().enumerate().map(|(index, id)| (*id, index.checked_sub(1).map(|above| ids[above])));
        (Tree(parents.collect()), ids)
    }

    #[test]
    fn a_team_never_becomes_its_own_ancestor() {
        let (tree, ids) = chain(3);
        for below in &ids {
            assert_eq!(tree.ensure_can_move(ids[0], *below).unwrap_err().reason(), Reason::TeamCycle);
        }
        assert!(tree.ensure_can_move(ids[2], ids[0]).is_ok());
    }

    #[test]
    fn the_tree_has_sixteen_levels_and_no_more() {
        let (tree, ids) = chain(16);
        assert!(tree.ensure_child_fits(ids[14]).is_ok());
        assert_eq!(tree.ensure_child_fits(ids[15]).unwrap_err().reason(), Reason::TeamTooDeep);
        let (mut tree, ids) = chain(15);
        let (other, two) = chain(2);
        tree.0.extend(other.0);
        assert!(tree.ensure_can_move(two[0], ids[13]).is_ok());
        assert_eq!(tree.ensure_can_move(two[0], ids[14]).unwrap_err().reason(), Reason::TeamTooDeep);
    }

    #[test]
    fn a_subtree_is_from_the_deepest_up() {
        let (tree, ids) = chain(3);
        assert_eq!(tree.subtree(ids[1]), [ids[2], ids[1]]);
        assert!(tree.has_children(ids[1]) && !tree.has_children(ids[2]));
    }
}
