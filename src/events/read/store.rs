//! The SQL of readers: pages that are bounded in events and in bytes, and where to begin.
//!
//! The parts of a filter are lists with separators (see `Filter`). Whether one has an entry is asked by taking the entry
//! out of it: exact on both engines, which LIKE is not.

use uuid::Uuid;

use super::Filter;
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::Result,
    events::{
        Stream,
        store::{Record, columns, weight, with_personal},
    },
    ids::TenantId,
};

/// How much a reader takes at once.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// How many events at most.
    pub events: i64,
    /// How many bytes at most; one event comes whatever it weighs.
    pub bytes: i64,
}

/// What was read.
#[derive(Debug)]
pub struct Found {
    /// The events, in order.
    pub records: Vec<Record>,
    /// Whether there may be more in the range.
    pub more: bool,
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    record: Record,
    /// How many were found before those too heavy were left out.
    found: i64,
}

impl Found {
    fn of(rows: Vec<Row>, room: Room) -> Self {
        let found = rows.first().map_or(0, |row| row.found);
        let mut records: Vec<_> = rows.into_iter().map(|row| row.record).collect();
        let all = i64::try_from(records.len()).is_ok_and(|count| count == found && found <= room.events);
        records.truncate(usize::try_from(room.events).unwrap_or(usize::MAX));
        Self { records, more: !all }
    }
}

/// Whether a filter lets an event through.
macro_rules! let_through {
    () => {
        " AND ($6 = '' OR replace($6, '\u{1e}' || e.type || '\u{1e}', '') <> $6)
            AND ($7 = '' OR replace($7, '\u{1e}' || e.subject_kind || '\u{1e}', '') <> $7
                OR replace($7, '\u{1e}' || e.subject_kind || '\u{1f}' || e.subject_id || '\u{1e}', '') <> $7)
            AND ($8 = '' OR replace($8, '\u{1e}' || e.actor_kind || '\u{1e}', '') <> $8
                OR replace($8, '\u{1e}' || e.actor_kind || '\u{1f}' || e.actor_id || '\u{1e}', '') <> $8
                OR replace($8, '\u{1e}\u{1f}' || e.actor_id || '\u{1e}', '') <> $8)"
    };
}

/// Events of one tenant, by position: those in `(after, up_to]`.
pub async fn by_position(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
    (after, up_to): (i64, i64),
    room: Room,
) -> Result<Found> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", p.found FROM (
            SELECT f.position, f.row_id, f.occurred_at, COUNT(*) OVER () AS found,
                SUM(f.weight) OVER (ORDER BY f.position) - f.weight AS bytes_before
            FROM (
                SELECT p.position, p.row_id, p.occurred_at, ",
        weight!(),
        " AS weight
                FROM events_positions p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        " WHERE p.tenant_id = $1 AND p.position > $2 AND p.position <= $3 AND ($9 IS NULL OR p.stream_id = $9)",
        let_through!(),
        " ORDER BY p.position LIMIT $4) AS f
        ) AS p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        " WHERE p.bytes_before < $5 ORDER BY p.position"
    );
    let mut values = args![tenant, after, up_to, room.events + 1, room.bytes];
    values.extend(args![filter.types(), filter.subjects(), filter.actors(), filter.stream.map(Stream::uuid)]);
    Ok(Found::of(tx.fetch_all(sql, values).await?, room))
}

/// Events of one stream, by sequence: those in `(after, up_to]`, without a position too.
pub async fn by_sequence(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Uuid,
    filter: &Filter,
    (after, up_to): (i64, i64),
    room: Room,
) -> Result<Found> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", p.found FROM (
            SELECT f.sequence, f.position, f.row_id, f.occurred_at, COUNT(*) OVER () AS found,
                SUM(f.weight) OVER (ORDER BY f.sequence) - f.weight AS bytes_before
            FROM (
                SELECT e.sequence, p.position, e.row_id, e.occurred_at, ",
        weight!(),
        " AS weight
                FROM events e LEFT JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " WHERE e.tenant_id = $1 AND e.stream_id = $9 AND e.sequence > $2 AND e.sequence <= $3",
        let_through!(),
        " ORDER BY e.sequence LIMIT $4) AS f
        ) AS p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        " WHERE p.bytes_before < $5 ORDER BY p.sequence"
    );
    let mut values = args![tenant, after, up_to, room.events + 1, room.bytes];
    values.extend(args![filter.types(), filter.subjects(), filter.actors(), stream]);
    Ok(Found::of(tx.fetch_all(sql, values).await?, room))
}

