//! The log's own SQL: the only statements that draw sequences, or read the log.

use prost::Message as _;
use uuid::Uuid;

use super::{
    Stream,
    chain::{self, Hash},
};
use crate::{
    db::{FromRow, Tx, Value, args},
    error::{Error, Reason, Result},
    ids::{EventId, OrganizationId, TenantId, UserId},
    proto::v1 as pb,
};

/// A row of the log.
#[derive(Debug, Clone, FromRow)]
pub struct Record {
    /// The number in the whole log; none where the sequencer has not come to it yet.
    pub position: Option<i64>,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The organization, or the tenant for its own stream.
    pub stream_id: Uuid,
    /// The number in its stream.
    pub sequence: i64,
    /// The envelope without position and stream epoch, and without what is somebody's.
    pub payload: Vec<u8>,
    /// What is of the user whom it is about, if anything.
    pub subject_payload: Option<Vec<u8>>,
    /// What is of the user whose call it was, if anything.
    pub actor_payload: Option<Vec<u8>>,
    /// Whether something of it was erased.
    pub erased: bool,
}

/// The columns of a [`Record`].
macro_rules! columns {
    () => {
        "p.position, e.tenant_id, e.stream_id, e.sequence, e.payload, x.subject_payload, x.actor_payload,
        (x.subject_id IS NOT NULL AND length(x.subject_payload) = 0)
            OR (x.actor_id IS NOT NULL AND length(x.actor_payload) = 0) AS erased"
    };
}

/// The personal data of events, where they have some.
macro_rules! with_personal {
    () => {
        " LEFT JOIN events_personal x ON x.tenant_id = e.tenant_id AND x.event_id = e.id AND x.occurred_at = e.occurred_at"
    };
}

/// What an event weighs.
macro_rules! weight {
    () => {
        "length(e.payload) + COALESCE(length(x.subject_payload), 0) + COALESCE(length(x.actor_payload), 0)"
    };
}

pub(super) use {columns, weight, with_personal};

/// How many bytes of events are read at once, where somebody reads the whole log: one comes whatever it weighs.
pub(super) const BATCH_BYTES_MAX: i64 = 8 << 20;

impl Record {
    /// Which stream it is in.
    pub fn stream(&self) -> Stream {
        Stream::of(self.tenant_id, self.stream_id)
    }

    /// How many bytes of it are read.
    pub fn weight(&self) -> usize {
        let personal = [&self.subject_payload, &self.actor_payload].into_iter().flatten();
        self.payload.len() + personal.map(Vec::len).sum::<usize>()
    }

    /// The bytes of the whole envelope. What is kept apart from it, and the two fields that only the sequencer knows, are
    /// appended to the others: a protobuf message is the concatenation of its fields (Protocol Buffers encoding, "last
    /// one wins").
    pub fn envelope(mut self, stream_epoch: &str) -> Vec<u8> {
        for personal in [&self.subject_payload, &self.actor_payload].into_iter().flatten() {
            self.payload.extend_from_slice(personal);
        }
        let rest = pb::Event {
            position: self.position.unwrap_or(0),
            stream_epoch: stream_epoch.to_owned(),
            ..pb::Event::default()
        };
        rest.encode(&mut self.payload).expect("a vector grows");
        self.payload
    }

    /// The event.
    pub fn decode(self, stream_epoch: &str) -> Result<pb::Event> {
        pb::Event::decode(self.envelope(stream_epoch).as_slice()).map_err(Error::internal)
    }
}

/// Takes sequences of an organization's stream; answers the last of them, and how far its tenant's own stream has come:
/// this far at least the operation saw it.
pub(super) async fn draw_organization(
    tx: &mut Tx,
    tenant: TenantId,
    id: OrganizationId,
    count: i64,
) -> Result<(i64, i64)> {
    let sql = "UPDATE organizations SET sequence = sequence + $3 WHERE tenant_id = $1 AND id = $2
        RETURNING sequence, (SELECT t.sequence FROM tenants t WHERE t.id = $1)";
    tx.fetch_one(sql, args![tenant, id, count]).await
}

/// Takes sequences of the tenant's own stream; answers the last of them.
pub(super) async fn draw_tenant(tx: &mut Tx, tenant: TenantId, count: i64) -> Result<i64> {
    let sql = "UPDATE tenants SET sequence = sequence + $2 WHERE id = $1 RETURNING sequence";
    let (sequence,) = tx.fetch_one(sql, args![tenant, count]).await?;
    Ok(sequence)
}

/// Appends; each row, of [`Row::main`](super::row::Row::main), becomes pending by a trigger.
pub(super) async fn insert(tx: &mut Tx, rows: Vec<Vec<Value>>) -> Result<()> {
    let insert = "INSERT INTO events (tenant_id, stream_id, sequence, id, type, occurred_at, subject_kind, subject_id,
        actor_kind, actor_id, ended, payload, leaf, subject_seal, actor_seal)";
    tx.insert_all(insert, rows).await
}

