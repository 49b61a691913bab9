//! The tree of an organization's resources, and its two rules: no cycles, and at most 16 levels.
//!
//! An organization has few teams, and their tree is read whole. It may have any number of resources: of their tree only
//! the way up is read, and the way down only where a move lengthens it. The way up is read step by step, by the key: one
//! recursive statement is a step in the program's eyes, and in those of a planner with old statistics a join with
//! everything that the organization has.

use super::{Resource, ResourceRef, not_found, store};
use crate::{
    db::Tx,
    error::{Error, Reason, Result},
};

/// How many levels the tree may have.
pub const LEVELS_MAX: usize = 16;

/// Fails where a resource cannot stand where `after` has it, with what is below it now: `RESOURCE_NOT_FOUND`,
/// `RESOURCE_CYCLE`, `RESOURCE_TOO_DEEP`.
pub async fn ensure_fits(tx: &mut Tx, before: Option<&Resource>, after: &Resource) -> Result<()> {
    let Some(parent) = after.parent() else { return Ok(()) };
    let cycle = || Error::new(Reason::ResourceCycle, "the resource would become its own ancestor");
    if parent == after.reference {
        return Err(cycle());
    }
    let above = above(tx, after).await?;
    if above.is_empty() {
        return Err(not_found());
    }
    if above.contains(&after.reference) {
        return Err(cycle());
    }
    if above.len() >= LEVELS_MAX || sinks_too_deep(tx, before, above.len()).await? {
        let message = format!("the tree of resources would become deeper than {LEVELS_MAX}");
        return Err(Error::new(Reason::ResourceTooDeep, message));
    }
    Ok(())
}

/// What stands above a resource, from its parent up to the top; nothing where the parent is not registered.
async fn above(tx: &mut Tx, resource: &Resource) -> Result<Vec<ResourceRef>> {
    let mut path = Vec::new();
    let mut next = resource.parent();
    while let Some(reference) = next.filter(|_| path.len() < LEVELS_MAX) {
        let Some(found) = store::get(tx, resource.tenant_id, resource.organization_id, &reference).await? else {
            break;
        };
        next = found.parent();
        path.push(reference);
    }
    Ok(path)
}

/// Whether a move puts something that is below the resource too deep, with `levels` above it then.
async fn sinks_too_deep(tx: &mut Tx, before: Option<&Resource>, levels: usize) -> Result<bool> {
    let Some(before) = before else { return Ok(false) };
    // What does not sink stays within the rule: a move within a level or upwards is cheap, however much it moves. So is
    // the move of what has nothing below it.
    let sinks = levels > above(tx, before).await?.len() && store::has_children(tx, before).await?;
    Ok(sinks && store::is_higher_than(tx, before, LEVELS_MAX - levels).await?)
}
