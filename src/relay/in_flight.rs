//! What was handed to the producer and is not acknowledged yet.
//!
//! Acknowledgements come in any order, from the producer's own threads. Positions have no gaps, so the contiguous mark
//! is the position before the lowest one that is still missing.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Error;

/// The window of one producer's life.
#[derive(Debug, Clone)]
pub struct InFlight(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    window: Mutex<Window>,
    failed: Notify,
}

#[derive(Debug)]
struct Window {
    /// Everything up to here is acknowledged.
    mark: i64,
    /// What is acknowledged beyond it.
    beyond: BTreeSet<i64>,
    failure: Option<String>,
}

impl InFlight {
    /// Nothing in flight after this position.
    pub fn after(mark: i64) -> Self {
        let window = Window { mark, beyond: BTreeSet::new(), failure: None };
        Self(Arc::new(Shared { window: Mutex::new(window), failed: Notify::new() }))
    }

    /// The broker has this event.
    pub fn acknowledge(&self, position: i64) {
        let mut window = self.0.window.lock();
        window.beyond.insert(position);
        while let Some(next) = Some(window.mark + 1).filter(|next| window.beyond.remove(next)) {
            window.mark = next;
        }
    }

    /// The producer gave up an event, and with it its life.
    pub fn fail(&self, position: i64, error: &str) {
        let mut window = self.0.window.lock();
        window.failure.get_or_insert_with(|| format!("position {position}: {error}"));
        self.0.failed.notify_one();
    }

    /// Everything up to this position is acknowledged.
    pub fn acknowledged(&self) -> i64 {
        self.0.window.lock().mark
    }

    /// Waits for a failure.
    pub async fn failed(&self) -> Error {
        self.0.failed.notified().await;
        let failure = self.0.window.lock().failure.clone();
        Error::internal(failure.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_waits_for_the_lowest_missing_position() {
        let window = InFlight::after(10);
        window.acknowledge(12);
        window.acknowledge(13);
        assert_eq!(window.acknowledged(), 10);
        window.acknowledge(11);
        assert_eq!(window.acknowledged(), 13);
    }
}
