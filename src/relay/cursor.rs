//! How far a topic has everything: written by the leader of the present epoch alone.

use super::topic::Sink;
use crate::{
    db::{Db, Tx, args},
    error::Result,
    lease::Epoch,
};

/// The mark of a sink, which begins at 0, and again for a blank topic; nothing where this is not the leader's epoch.
pub async fn open(db: &Db, sink: &Sink, epoch: Epoch) -> Result<Option<i64>> {
    let (name, blank) = (sink.name.clone(), sink.blank);
    let (mark, _) = db
        .write(async move |tx| {
            let head = "SELECT leader_epoch FROM log_head WHERE id = 1 AND leader_epoch = $1";
            if tx.lock_one::<(i64,)>(head, args![epoch]).await?.is_none() {
                return Ok(None);
            }
            let insert = "INSERT INTO relay_cursors (sink, position, leader_epoch) VALUES ($1, 0, $2)
                ON CONFLICT (sink) DO UPDATE SET leader_epoch = $2,
                    position = CASE WHEN $3 THEN 0 ELSE relay_cursors.position END RETURNING position";
            let (position,) = tx.fetch_one(insert, args![&name, epoch, blank]).await?;
            Ok(Some(position))
        })
        .await?;
    Ok(mark)
}

/// Moves the mark of a sink forward; false where this is not the leader's epoch.
pub async fn save(db: &Db, sink: &str, epoch: Epoch, position: i64) -> Result<bool> {
    let sink = sink.to_owned();
    let (rows, _) = db
        .write(async move |tx| {
            let sql = "UPDATE relay_cursors SET position = $3
                WHERE sink = $1 AND leader_epoch = $2 AND position <= $3";
            tx.execute(sql, args![&sink, epoch, position]).await
        })
        .await?;
    Ok(rows == 1)
}

/// The mark of a sink, for whoever only looks; 0 where nothing was ever published.
pub async fn acknowledged(tx: &mut Tx, sink: &str) -> Result<i64> {
    let sql = "SELECT position FROM relay_cursors WHERE sink = $1";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![sink]).await?;
    Ok(row.map_or(0, |(position,)| position))
}

/// Every sink's mark, and when the first event beyond it was made, if there is one.
pub async fn all(tx: &mut Tx) -> Result<Vec<(String, i64, Option<i64>)>> {
    let sql = "SELECT c.sink, c.position,
            (SELECT e.occurred_at FROM events_positions p JOIN events e ON e.row_id = p.row_id
                WHERE p.position > c.position ORDER BY p.position LIMIT 1)
        FROM relay_cursors c ORDER BY c.sink";
    tx.fetch_all(sql, args![]).await
}

/// Puts every mark back to the beginning: everything is published again.
pub async fn restart(tx: &mut Tx) -> Result<u64> {
    tx.execute("UPDATE relay_cursors SET position = 0", args![]).await
}
