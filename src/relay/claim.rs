//! Whether a topic may be published to, by the last records that it has: they are of this log, or of one that this log has
//! taken the place of.
//!
//! Two installations in one topic would look well from either side, and each one's consumers would drop what the other
//! says. So would a database that was restored to an earlier point, or copied: it says other things at the same places.
//! What is legitimate: a blank topic; one that has what this log published, whether or not it was marked, or was replayed
//! or copied there; and one of an earlier epoch of the same tenants, after `roster events new-epoch`.

use super::last::Last;
use crate::{
    db::Tx,
    error::Result,
    events::{chains, store},
};

/// What speaks against publishing to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// What was seen.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
    /// Whether this is so whatever was published before: then nothing more is. Otherwise it counts where nothing was.
    pub always: bool,
}

const OTHER_TOPIC: &str =
    "publish to a topic of its own (kafka_topic, kafka_state_topic), or delete the topic if nobody needs what is in it";
const NEW_EPOCH: &str = "stop whoever else publishes there; then stop every replica, and begin another epoch: roster events new-epoch --yes";

/// What of these last records of a topic speaks against publishing this log there; none where nothing does. Look at the
/// topic first, and at the log then: it has whatever it had published.
pub async fn against(tx: &mut Tx, topic: &str, last: &[Last]) -> Result<Option<Against>> {
    let (head, epoch) = store::head(tx).await?;
    let epoch = epoch.to_string();
    if let Some(record) = last.iter().find(|record| record.stream_epoch > epoch) {
        return later(tx, topic, record).await.map(Some);
    }
    let present = last.iter().filter(|record| record.stream_epoch == epoch);
    if let Some(record) = present.max_by_key(|record| record.position) {
        return match contradiction(tx, topic, record, head).await? {
            None => others(tx, topic, &epoch, last).await,
            against => Ok(against),
        };
    }
    if let Some(Last { partition, offset, .. }) = last.iter().find(|record| record.stream_epoch.is_empty()) {
        let what = format!("{topic} has records of somebody else, such as at partition {partition}, offset {offset}");
        return Ok(Some(Against { what, remedy: OTHER_TOPIC, always: false }));
    }
    others(tx, topic, &epoch, last).await
}

/// Of records of earlier epochs: whether they are somebody else's. After a restore some may be of tenants that are no more:
/// one that is known tells that the others were ours, too.
async fn others(tx: &mut Tx, topic: &str, epoch: &str, last: &[Last]) -> Result<Option<Against>> {
    let mut found = None;
    for record in last.iter().filter(|record| !record.stream_epoch.is_empty() && *record.stream_epoch < *epoch) {
        if is_known(tx, record).await? {
            return Ok(None);
        }
        found.get_or_insert(record);
    }
    Ok(found.map(|record| another(topic, record, false)))
}

/// Of a record of a later epoch: whoever reads the topic drops everything that is of this one.
async fn later(tx: &mut Tx, topic: &str, record: &Last) -> Result<Against> {
    if !is_known(tx, record).await? {
        return Ok(another(topic, record, true));
    }
    let epoch = &record.stream_epoch;
    let what =
        format!("{topic} has records of a later stream epoch of this log, {epoch}: this database is from before");
    Ok(Against { what, remedy: NEW_EPOCH, always: true })
}

/// Of a record of this epoch: whether it is not what the log has in its place.
async fn contradiction(tx: &mut Tx, topic: &str, record: &Last, head: i64) -> Result<Option<Against>> {
    let position = record.position;
    let what = if position > head {
        format!(
            "{topic} has this log up to position {position}, and the database ends at {head}: it was restored, or copied"
        )
    } else {
        let here = store::id_at_position(tx, position).await?;
        if here.is_none() || here == record.event_id {
            return Ok(None); // or retention has dropped it
        }
        format!("{topic} has another event at position {position} than the database: it was restored, or copied")
    };
    Ok(Some(Against { what, remedy: NEW_EPOCH, always: true }))
}

async fn is_known(tx: &mut Tx, record: &Last) -> Result<bool> {
    match record.source {
        Some((tenant_id, _)) => chains::has_tenant(tx, tenant_id).await,
        None => Ok(false),
    }
}

fn another(topic: &str, record: &Last, always: bool) -> Against {
    let tenant = record.source.map_or_else(String::new, |(tenant_id, _)| format!(" of {tenant_id}"));
    let what =
        format!("another installation publishes to {topic}: it has records{tenant}, which this database has not");
    Against { what, remedy: OTHER_TOPIC, always }
}