/// Puts down what is somebody's, beside the log: rows of [`Row::personal`](super::row::Row::personal).
pub(super) async fn insert_personal(tx: &mut Tx, rows: Vec<Vec<Value>>) -> Result<()> {
    let insert = "INSERT INTO events_personal (tenant_id, event_id, occurred_at, subject_id, subject_payload,
        subject_salt, actor_id, actor_payload, actor_salt)";
    tx.insert_all(insert, rows).await
}

/// Keeps an event as what is left of its thing.
pub(super) async fn copy_to_base(tx: &mut Tx, tenant: TenantId, stream: Stream, sequence: i64) -> Result<()> {
    let sql = concat!(
        "INSERT INTO events_base (tenant_id, stream_id, subject_kind, subject_id, sequence, position, id, payload,
            person_id, person_payload, caller_id, caller_payload)
        SELECT e.tenant_id, e.stream_id, e.subject_kind, e.subject_id, e.sequence, p.position, e.id, e.payload,
            x.subject_id, x.subject_payload, x.actor_id, x.actor_payload
        FROM events e JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence = $3"
    );
    tx.execute(sql, args![tenant, Some(stream.uuid()), sequence]).await.map(drop)
}

/// Empties what is of a user; that there was something stays.
pub(super) async fn erase_person(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<()> {
    super::base::lock(tx).await?; // or what is being copied there would be missed
    let sql = "UPDATE events_personal SET subject_payload = $3, subject_salt = $3
        WHERE tenant_id = $1 AND subject_id = $2";
    tx.execute(sql, args![tenant, user, Vec::new()]).await?;
    let sql = "UPDATE events_personal SET actor_payload = $3, actor_salt = $3
        WHERE tenant_id = $1 AND actor_id = $2";
    tx.execute(sql, args![tenant, user, Vec::new()]).await?;
    super::base::erase_person(tx, tenant, user).await
}

/// How far the tenant's own stream has come.
pub async fn tenant_sequence(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let sql = "SELECT sequence FROM tenants WHERE id = $1";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![tenant]).await?;
    row.map(|(sequence,)| sequence).ok_or_else(|| Error::new(Reason::TenantNotFound, "no such tenant"))
}

/// How far an organization's stream has come; none where there is no such organization.
pub async fn organization_sequence(tx: &mut Tx, tenant: TenantId, id: OrganizationId) -> Result<Option<i64>> {
    let sql = "SELECT sequence FROM organizations WHERE tenant_id = $1 AND id = $2";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![tenant, id]).await?;
    Ok(row.map(|(sequence,)| sequence))
}

/// Events of one stream, by sequence: for what runs inside the service.
pub async fn after_sequence(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events e LEFT JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence > $3 ORDER BY e.sequence LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, stream, after, limit]).await
}

/// A row of the log with what proves it.
#[derive(Debug, Clone, FromRow)]
pub struct Proven {
    /// The number in its stream.
    pub sequence: i64,
    /// The envelope without what is somebody's.
    pub payload: Vec<u8>,
    /// The chain up to and with it.
    pub hash: Vec<u8>,
    /// The seal of what is of the user whom it is about; empty where nothing is.
    pub subject_seal: Vec<u8>,
    /// What is sealed, and the salt; empty where it was erased.
    pub subject_payload: Option<Vec<u8>>,
    /// Its salt.
    pub subject_salt: Option<Vec<u8>>,
    /// The seal of what is of the user whose call it was; empty where nothing is.
    pub actor_seal: Vec<u8>,
    /// What is sealed; empty where it was erased.
    pub actor_payload: Option<Vec<u8>>,
    /// Its salt.
    pub actor_salt: Option<Vec<u8>>,
}

impl Proven {
    /// The chain up to and with it.
    pub fn hash(&self) -> Result<Hash> {
        chain::read(&self.hash)
    }
}

