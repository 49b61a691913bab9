//! Whose account a token is of: the users that were looked for lately.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;

use super::tokens::Account;
use crate::{
    clock::Timestamp,
    db::Db,
    error::{Error, Reason, Result},
    events,
    ids::{TenantId, UserId},
    proto::v1::{self as pb, event::Data},
    users::{self, Identity},
};

/// How many accounts are kept.
const CACHE_MAX: usize = 10_000;
/// How long a link is believed without asking the database again, in case the log is not heard.
const BELIEVED: std::time::Duration = std::time::Duration::from_secs(30);

/// The users of accounts that were looked for lately.
#[derive(Debug)]
pub struct Accounts {
    db: Db,
    known: Cache<Arc<Account>, Known>,
    /// How many changes of links were heard of.
    changes: AtomicU64,
}

/// To whom an account was found to be linked, if to anybody.
#[derive(Debug, Clone, Copy)]
struct Known {
    user_id: Option<UserId>,
    at: Timestamp,
    /// How far the tenant's stream had come when it was read.
    sequence: i64,
}

/// How fresh a link must be.
#[derive(Debug, Clone, Copy)]
pub enum Freshness {
    /// As this replica has heard of it.
    Heard,
    /// As it was when the tenant's stream had come so far, or later.
    Sequence(i64),
    /// As the database has it.
    Now,
}

impl Accounts {
    /// Nobody known yet.
    pub fn new(db: Db) -> Self {
        Self { db, known: Cache::new(CACHE_MAX), changes: AtomicU64::new(0) }
    }

    /// The user whom an account is linked to. Fails with `INVALID_CREDENTIALS` where there is none.
    pub async fn user_of(&self, account: &Arc<Account>, now: Timestamp) -> Result<UserId> {
        let nobody = || Error::new(Reason::InvalidCredentials, "the token's account is linked to no user");
        self.find(account, Freshness::Heard, now).await?.ok_or_else(nobody)
    }

    /// The user whom an account is linked to, if it is linked to one.
    pub async fn find(&self, account: &Arc<Account>, fresh: Freshness, now: Timestamp) -> Result<Option<UserId>> {
        let known = self.known.get(account).filter(|known| {
            now < known.at.plus(BELIEVED)
                && match fresh {
                    Freshness::Heard => true,
                    Freshness::Sequence(sequence) => known.sequence >= sequence,
                    Freshness::Now => false,
                }
        });
        match known {
            Some(known) => Ok(known.user_id),
            None => self.look(account, now).await,
        }
    }

    async fn look(&self, account: &Arc<Account>, now: Timestamp) -> Result<Option<UserId>> {
        let changes = self.changes.load(Ordering::SeqCst);
        let mut tx = self.db.snapshot().await?;
        let sequence = events::store::tenant_sequence(&mut tx, account.tenant_id).await?;
        let user_id = users::find_by_identity(&mut tx, account.tenant_id, &account.identity).await?;
        self.known.insert(account.clone(), Known { user_id, at: now, sequence });
        if self.changes.load(Ordering::SeqCst) != changes {
            // A change was heard of since the link was read, perhaps its own.
            self.known.remove(account);
        }
        Ok(user_id)
    }

    /// Forgets the accounts of a user whose links were changed. Which those were, an event says no more once the user is
    /// erased: then all that were found to be theirs are forgotten.
    pub fn feed(&self, event: &pb::Event) {
        let states = match &event.data {
            Some(Data::UserIdentityLinked(data)) => [&data.before, &data.after],
            Some(Data::UserIdentityUnlinked(data)) => [&data.before, &data.after],
            Some(Data::UserDeleted(data)) => [&data.before, &data.after],
            _ => return,
        };
        let Ok(tenant_id) = event.tenant_id.parse::<TenantId>() else { return };
        self.changes.fetch_add(1, Ordering::SeqCst);
        let erased = states.iter().copied().flatten().all(|user| user.identities.is_empty());
        if erased && let Some(user_id) = event.subject.as_ref().and_then(|subject| subject.id.parse().ok()) {
            self.known.retain(|_, known| known.user_id != Some(user_id));
        }
        for linked in states.into_iter().flatten().flat_map(|user| &user.identities) {
            let identity = Identity { issuer: linked.issuer.clone(), subject: linked.subject.clone() };
            self.known.remove(&Account { tenant_id, identity });
        }
    }
}
