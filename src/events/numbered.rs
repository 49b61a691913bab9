//! That what was committed before a call is in its answer, where the answer is of what has a position.

use std::time::Duration;

use super::{Reader, Stream, store};
use crate::error::{Error, Reason, Result};

/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(20);
/// How long to wait: longer than another replica takes to lead.
const WAIT_MAX: Duration = Duration::from_secs(15);

impl Reader {
    /// Waits until everything of a stream that is committed now has its position.
    pub async fn until_numbered(&self, stream: Stream) -> Result<()> {
        let Some(last) = store::last_pending(&mut self.db.snapshot().await?, stream).await? else { return Ok(()) };
        let waiting = tokio::time::timeout(WAIT_MAX, self.until_taken(stream, last)).await;
        waiting.unwrap_or_else(|_| {
            Err(Error::new(Reason::StorageUnavailable, "events have no position yet: no replica leads, try again"))
        })
    }

    async fn until_taken(&self, stream: Stream, last: i64) -> Result<()> {
        let mut head = self.head.clone();
        while store::first_pending(&mut self.db.snapshot().await?, stream).await?.is_some_and(|first| first <= last) {
            let _ = tokio::time::timeout(POLL, head.changed()).await;
        }
        Ok(())
    }
}
