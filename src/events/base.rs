//! What is left of what retention dropped: of each thing that there was where a stream was cut off, its last event. With
//! that the state can still be rebuilt; nobody lists it, watches it or exports it.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Stream, chains, horizon,
    read::Filter,
    state::{self, Subject},
    store::{self, Record},
};
use crate::{
    clock::Timestamp,
    db::{Tx, args},
    error::{Error, Result},
    ids::{TenantId, UserId},
};

/// The columns of a [`Record`].
macro_rules! columns {
    () => {
        "b.position, b.tenant_id, b.stream_id, b.sequence, b.payload, b.person_payload AS subject_payload,
        b.caller_payload AS actor_payload,
        (b.person_id IS NOT NULL AND length(b.person_payload) = 0)
            OR (b.caller_id IS NOT NULL AND length(b.caller_payload) = 0) AS erased"
    };
}

/// Up to which position every topic has the log, where so many want it.
pub async fn published(tx: &mut Tx, sinks: i64) -> Result<i64> {
    let sql = "SELECT COUNT(*), MIN(position) FROM relay_cursors";
    let (count, position): (i64, Option<i64>) = tx.fetch_one(sql, args![]).await?;
    Ok(if count < sinks { 0 } else { position.unwrap_or(i64::MAX) })
}

/// What may be hidden.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// Whose.
    pub tenant_id: TenantId,
    /// What occurred before this.
    pub before: Timestamp,
    /// And has no position beyond this one.
    pub up_to: i64,
}

/// Streams that have something to hide, behind a stream, in the order of their ids: up to which sequence. What is not due
/// yet keeps everything behind it, whatever time that has: a clock may have been wrong.
pub async fn due(tx: &mut Tx, due: Due, after: Uuid, limit: i64) -> Result<Vec<(Uuid, i64)>> {
    let sql = "SELECT c.stream_id, COALESCE((SELECT MIN(n.sequence) - 1 FROM events_positions n
                WHERE n.tenant_id = c.tenant_id AND n.stream_id = c.stream_id AND n.sequence > c.hidden_sequence
                    AND (n.occurred_at >= $2 OR n.position > $5)), c.sequence)
        FROM log_chains c
        WHERE c.tenant_id = $1 AND c.stream_id > $3 AND EXISTS (SELECT 1 FROM events_positions p
                WHERE p.tenant_id = c.tenant_id AND p.stream_id = c.stream_id AND p.sequence > c.hidden_sequence
                    AND p.occurred_at < $2 AND p.position <= $5)
        ORDER BY c.stream_id LIMIT $4";
    tx.fetch_all(sql, args![due.tenant_id, due.before, after, limit, due.up_to]).await
}

/// Hides the first events of a stream, at most so many and none behind a sequence, and keeps what is left of them.
/// Answers whether there are more.
pub async fn hide(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Stream,
    up_to: i64,
    at_most: i64,
    now: Timestamp,
) -> Result<bool> {
    lock(tx).await?;
    let after = horizon::of(tx, tenant, Some(stream)).await?.sequence;
    let mut records = store::after_sequence(tx, tenant, stream.uuid(), after, at_most).await?;
    records.retain(|record| record.sequence <= up_to);
    let Some((last, position)) = records.last().map(|record| (record.sequence, record.position)) else {
        return Ok(false);
    };
    let position = position.ok_or_else(|| Error::internal("an event is to be hidden before it has a position"))?;
    let hash = chains::at(tx, tenant, stream, last).await?.ok_or_else(|| Error::internal("an event without a hash"))?;
    let mut latest = Latest::default();
    for record in records {
        latest.take(stream, record)?;
    }
    let before = Timestamp(latest.time.0 + 1);
    keep(tx, tenant, stream, latest).await?;
    let sql = "UPDATE log_chains SET hidden_sequence = $3, hidden_hash = $4,
            hidden_position = CASE WHEN hidden_position < $5 THEN $5 ELSE hidden_position END,
            hidden_before = CASE WHEN hidden_before < $6 THEN $6 ELSE hidden_before END
        WHERE tenant_id = $1 AND stream_id = $2";
    tx.execute(sql, args![tenant, Some(stream.uuid()), last, hash.to_vec(), position, before]).await?;
    let sql = "UPDATE log_retention SET hidden_at = $1,
            hidden_position = CASE WHEN hidden_position < $2 THEN $2 ELSE hidden_position END
        WHERE id = 1";
    tx.execute(sql, args![now, position]).await?;
    Ok(last < up_to)
}

/// Waits for whoever hides events, or must not have them hidden meanwhile, and lets nobody else until the transaction ends.
/// Whoever needs organizations too locks these first.
pub async fn lock(tx: &mut Tx) -> Result<()> {
    tx.lock_one::<(i64,)>("SELECT hidden_at FROM log_retention WHERE id = 1", args![]).await.map(drop)
}

