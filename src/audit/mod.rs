//! The log as auditors want it: what happened, who had access on a day, exports, and the proof that nobody changed it.

pub mod as_of;
mod checkpoint;
pub mod export;
pub mod key;
mod list;
pub mod note;
mod record;
mod rpc;
pub mod signers;
pub mod verify;

use std::time::Duration;

pub use checkpoint::publish;

use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    events::{Stream, chains},
    ids::TenantId,
};

/// How streams are signed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the key is; nothing is signed where there is none.
    pub key: Option<key::KeyFile>,
    /// How long after the first event that no checkpoint covers one is published.
    pub checkpoint_after: Duration,
}

/// Streams whose next checkpoint is due, and whose they are.
pub async fn due(tx: &mut Tx, now: Timestamp, after: Duration, limit: i64) -> Result<Vec<(TenantId, Stream)>> {
    let ends = chains::unsigned(tx, now.minus(after), limit).await?;
    Ok(ends.iter().map(|end| (end.tenant_id, end.stream())).collect())
}
