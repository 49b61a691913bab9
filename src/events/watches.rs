//! What watchers may take of the service: how many watches there are, and how long a page is held for one.

use std::{collections::HashMap, sync::Arc, time::Duration, vec};

use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::Record;
use crate::{
    auth::Caller,
    error::{Error, Reason, Result},
    ids::TenantId,
};

/// What watchers may take, as the operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a watcher may take over a page.
    pub page_time: Duration,
    /// How many watches a process has at most.
    pub watches_max: usize,
    /// How many of them are one caller's at most.
    pub watches_per_caller_max: usize,
}

/// As the settings are by default.
impl Default for Limits {
    fn default() -> Self {
        Self { page_time: Duration::from_secs(30), watches_max: 5_000, watches_per_caller_max: 1_000 }
    }
}

/// A caller, as far as they are told apart here: a credential, or a user.
type Watcher = (TenantId, i32, String);

/// The watches of a process.
#[derive(Debug)]
pub struct Watches {
    /// What watchers may take.
    pub limits: Limits,
    open: Mutex<HashMap<Watcher, usize>>,
}

/// One watch that is counted, until it is dropped.
#[derive(Debug)]
pub struct Watching {
    watches: Arc<Watches>,
    watcher: Watcher,
}

impl Watches {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// Counts one more. Fails with `TOO_MANY_WATCHES`.
    pub fn enter(self: &Arc<Self>, caller: &Caller) -> Result<Watching> {
        let (kind, id) = caller.who.actor();
        let watcher = (caller.tenant_id, kind.into(), id);
        let mut open = self.open.lock();
        let refuse = |limit: &'static str, max: usize| {
            let message = format!("there are {max} watches already");
            Error::new(Reason::TooManyWatches, message).with("limit", limit).with("watches_max", max)
        };
        let Limits { watches_max, watches_per_caller_max, .. } = self.limits;
        if open.values().sum::<usize>() >= watches_max {
            return Err(refuse("watches_max", watches_max));
        }
        let count = open.entry(watcher.clone()).or_default();
        if *count >= watches_per_caller_max {
            return Err(refuse("watches_per_caller_max", watches_per_caller_max));
        }
        *count += 1;
        drop(open);
        Ok(Watching { watches: self.clone(), watcher })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut open = self.watches.open.lock();
        if let Some(count) = open.get_mut(&self.watcher) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.watcher);
            }
        }
    }
}

/// A page that is held for a watcher. Nobody asks a stream for its next event while its watcher reads nothing: so
/// somebody else looks at the time, and lets go of what was not taken.
#[derive(Debug)]
pub struct Held {
    left: Arc<Mutex<Left>>,
    _time: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
enum Left {
    Records(vec::IntoIter<Record>),
    /// They were not taken in time.
    Dropped,
}

impl Held {
    /// Holds a page, for this long at most; `dropped` is called where it was not taken by then.
    pub fn page(records: Vec<Record>, at_most: Duration, dropped: impl FnOnce() + Send + 'static) -> Self {
        let is_empty = records.is_empty();
        let left = Arc::new(Mutex::new(Left::Records(records.into_iter())));
        let held = left.clone();
        let time = (!is_empty).then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(at_most).await;
                *held.lock() = Left::Dropped;
                dropped();
            })
        });
        Self { left, _time: time.map(AbortOnDropHandle::new) }
    }

    /// The next event of the page; none behind its last. Fails with `WATCH_TOO_SLOW` where they were not taken in time.
    pub fn next(&self) -> Result<Option<Record>> {
        match &mut *self.left.lock() {
            Left::Records(records) => Ok(records.next()),
            Left::Dropped => {
                let message = "a page was not taken in time: watch on after `resume_position`";
                Err(Error::new(Reason::WatchTooSlow, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_that_is_not_taken_in_time_is_let_go_of() {
        let record = Record {
            position: Some(1),
            tenant_id: TenantId::generate(),
            stream_id: uuid::Uuid::nil(),
            sequence: 1,
            payload: Vec::new(),
            subject_payload: None,
            actor_payload: None,
            erased: false,
        };
        let (told, hears) = tokio::sync::oneshot::channel();
        let tell = move || told.send(()).unwrap();
        let held = Held::page(vec![record.clone(), record.clone()], Duration::from_millis(20), tell);
        assert_eq!(held.next().unwrap().unwrap().position, Some(1));
        hears.await.unwrap();
        assert_eq!(held.next().unwrap_err().reason(), Reason::WatchTooSlow);

        let held = Held::page(vec![record], Duration::from_secs(600), || panic!("it was taken"));
        assert!(held.next().unwrap().is_some() && held.next().unwrap().is_none());
    }
}
