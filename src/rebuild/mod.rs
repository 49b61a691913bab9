//! The state, rebuilt from events alone: what every consumer can do.
//!
//! State and log come out of one transaction, so they never disagree: [`prove`] shows it of a database, and
//! `roster verify` of a topic. [`topic`] rebuilds it from Kafka alone, from events or from states.

mod difference;
mod fold;
mod state;
#[cfg(feature = "kafka")]
pub mod topic;

pub use difference::{Difference, Finding};
pub use fold::Fold;
pub use state::compare;

use uuid::Uuid;

use crate::{
    db::Tx,
    error::{Error, Result},
    events::{Record, base, store},
    ids::TenantId,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 2_000;

/// How the state that the database has differs from the one that its log amounts to, in one snapshot: in nothing.
pub async fn prove(tx: &mut Tx) -> Result<Difference> {
    let fold = of_log(tx).await?;
    compare(tx, fold).await
}

/// Before every event, by place.
const BEGINNING: (TenantId, Uuid, i64) = (TenantId::from_uuid(Uuid::nil()), Uuid::nil(), 0);

/// The state that the log amounts to, and what is left of what retention has dropped of it.
pub async fn of_log(tx: &mut Tx) -> Result<Fold> {
    let (mut fold, mut after) = (Fold::default(), BEGINNING);
    let cut_off = base::cut_off_everywhere(tx).await?;
    while let Some(last) = take(&mut fold, base::after_place_everywhere(tx, after, BATCH_MAX).await?, |_| true)? {
        after = last;
    }
    after = BEGINNING;
    let is_kept = |record: &Record| cut_off.get(&record.stream()).is_none_or(|cut_off| record.sequence > *cut_off);
    while let Some(last) = take(&mut fold, store::after_place_everywhere(tx, after, BATCH_MAX).await?, is_kept)? {
        after = last;
    }
    Ok(fold)
}

/// Applies events; answers the place of the last, if there was one.
fn take(
    fold: &mut Fold,
    records: Vec<Record>,
    is_kept: impl Fn(&Record) -> bool,
) -> Result<Option<(TenantId, Uuid, i64)>> {
    let last = records.last().map(|last| (last.tenant_id, last.stream_id, last.sequence));
    for record in records.into_iter().filter(is_kept) {
        let stream = record.stream();
        let event = record.decode("")?;
        let id = event.event_id.clone();
        if !fold.apply(stream, event) {
            return Err(Error::internal(format!("the data of {id} is not of its type")));
        }
    }
    Ok(last)
}
