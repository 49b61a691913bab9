//! That what was committed before a call is in its answer, where the answer is of what has a position.

use std::time::Duration;

use super::{Reader, Stream, store};
use crate::{
    error::{Error, Reason, Result},
    ids::TenantId,
};

/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait: longer than another replica takes to lead.
const WAIT_MAX: Duration = Duration::from_secs(15);

impl Reader {
    /// Waits until everything of a tenant's stream that is committed now has its position, up to a sequence, or, where that is
    /// 0, all of it.
    pub async fn until_numbered(&self, tenant_id: TenantId, stream: Stream, up_to: i64) -> Result<()> {
        let (mut head, mut last) = (self.head.clone(), None);
        let waiting = async {
            loop {
                head.borrow_and_update();
                let mut tx = self.db.snapshot().await?;
                let Some((from, to)) = store::pending_of(&mut tx, tenant_id, stream, up_to).await? else { break };
                drop(tx);
                if from > *last.get_or_insert(to) {
                    break;
                }
                if let Ok(Err(_)) = tokio::time::timeout(POLL, head.changed()).await {
                    return Err(Error::new(
                        Reason::ShuttingDown,
                        "the service is stopping: try again on another replica",
                    ));
                }
            }
            Ok(())
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.unwrap_or_else(|_| {
            Err(Error::new(Reason::StorageUnavailable, "events have no position yet: no replica leads, try again"))
        })
    }
}
