//! Gives every committed event its position in the whole log: 1, 2, 3, … without a gap.
//!
//! Only the leader runs it. The head's row is locked first, guarded by the leader's epoch; then one statement, and so one
//! snapshot, numbers a batch of what is pending in insertion order. Within a stream that is the order of sequences,
//! because a sequence is drawn while the stream's row is locked; whoever commits late is simply still pending. In the same
//! order each event is chained to the one before it in its stream.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    db::{Db, FromRow, Tx, Value, args, wake::Wake},
    error::Result,
    events::{
        Stream,
        chain::{self, Hash},
    },
    ids::TenantId,
    lease::Epoch,
};

/// How many events are numbered at once: as many as one statement takes.
const BATCH_MAX: i64 = 4_000;
/// How often to look without being woken.
const POLL: Duration = Duration::from_millis(25);
/// How long to let a burst gather: a batch costs one durable commit, and a look of everybody who reads the log, whether it
/// numbers one event or thousands.
const GATHER: Duration = Duration::from_millis(8);
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
    number_after(tx, head).await.map(Some)
}

/// Numbers one batch after this head, whose row is locked; answers how many events.
pub async fn number_after(tx: &mut Tx, head: i64) -> Result<i64> {
    // Nothing but what is pending is looked at: what this costs does not grow with the log. And by one bound, in one
    // snapshot: a database that knows nothing yet of how much is pending can do no worse than look at all of it, once.
    let take = "DELETE FROM events_pending
        WHERE row_id <= (SELECT MAX(row_id) FROM (SELECT row_id FROM events_pending ORDER BY row_id LIMIT $1) AS batch)
        RETURNING row_id, occurred_at, tenant_id, stream_id, sequence, leaf,
            (SELECT c.hash FROM log_chains c WHERE c.stream_id = events_pending.stream_id) AS hash";
    let mut pending: Vec<Pending> = tx.fetch_all(take, args![BATCH_MAX]).await?;
    pending.sort_unstable_by_key(|event| event.row_id);
    let count = i64::try_from(pending.len()).expect("at most a batch");
    let (positions, ends) = chained(head, pending)?;
    let insert = "INSERT INTO events_positions (position, row_id, occurred_at, tenant_id, stream_id, sequence, hash)";
    tx.insert_all(insert, positions).await?;
    let insert = "INSERT INTO log_chains (stream_id, tenant_id, sequence, hash, unsigned_since)";
    let or = "ON CONFLICT (stream_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash,
        unsigned_since = CASE WHEN excluded.sequence <= log_chains.signed_sequence -- a checkpoint's own event
                OR log_chains.unsigned_since < excluded.unsigned_since
            THEN log_chains.unsigned_since ELSE excluded.unsigned_since END";
    let row = |(id, end): (Uuid, End)| args![id, end.tenant_id, end.sequence, end.hash.to_vec(), end.since];
    tx.upsert_all(insert, or, ends.into_iter().map(row).collect()).await?;
    tx.execute("UPDATE log_head SET position = position + $1 WHERE id = 1", args![count]).await?;
    Ok(count)
}

/// An event that has no position yet.
#[derive(FromRow)]
struct Pending {
    row_id: i64,
    occurred_at: i64,
    tenant_id: TenantId,
    stream_id: Uuid,
    sequence: i64,
    leaf: Vec<u8>,
    /// The end of its stream's chain, as it was before this batch.
    hash: Option<Vec<u8>>,
}

/// The ends of streams' chains.
type Ends = BTreeMap<Uuid, End>;

/// The end of a stream's chain.
struct End {
    tenant_id: TenantId,
    sequence: i64,
    hash: Hash,
    /// When the first event of the batch happened.
    since: i64,
}

/// The rows of a batch's positions, and the end of each stream's chain, carried on.
fn chained(head: i64, pending: Vec<Pending>) -> Result<(Vec<Vec<Value>>, Ends)> {
    let mut ends = Ends::new();
    let numbered = (head + 1..).zip(pending).map(|(position, event)| {
        let Pending { row_id, occurred_at, tenant_id, stream_id, sequence, leaf, hash } = event;
        let end = match ends.entry(stream_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let hash = match hash {
                    Some(hash) => chain::read(&hash)?,
                    None => chain::beginning(Stream::of(tenant_id, stream_id)),
                };
                entry.insert(End { tenant_id, sequence, hash, since: occurred_at })
            }
        };
        end.hash = chain::next(&end.hash, &leaf);
        (end.sequence, end.since) = (sequence, end.since.min(occurred_at));
        Ok(args![position, row_id, occurred_at, tenant_id, stream_id, sequence, end.hash.to_vec()])
    });
    let positions = numbered.collect::<Result<_>>()?;
    Ok((positions, ends))
}