/// Events of one stream that have a position, by sequence, with what proves them.
pub async fn proven(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Uuid,
    after: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<Proven>> {
    let sql = concat!(
        "SELECT e.sequence, e.payload, p.hash, e.subject_seal, x.subject_payload, x.subject_salt, e.actor_seal,
            x.actor_payload, x.actor_salt
        FROM events e JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence > $3 AND e.sequence <= $4
        ORDER BY e.sequence LIMIT $5"
    );
    tx.fetch_all(sql, args![tenant, stream, after, up_to, limit]).await
}

/// Events of all tenants, by position, in a batch of bounded weight: it may have less than `limit`, and is empty only
/// behind the last. For what runs inside the service, never for a caller. Whoever goes on reads by [`Batches`].
///
/// The positions are taken first, and what belongs to them after that: the planner, which knows little of a log that has
/// just begun, is given nothing to choose.
///
/// [`Batches`]: super::Batches
pub async fn after_position_everywhere(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT position, tenant_id, stream_id, sequence, payload, subject_payload, actor_payload, erased FROM (
            SELECT ",
        columns!(),
        ", SUM(",
        weight!(),
        ") OVER (ORDER BY p.position ROWS UNBOUNDED PRECEDING) - (",
        weight!(),
        ") AS bytes_before
            FROM (SELECT position, row_id, occurred_at FROM events_positions
                WHERE position > $1 ORDER BY position LIMIT $2) AS p
            JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at",
        with_personal!(),
        ") AS batch
        WHERE bytes_before < $3 ORDER BY position"
    );
    tx.fetch_all(sql, args![after, limit, BATCH_BYTES_MAX]).await
}

/// Events of all tenants, stream by stream, those without a position too: for what runs inside the service, never for a
/// caller.
pub async fn after_place_everywhere(tx: &mut Tx, after: (TenantId, Uuid, i64), limit: i64) -> Result<Vec<Record>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events e LEFT JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " WHERE (e.tenant_id, e.stream_id, e.sequence) > ($1, $2, $3)
        ORDER BY e.tenant_id, e.stream_id, e.sequence LIMIT $4"
    );
    tx.fetch_all(sql, args![after.0, after.1, after.2, limit]).await
}

/// One event that is not hidden.
pub async fn by_id(tx: &mut Tx, tenant: TenantId, id: EventId) -> Result<Option<Record>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events e LEFT JOIN events_positions p ON p.row_id = e.row_id AND p.occurred_at = e.occurred_at",
        with_personal!(),
        " LEFT JOIN log_chains c ON c.stream_id = e.stream_id
        WHERE e.tenant_id = $1 AND e.id = $2 AND e.sequence > COALESCE(c.hidden_sequence, 0)"
    );
    tx.fetch_optional(sql, args![tenant, id]).await
}

/// The id of the event at a position; none where the log has none there.
pub async fn id_at_position(tx: &mut Tx, position: i64) -> Result<Option<EventId>> {
    let sql =
        "SELECT e.id FROM events_positions p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at
        WHERE p.position = $1";
    let row: Option<(EventId,)> = tx.fetch_optional(sql, args![position]).await?;
    Ok(row.map(|(id,)| id))
}

/// The first and the last of the events that are committed and have no position yet, in the order they get one.
pub async fn pending(tx: &mut Tx) -> Result<Option<(i64, i64)>> {
    let (first, last): (Option<i64>, Option<i64>) = tx
        .fetch_one("SELECT (SELECT MIN(row_id) FROM events_pending), (SELECT MAX(row_id) FROM events_pending)", args![])
        .await?;
    Ok(first.zip(last))
}

/// The first and the last of them in a stream, up to a sequence, or, where that is 0, all of it.
pub(super) async fn pending_of(
    tx: &mut Tx,
    tenant: TenantId,
    stream: Stream,
    up_to: i64,
) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT MIN(row_id), MAX(row_id) FROM events_pending
        WHERE tenant_id = $1 AND stream_id = $2 AND ($3 = 0 OR sequence <= $3)";
    let (first, last): (Option<i64>, Option<i64>) =
        tx.fetch_one(sql, args![tenant, Some(stream.uuid()), up_to]).await?;
    Ok(first.zip(last))
}

/// How far the log is numbered, and which log it is.
pub async fn head(tx: &mut Tx) -> Result<(i64, Uuid)> {
    let head = tx.fetch_optional("SELECT position, stream_epoch FROM log_head WHERE id = 1", args![]).await?;
    head.ok_or_else(|| Error::internal("there is no log yet: `roster serve` begins it"))
}

/// The last position that is gone for good, of all tenants; 0 where none is.
pub async fn dropped_position(tx: &mut Tx) -> Result<i64> {
    let (position,) = tx.fetch_one("SELECT dropped_position FROM log_head WHERE id = 1", args![]).await?;
    Ok(position)
}

/// How many events are committed and have no position yet.
pub async fn unnumbered(tx: &mut Tx) -> Result<i64> {
    let (count,) = tx.fetch_one("SELECT COUNT(*) FROM events_pending", args![]).await?;
    Ok(count)
}

/// Makes it another log: after a restore, sequences may come back with other content.
pub async fn begin_again(tx: &mut Tx, stream_epoch: Uuid) -> Result<()> {
    tx.execute("UPDATE log_head SET stream_epoch = $1", args![stream_epoch]).await.map(drop)
}

/// Begins a log, unless there is one.
pub async fn begin(tx: &mut Tx) -> Result<()> {
    let sql = "INSERT INTO log_head (id, position, leader_epoch, stream_epoch) VALUES (1, 0, 0, $1)
        ON CONFLICT (id) DO NOTHING";
    tx.execute(sql, args![Uuid::now_v7()]).await.map(drop)
}
