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
    error::Result,
    events::{base, horizon, store},
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

/// The state that the log amounts to, and what is left of what retention has hidden of it.
pub async fn of_log(tx: &mut Tx) -> Result<Fold> {
    let (mut fold, mut after) = (Fold::default(), BEGINNING);
    loop {
        let left = base::after_place_everywhere(tx, after, BATCH_MAX).await?;
        let Some(last) = left.last() else { break };
        after = (last.tenant_id, last.stream_id, last.sequence);
        fold.take(left)?;
    }
    let hidden = horizon::everywhere(tx).await?;
    after = BEGINNING;
    loop {
        let mut records = store::after_place_everywhere(tx, after, BATCH_MAX).await?;
        let Some(last) = records.last() else { return Ok(fold) };
        after = (last.tenant_id, last.stream_id, last.sequence);
        records.retain(|record| hidden.get(&record.stream()).is_none_or(|hidden| record.sequence > *hidden));
        fold.take(records)?;
    }
}
