//! The proof of a domain, and whether it still holds.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Domain, Status, get, store, touched, wire};
use crate::{
    clock::{Clock, Timestamp},
    context::{Actor, Ctx},
    db::{Db, Tx, wake::Wake},
    dns::{Dns, Txt},
    error::{Error, Reason, Result},
    events,
    ids::{DomainId, OrganizationId, TenantId},
    organizations,
};

const DAY: Duration = Duration::from_hours(24);
/// For how long a proof is waited for.
pub(super) const PENDING_FOR: Duration = DAY.saturating_mul(30);
/// How often a verified domain is looked up.
const EVERY: Duration = DAY.saturating_mul(7);
/// How often one is looked up whose servers deny the record, and for how long before it is lost.
const EVERY_MISSING: Duration = DAY;
const MISSING_FOR: Duration = DAY.saturating_mul(7);
/// How soon it is tried again where there was no answer.
const AGAIN: Duration = Duration::from_hours(1);
/// How often the checker looks for what is due.
const LOOK: Duration = Duration::from_millis(500);
/// How many domains are looked up at once.
const AT_ONCE: i64 = 20;

/// Verifies a domain whose servers said this, about the challenge that it had then; nobody was asked where it was not there.
pub async fn confirm(
    ctx: &Ctx,
    tx: &mut Tx,
    id: OrganizationId,
    domain_id: DomainId,
    said: Option<&Said>,
) -> Result<Domain> {
    organizations::lock_for_change(ctx, tx, id).await?;
    let before = get(tx, ctx.tenant_id, id, domain_id).await?;
    match before.status {
        Status::Verified => return Ok(before),
        Status::Pending => {}
        Status::Lost | Status::Failed => {
            return Err(Error::illegal_transition("a domain", before.status.name(), "VERIFIED"));
        }
    }
    said.ok_or_else(|| Error::new(Reason::DnsFailure, "nobody was asked: try again"))?.ensure_proves(&before)?;
    let after = Domain {
        status: Status::Verified,
        verified_at: Some(ctx.now),
        checked_at: Some(ctx.now),
        next_check_at: Some(ctx.now.plus(EVERY)),
        ..touched(ctx, &before)
    };
    store::hold(tx, &after).await?;
    events::append(ctx, tx, vec![wire::verified(&before, &after)]).await?;
    Ok(after)
}

/// What the servers of a domain said, about which record.
#[derive(Debug, Clone)]
pub struct Said {
    /// The challenge that the domain had when they were asked.
    pub challenge: String,
    /// What they said.
    pub txt: Txt,
}

impl Said {
    /// Asks.
    pub async fn about(dns: &Dns, domain: &Domain) -> Self {
        Self { challenge: domain.challenge.clone(), txt: dns.txt(&domain.record_name()).await }
    }

    fn proves(&self, domain: &Domain) -> bool {
        matches!(&self.txt, Txt::Records(records) if records.contains(&domain.challenge))
    }

    /// Fails with the reason why the record is not there.
    fn ensure_proves(&self, domain: &Domain) -> Result<()> {
        if self.proves(domain) {
            return Ok(());
        }
        if self.challenge != domain.challenge {
            return Err(Error::new(Reason::DnsOtherValue, "the proof was begun anew meanwhile"));
        }
        let name = domain.record_name();
        let (reason, message) = match &self.txt {
            Txt::NoName => (Reason::DnsNoName, format!("the name {name} does not exist")),
            Txt::NoRecord => (Reason::DnsNoRecord, format!("{name} has no TXT record")),
            Txt::Records(_) => (Reason::DnsOtherValue, format!("the TXT record of {name} says something else")),
            Txt::Failure(why) => (Reason::DnsFailure, format!("nobody could say whether {name} has the record: {why}")),
        };
        Err(Error::new(reason, message).with("record_name", name))
    }
}

/// A claim whose time to be proven is over.
#[derive(Debug, Clone, Copy)]
pub struct Overdue {
    /// Whose it is.
    pub tenant_id: TenantId,
    organization_id: OrganizationId,
    id: DomainId,
}

