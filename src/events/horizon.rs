//! Where retention has cut a stream off, or all streams of a tenant: what is before that is hidden, and gone at some time.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Stream;
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Result},
    ids::TenantId,
};

/// Where it is.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Horizon {
    /// Everything up to this sequence is hidden; 0 where it is of several streams.
    pub sequence: i64,
    /// What is hidden has no position beyond this one. Of a tenant, streams that are held may have earlier ones that are not
    /// hidden.
    pub position: i64,
    /// What is hidden had occurred before this.
    pub before: Timestamp,
}

impl Horizon {
    /// What a field asks for is hidden: it names what is there by sequence.
    pub fn dropped_sequence(&self, field: &str) -> Error {
        Error::range_dropped(field, self.sequence).with("first_sequence", self.sequence + 1)
    }

    /// What a field asks for is hidden: it names what is there by position.
    pub fn dropped_position(&self, field: &str) -> Error {
        Error::range_dropped(field, self.position).with("first_position", self.position + 1)
    }

    /// Whether something is hidden that had occurred at this time or later.
    pub fn hides(&self, time: Timestamp) -> bool {
        self.position > 0 && time < self.before
    }

    /// Fails where what comes behind a sequence is hidden.
    pub fn ensure_behind(&self, field: &str, sequence: i64) -> Result<()> {
        if sequence < self.sequence { Err(self.dropped_sequence(field)) } else { Ok(()) }
    }
}

/// The horizon of a stream, or of all of a tenant's; zeros where nothing is hidden.
pub async fn of(tx: &mut Tx, tenant: TenantId, stream: Option<Stream>) -> Result<Horizon> {
    let Some(stream) = stream else {
        let sql = "SELECT CAST(0 AS BIGINT) AS sequence,
            COALESCE((SELECT MAX(hidden_position) FROM log_chains WHERE tenant_id = $1), 0) AS position,
            COALESCE((SELECT MAX(hidden_before) FROM log_chains WHERE tenant_id = $1), 0) AS before";
        return tx.fetch_one(sql, args![tenant]).await;
    };
    let sql = "SELECT hidden_sequence AS sequence, hidden_position AS position, hidden_before AS before
        FROM log_chains WHERE tenant_id = $1 AND stream_id = $2";
    let found = tx.fetch_optional(sql, args![tenant, Some(stream.uuid())]).await?;
    Ok(found.unwrap_or(Horizon { sequence: 0, position: 0, before: Timestamp(0) }))
}

/// Where every stream was cut off that was, by sequence: for what runs inside the service, never for a caller.
pub async fn everywhere(tx: &mut Tx) -> Result<BTreeMap<Stream, i64>> {
    let sql = "SELECT tenant_id, stream_id, hidden_sequence FROM log_chains WHERE hidden_sequence > 0";
    let rows: Vec<(TenantId, Uuid, i64)> = tx.fetch_all(sql, args![]).await?;
    Ok(rows.into_iter().map(|(tenant, stream, sequence)| (Stream::of(tenant, stream), sequence)).collect())
}

/// The last position of all that is hidden.
pub async fn last_position(tx: &mut Tx) -> Result<i64> {
    let (position,) = tx.fetch_one("SELECT hidden_position FROM log_retention WHERE id = 1", args![]).await?;
    Ok(position)
}
