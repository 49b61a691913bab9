//! A role that is no more: every grant that names it names another, or ends.

use super::{Grant, store, wire};
use crate::{clock::Timestamp, context::Ctx, db::Tx, error::Result, events::Change, organizations, roles::Role};

/// Puts another role in the place of one in every grant that names it, as its principal or as its right; ends the grants
/// where there is none. Nobody must be able to grant the role meanwhile. Fails with `CONFLICT` where an organization was
/// not locked.
pub async fn replace_role(ctx: &Ctx, tx: &mut Tx, role: &Role, instead: Option<&str>) -> Result<Vec<Change>> {
    let named = store::with_role(tx, role).await?;
    let mut changes = Vec::new();
    for before in &named {
        organizations::ensure_locked(tx, before.organization_id)?;
        match instead {
            Some(instead) => changes.extend(replace(ctx, tx, before, &role.slug, instead).await?),
            None => {
                store::delete(tx, before).await?;
                changes.push(wire::revoked(before));
            }
        }
    }
    Ok(changes)
}

async fn replace(ctx: &Ctx, tx: &mut Tx, before: &Grant, role: &str, instead: &str) -> Result<Vec<Change>> {
    let mut after = before.clone();
    if after.principal_kind == "role" && after.principal_id == role {
        instead.clone_into(&mut after.principal_id);
    }
    if after.role.as_deref() == Some(role) {
        after.role = Some(instead.to_owned());
    }
    after.updated_at = ctx.now;
    let Some(same) = store::same(tx, &after).await? else {
        store::set_roles(tx, &after).await?;
        return Ok(vec![wire::updated(before, &after)]);
    };
    // Granted already: nobody shall lose a day by that.
    store::delete(tx, before).await?;
    let mut changes = vec![wire::revoked(before)];
    let ends_at = later(same.ends_at, before.ends_at);
    if same.ends_at != ends_at {
        let longer = Grant { ends_at, updated_at: ctx.now, ..same.clone() };
        store::set_end(tx, &longer).await?;
        changes.push(wire::updated(&same, &longer));
    }
    Ok(changes)
}

/// The later of two ends; none is never.
fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.zip(b).map(|(a, b)| a.max(b))
}