/// Claims that were not proven in time, of all tenants.
pub async fn overdue(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<Overdue>> {
    let due = store::due(tx, Status::Pending, now, at_most).await?;
    let overdue = |Domain { tenant_id, organization_id, id, .. }| Overdue { tenant_id, organization_id, id };
    Ok(due.into_iter().map(overdue).collect())
}

/// Has a claim fail, where it is still not proven.
pub async fn fail(ctx: &Ctx, tx: &mut Tx, overdue: Overdue) -> Result<()> {
    let Overdue { tenant_id, organization_id, id } = overdue;
    organizations::lock(ctx, tx, organization_id).await?;
    let Some(before) = store::get(tx, tenant_id, organization_id, id).await? else { return Ok(()) };
    if before.status != Status::Pending || before.next_check_at.is_none_or(|at| at > ctx.now) {
        return Ok(());
    }
    let after = Domain { status: Status::Failed, next_check_at: None, ..touched(ctx, &before) };
    store::update(tx, &after).await?;
    events::append(ctx, tx, vec![wire::failed(&before, &after)]).await
}

/// Looks up verified domains again, every week. Only the leader runs it.
#[derive(Debug)]
pub struct Checker {
    /// Storage.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Hints that there is work.
    pub wake: Wake,
    /// Whoever asks the domain name system.
    pub dns: Dns,
}

impl Checker {
    /// Checks until stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "domains were not checked, trying again later");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn round(&self) -> Result<()> {
        let due = store::due(&mut self.db.snapshot().await?, Status::Verified, self.clock.now(), AT_ONCE).await?;
        let asked = futures_util::future::join_all(due.iter().map(|domain| Said::about(&self.dns, domain))).await;
        for (domain, said) in due.iter().zip(asked) {
            let now = self.clock.now();
            let (id, place) = (domain.id, (domain.tenant_id, domain.organization_id));
            // One that cannot be settled keeps nobody else waiting.
            match self.db.write(async move |tx| settle(tx, now, place, id, &said).await).await {
                Ok(((), ledger)) if !ledger.events().is_empty() => self.wake.committed(),
                Ok(_) => {}
                Err(error) => tracing::warn!(domain_id = %id, %error, "a domain was not checked, trying again later"),
            }
        }
        Ok(())
    }
}

/// What follows from what the servers of a verified domain said.
async fn settle(
    tx: &mut Tx,
    now: Timestamp,
    (tenant_id, organization_id): (TenantId, OrganizationId),
    id: DomainId,
    said: &Said,
) -> Result<()> {
    let ctx = Ctx::local(tenant_id, Actor::system(), now);
    organizations::lock(&ctx, tx, organization_id).await?;
    let Some(before) = store::get(tx, tenant_id, organization_id, id).await? else { return Ok(()) };
    if before.status != Status::Verified || before.challenge != said.challenge {
        return Ok(());
    }
    if let Txt::Failure(_) = said.txt {
        let after = Domain { next_check_at: Some(now.plus(AGAIN)), ..before };
        return store::update(tx, &after).await;
    }
    let missing_since = (!said.proves(&before)).then(|| before.missing_since.unwrap_or(now));
    if missing_since.is_none_or(|since| now < since.plus(MISSING_FOR)) {
        let pause = if missing_since.is_some() { EVERY_MISSING } else { EVERY };
        let next_check_at = Some(now.plus(pause));
        let after = Domain { checked_at: Some(now), missing_since, next_check_at, ..before.clone() };
        store::update(tx, &after).await?;
        return events::append(&ctx, tx, vec![wire::checked(&before, &after)]).await;
    }
    let after = Domain { status: Status::Lost, checked_at: Some(now), next_check_at: None, ..touched(&ctx, &before) };
    store::update(tx, &after).await?;
    events::append(&ctx, tx, vec![wire::lost(&before, &after)]).await
}
