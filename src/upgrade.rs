//! Bringing a database up to date: its schema, and what only the service itself can compute of what was there before.

use crate::{
    clock::Timestamp,
    db::{Db, FromRow, Tx, args},
    error::Result,
    events::{self, Part, Parts},
    ids::{EventId, TenantId, UserId},
    sequencer,
};

/// How many events are carried over at once.
const BATCH_MAX: i64 = 2_000;
/// After how many events it is said how far it has come.
const TELL_EVERY: i64 = 100_000;

/// Brings everything up to date. Replicas that start together wait for one another.
pub async fn run(db: &Db) -> Result<()> {
    db.migrate().await?;
    if let Err(error) = db.make_months().await {
        tracing::warn!(%error, "the log's next months were not made: the leader tries again");
    }
    if !is_there(&mut db.snapshot().await?).await? {
        return Ok(());
    }
    db.write(async |tx| carry_over(tx).await).await.map(drop)
}

/// Whether there is a log of before migration 0015.
async fn is_there(tx: &mut Tx) -> Result<bool> {
    tx.has_table("events_before").await
}

/// Appends everything of before to the log as it is now, in the order of its positions, and numbers it: the positions are
/// the same again.
async fn carry_over(tx: &mut Tx) -> Result<()> {
    let head = "SELECT position FROM log_head WHERE id = 1";
    tx.wait_for_locks().await?; // another replica may be at it, and take its time
    let began = tx.lock_alone::<(i64,)>(head, args![]).await?.is_some();
    if !is_there(tx).await? {
        return Ok(()); // another replica was faster
    }
    if began {
        tracing::info!("the log is brought into its new form");
        tx.execute("UPDATE log_head SET position = 0", args![]).await?;
        let numbered = "SELECT p.position AS place, e.tenant_id, e.id, e.stream_id, e.occurred_at, e.payload,
                x.subject_id, x.subject_payload, x.actor_id, x.actor_payload
            FROM events_positions_before p JOIN events_before e ON e.row_id = p.row_id
            LEFT JOIN events_personal_before x ON x.tenant_id = e.tenant_id AND x.event_id = e.id
            WHERE p.position > $1 ORDER BY p.position LIMIT $2";
        append(tx, numbered).await?;
        let pending = "SELECT e.row_id AS place, e.tenant_id, e.id, e.stream_id, e.occurred_at, e.payload,
                x.subject_id, x.subject_payload, x.actor_id, x.actor_payload
            FROM events_before e
            LEFT JOIN events_personal_before x ON x.tenant_id = e.tenant_id AND x.event_id = e.id
            WHERE e.row_id > $1 AND NOT EXISTS (SELECT 1 FROM events_positions_before p WHERE p.row_id = e.row_id)
            ORDER BY e.row_id LIMIT $2";
        append(tx, pending).await?;
    }
    tx.execute("DROP TABLE events_positions_before", args![]).await?;
    tx.execute("DROP TABLE events_personal_before", args![]).await?;
    tx.execute("DROP TABLE events_before", args![]).await.map(drop)
}

/// An event of before.
#[derive(FromRow)]
struct Before {
    place: i64,
    tenant_id: TenantId,
    id: EventId,
    stream_id: uuid::Uuid,
    occurred_at: Timestamp,
    payload: Vec<u8>,
    subject_id: Option<UserId>,
    subject_payload: Option<Vec<u8>>,
    actor_id: Option<UserId>,
    actor_payload: Option<Vec<u8>>,
}

/// Appends and numbers what a statement reads.
async fn append(tx: &mut Tx, sql: &'static str) -> Result<()> {
    let (mut after, mut count) = (0, 0);
    loop {
        let read: Vec<Before> = tx.fetch_all(sql, args![after, BATCH_MAX]).await?;
        let Some(last) = read.last() else { return Ok(()) };
        after = last.place;
        for before in read {
            let part = |user_id: Option<UserId>, payload: Option<Vec<u8>>| {
                user_id.zip(payload).map(|(user_id, payload)| Part { user_id, payload })
            };
            let subject = part(before.subject_id, before.subject_payload);
            let actor = part(before.actor_id, before.actor_payload);
            let parts = Parts { payload: before.payload, subject, actor };
            events::put_back(tx, (before.tenant_id, before.stream_id, before.id), before.occurred_at, parts).await?;
            count += 1;
            if count % TELL_EVERY == 0 {
                tracing::info!(count, "events brought into their new form");
            }
        }
        let head: (i64,) = tx.fetch_one("SELECT position FROM log_head WHERE id = 1", args![]).await?;
        sequencer::number_after(tx, head.0).await?;
    }
}
