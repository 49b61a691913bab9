//! Trying again what may succeed later.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tonic::{Code, Status};

use crate::Failure;

const BACKOFF_FIRST: Duration = Duration::from_millis(25);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long to go on without any success, of whatever call.
pub struct Patience {
    limit: Duration,
    last_success: Cell<Instant>,
    retries: Cell<u64>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, last_success: Cell::new(Instant::now()), retries: Cell::new(0) }
    }

    /// Starts the wait anew: the service answered.
    pub fn succeeded(&self) {
        self.last_success.set(Instant::now());
    }

    /// How many calls were tried again.
    pub fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// Waits before the next attempt, longer from one to the next. Fails where it took too long already.
    pub async fn wait(&self, attempt: u32, status: &Status) -> Result<(), Failure> {
        let waited = self.last_success.get().elapsed();
        if waited >= self.limit {
            return Err(
                format!("gave up after {} seconds without any success: {}", waited.as_secs(), tell(status)).into()
            );
        }
        self.retries.set(self.retries.get() + 1);
        tokio::time::sleep(BACKOFF_FIRST.saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX)).await;
        Ok(())
    }

    /// Calls until there is an answer that will not change.
    pub async fn persist<T>(&self, call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Failure> {
        for attempt in 0.. {
            match call().await {
                Ok(answer) => {
                    self.succeeded();
                    return Ok(answer);
                }
                Err(status) if may_pass(&status) => self.wait(attempt, &status).await?,
                Err(status) => return Err(tell(&status).into()),
            }
        }
        unreachable!("an attempt is always followed by another")
    }
}

/// Whether the same call may succeed later. An error without details is not of the service, which always says why: the
/// connection failed, in whatever way the transport tells it.
pub fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Aborted => true,
        Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => status.details().is_empty(),
        _ => false,
    }
}

/// A status in one line.
pub fn tell(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
