//! Gives every committed event its position in the whole log: 1, 2, 3, … without a gap.
//!
//! Only the leader runs it. The head's row is locked first, guarded by the leader's epoch; then one statement, and so one
//! snapshot, numbers a batch of what is pending in insertion order. Within a stream that is the order of sequences,
//! because a sequence is drawn while the stream's row is locked; whoever commits late is simply still pending.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    db::{Db, Tx, args, wake::Wake},
    error::Result,
    lease::Epoch,
};

/// How many events are numbered at once.
const BATCH_MAX: i64 = 5_000;
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(25);
/// How long to let a burst gather: a batch costs one durable commit, whether it numbers one event or thousands.
const GATHER: Duration = Duration::from_millis(3);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// Numbers events as they are committed, until stopped or no longer the leader; then what is left.
pub async fn run(db: &Db, wake: &Wake, epoch: Epoch, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match number(db, epoch).await {
            Ok(Some(count)) => {
                if count > 0 {
                    wake.numbered();
                }
                if count < BATCH_MAX {
                    wake.until_committed(POLL).await;
                    tokio::time::sleep(GATHER).await;
                }
            }
            Ok(None) => {
                tracing::warn!(epoch, "no longer the leader: nothing numbered");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "numbering failed, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    // What was committed before the stop is numbered too; a failure leaves it to the next leader.
    while let Ok(Some(1..)) = number(db, epoch).await {
        wake.numbered();
    }
}

/// Numbers one batch; answers how many events, or nothing where this is not the leader's epoch.
pub async fn number(db: &Db, epoch: Epoch) -> Result<Option<i64>> {
    let mut look = db.snapshot().await?;
    let pending: Option<(i64,)> = look.fetch_optional("SELECT row_id FROM events_pending LIMIT 1", args![]).await?;
    drop(look);
    if pending.is_none() {
        return Ok(Some(0));
    }
    let (count, _) = db.write(async move |tx| number_in(tx, epoch).await).await?;
    Ok(count)
}

async fn number_in(tx: &mut Tx, epoch: Epoch) -> Result<Option<i64>> {
    let sql = "SELECT position FROM log_head WHERE id = 1 AND leader_epoch = $1";
    let Some((head,)) = tx.lock_one::<(i64,)>(sql, args![epoch]).await? else { return Ok(None) };
    let sql = "INSERT INTO events_positions (position, row_id)
        SELECT $1 + row_number() OVER (ORDER BY row_id), row_id
        FROM (SELECT row_id FROM events_pending ORDER BY row_id LIMIT $2) AS batch";
    let count = i64::try_from(tx.execute(sql, args![head, BATCH_MAX]).await?).expect("at most a batch");
    let sql = "DELETE FROM events_pending
        WHERE row_id IN (SELECT row_id FROM events_positions WHERE position > $1)";
    tx.execute(sql, args![head]).await?;
    tx.execute("UPDATE log_head SET position = position + $1 WHERE id = 1", args![count]).await?;
    Ok(Some(count))
}
