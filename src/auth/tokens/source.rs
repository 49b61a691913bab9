//! Where an issuer's keys come from, and how often they are asked for.
//!
//! Nobody makes this service ask more often than it wants to: however many tokens name keys that are not known, there is
//! one question at a time, and a pause after each. Keys that are known never wait for it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use jsonwebtoken::Algorithm;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::keys::{Found, KeySet};
use crate::{
    clock::{Clock, Timestamp},
    config::KeysFrom,
    egress::{Egress, Failure},
};

/// The most that a JWK set may weigh.
const SET_BYTES_MAX: usize = 256 * 1024;
/// How long after a question the next one waits that a token with an unknown key asks for.
const PAUSE: Duration = Duration::from_secs(10);
/// How often a file is looked at.
const FILE_PAUSE: Duration = Duration::from_secs(2);
/// How long after a question that failed the next one follows by itself.
const RETRY: Duration = Duration::from_secs(5);

/// The keys of one issuer.
#[derive(Debug)]
pub struct Source {
    /// Who, for the log.
    issuer: String,
    from: KeysFrom,
    egress: Option<Arc<Egress>>,
    clock: Clock,
    refresh: Duration,
    stale: Duration,
    keys: RwLock<Arc<KeySet>>,
    /// One question at a time; what the file looked like when it was last read.
    turn: Mutex<Option<Look>>,
    /// How often it was asked.
    asked: AtomicU64,
    /// When a token last made it be asked, and when it last answered well. Microseconds; far in the past: never.
    demanded_at: AtomicI64,
    good_at: AtomicI64,
    failing: AtomicBool,
}

/// When a file was last written, and how long it is.
type Look = (SystemTime, u64);

/// Never.
const NEVER: i64 = i64::MIN / 2;

impl Source {
    /// Nothing read yet.
    pub fn new(
        issuer: String,
        from: KeysFrom,
        egress: Option<Arc<Egress>>,
        clock: Clock,
        refresh: Duration,
        stale: Duration,
    ) -> Self {
        Self {
            issuer,
            from,
            egress,
            clock,
            refresh,
            stale,
            keys: RwLock::default(),
            turn: Mutex::new(None),
            asked: AtomicU64::new(0),
            demanded_at: AtomicI64::new(NEVER),
            good_at: AtomicI64::new(NEVER),
            failing: AtomicBool::new(false),
        }
    }

    /// Whether its keys may be used: those behind a URL that is away may, for a while. A file is not away.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        match self.from {
            KeysFrom::File(_) => true,
            KeysFrom::Url(_) => now <= Timestamp(self.good_at.load(Ordering::Relaxed)).plus(self.stale),
        }
    }

    /// Whether the last question failed, or there was none.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.good_at.load(Ordering::Relaxed) == NEVER
    }

    /// The key of a token, among those that are known.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Found {
        if !self.is_fresh(now) {
            return Found::Unknown;
        }
        self.keys.read().find(id, algorithm)
    }

    /// The key of a token; asks for the present keys where it is not among the known ones and the pause is over.
    pub async fn find_or_ask(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Found {
        let found = self.find(id, algorithm, now);
        if !matches!(found, Found::Unknown) {
            return found;
        }
        // In a task of its own: the answer is everybody's, also where who asked for it has hung up.
        let this = self.clone();
        let _ = tokio::spawn(async move { this.demand().await }).await;
        self.find(id, algorithm, now)
    }

    fn pause(&self) -> Duration {
        match self.from {
            KeysFrom::File(_) => FILE_PAUSE,
            KeysFrom::Url(_) => PAUSE,
        }
    }

    /// Reads the keys because a token needs one that is not known: unless somebody else has just done so, or a token
    /// made it be done within the pause.
    async fn demand(&self) {
        let asked = self.asked.load(Ordering::SeqCst);
        let mut look = self.turn.lock().await;
        let now = self.clock.now();
        let demanded_at = Timestamp(self.demanded_at.load(Ordering::Relaxed));
        let in_pause = demanded_at <= now && now < demanded_at.plus(self.pause());
        if in_pause || self.asked.load(Ordering::SeqCst) != asked {
            return;
        }
        self.demanded_at.store(now.0, Ordering::Relaxed);
        self.ask(&mut look).await;
    }

    async fn ask(&self, look: &mut Option<Look>) {
        let read = self.read(look).await;
        self.asked.fetch_add(1, Ordering::SeqCst);
        match read {
            Ok(()) => {
                self.good_at.store(self.clock.now().0, Ordering::Relaxed);
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(issuer = self.issuer, "the issuer's keys can be read again");
                }
            }
            Err(error) => {
                self.failing.store(true, Ordering::Relaxed);
                tracing::warn!(issuer = self.issuer, error = &*error, "the issuer's keys cannot be read");
            }
        }
    }

    async fn read(&self, look: &mut Option<Look>) -> Result<(), Failure> {
        let text = match (&self.from, &self.egress) {
            (KeysFrom::Url(url), Some(egress)) => egress.get(url, SET_BYTES_MAX).await?,
            (KeysFrom::Url(_), None) => return Err("there is no client for URLs".into()),
            (KeysFrom::File(path), _) => {
                let seen = look_at(path).await?;
                if *look == Some(seen) {
                    // As it was read, well or not.
                    return if self.failing.load(Ordering::Relaxed) { Err("unchanged".into()) } else { Ok(()) };
                }
                *look = Some(seen);
                tokio::fs::read(path).await?
            }
        };
        let before = self.keys.read().clone();
        let after = Arc::new(KeySet::read(&text, &before)?);
        tracing::debug!(issuer = self.issuer, keys = after.len(), "the issuer's keys were read");
        *self.keys.write() = after;
        Ok(())
    }

    /// Reads the keys at once, and again and again until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.ask(&mut *self.turn.lock().await).await;
            let regular = match self.from {
                KeysFrom::File(_) => FILE_PAUSE,
                KeysFrom::Url(_) => self.refresh,
            };
            let wait = if self.is_failing() { regular.min(RETRY) } else { regular };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

async fn look_at(path: &Path) -> Result<Look, Failure> {
    let file = tokio::fs::metadata(path).await?;
    if file.len() > SET_BYTES_MAX as u64 {
        return Err(format!("larger than {SET_BYTES_MAX} bytes").into());
    }
    Ok((file.modified()?, file.len()))
}
