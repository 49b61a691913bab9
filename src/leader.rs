//! The replica that leads runs the sequencer, the relay, the sweeper and the mailer; the others wait for its lease to end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

#[cfg(feature = "kafka")]
use crate::relay::Relay;
use crate::{
    db::{Db, wake::Wake},
    domains::Checker,
    lease::{self, Epoch},
    mail::Mailer,
    retention::Retention,
    sequencer,
    sweeper::Sweeper,
};

/// How often to see whether the log has its next months.
const MONTHS_EVERY: Duration = Duration::from_hours(6);
/// How often to see whether tables have grown so much that the database's planner should look at them.
const GROWN_EVERY: Duration = Duration::from_secs(2);

/// What a leader runs, and where.
#[derive(Debug)]
pub struct Leader {
    /// Storage.
    pub db: Db,
    /// Hints that there is work.
    pub wake: Wake,
    /// This replica's name in the lease.
    pub holder: String,
    /// What happens by itself.
    pub sweeper: Sweeper,
    /// Looks verified domains up again.
    pub checker: Checker,
    /// Sends mails.
    pub mailer: Mailer,
    /// For how long the log is kept.
    pub retention: Retention,
    /// Kafka, where it is configured: one for each topic.
    #[cfg(feature = "kafka")]
    pub relays: Vec<Relay>,
}

impl Leader {
    /// Leads whenever the lease is to be had, until stopped; then gives it up.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match lease::acquire(&self.db, &self.holder).await {
                Ok(Some(epoch)) => {
                    tracing::info!(epoch, "leading");
                    self.lead(epoch, &stop).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be tried for"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(lease::RENEW) => {}
            }
        }
    }

    async fn lead(&self, epoch: Epoch, stop: &CancellationToken) {
        let term = stop.child_token();
        let numbered = CancellationToken::new();
        let sequencing = async {
            self.sequence(epoch, &term).await;
            numbered.cancel(); // only now has the relay seen everything
        };
        let by_itself = async {
            let sweeping =
                async { tokio::join!(self.sweeper.run(&term), self.mailer.run(&term), self.checker.run(&term)) };
            tokio::join!(sweeping, self.months(&term), self.grown(&term), self.retention.run(self.sinks(), &term))
        };
        tokio::join!(self.keep(epoch, &term), sequencing, self.relay(epoch, &term, &numbered), by_itself);
        if let Err(error) = lease::release(&self.db, epoch).await {
            tracing::warn!(%error, "the lease was not given up: it ends by itself");
        }
        tracing::info!(epoch, "no longer leading");
    }

    /// Renews the lease; ends the term where it is lost.
    async fn keep(&self, epoch: Epoch, term: &CancellationToken) {
        while !term.is_cancelled() {
            tokio::select! {
                () = term.cancelled() => return,
                () = tokio::time::sleep(lease::RENEW) => {}
            }
            match tokio::time::timeout(lease::TTL, lease::renew(&self.db, epoch)).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    tracing::warn!(epoch, "the lease was lost");
                    term.cancel();
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => tracing::warn!("the lease was not renewed in time"),
            }
        }
    }

    /// Makes the partitions of the log long before they are needed.
    async fn months(&self, term: &CancellationToken) {
        while !term.is_cancelled() {
            if let Err(error) = self.db.make_months().await {
                tracing::warn!(%error, "the log's next months were not made, trying again later");
            }
            tokio::select! {
                () = term.cancelled() => return,
                () = tokio::time::sleep(MONTHS_EVERY) => {}
            }
        }
    }

    /// Keeps the planner's statistics as good as they have to be while a database grows fast.
    async fn grown(&self, term: &CancellationToken) {
        while !term.is_cancelled() {
            let round = async {
                if let Err(error) = self.db.analyze_grown().await {
                    tracing::warn!(%error, "tables that have grown were not analysed, trying again later");
                }
                tokio::time::sleep(GROWN_EVERY).await;
            };
            tokio::select! {
                () = term.cancelled() => return, // nobody waits for a table
                () = round => {}
            }
        }
    }

    /// How many topics want every event.
    #[cfg(feature = "kafka")]
    fn sinks(&self) -> i64 {
        i64::try_from(self.relays.len()).unwrap_or(i64::MAX)
    }

    #[cfg(not(feature = "kafka"))]
    fn sinks(&self) -> i64 {
        0
    }

    /// Numbers events; a sequencer that finds itself deposed ends the term.
    async fn sequence(&self, epoch: Epoch, term: &CancellationToken) {
        sequencer::run(&self.db, &self.wake, epoch, term).await;
        term.cancel();
    }

    #[cfg(feature = "kafka")]
    async fn relay(&self, epoch: Epoch, term: &CancellationToken, stop: &CancellationToken) {
        if !self.relays.is_empty() {
            let running = self.relays.iter().map(|relay| relay.run(&self.db, &self.wake, epoch, stop));
            futures_util::future::join_all(running).await;
            term.cancel(); // one may have found itself deposed
        }
    }

    #[cfg(not(feature = "kafka"))]
    async fn relay(&self, _epoch: Epoch, _term: &CancellationToken, _stop: &CancellationToken) {}
}
