//! How much the organizations in memory may take, and which of them go.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Key;

/// How many organizations are loaded at once behind questions: the database has other work.
const LOADS_MAX: usize = 4;
/// How many organizations that are not in memory are remembered as asked for.
const REMEMBERED_MAX: usize = 100_000;
/// How often what is in memory is counted at most.
const COUNT_EVERY: Duration = Duration::from_millis(100);
/// From this part of the budget on, an organization must be asked for twice before it is loaded.
const CROWDED_PERCENT: usize = 80;
/// Down to this part of the budget room is made.
const ROOMY_PERCENT: usize = 90;

/// The room for organizations.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    begun: Instant,
    counted: Mutex<Counted>,
    loads: Arc<Semaphore>,
    /// Cold organizations that were asked for lately, while room was short.
    asked_once: Cache<Key, ()>,
}

#[derive(Debug)]
struct Counted {
    bytes: usize,
    at: Option<Instant>,
}

impl Budget {
    /// Room for this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            begun: Instant::now(),
            counted: Mutex::new(Counted { bytes: 0, at: None }),
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
            asked_once: Cache::new(REMEMBERED_MAX),
        }
    }

    /// The present tick: seconds, coarse on purpose, so that a warm question rarely writes it.
    pub fn tick(&self) -> u32 {
        u32::try_from(self.begun.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// The right to load a cold organization now. None where enough are being loaded, or where room is short and it is
    /// asked for the first time: whoever is asked for once in a long while must not drive out who is asked for always.
    pub fn admit(&self, key: Key) -> Option<OwnedSemaphorePermit> {
        let crowded = self.counted.lock().bytes > self.bytes_max / 100 * CROWDED_PERCENT;
        if crowded && self.asked_once.get(&key).is_none() {
            self.asked_once.insert(key, ());
            return None;
        }
        self.loads.clone().try_acquire_owned().ok()
    }

    /// Whether organizations take more than they may. Counted now and then, not every time.
    pub fn is_over(&self, count: impl FnOnce() -> usize) -> bool {
        let mut counted = self.counted.lock();
        if counted.at.is_none_or(|at| at.elapsed() > COUNT_EVERY) {
            *counted = Counted { bytes: count(), at: Some(Instant::now()) };
        }
        counted.bytes > self.bytes_max
    }

    /// Which organizations go, of all there are with their ticks and bytes, the longest not asked for first. Never the
    /// last one.
    pub fn choose(&self, slots: &[(u32, usize, Key)]) -> Vec<Key> {
        let mut bytes: usize = slots.iter().map(|(_, bytes, _)| bytes).sum();
        let enough = self.bytes_max / 100 * ROOMY_PERCENT;
        let before_last = slots.len().saturating_sub(1);
        let goners = slots[..before_last].iter().take_while(|(_, its, _)| {
            let goes = bytes > enough;
            bytes -= if goes { *its } else { 0 };
            goes
        });
        let goners = goners.map(|(_, _, key)| *key).collect();
        *self.counted.lock() = Counted { bytes, at: Some(Instant::now()) };
        goners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrganizationId, TenantId};

    #[test]
    fn the_longest_not_asked_for_go_until_there_is_room() {
        let tenant_id = TenantId::generate();
        let slots: Vec<(u32, usize, Key)> =
            (0..10).map(|tick| (tick, 100, (tenant_id, OrganizationId::generate()))).collect();
        let budget = Budget::new(500);
        assert!(budget.is_over(|| 1_000));
        let goners = budget.choose(&slots);
        assert_eq!(goners, slots[..6].iter().map(|(_, _, key)| *key).collect::<Vec<_>>());
        assert!(!budget.is_over(|| 400));
        assert!(Budget::new(1).choose(&slots).len() == 9, "never the last one");
    }

    #[test]
    fn where_room_is_short_an_organization_is_loaded_the_second_time() {
        let key = (TenantId::generate(), OrganizationId::generate());
        let roomy = Budget::new(1_000);
        assert!(roomy.admit(key).is_some());
        let crowded = Budget::new(1_000);
        assert!(!crowded.is_over(|| 900));
        assert!(crowded.admit(key).is_none() && crowded.admit(key).is_some());
        let turns: Vec<_> = (0..10).filter_map(|_| crowded.admit(key)).collect();
        assert_eq!(turns.len(), LOADS_MAX);
    }
}
