//! Etags: a record's version, as a caller hands it back.

use crate::error::{Error, Reason, Result};

/// The etag of a version.
pub fn of(version: i64) -> String {
    format!("{version:x}")
}

/// Fails with `ETAG_MISMATCH` where an etag was given and is not the present one.
pub fn ensure(version: i64, etag: &str) -> Result<()> {
    if etag.is_empty() || etag == of(version) {
        return Ok(());
    }
    Err(Error::new(Reason::EtagMismatch, "the record was changed since the etag was read"))
}
