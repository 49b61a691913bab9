//! Who joins by a domain.

use serde::{Deserialize, Serialize};

use super::{Domain, Status, get, store, touched, wire};
use crate::{
    authority,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    etag, events,
    ids::{DomainId, OrganizationId},
    organizations, roles,
};

/// Who joins by a domain, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AutoJoin {
    /// What happens.
    pub mode: Mode,
    /// The role that they get; empty: the organization's default.
    pub role: String,
    /// Local parts that are left out, `*` for anything.
    pub excluded: Vec<String>,
    /// Whether mailboxes of roles join.
    pub allow_role_mailboxes: bool,
    /// Whether addresses with a `+` join.
    pub allow_plus_addresses: bool,
    /// Whether addresses of domains below join.
    pub allow_subdomains: bool,
    /// How many members at most; 0: no limit.
    pub members_max: i32,
}

/// What happens to a person who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    #[default]
    Off,
    /// They are told.
    Suggest,
    /// They are invited.
    Invite,
    /// They become a member.
    Join,
}

/// What to change of a domain.
#[derive(Debug, Clone)]
pub struct Update {
    /// Where.
    pub organization_id: OrganizationId,
    /// Which.
    pub id: DomainId,
    /// The etag that it must have, or empty.
    pub etag: String,
    /// Who joins by it from now on.
    pub auto_join: AutoJoin,
}

/// Changes who joins by a domain. Fails with `DOMAIN_NOT_VERIFIED`, `ROLE_NOT_FOUND`, `MISSING_PERMISSION`.
pub async fn update(ctx: &Ctx, tx: &mut Tx, input: &Update) -> Result<Domain> {
    let organization = organizations::lock_for_change(ctx, tx, input.organization_id).await?;
    let before = get(tx, ctx.tenant_id, input.organization_id, input.id).await?;
    etag::ensure(before.version, &input.etag)?;
    if before.auto_join.0 == input.auto_join {
        return Ok(before);
    }
    if input.auto_join.mode != Mode::Off {
        if before.status != Status::Verified {
            return Err(Error::new(Reason::DomainNotVerified, "nobody joins by a domain that is not verified"));
        }
        let default = roles::default_of(tx, &organization).await?;
        let role = if input.auto_join.role.is_empty() { default } else { input.auto_join.role.clone() };
        roles::ensure_exist(tx, ctx.tenant_id, input.organization_id, std::slice::from_ref(&role)).await?;
        authority::ensure_may_grant(ctx, tx, Some(input.organization_id), &[&role], &[]).await?;
    }
    let after = Domain { auto_join: Json(input.auto_join.clone()), ..touched(ctx, &before) };
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::updated(&before, &after)]).await?;
    Ok(after)
}
