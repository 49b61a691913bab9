//! Deleting a team, and what goes with it: places in it, grants, and with `cascade` the teams below it.

use super::{lock, members, store, tree::Tree, wire};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{self, Change},
    grants,
    ids::{OrganizationId, TeamId},
};

/// Deletes a team; answers all that are gone, from the deepest up. The first event is of the team that was asked for.
pub async fn delete(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    id: TeamId,
    cascade: bool,
) -> Result<Vec<TeamId>> {
    let team = lock(ctx, tx, organization_id, id).await?;
    let tree = Tree::load(tx, ctx.tenant_id, organization_id).await?;
    if tree.has_children(id) && !cascade {
        return Err(Error::new(Reason::TeamHasChildren, "the team has teams below it: ask for cascade"));
    }
    let gone = tree.subtree(id);
    let mut changes = vec![wire::deleted(&team)];
    for id in &gone {
        let ended = end(ctx, tx, organization_id, *id).await?;
        // The team that was asked for is in the list already.
        let follows = ended.into_iter().filter(|change| change.subject.1 != team.id.to_string());
        changes.extend(follows.map(Change::cascaded));
    }
    events::append(ctx, tx, changes).await?;
    Ok(gone)
}

/// Ends one team that has none below it.
async fn end(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, id: TeamId) -> Result<Vec<Change>> {
    let team = super::get(tx, ctx.tenant_id, organization_id, id).await?;
    let mut changes = members::empty(tx, &team).await?;
    changes.extend(grants::revoke_all_of_team(tx, &team).await?);
    store::delete(tx, &team).await?;
    changes.push(wire::deleted(&team));
    Ok(changes)
}
