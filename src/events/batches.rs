//! The whole log, batch by batch: bounded in events, and in bytes.

use super::{
    Record,
    store::{self, BATCH_BYTES_MAX},
};
use crate::{db::Tx, error::Result};

/// How many events are asked for at least.
const LIMIT_MIN: i64 = 16;

/// Reads the log by position. Where events are heavy it asks for fewer of them: the database has to look at all that it is
/// asked for, and answers those of them that are not too many bytes.
#[derive(Debug)]
pub struct Batches {
    max: i64,
    limit: i64,
}

impl Batches {
    /// Batches of so many events at most.
    pub fn of(max: i64) -> Self {
        Self { max, limit: max }
    }

    /// The next batch after a position; empty only behind the last event.
    pub async fn after(&mut self, tx: &mut Tx, position: i64) -> Result<Vec<Record>> {
        let records = store::after_position_everywhere(tx, position, self.limit).await?;
        self.adapt(records.len(), records.iter().map(Record::weight).sum());
        Ok(records)
    }

    fn adapt(&mut self, count: usize, bytes: usize) {
        let cut = i64::try_from(bytes).is_ok_and(|bytes| bytes >= BATCH_BYTES_MAX);
        let next = if cut { 2 * i64::try_from(count).unwrap_or(self.max) } else { self.limit * 4 };
        self.limit = next.max(LIMIT_MIN).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_asked_for_while_events_are_heavy() {
        let full = usize::try_from(BATCH_BYTES_MAX).unwrap();
        let mut batches = Batches::of(5_000);
        let mut limit_after = |count, bytes| {
            batches.adapt(count, bytes);
            batches.limit
        };
        assert_eq!(limit_after(5_000, 900_000), 5_000);
        assert_eq!(limit_after(21, full + 300_000), 42);
        assert_eq!(limit_after(3, full), LIMIT_MIN);
        assert_eq!(limit_after(16, 9_000), 64);
        assert_eq!(limit_after(64, 90_000), 256);
        assert_eq!(limit_after(4_000, full), 5_000);
    }
}