/// Events of one tenant that are not hidden and occurred in `[since, until)`, by position, the last first: those in `(after, up_to]`.
pub async fn by_position_back(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
    (after, up_to): (i64, i64),
    (since, until): (Timestamp, Timestamp),
    room: Room,
) -> Result<Found> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", p.found FROM (
            SELECT f.position, f.row_id, f.occurred_at, COUNT(*) OVER () AS found,
                SUM(f.weight) OVER (ORDER BY f.position DESC) - f.weight AS bytes_before
            FROM (
                SELECT p.position, p.row_id, p.occurred_at, ",
        weight!(),
        " AS weight
                FROM events_positions p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        " WHERE p.tenant_id = $1 AND p.position > $2 AND p.position <= $3 AND ($9 IS NULL OR p.stream_id = $9)
            AND p.occurred_at >= $10 AND p.occurred_at < $11
            AND p.sequence > COALESCE((SELECT c.hidden_sequence FROM log_chains c WHERE c.stream_id = p.stream_id), 0)",
        let_through!(),
        " ORDER BY p.position DESC LIMIT $4) AS f
        ) AS p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        " WHERE p.bytes_before < $5 ORDER BY p.position DESC"
    );
    let mut values = args![tenant, after, up_to, room.events + 1, room.bytes];
    values.extend(args![filter.types(), filter.subjects(), filter.actors(), filter.stream.map(Stream::uuid)]);
    values.extend(args![since, until]);
    Ok(Found::of(tx.fetch_all(sql, values).await?, room))
}

/// When the event of a sequence that is there occurred; for 0, before every event.
pub async fn occurred_at(tx: &mut Tx, tenant: TenantId, stream: Stream, sequence: i64) -> Result<Timestamp> {
    let sql = "SELECT occurred_at FROM events WHERE tenant_id = $1 AND stream_id = $2 AND sequence = $3";
    let row: Option<(Timestamp,)> = tx.fetch_optional(sql, args![tenant, Some(stream.uuid()), sequence]).await?;
    Ok(row.map_or(Timestamp(i64::MIN), |(time,)| time))
}

/// The last sequence of a stream whose event had occurred by this time; 0 where none had.
pub async fn sequence_at(tx: &mut Tx, tenant: TenantId, stream: Stream, time: Timestamp) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(sequence), 0) FROM events
        WHERE tenant_id = $1 AND stream_id = $2 AND occurred_at <= $3";
    let (sequence,) = tx.fetch_one(sql, args![tenant, Some(stream.uuid()), time]).await?;
    Ok(sequence)
}

/// The position of an event of a stream; none where it has none yet, or is not there.
pub(super) async fn position_of(tx: &mut Tx, tenant: TenantId, stream: Uuid, sequence: i64) -> Result<Option<i64>> {
    let sql = "SELECT p.position
        FROM events e JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at
        WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence = $3";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![tenant, stream, sequence]).await?;
    Ok(row.map(|(position,)| position))
}

/// The first position in a stream behind a sequence; none where nothing there has one yet.
pub(super) async fn position_behind(tx: &mut Tx, tenant: TenantId, stream: Uuid, sequence: i64) -> Result<Option<i64>> {
    let sql = "SELECT p.position
        FROM events e LEFT JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at
        WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence > $3 ORDER BY e.sequence LIMIT 1";
    let row: Option<(Option<i64>,)> = tx.fetch_optional(sql, args![tenant, stream, sequence]).await?;
    Ok(row.and_then(|(position,)| position))
}

/// The first position, of a stream or of the tenant, whose event occurred at this time or later.
pub(super) async fn position_since(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Option<Uuid>,
    time: Timestamp,
) -> Result<Option<i64>> {
    let sql = "SELECT MIN(position) FROM events_positions
        WHERE tenant_id = $1 AND ($2 IS NULL OR stream_id = $2) AND occurred_at >= $3";
    let (position,) = tx.fetch_one(sql, args![tenant, stream, time]).await?;
    Ok(position)
}

/// The first sequence of a stream whose event occurred at this time or later.
pub(super) async fn sequence_since(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Uuid,
    time: Timestamp,
) -> Result<Option<i64>> {
    let sql = "SELECT MIN(sequence) FROM events WHERE tenant_id = $1 AND stream_id = $2 AND occurred_at >= $3";
    let (sequence,) = tx.fetch_one(sql, args![tenant, stream, time]).await?;
    Ok(sequence)
}
