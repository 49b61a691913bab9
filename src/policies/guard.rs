//! Nobody gives by a policy what they lack: a permit gives what it permits, and a forbid that goes gives what it forbade.

use super::Policy;
use crate::{
    authority,
    cedar::{Effect, Text},
    context::Ctx,
    db::Tx,
    error::Result,
    ids::OrganizationId,
};

/// Fails with `MISSING_PERMISSION` where a policy in the place of another would give what the caller lacks.
pub async fn ensure_may_say(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    before: Option<&Policy>,
    after: Option<&Text>,
) -> Result<()> {
    if let Some(policy) = before.filter(|policy| policy.effect == Effect::Forbid) {
        // One that cannot be read vetoes everything.
        let text = Text::parse(&policy.text).ok();
        ensure_may_give(ctx, tx, organization_id, text.as_ref()).await?;
    }
    match after {
        Some(text) if text.effect() == Effect::Permit => ensure_may_give(ctx, tx, organization_id, Some(text)).await,
        _ => Ok(()),
    }
}

async fn ensure_may_give(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: Option<OrganizationId>,
    text: Option<&Text>,
) -> Result<()> {
    let scope = text.and_then(Text::scope);
    let permissions: Vec<&str> = match &scope {
        Some(permissions) => permissions.iter().map(AsRef::as_ref).collect(),
        None => vec!["*"],
    };
    authority::ensure_may_grant(ctx, tx, organization_id, &[], &permissions).await
}
