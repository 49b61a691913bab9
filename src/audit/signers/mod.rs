//! Which keys sign. The replicas of an installation have one key: each notes in the database the one that it has, and tells
//! where another one has another.
//!
//! A key may be changed: what was signed before is proven with the key of then, and so auditors keep both.

mod store;

use std::{collections::BTreeSet, time::Duration};

pub use store::{Noted, all};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Timestamp},
    db::Db,
    error::Result,
};

/// How often a replica notes that it is there.
const EVERY: Duration = Duration::from_mins(1);
/// For how long it is taken to be there since then.
const PRESENT: Duration = Duration::from_mins(3);

/// Those of these keys that replicas have at this time.
pub fn present(noted: &[Noted], now: Timestamp) -> BTreeSet<&str> {
    noted.iter().filter(|it| it.last_at > now.minus(PRESENT)).map(|it| it.verifier.as_str()).collect()
}

/// What notes the key of this replica.
#[derive(Debug)]
pub struct Signers {
    db: Db,
    clock: Clock,
    /// The public half of its key; none where it has none.
    verifier: Option<String>,
    /// Which others were told of at the start.
    told: BTreeSet<String>,
}

impl Signers {
    /// Notes the key of this replica, and tells of others.
    pub async fn begin(db: Db, clock: Clock, verifier: Option<String>) -> Result<Self> {
        let mut signers = Self { db, clock, verifier, told: BTreeSet::new() };
        let before = signers.note().await?;
        let others = signers.others(&before);
        signers.tell(&others);
        if let (Some(key), Some(last), true) = (&signers.verifier, before.first(), others.is_empty())
            && before.iter().all(|it| it.verifier != *key)
        {
            let earlier = &last.verifier;
            tracing::info!(
                key,
                earlier,
                "the key is another one than before: what was signed by then is proven with the \
                earlier one"
            );
        }
        signers.told = others;
        Ok(signers)
    }

    /// Notes it again and again, until stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut told = self.told.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            match self.note().await.map(|noted| self.others(&noted)) {
                Ok(others) if others != told => {
                    self.tell(&others);
                    if others.is_empty() {
                        tracing::info!("every replica signs with one key again");
                    }
                    told = others;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the key that this replica signs with was not noted"),
            }
        }
    }

    /// Notes the key of this replica; answers what was noted before.
    async fn note(&self) -> Result<Vec<Noted>> {
        let Some(key) = self.verifier.clone() else { return Ok(Vec::new()) };
        let now = self.clock.now();
        let noted = self.db.write(async move |tx| {
            let before = all(tx).await?;
            store::note(tx, &key, now).await?;
            Ok(before)
        });
        noted.await.map(|(before, _)| before)
    }

    /// The keys that other replicas have now.
    fn others(&self, noted: &[Noted]) -> BTreeSet<String> {
        let present = present(noted, self.clock.now()).into_iter();
        present.filter(|other| self.verifier.as_deref() != Some(other)).map(str::to_owned).collect()
    }

    fn tell(&self, others: &BTreeSet<String>) {
        let key = self.verifier.as_deref().unwrap_or_default();
        for other in others {
            tracing::warn!(
                key,
                other,
                "another replica signs with another key, or did minutes ago: set audit_key_file to one key everywhere; \
                 while a key is changed, this passes"
            );
        }
    }
}
