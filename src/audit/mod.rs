//! The log as auditors want it: what happened, who had access on a day, exports, and the proof that nobody changed it.

mod checkpoint;
pub mod export;
pub mod key;
pub mod note;
mod record;
mod rpc;
pub mod verify;

use std::time::Duration;

pub use checkpoint::publish;

use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    events::{Stream, chain::Hash, chains},
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

/// A hash from hexadecimal, in lower case as it is written; nothing where it is none.
fn hash(text: &str) -> Option<Hash> {
    let is_lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 64 || !text.bytes().all(is_lower) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}
