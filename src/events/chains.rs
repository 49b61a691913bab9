//! Where the chain of each stream ends: kept by the sequencer, read by whoever proves or signs.

use uuid::Uuid;

use super::{
    Stream,
    chain::{self, Hash},
};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::Result,
    ids::TenantId,
};

/// The end of a stream's chain.
#[derive(Debug, Clone, FromRow)]
pub struct End {
    /// Whose it is.
    pub tenant_id: TenantId,
    stream_id: Uuid,
    /// The last sequence that is chained.
    pub sequence: i64,
    hash: Vec<u8>,
    /// Everything up to here was dropped.
    pub hidden_sequence: i64,
    hidden_hash: Option<Vec<u8>>,
    /// Up to here nothing is left to sign: the last checkpoint covers it, or is it; 0 where there is none.
    pub signed_sequence: i64,
}

impl End {
    /// Which stream.
    pub fn stream(&self) -> Stream {
        Stream::of(self.tenant_id, self.stream_id)
    }

    /// The chain up to and with the last sequence.
    pub fn hash(&self) -> Result<Hash> {
        chain::read(&self.hash)
    }

    /// The chain before the first event that is still there.
    pub fn beginning(&self) -> Result<Hash> {
        self.hidden_hash.as_deref().map_or_else(|| Ok(chain::beginning(self.stream())), chain::read)
    }
}

/// The end of a stream's chain; nothing where none of its events is chained yet.
pub async fn end(tx: &mut Tx, tenant: TenantId, stream: Stream) -> Result<Option<End>> {
    let sql = "SELECT tenant_id, stream_id, sequence, hash, hidden_sequence, hidden_hash, signed_sequence
        FROM log_chains WHERE stream_id = $1 AND tenant_id = $2";
    tx.fetch_optional(sql, args![Some(stream.uuid()), tenant]).await
}

/// The chain up to and with a sequence that is still there.
pub async fn at(tx: &mut Tx, tenant: TenantId, stream: Stream, sequence: i64) -> Result<Option<Hash>> {
    let sql =
        "SELECT hash FROM events_positions p JOIN events e ON e.row_id = p.row_id AND e.occurred_at = p.occurred_at
        WHERE e.tenant_id = $1 AND e.stream_id = $2 AND e.sequence = $3";
    let row: Option<(Vec<u8>,)> = tx.fetch_optional(sql, args![tenant, Some(stream.uuid()), sequence]).await?;
    row.map(|(bytes,)| chain::read(&bytes)).transpose()
}

/// Whether there is a chain of this stream: for whoever operates the service.
pub async fn is_there(tx: &mut Tx, stream: Stream) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM log_chains WHERE stream_id = $1";
    let (count,): (i64,) = tx.fetch_one(sql, args![Some(stream.uuid())]).await?;
    Ok(count > 0)
}

/// Whether there is a chain of this tenant: for whoever operates the service.
pub async fn has_tenant(tx: &mut Tx, tenant: TenantId) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM log_chains WHERE tenant_id = $1 LIMIT 1) AS one";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant]).await?;
    Ok(count > 0)
}

/// The chain's hash at a position; nothing where there is none.
pub async fn at_position(tx: &mut Tx, position: i64) -> Result<Option<Hash>> {
    let sql = "SELECT hash FROM events_positions WHERE position = $1";
    let row: Option<(Vec<u8>,)> = tx.fetch_optional(sql, args![position]).await?;
    row.map(|(bytes,)| chain::read(&bytes)).transpose()
}

/// Streams in which something happened before this time that no checkpoint covers.
pub async fn unsigned(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<Vec<End>> {
    let sql = "SELECT tenant_id, stream_id, sequence, hash, hidden_sequence, hidden_hash, signed_sequence
        FROM log_chains WHERE unsigned_since <= $1 ORDER BY unsigned_since LIMIT $2";
    tx.fetch_all(sql, args![before, limit]).await
}

/// Notes a checkpoint: up to which sequence nothing is left to sign, its own event included, and since when something
/// behind that is there, if anything is.
pub async fn signed(tx: &mut Tx, stream: Stream, sequence: i64, unsigned_since: Option<Timestamp>) -> Result<()> {
    let sql = "UPDATE log_chains SET signed_sequence = $2, unsigned_since = $3 WHERE stream_id = $1";
    let since = unsigned_since.map(|time| time.0);
    tx.execute(sql, args![Some(stream.uuid()), sequence, since]).await.map(drop)
}
