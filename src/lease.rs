//! Leadership: a row that one replica holds for a while, by the database's clock, with an epoch that rises whenever it
//! changes hands. What a leader writes is guarded by its epoch: a leader of the past matches no row.

use std::time::Duration;

use crate::{
    db::{Db, FromRow, Tx, args},
    error::Result,
};

/// How long a lease lasts without being renewed.
pub const TTL: Duration = Duration::from_secs(3);
/// How often it is renewed, or tried for.
pub const RENEW: Duration = Duration::from_secs(1);

const NAME: &str = "leader";

/// Which term of leadership.
pub type Epoch = i64;

/// Tries for leadership: free, or run out. The new epoch goes to everything that a leader writes.
pub async fn acquire(db: &Db, holder: &str) -> Result<Option<Epoch>> {
    let holder = holder.to_owned();
    let (epoch, _) = db
        .write(async move |tx| {
            let Some(epoch) = take(tx, &holder).await? else { return Ok(None) };
            tx.execute("UPDATE log_head SET leader_epoch = $1", args![epoch]).await?;
            tx.execute("UPDATE relay_cursors SET leader_epoch = $1", args![epoch]).await?;
            Ok(Some(epoch))
        })
        .await?;
    Ok(epoch)
}

async fn take(tx: &mut Tx, holder: &str) -> Result<Option<Epoch>> {
    let sql = if tx.is_postgres() {
        "INSERT INTO leases (name, holder, epoch, expires_at)
            VALUES ($1, $2, 1, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT + $3)
        ON CONFLICT (name) DO UPDATE
            SET holder = excluded.holder, epoch = leases.epoch + 1, expires_at = excluded.expires_at
            WHERE leases.expires_at < (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT
        RETURNING epoch"
    } else {
        // One process holds the folder's lock, so whoever held this lease before is gone.
        "INSERT INTO leases (name, holder, epoch, expires_at)
            VALUES ($1, $2, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $3)
        ON CONFLICT (name) DO UPDATE
            SET holder = excluded.holder, epoch = leases.epoch + 1, expires_at = excluded.expires_at
        RETURNING epoch"
    };
    let row: Option<(Epoch,)> = tx.fetch_optional(sql, args![NAME, holder, ttl_micros()]).await?;
    Ok(row.map(|(epoch,)| epoch))
}

/// Renews a lease; false where it is lost.
pub async fn renew(db: &Db, epoch: Epoch) -> Result<bool> {
    let (rows, _) = db
        .write(async move |tx| {
            let sql = if tx.is_postgres() {
                "UPDATE leases SET expires_at = (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT + $3
                WHERE name = $1 AND epoch = $2"
            } else {
                "UPDATE leases SET expires_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $3
                WHERE name = $1 AND epoch = $2"
            };
            tx.execute(sql, args![NAME, epoch, ttl_micros()]).await
        })
        .await?;
    Ok(rows == 1)
}

/// Gives a lease up, so that another replica need not wait for its end.
pub async fn release(db: &Db, epoch: Epoch) -> Result<()> {
    let (_, _) = db
        .write(async move |tx| {
            tx.execute("UPDATE leases SET expires_at = 0 WHERE name = $1 AND epoch = $2", args![NAME, epoch]).await
        })
        .await?;
    Ok(())
}

/// Who leads.
#[derive(Debug, FromRow)]
pub struct Held {
    /// Which replica.
    pub holder: String,
    /// Which term.
    pub epoch: Epoch,
    /// Whether the lease lasts.
    pub lasts: bool,
}

/// Who leads, or did last; none where nobody ever led.
pub async fn held(tx: &mut Tx) -> Result<Option<Held>> {
    let sql = if tx.is_postgres() {
        "SELECT holder, epoch, expires_at > (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT AS lasts
        FROM leases WHERE name = $1"
    } else {
        "SELECT holder, epoch, expires_at > CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS lasts
        FROM leases WHERE name = $1"
    };
    tx.fetch_optional(sql, args![NAME]).await
}

/// Ends every term there was: a leader of the past that comes back matches no row.
pub async fn end_all(tx: &mut Tx) -> Result<()> {
    tx.execute("UPDATE leases SET epoch = epoch + 1, expires_at = 0 WHERE name = $1", args![NAME]).await?;
    let epoch = "UPDATE log_head SET leader_epoch = leader_epoch + 1";
    tx.execute(epoch, args![]).await?;
    tx.execute("UPDATE relay_cursors SET leader_epoch = leader_epoch + 1", args![]).await.map(drop)
}

fn ttl_micros() -> i64 {
    i64::try_from(TTL.as_micros()).expect("a few seconds")
}
