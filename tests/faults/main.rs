//! Real processes that are killed, stopped and cut off, on real engines and a real Kafka.

use tokio::sync::{Mutex, MutexGuard};

#[path = "../support/mod.rs"]
mod support;

mod consumers;
mod everything;
mod gap;
mod history;
mod mails;
mod newcomer;
mod replicas;
mod sinks;
mod slow_watcher;
mod topics;

/// These tests measure, kill and wait: one at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}
