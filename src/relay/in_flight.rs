//! What was handed to the producer and is not acknowledged yet.
//!
//! Acknowledgements come in any order, from the producer's own threads. Positions have no gaps, so the contiguous mark
//! is the position before the lowest one that is still missing.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Error;

/// An offset for each partition.
pub type Offsets = BTreeMap<i32, i64>;

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
    /// What is acknowledged beyond it: the first and the last of each run.
    beyond: BTreeMap<i64, i64>,
    /// Up to where it is committed too, where that is needed.
    committed: Option<i64>,
    /// The last offset of each partition that a broker has answered.
    offsets: Offsets,
    failure: Option<String>,
}

impl Window {
    fn acknowledge(&mut self, first: i64, last: i64) {
        self.beyond.insert(first, last);
        while let Some(last) = self.beyond.remove(&(self.mark + 1)) {
            self.mark = last;
        }
    }
}

impl InFlight {
    /// Nothing in flight after this position.
    pub fn after(mark: i64) -> Self {
        Self::in_topic(mark, Offsets::new())
    }

    /// Nothing in flight after this position, in a topic that has these offsets.
    pub fn in_topic(mark: i64, offsets: Offsets) -> Self {
        let window = Window { mark, beyond: BTreeMap::new(), committed: None, offsets, failure: None };
        Self(Arc::new(Shared { window: Mutex::new(window), failed: Notify::new() }))
    }

    /// What is acknowledged counts only when it is committed: up to here.
    pub fn committed(&self, position: i64) {
        self.0.window.lock().committed = Some(position);
    }

    /// A broker has put a record there. Offsets rise for as long as a topic is the same one: where they do not, it is
    /// looked at again before anything else is published.
    pub fn delivered(&self, partition: i32, offset: i64) {
        let mut window = self.0.window.lock();
        let last = window.offsets.entry(partition).or_insert(offset);
        if offset < *last {
            let failure = format!("partition {partition} goes on at offset {offset}, behind {last}");
            window.failure.get_or_insert(failure);
            self.0.failed.notify_one();
        } else {
            *last = offset;
        }
    }

    /// The last offset of each partition that a broker has answered.
    pub fn offsets(&self) -> Offsets {
        self.0.window.lock().offsets.clone()
    }

    /// The broker has this event.
    pub fn acknowledge(&self, position: i64) {
        self.0.window.lock().acknowledge(position, position);
    }

    /// The log has nothing after this position and before that one any more: nobody waits for it.
    pub fn skip(&self, after: i64, before: i64) {
        if after + 1 < before {
            self.0.window.lock().acknowledge(after + 1, before - 1);
        }
    }

    /// The producer gave up an event, and with it its life.
    pub fn fail(&self, position: i64, error: &str) {
        let mut window = self.0.window.lock();
        window.failure.get_or_insert_with(|| format!("position {position}: {error}"));
        self.0.failed.notify_one();
    }

    /// Everything up to this position is acknowledged, and committed where that is needed.
    pub fn acknowledged(&self) -> i64 {
        let window = self.0.window.lock();
        window.committed.map_or(window.mark, |committed| committed.min(window.mark))
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

    #[tokio::test]
    async fn offsets_that_go_back_end_the_producer() {
        let window = InFlight::in_topic(10, [(0, 45)].into());
        window.delivered(0, 46);
        window.delivered(1, 0);
        window.delivered(0, 3);
        assert!(window.failed().await.to_string().contains("partition 0"));
        assert_eq!(window.offsets(), [(0, 46), (1, 0)].into());
    }

    #[test]
    fn what_the_log_no_longer_has_is_not_waited_for() {
        let window = InFlight::after(10);
        window.skip(10, 1_000_001);
        assert_eq!(window.acknowledged(), 1_000_000);
        window.acknowledge(1_000_002);
        window.skip(1_000_002, 1_000_005);
        assert_eq!(window.acknowledged(), 1_000_000, "one is in flight");
        window.acknowledge(1_000_001);
        assert_eq!(window.acknowledged(), 1_000_004);
    }

    #[test]
    fn in_a_transaction_the_mark_waits_for_the_commit() {
        let window = InFlight::after(10);
        window.committed(10);
        window.acknowledge(11);
        assert_eq!(window.acknowledged(), 10);
        window.committed(12);
        assert_eq!(window.acknowledged(), 11, "the twelfth is missing");
    }
}
