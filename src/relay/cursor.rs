//! How far a topic has everything: written by the leader of the present epoch alone.

use super::topic::Sink;
use crate::{
    db::{Db, FromRow, Tx, args},
    error::Result,
    lease::Epoch,
};

/// The mark of a sink.
#[derive(Debug, FromRow)]
pub struct Mark {
    /// The topic has everything up to here.
    pub position: i64,
    /// Why nothing more is published to it; empty where something is.
    pub refused: String,
}

/// The mark of a sink, which begins at 0, and again for a blank topic; nothing where this is not the leader's epoch.
pub async fn open(db: &Db, sink: &Sink, epoch: Epoch) -> Result<Option<Mark>> {
    let (name, blank) = (sink.name.clone(), sink.blank);
    let (mark, _) = db
        .write(async move |tx| {
            let head = "SELECT leader_epoch FROM log_head WHERE id = 1 AND leader_epoch = $1";
            if tx.lock_one::<(i64,)>(head, args![epoch]).await?.is_none() {
                return Ok(None);
            }
            let insert = "INSERT INTO relay_cursors (sink, position, leader_epoch) VALUES ($1, 0, $2)
                ON CONFLICT (sink) DO UPDATE SET leader_epoch = $2,
                    position = CASE WHEN $3 THEN 0 ELSE relay_cursors.position END RETURNING position, refused";
            tx.fetch_one(insert, args![&name, epoch, blank]).await.map(Some)
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

/// Notes why nothing is published to a sink, for whoever asks how far it is; empty: no more.
pub async fn refuse(db: &Db, sink: &str, epoch: Epoch, why: &str) -> Result<()> {
    let (sink, why) = (sink.to_owned(), why.to_owned());
    let noted = db.write(async move |tx| {
        let sql = "UPDATE relay_cursors SET refused = $3 WHERE sink = $1 AND leader_epoch = $2";
        tx.execute(sql, args![&sink, epoch, &why]).await
    });
    noted.await.map(drop)
}

/// The mark of a sink, for whoever only looks; 0 where nothing was ever published.
pub async fn acknowledged(tx: &mut Tx, sink: &str) -> Result<i64> {
    let sql = "SELECT position FROM relay_cursors WHERE sink = $1";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![sink]).await?;
    Ok(row.map_or(0, |(position,)| position))
}

/// How far a sink is.
#[derive(Debug, FromRow)]
pub struct Reached {
    /// The cluster's id, `/`, the topic.
    pub sink: String,
    /// It has everything up to here.
    pub position: i64,
    /// Why nothing more is published to it; empty where something is.
    pub refused: String,
    /// When the first event beyond that was made, if there is one.
    pub oldest_at: Option<i64>,
}

/// How far every sink is.
pub async fn all(tx: &mut Tx) -> Result<Vec<Reached>> {
    let sql = "SELECT c.sink, c.position, c.refused,
            (SELECT p.occurred_at FROM events_positions p
                WHERE p.position > c.position ORDER BY p.position LIMIT 1) AS oldest_at
        FROM relay_cursors c ORDER BY c.sink";
    tx.fetch_all(sql, args![]).await
}

/// Whether there is a mark of this sink.
pub async fn is_there(tx: &mut Tx, sink: &str) -> Result<bool> {
    let (count,): (i64,) = tx.fetch_one("SELECT COUNT(*) FROM relay_cursors WHERE sink = $1", args![sink]).await?;
    Ok(count > 0)
}

/// Forgets the mark of a sink.
pub async fn forget(db: &Db, sink: &str) -> Result<()> {
    let sink = sink.to_owned();
    let forgotten =
        db.write(async move |tx| tx.execute("DELETE FROM relay_cursors WHERE sink = $1", args![&sink]).await);
    forgotten.await.map(drop)
}

/// Puts every mark back to the beginning: everything is published again.
pub async fn restart(tx: &mut Tx) -> Result<u64> {
    tx.execute("UPDATE relay_cursors SET position = 0, refused = ''", args![]).await
}
