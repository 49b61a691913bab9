//! The SQL of keys that sign.

use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::Result,
};

/// A key that some replica signs with, or did.
#[derive(Debug, FromRow)]
pub struct Noted {
    /// Its public half, as `roster audit key` prints it.
    pub verifier: String,
    /// When it was noted first.
    pub first_at: Timestamp,
    /// And last.
    pub last_at: Timestamp,
}

/// Notes that a replica with this key is there.
pub async fn note(tx: &mut Tx, verifier: &str, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO audit_signers (verifier, first_at, last_at) VALUES ($1, $2, $2)
        ON CONFLICT (verifier) DO UPDATE SET last_at = excluded.last_at";
    tx.execute(sql, args![verifier, now]).await.map(drop)
}

/// Every key there was, the last one first.
pub async fn all(tx: &mut Tx) -> Result<Vec<Noted>> {
    let sql = "SELECT verifier, first_at, last_at FROM audit_signers ORDER BY last_at DESC, verifier";
    tx.fetch_all(sql, args![]).await
}
