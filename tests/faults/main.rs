//! Real processes that are killed, stopped and cut off, on real engines and a real Kafka.

use tokio::sync::{Mutex, MutexGuard};

#[path = "../support/mod.rs"]
mod support;

mod away;
mod cluster;
mod consumers;
mod crashed;
mod everything;
mod follower;
mod gap;
mod history;
mod killed;
mod lag;
mod mails;
mod newcomer;
mod replicas;
mod sinks;
mod slow_watcher;
mod topics;
mod verdict;
mod writers;
mod zombie;

/// These tests measure, kill and wait: one at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}
