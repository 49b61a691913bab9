//! Wake-ups: hints that something was committed or numbered. Losing one only costs a poll interval.
//!
//! Inside the process they are signals; between processes on PostgreSQL one empty, debounced NOTIFY on a connection of
//! its own. A NOTIFY inside the transaction that writes would serialise commits.

use std::{sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Db;

const CHANNEL: &str = "roster_log";
/// At most one NOTIFY in this time.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// How long to wait before listening again after the connection broke.
const RECONNECT: Duration = Duration::from_millis(500);

/// The wake-ups of one process.
#[derive(Debug, Clone)]
pub struct Wake(Arc<Signals>);

#[derive(Debug)]
struct Signals {
    committed: Notify,
    numbered: watch::Sender<()>,
    outgoing: Notify,
}

impl Default for Wake {
    fn default() -> Self {
        Self(Arc::new(Signals { committed: Notify::new(), numbered: watch::Sender::new(()), outgoing: Notify::new() }))
    }
}

impl Wake {
    /// Something was committed: the sequencer has work, wherever it is.
    pub fn committed(&self) {
        self.0.committed.notify_one();
        self.0.outgoing.notify_one();
    }

    /// Events were numbered: readers have work, wherever they are.
    pub fn numbered(&self) {
        self.0.numbered.send_replace(());
        self.0.outgoing.notify_one();
    }

    /// Waits until something was committed, at most this long.
    pub async fn until_committed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.0.committed.notified()).await;
    }

    /// A reader's own view of what was numbered.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.numbered.subscribe()
    }

    /// Carries wake-ups between processes until stopped. Nothing to carry on SQLite, which has one process.
    pub async fn run(&self, db: Db, stop: CancellationToken) {
        let Db::Postgres(pool) = db else { return stop.cancelled().await };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.send(&pool) => {}
            () = self.receive(&pool) => {}
        }
    }

    async fn send(&self, pool: &PgPool) {
        loop {
            self.0.outgoing.notified().await;
            if let Err(error) = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(pool).await {
                tracing::debug!(%error, "wake-up not sent");
            }
            tokio::time::sleep(DEBOUNCE).await;
        }
    }

    async fn receive(&self, pool: &PgPool) {
        loop {
            if let Err(error) = self.listen(pool).await {
                tracing::debug!(%error, "wake-ups not heard");
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn listen(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            listener.recv().await?;
            self.0.committed.notify_one();
            self.0.numbered.send_replace(());
        }
    }
}