/// What events of a stream leave.
struct Latest {
    /// The last event of each thing; none where the thing is no more.
    things: BTreeMap<Subject, Option<i64>>,
    /// Whether everything from before them is no more.
    ends_stream: bool,
    /// When the latest of them occurred.
    time: Timestamp,
}

impl Default for Latest {
    fn default() -> Self {
        Self { things: BTreeMap::new(), ends_stream: false, time: Timestamp(i64::MIN) }
    }
}

impl Latest {
    fn take(&mut self, stream: Stream, record: Record) -> Result<()> {
        let event = record.decode("")?;
        let time = event.occur_time.as_ref().and_then(|time| Timestamp::try_from(time).ok());
        self.time = self.time.max(time.ok_or_else(|| Error::internal("an event without a time"))?);
        let id = event.event_id.clone();
        let left = state::of(stream, event);
        let left = left.map_err(|_| Error::internal(format!("the data of {id} is not of its type")))?;
        let Some(left) = left else { return Ok(()) };
        if left.ends_stream {
            self.things.clear();
            self.ends_stream = true;
        }
        self.things.insert(left.subject, left.state.map(|_| left.sequence));
        Ok(())
    }
}

async fn keep(tx: &mut Tx, tenant: TenantId, stream: Stream, latest: Latest) -> Result<()> {
    let id = Some(stream.uuid());
    if latest.ends_stream {
        tx.execute("DELETE FROM events_base WHERE tenant_id = $1 AND stream_id = $2", args![tenant, id]).await?;
    }
    for (subject, sequence) in latest.things {
        let sql = "DELETE FROM events_base
            WHERE tenant_id = $1 AND stream_id = $2 AND subject_kind = $3 AND subject_id = $4";
        tx.execute(sql, args![tenant, id, subject.kind, subject.id]).await?;
        if let Some(sequence) = sequence {
            store::copy_to_base(tx, tenant, stream, sequence).await?;
        }
    }
    Ok(())
}

/// Events of a stream by sequence, behind one: where it was cut off, first what is left.
pub async fn after_sequence(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Stream,
    after: i64,
    limit: i64,
) -> Result<Vec<Record>> {
    let cut_off = horizon::of(tx, tenant, Some(stream)).await?.sequence;
    if after < cut_off {
        let left = left(tx, tenant, stream, &Filter::default(), after, limit).await?;
        if !left.is_empty() {
            return Ok(left);
        }
    }
    store::after_sequence(tx, tenant, stream.uuid(), after.max(cut_off), limit).await
}

/// What is left of a stream's events about some things, by sequence, behind one.
pub async fn left(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Stream,
    about: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events_base b WHERE b.tenant_id = $1 AND b.stream_id = $2 AND b.sequence > $3
            AND ($5 = '' OR replace($5, '\u{1e}' || b.subject_kind || '\u{1e}', '') <> $5)
        ORDER BY b.sequence LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, Some(stream.uuid()), after, limit, about.subjects()]).await
}

/// What is left of all tenants' events, stream by stream: for what runs inside the service, never for a caller.
pub async fn after_place_everywhere(tx: &mut Tx, after: (TenantId, Uuid, i64), limit: i64) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events_base b WHERE (b.tenant_id, b.stream_id, b.sequence) > ($1, $2, $3)
        ORDER BY b.tenant_id, b.stream_id, b.sequence LIMIT $4"
    );
    tx.fetch_all(sql, args![after.0, after.1, after.2, limit]).await
}

/// All tenants' events with positions in `(after, up_to]`, by position: those that are not hidden, and what is left of those
/// that are. For what runs inside the service, never for a caller.
pub async fn by_position_everywhere(tx: &mut Tx, after: i64, up_to: i64) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT * FROM (SELECT ",
        columns!(),
        " FROM events_base b WHERE b.position > $1 AND b.position <= $2 UNION ALL SELECT ",
        store::columns!(),
        " FROM events_positions p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at
        JOIN log_chains c ON c.stream_id = p.stream_id",
        store::with_personal!(),
        " WHERE p.position > $1 AND p.position <= $2 AND p.sequence > c.hidden_sequence) AS kept ORDER BY position"
    );
    tx.fetch_all(sql, args![after, up_to]).await
}

/// Empties what is of a user; that there was something stays.
pub(super) async fn erase_person(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    let sql = "UPDATE events_base SET person_payload = $3 WHERE tenant_id = $1 AND person_id = $2";
    tx.execute(sql, args![tenant, user, Vec::new()]).await?;
    let sql = "UPDATE events_base SET caller_payload = $3 WHERE tenant_id = $1 AND caller_id = $2";
    tx.execute(sql, args![tenant, user, Vec::new()]).await.map(drop)
}
