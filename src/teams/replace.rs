//! A role that is no more: every team that had it gets another, or nothing.

use super::{Team, store, wire};
use crate::{context::Ctx, db::Tx, error::Result, events::Change, organizations, roles::Role};

/// Takes a role from every team that has it, and gives those that have not the other one that. Nobody must be able to
/// assign the role meanwhile. Fails with `CONFLICT` where an organization was not locked.
pub async fn replace_role(ctx: &Ctx, tx: &mut Tx, role: &Role, instead: Option<&str>) -> Result<Vec<Change>> {
    let before = store::with_role(tx, role).await?;
    for team in &before {
        organizations::ensure_locked(tx, team.organization_id)?;
    }
    store::touch_with_role(tx, role, ctx.now).await?;
    if let Some(instead) = instead {
        store::replace_where_new(tx, role, instead).await?;
    }
    store::revoke_everywhere(tx, role).await?;
    Ok(before.iter().flat_map(|team| changes(ctx, team, &role.slug, instead)).collect())
}

/// What the log hears of one team: that the role was revoked, and, where it is new to the team, the other assigned.
fn changes(ctx: &Ctx, before: &Team, role: &str, instead: Option<&str>) -> Vec<Change> {
    let mut without = before.clone();
    without.roles.0.retain(|slug| slug != role);
    without.version += 1;
    without.updated_at = ctx.now;
    let mut changes = vec![wire::role_revoked(before, &without)];
    if let Some(instead) = instead.filter(|slug| !before.roles.0.iter().any(|held| held == slug)) {
        let mut with = without.clone();
        with.roles.0.push(instead.to_owned());
        with.roles.0.sort();
        with.version += 1;
        changes.push(wire::role_assigned(&without, &with));
    }
    changes
}
