//! For how long the log is kept: what is older than its tenant keeps it is hidden, and the months of which everybody has
//! hidden everything are dropped.
//!
//! Only the leader runs it. Events are hidden stream by stream, but what is held, and never one that a topic has not got; what is
//! left of them, so that the state can still be rebuilt, is kept (see [`base`]). Of PostgreSQL whole months go later, in which
//! everything is hidden, and not in the round that hid the last of it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::{Clock, Timestamp},
    db::{Db, Tx},
    error::Result,
    events::{
        Stream,
        base::{self, Due},
    },
    ids::TenantId,
    organizations, tenants,
};

/// How often to look, and how often to see whether it is time for that.
const EVERY: Duration = Duration::from_hours(1);
const LOOK: Duration = Duration::from_millis(500);
/// How many streams are found at once.
const STREAMS: i64 = 500;
/// How many events one transaction hides.
const BATCH: i64 = 500;

/// Hides and drops, and where.
#[derive(Debug)]
pub struct Retention {
    /// Storage.
    pub db: Db,
    /// The time.
    pub clock: Clock,
}

impl Retention {
    /// Looks every hour until stopped. So many topics want every event.
    pub async fn run(&self, sinks: i64, stop: &CancellationToken) {
        let mut next = Timestamp(i64::MIN);
        while !stop.is_cancelled() {
            let now = self.clock.now();
            if now >= next {
                if let Err(error) = self.round(now, sinks, stop).await {
                    tracing::warn!(%error, "the log's retention failed, trying again later");
                }
                next = now.plus(EVERY);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Drops what nobody needs any more, then hides what is due.
    async fn round(&self, now: Timestamp, sinks: i64, stop: &CancellationToken) -> Result<()> {
        if let Err(error) = self.drop_months(now, sinks, stop).await {
            tracing::warn!(%error, "no month of the log was dropped, trying again later");
        }
        let mut tx = self.db.snapshot().await?;
        let up_to = base::published(&mut tx, sinks).await?;
        let tenants = tenants::with_retention(&mut tx).await?;
        drop(tx);
        for (tenant_id, days) in tenants {
            let before = now.minus(Duration::from_hours(24 * days.unsigned_abs()));
            self.hide(Due { tenant_id, before, up_to }, days, stop).await?;
        }
        Ok(())
    }

    async fn drop_months(&self, now: Timestamp, sinks: i64, stop: &CancellationToken) -> Result<()> {
        while !stop.is_cancelled() && self.db.drop_month(now, sinks).await? {
            tracing::info!("a month of the log was dropped: every event of it was past its retention");
        }
        Ok(())
    }

    /// Hides what is due of a tenant that keeps its events for so many days.
    async fn hide(&self, due: Due, days: i64, stop: &CancellationToken) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let found = base::due(&mut self.db.snapshot().await?, due, after, STREAMS).await?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after = *last;
            for (stream, up_to) in found {
                let (stream, now) = (Stream::of(due.tenant_id, stream), self.clock.now());
                while !stop.is_cancelled() && self.hide_some((due.tenant_id, days), stream, up_to, now).await? {}
            }
        }
    }

    /// Hides some of a stream, unless it is held; answers whether there is more.
    async fn hide_some(
        &self,
        (tenant_id, days): (TenantId, i64),
        stream: Stream,
        up_to: i64,
        now: Timestamp,
    ) -> Result<bool> {
        let hidden = self.db.write(async move |tx| {
            let is_corrected = tenants::get(tx, tenant_id).await?.log_retention_days != days;
            if is_corrected || is_held(tx, tenant_id, stream).await? {
                return Ok(false);
            }
            base::hide(tx, tenant_id, stream, up_to, BATCH, now).await
        });
        Ok(hidden.await?.0)
    }
}

/// Whether everything of a stream is kept. A tenant's own stream is for as long as any of its organizations is held: who
/// had access there stands in both.
async fn is_held(tx: &mut Tx, tenant_id: TenantId, stream: Stream) -> Result<bool> {
    match stream {
        Stream::Organization(id) => organizations::is_held(tx, tenant_id, id).await,
        Stream::Tenant(_) => {
            base::lock(tx).await?; // whoever places a hold has it until that is committed
            Ok(organizations::first_held(tx, tenant_id).await?.is_some())
        }
    }
}
