//! API keys as credentials: what they look like, how they are hashed, and those that were verified lately.
//!
//! A key is `rk_`, the 26 characters of its id, and 256 random bits in base64url. Only the SHA-256 of the whole is
//! stored: 256 random bits need no slow hash.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::scopes::Scopes;
use crate::{
    api_keys::{self, StoredKey},
    clock::Timestamp,
    db::Db,
    error::{Error, Reason, Result},
    ids::{ApiKeyId, TenantId},
    proto::v1::{self as pb, event::Data},
};

/// How every key begins.
pub const PREFIX: &str = "rk_";
/// The characters of a TypeID behind its prefix.
const ID_LEN: usize = 26;
/// How many verified keys are kept.
const CACHE_MAX: usize = 10_000;
/// How long a verified key is believed without asking the database again, in case the log is not heard.
const BELIEVED: std::time::Duration = std::time::Duration::from_secs(30);

/// A key as its holder has it. Its text is never logged.
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a key.
pub type Hash = [u8; 32];

impl Secret {
    /// A new key for this id.
    pub fn generate(id: ApiKeyId) -> Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Error::internal(error.to_string()))?;
        let id = id.to_string();
        let suffix = id.rsplit('_').next().unwrap_or_default();
        Ok(Self(format!("{PREFIX}{suffix}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// What is stored of it.
    pub fn hash(&self) -> Hash {
        Sha256::digest(&self.0).into()
    }

    /// The key itself, to be shown once.
    pub fn reveal(self) -> String {
        self.0
    }
}

/// The id within a key that somebody presents.
fn claimed_id(presented: &str) -> Option<ApiKeyId> {
    let suffix = presented.strip_prefix(PREFIX)?.get(..ID_LEN)?;
    format!("key_{suffix}").parse().ok()
}

/// A key that was verified.
#[derive(Debug)]
pub struct VerifiedKey {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// What its holder may do.
    pub scopes: Scopes,
    hash: Hash,
    expires_at: Option<Timestamp>,
    verified_at: Timestamp,
}

/// The keys that were verified lately.
#[derive(Debug)]
pub struct KeyCache {
    db: Db,
    verified: Cache<ApiKeyId, Arc<VerifiedKey>>,
    /// How many changes of keys were heard of.
    changes: AtomicU64,
}

impl KeyCache {
    /// Nothing verified yet.
    pub fn new(db: Db) -> Self {
        Self { db, verified: Cache::new(CACHE_MAX), changes: AtomicU64::new(0) }
    }

    /// The key that was verified lately, if this is it.
    pub fn recall(&self, presented: &str, now: Timestamp) -> Option<Arc<VerifiedKey>> {
        let key = self.verified.get(&claimed_id(presented)?)?;
        (now < key.verified_at.plus(BELIEVED) && is_valid(&key, presented, now)).then_some(key)
    }

    /// Asks the database. Unknown, expired and revoked keys fail alike, with `INVALID_CREDENTIALS`.
    pub async fn verify(&self, presented: &str, now: Timestamp) -> Result<Arc<VerifiedKey>> {
        let invalid = || Error::new(Reason::InvalidCredentials, "the API key is not valid");
        let id = claimed_id(presented).ok_or_else(invalid)?;
        let changes = self.changes.load(Ordering::SeqCst);
        let stored = api_keys::find_for_verification(&mut self.db.snapshot().await?, id).await?;
        let key = Arc::new(verified(stored.ok_or_else(invalid)?, now).ok_or_else(invalid)?);
        if !is_valid(&key, presented, now) {
            return Err(invalid());
        }
        self.remember(key.clone(), changes);
        Ok(key)
    }

    /// Keeps a key that was read when so many changes had been heard of.
    fn remember(&self, key: Arc<VerifiedKey>, changes: u64) {
        let id = key.api_key_id;
        self.verified.insert(id, key);
        if self.changes.load(Ordering::SeqCst) != changes {
            // A change was heard of since the key was read, perhaps its own.
            self.verified.remove(&id);
        }
    }

    /// Fails with `INVALID_CREDENTIALS` where a key that was verified before has ended since: for streams, which outlive
    /// the look at their credential.
    pub async fn ensure_in_force(&self, id: ApiKeyId, now: Timestamp) -> Result<()> {
        let known = self.verified.get(&id).filter(|key| now < key.verified_at.plus(BELIEVED));
        if known.is_some_and(|key| key.expires_at.is_none_or(|end| now < end)) {
            return Ok(()); // and the log has not said otherwise since
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let stored = api_keys::find_for_verification(&mut self.db.snapshot().await?, id).await?;
        let key = stored.and_then(|stored| verified(stored, now));
        let in_force = key.filter(|key| key.expires_at.is_none_or(|end| now < end));
        let ended = || Error::new(Reason::InvalidCredentials, "the API key has ended");
        self.remember(Arc::new(in_force.ok_or_else(ended)?), changes);
        Ok(())
    }

    /// Forgets a key that was changed.
    pub fn feed(&self, event: &pb::Event) {
        let key = match &event.data {
            Some(Data::ApiKeyRevoked(data)) => data.after.as_ref(),
            Some(Data::ApiKeyRotated(data)) => data.after.as_ref(),
            _ => None,
        };
        if let Some(id) = key.and_then(|key| key.api_key_id.parse::<ApiKeyId>().ok()) {
            self.changes.fetch_add(1, Ordering::SeqCst);
            self.verified.remove(&id);
        }
    }
}

fn is_valid(key: &VerifiedKey, presented: &str, now: Timestamp) -> bool {
    let hash: Hash = Sha256::digest(presented).into();
    bool::from(hash.ct_eq(&key.hash)) && key.expires_at.is_none_or(|end| now < end)
}

fn verified(stored: StoredKey, now: Timestamp) -> Option<VerifiedKey> {
    let hash = stored.hash.try_into().ok()?;
    let key = stored.key;
    key.revoked_at.is_none().then_some(VerifiedKey {
        tenant_id: key.tenant_id,
        api_key_id: key.id,
        scopes: Scopes::new(key.scopes.0),
        hash,
        expires_at: key.expires_at,
        verified_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_its_id_and_nothing_else_that_is_known() {
        let id = ApiKeyId::generate();
        let (a, b) = (Secret::generate(id).unwrap(), Secret::generate(id).unwrap());
        assert_ne!(a.hash(), b.hash());
        assert_eq!(claimed_id(&a.reveal()), Some(id));
        for bad in ["", "rk_", "rk_short", "xx_01h455vb4pex5vsknk084sn02q"] {
            assert_eq!(claimed_id(bad), None);
        }
    }
}
