//! Domains: which addresses belong to an organization.
//!
//! A claim is proven by a TXT record. The domain name system is asked outside of any transaction ([`crate::dns`]); what it
//! said is looked at under the organization's lock, beside the challenge that the claim has by then.

mod auto_join;
mod check;
mod join;
mod lists;
mod name;
mod resolve;
mod rpc;
mod store;
mod wire;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

pub use auto_join::{AutoJoin, Mode, update};
pub use check::{Checker, Overdue, confirm, fail, overdue};
pub use join::{Arrival, Joined, join};
pub use lists::{Lists, Public};
pub use name::normalized;
pub use resolve::{AutoJoinDecision, Why, resolve};

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::{
        FromRow, Json, Tx, Type,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    events,
    ids::{DomainId, OrganizationId, TenantId},
    organizations,
};

/// How many domains an organization may claim.
const DOMAINS_MAX: i64 = 100;
/// The label below which the record is looked for.
const LABEL: &str = "_roster-challenge";

/// A domain that an organization claims or has proven.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Domain {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Its id.
    pub id: DomainId,
    /// In lower case and A-labels.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// What the record must say.
    pub challenge: String,
    /// When the present proof began.
    pub started_at: Timestamp,
    /// When it was verified.
    pub verified_at: Option<Timestamp>,
    /// When a verified one was last looked up with an answer.
    pub checked_at: Option<Timestamp>,
    /// Since when its servers deny the record.
    pub missing_since: Option<Timestamp>,
    /// When it is looked at next by itself.
    pub next_check_at: Option<Timestamp>,
    /// Who joins by it.
    pub auto_join: Json<AutoJoin>,
    /// Counts its changes.
    pub version: i64,
    /// When it was claimed.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Where a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// The proof is waited for.
    Pending,
    /// Proven, and held.
    Verified,
    /// Was proven; its record is gone.
    Lost,
    /// Was not proven in time.
    Failed,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }

    /// As errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Verified => "VERIFIED",
            Self::Lost => "LOST",
            Self::Failed => "FAILED",
        }
    }
}

impl Domain {
    /// The name at which the record is looked for.
    pub fn record_name(&self) -> String {
        format!("{LABEL}.{}", self.name)
    }
}

/// Claims a domain. Fails with `DOMAIN_NOT_ALLOWED`, `ALREADY_CLAIMED`, `LIMIT_REACHED`.
pub async fn add(ctx: &Ctx, tx: &mut Tx, lists: &Lists, id: OrganizationId, name: &str) -> Result<Domain> {
    if let Some(public) = lists.public(name) {
        return Err(not_allowed(name, public));
    }
    organizations::lock_for_change(ctx, tx, id).await?;
    if let Some(claimed) = store::find(tx, ctx.tenant_id, id, name).await? {
        let message = "the organization claims the domain already";
        return Err(Error::new(Reason::AlreadyClaimed, message).with("domain_id", claimed.id));
    }
    if store::count(tx, ctx.tenant_id, id).await? >= DOMAINS_MAX {
        let message = format!("an organization claims at most {DOMAINS_MAX} domains");
        return Err(Error::new(Reason::LimitReached, message).with("limit", "domains"));
    }
    let domain = Domain {
        tenant_id: ctx.tenant_id,
        organization_id: id,
        id: DomainId::generate(),
        name: name.to_owned(),
        status: Status::Pending,
        challenge: challenge(id)?,
        started_at: ctx.now,
        verified_at: None,
        checked_at: None,
        missing_since: None,
        next_check_at: Some(ctx.now.plus(check::PENDING_FOR)),
        auto_join: Json(AutoJoin::default()),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &domain).await?;
    events::append(ctx, tx, vec![wire::added(&domain)]).await?;
    Ok(domain)
}

/// Begins the proof anew. Fails with `ILLEGAL_TRANSITION` for a verified domain.
pub async fn start_verification(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, domain_id: DomainId) -> Result<Domain> {
    organizations::lock_for_change(ctx, tx, id).await?;
    let before = get(tx, ctx.tenant_id, id, domain_id).await?;
    if before.status == Status::Verified {
        return Err(Error::illegal_transition("a domain", "VERIFIED", "PENDING"));
    }
    let after = Domain {
        status: Status::Pending,
        challenge: challenge(id)?,
        started_at: ctx.now,
        verified_at: None,
        checked_at: None,
        missing_since: None,
        next_check_at: Some(ctx.now.plus(check::PENDING_FOR)),
        ..touched(ctx, &before)
    };
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::verification_started(&before, &after)]).await?;
    Ok(after)
}

/// Gives a domain up.
pub async fn remove(ctx: &Ctx, tx: &mut Tx, id: OrganizationId, domain_id: DomainId) -> Result<()> {
    organizations::lock_for_change(ctx, tx, id).await?;
    let domain = get(tx, ctx.tenant_id, id, domain_id).await?;
    store::delete(tx, &domain).await?;
    events::append(ctx, tx, vec![wire::removed(&domain)]).await
}

/// One domain.
pub async fn get(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, domain_id: DomainId) -> Result<Domain> {
    if let Some(domain) = store::get(tx, tenant_id, id, domain_id).await? {
        return Ok(domain);
    }
    organizations::get(tx, tenant_id, id).await?;
    Err(Error::new(Reason::DomainNotFound, "no such domain in this organization"))
}

/// The domains of an organization, oldest first.
pub async fn list(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, page: &Page) -> Result<Paged<Domain>> {
    organizations::get(tx, tenant_id, id).await?;
    let rows = store::list(tx, tenant_id, id, page.after()?, page.limit()).await?;
    Ok(page.cut(rows, |domain| domain.id.to_string()))
}

/// Whether an organization holds the domain of an address verified.
pub async fn holds(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, name: &str) -> Result<bool> {
    let domain = store::find(tx, tenant_id, id, name).await?;
    Ok(domain.is_some_and(|domain| domain.status == Status::Verified))
}

/// Takes the domains of an organization out of the table, at its own end.
pub async fn purge(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId) -> Result<()> {
    store::purge(tx, tenant_id, id).await
}

fn touched(ctx: &Ctx, before: &Domain) -> Domain {
    Domain { version: before.version + 1, updated_at: ctx.now, ..before.clone() }
}

/// Bound to the organization, and fresh: 128 random bits.
fn challenge(id: OrganizationId) -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(Error::internal)?;
    Ok(format!("roster-challenge={id}.{}", URL_SAFE_NO_PAD.encode(random)))
}

fn not_allowed(name: &str, public: Public) -> Error {
    let why = match public {
        Public::Suffix => "anybody registers names below it: a public suffix",
        Public::FreeMail => "it is a provider of free mail",
        Public::Disposable => "it is a provider of mailboxes that are thrown away",
        Public::Refused => "this installation refuses it",
    };
    Error::new(Reason::DomainNotAllowed, format!("{name} cannot be claimed: {why}")).with("domain", name)
}
