//! What happens by itself: ends that are reached, and what is kept only for a while.
//!
//! Only the leader runs it. A sweep is an operation like any other, in a transaction of its own, by the system; that it was
//! done already it sees under the lock that it takes, so that two that overlap do a thing once.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    audit::{self, note::Signer},
    clock::{Clock, Timestamp},
    context::{Actor, Ctx},
    db::{Db, Tx, wake::Wake},
    domains,
    error::{Error, Result},
    events::Ledger,
    idempotency, invitations, memberships, organizations,
};

/// How often to look.
const EVERY: Duration = Duration::from_millis(500);
/// How many things one transaction takes on.
const BATCH: i64 = 500;

/// The sweeps, and where they are done.
#[derive(Debug)]
pub struct Sweeper {
    /// Storage.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Hints that there is work.
    pub wake: Wake,
    /// For how long what an organization leaves behind is kept.
    pub retention: organizations::Retention,
    /// Who signs streams, if anybody.
    pub signer: Option<Arc<Signer>>,
    /// How long after the first event that no checkpoint covers one is published.
    pub checkpoint_after: Duration,
}

impl Sweeper {
    /// Sweeps until stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.round().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Everything once.
    async fn round(&self) {
        self.each("domains", async |tx, now| domains::overdue(tx, now, BATCH).await, fail_claim).await;
        self.sweep("requests", async |tx, now| idempotency::sweep(tx, now, BATCH).await).await;
        let retention = self.retention;
        self.sweep("organizations", async move |tx, now| purge_one(tx, now, retention).await).await;
        self.sweep("slugs", async |tx, now| organizations::sweep_slugs(tx, now, BATCH).await).await;
        self.each("memberships", async |tx, now| memberships::due(tx, now, BATCH).await, expire).await;
        self.each("invitations", async |tx, now| invitations::due(tx, now, BATCH).await, expire_invitation).await;
        self.checkpoints().await;
    }

    /// Signs the streams whose next checkpoint is due.
    async fn checkpoints(&self) {
        let Some(signer) = &self.signer else { return };
        let now = self.clock.now();
        let due = match self.db.snapshot().await {
            Ok(mut tx) => audit::due(&mut tx, now, self.checkpoint_after, BATCH).await,
            Err(error) => Err(error),
        };
        for (tenant_id, stream) in due.unwrap_or_else(|error| (failed(&error, "checkpoints"), Vec::new()).1) {
            let (signer, ctx) = (signer.clone(), Ctx::local(tenant_id, Actor::system(), now));
            let signed = self.db.write(async move |tx| audit::publish(&ctx, tx, stream, &signer).await).await;
            self.swept("checkpoints", signed);
        }
    }

    /// Things whose time has come, each in a transaction of its own, for they have nothing to do with each other.
    async fn each<T: Copy>(
        &self,
        what: &'static str,
        find: impl AsyncFn(&mut Tx, Timestamp) -> Result<Vec<T>>,
        end: impl AsyncFn(&mut Tx, Timestamp, T) -> Result<()> + Copy,
    ) {
        let mut done = BATCH.unsigned_abs();
        while done == BATCH.unsigned_abs() {
            let now = self.clock.now();
            let found = match self.db.snapshot().await {
                Ok(mut tx) => find(&mut tx, now).await,
                Err(error) => Err(error),
            };
            let Some(found) = found.map_err(|error| failed(&error, what)).ok() else { return };
            done = 0;
            for thing in found {
                done += self.swept(what, self.db.write(async move |tx| end(tx, now, thing).await).await);
            }
        }
    }

    /// How many things a transaction took on that was to take on one.
    fn swept(&self, what: &'static str, outcome: Result<((), Ledger)>) -> u64 {
        match outcome {
            Ok(((), ledger)) => {
                if !ledger.events().is_empty() {
                    self.wake.committed();
                }
                1
            }
            Err(error) => {
                failed(&error, what);
                0
            }
        }
    }

    /// One sweep, batch by batch, until there is nothing more to do. The sweep answers how many things it took on.
    async fn sweep(&self, what: &'static str, sweep: impl AsyncFn(&mut Tx, Timestamp) -> Result<u64> + Copy) {
        loop {
            let now = self.clock.now();
            match self.db.write(async move |tx| sweep(tx, now).await).await {
                Ok((swept, ledger)) => {
                    if !ledger.events().is_empty() {
                        self.wake.committed();
                    }
                    if swept < BATCH.unsigned_abs() {
                        return;
                    }
                }
                Err(error) => {
                    failed(&error, what);
                    return;
                }
            }
        }
    }
}

/// Purges one organization whose time to be restored is over: each in a transaction of its own, for it may be large.
async fn purge_one(tx: &mut Tx, now: Timestamp, retention: organizations::Retention) -> Result<u64> {
    let Some((tenant_id, id)) = organizations::next_to_purge(tx, now).await? else { return Ok(0) };
    let ctx = Ctx::local(tenant_id, Actor::system(), now);
    organizations::purge(&ctx, tx, id, retention).await?;
    Ok(BATCH.unsigned_abs()) // there may be another one
}

fn failed(error: &Error, what: &'static str) {
    tracing::warn!(%error, what, "a sweep failed, trying again later");
}

async fn fail_claim(tx: &mut Tx, now: Timestamp, overdue: domains::Overdue) -> Result<()> {
    domains::fail(&Ctx::local(overdue.tenant_id, Actor::system(), now), tx, overdue).await
}

async fn expire(tx: &mut Tx, now: Timestamp, due: memberships::Due) -> Result<()> {
    memberships::expire(&Ctx::local(due.tenant_id, Actor::system(), now), tx, due).await
}

async fn expire_invitation(tx: &mut Tx, now: Timestamp, due: invitations::Due) -> Result<()> {
    invitations::expire(&Ctx::local(due.tenant_id, Actor::system(), now), tx, due).await
}
