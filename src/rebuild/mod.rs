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

use crate::{
    db::Tx,
    error::{Error, Result},
    events::store,
    ids::TenantId,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 2_000;

/// How the state that the database has differs from the one that its log amounts to, in one snapshot: in nothing.
pub async fn prove(tx: &mut Tx) -> Result<Difference> {
    let fold = of_log(tx).await?;
    compare(tx, fold).await
}

/// The state that the log amounts to.
pub async fn of_log(tx: &mut Tx) -> Result<Fold> {
    let (mut fold, mut after) = (Fold::default(), (TenantId::from_uuid(uuid::Uuid::nil()), uuid::Uuid::nil(), 0));
    loop {
        let records = store::after_place_everywhere(tx, after, BATCH_MAX).await?;
        let Some(last) = records.last() else { return Ok(fold) };
        after = (last.tenant_id, last.stream_id, last.sequence);
        for record in records {
            let stream = record.stream();
            let event = record.decode("")?;
            let id = event.event_id.clone();
            if !fold.apply(stream, event) {
                return Err(Error::internal(format!("the data of {id} is not of its type")));
            }
        }
    }
}
