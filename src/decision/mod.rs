//! The index that answers Check: the state of organizations and tenants in memory, fed by the log alone.
//!
//! A state is loaded when it is first asked for, moved forward event by event, and never written by a handler. Each
//! carries the sequence it has reached; a question that needs a later one reads the missing events from the log first.
//! The first question of an organization that is not loaded is answered from its own facts in the database, while the
//! organization is loaded behind it; what was not asked for lately goes when room is short.

mod answer;
mod apply;
mod budget;
mod check;
mod explain;
mod list;
mod load;
mod members;
mod organization;
mod policy_set;
mod replica;
mod resource_tree;
mod role;
mod rpc;
mod sets;
mod slot;
mod standpoint;
mod stream;
mod symbols;
mod team_tree;
mod tenant;
mod verdict;
mod wire;
mod work;

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use budget::Budget;
pub use check::{Answer, Circumstances, Question, allows};
use load::{Extent, Loaded};
use organization::OrganizationState;
use parking_lot::RwLock;
pub use replica::Replica;
pub use rpc::read_context;
use rustc_hash::FxHashMap;
use slot::{Folded, Slot};
pub use standpoint::{Standpoint, View};
use symbols::Symbols;
use tenant::TenantState;
use uuid::Uuid;
pub use verdict::Sets;
pub use work::Work;

use crate::{
    db::{Db, Tx},
    error::{Error, Reason, Result},
    events::{self, Record, Revision, Stream},
    ids::{OrganizationId, TenantId},
    proto::v1 as pb,
};

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy)]
pub enum Consistency {
    /// The present state of this replica, never older than `max_staleness`.
    MinimizeLatency,
    /// Everything up to this revision.
    AtLeastAsFresh(Revision),
    /// Everything committed before the call.
    Full,
}

/// How much of an organization an answer needs.
#[derive(Debug, Clone, Copy)]
pub enum Needs<'a> {
    /// What is known of one user, on one resource: type and id. Never waits for an organization to be loaded.
    Question(Uuid, Option<(&'a str, &'a str)>),
    /// All of it.
    Everything,
}

/// What the operator decided about the index.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a replica answers without having heard the log.
    pub max_staleness: Duration,
    /// Whether it goes on after that, and says that its answers are stale.
    pub answer_stale: bool,
    /// How much the organizations in memory may take, in bytes, about.
    pub memory_bytes: usize,
    /// How much one request may do: decisions without policies.
    pub work_max: usize,
}

/// States by their keys.
type Slots<K, S> = RwLock<FxHashMap<K, Arc<Slot<S>>>>;

/// An organization's place in the index.
type Key = (TenantId, OrganizationId);

/// The states of tenants and organizations.
#[derive(Debug)]
pub struct Index {
    db: Db,
    settings: Settings,
    begun: Instant,
    /// When the log was last heard: microseconds since `begun`, by a clock that nobody sets.
    heard_at: AtomicU64,
    organizations: Slots<Key, OrganizationState>,
    tenants: Slots<TenantId, TenantState>,
    budget: Budget,
}

impl Folded for OrganizationState {
    async fn load(tx: &mut Tx, tenant_id: TenantId, stream: Stream, symbols: &Arc<Symbols>) -> Result<(Self, i64)> {
        let Stream::Organization(id) = stream else { return Err(Error::internal("not an organization's stream")) };
        let loaded = load::organization(tx, tenant_id, id, symbols, Extent::Whole).await?;
        Ok((loaded.state, loaded.sequence))
    }

    fn apply(&mut self, event: &pb::Event) -> Result<()> {
        self.apply_event(event)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }
}

impl Index {
    /// Nothing loaded yet.
    pub fn new(db: Db, settings: Settings) -> Self {
        let (organizations, tenants) = (RwLock::default(), RwLock::default());
        let (begun, heard_at, budget) = (Instant::now(), AtomicU64::new(0), Budget::new(settings.memory_bytes));
        Self { db, settings, begun, heard_at, organizations, tenants, budget }
    }

    /// How much one request may do.
    pub fn work(&self) -> Work {
        Work::new(self.settings.work_max)
    }

    /// The log was read to its present end.
    pub fn heard(&self) {
        self.heard_at.store(self.age_micros(), Ordering::Relaxed);
    }

    fn age_micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether an event of the log would move anything that is loaded.
    pub fn wants(&self, record: &Record) -> bool {
        if record.stream_id == record.tenant_id.uuid() {
            return self.tenants.read().contains_key(&record.tenant_id);
        }
        let organization_id = OrganizationId::from_uuid(record.stream_id);
        self.organizations.read().contains_key(&(record.tenant_id, organization_id))
    }

    /// Moves what is loaded forward by committed events, in their order.
    pub fn feed<'e>(&self, events: &[impl AsRef<pb::Event> + 'e]) {
        let stream = |event: &pb::Event| (event.tenant_id.clone(), event.organization_id.clone());
        for events in events.chunk_by(|a, b| stream(a.as_ref()) == stream(b.as_ref())) {
            self.feed_stream(events[0].as_ref(), events.iter().map(AsRef::as_ref));
        }
        self.make_room();
    }

    /// Events of one stream.
    fn feed_stream<'e>(&self, first: &pb::Event, events: impl Iterator<Item = &'e pb::Event> + Clone) {
        let Ok(tenant_id) = first.tenant_id.parse() else { return };
        // The maps are let go before a state is waited for: a long batch must not stop other tenants.
        if first.organization_id.is_empty() {
            let slot = self.tenants.read().get(&tenant_id).cloned();
            slot.iter().for_each(|slot| slot.feed(events.clone()));
        } else if let Ok(organization_id) = first.organization_id.parse() {
            let slot = self.organizations.read().get(&(tenant_id, organization_id)).cloned();
            slot.iter().for_each(|slot| slot.feed(events.clone()));
        }
    }

    /// A stream is known to have come this far: whoever asks next catches up.
    pub fn heard_of(&self, tenant_id: TenantId, stream: Stream, sequence: i64) {
        match stream {
            Stream::Tenant(id) => {
                let slot = self.tenants.read().get(&id).cloned();
                slot.iter().for_each(|slot| slot.heard_of(sequence));
            }
            Stream::Organization(id) => {
                let slot = self.organizations.read().get(&(tenant_id, id)).cloned();
                slot.iter().for_each(|slot| slot.heard_of(sequence));
            }
        }
    }

    /// Whether an organization is in memory.
    pub fn is_loaded(&self, tenant_id: TenantId, organization_id: OrganizationId) -> bool {
        self.organizations.read().get(&(tenant_id, organization_id)).is_some_and(|slot| slot.is_loaded())
    }

    /// The state of an organization, as fresh as asked for. Warm and fresh enough, it costs no wait. Fails with
    /// `ORGANIZATION_NOT_FOUND`, `INVALID_REVISION`, `INDEX_STALE`.
    pub async fn standpoint(
        self: &Arc<Self>,
        tenant_id: TenantId,
        organization_id: OrganizationId,
        consistency: Consistency,
        needs: Needs<'_>,
    ) -> Result<Standpoint> {
        let stale = self.is_stale(consistency)?;
        let (of_tenant, of_organization) = self.sequences(tenant_id, organization_id, consistency).await?;
        let tenant = slot(&self.tenants, tenant_id, Arc::default);
        if !tenant.is_at(of_tenant) {
            tenant.catch_up(&self.db, tenant_id, Stream::Tenant(tenant_id), of_tenant).await?;
        }
        let key = (tenant_id, organization_id);
        let warm = self.organizations.read().get(&key).cloned();
        if let Some(slot) = warm.filter(|slot| slot.is_loaded()) {
            slot.asked(self.budget.tick());
            if !slot.is_at(of_organization) {
                let stream = Stream::Organization(organization_id);
                slot.catch_up(&self.db, tenant_id, stream, of_organization).await?;
            }
            return Ok(Standpoint::warm(tenant_id, organization_id, tenant, slot, stale));
        }
        match needs {
            Needs::Everything => {
                let slot = self.load(key, tenant.symbols(), of_organization).await?;
                Ok(Standpoint::warm(tenant_id, organization_id, tenant, slot, stale))
            }
            Needs::Question(user_id, resource) => {
                let resource = resource.map(|(kind, id)| (kind.to_owned(), id.to_owned()));
                let loaded = self.facts(key, &tenant, Extent::Question { user_id, resource }, of_organization).await?;
                self.load_behind(key, tenant.symbols().clone());
                Ok(Standpoint::cold(tenant_id, organization_id, tenant, loaded, stale))
            }
        }
    }

    /// What one question needs of an organization that is not loaded, and the tenant's state brought as far.
    async fn facts(&self, key: Key, tenant: &Slot<TenantState>, extent: Extent, sequence: i64) -> Result<Loaded> {
        let (tenant_id, id) = key;
        let mut tx = self.db.snapshot().await?;
        let loaded = load::organization(&mut tx, tenant_id, id, tenant.symbols(), extent).await?;
        drop(tx);
        slot::ensure_reached(loaded.sequence, sequence)?;
        if !tenant.is_at(loaded.tenant_sequence) {
            tenant.catch_up(&self.db, tenant_id, Stream::Tenant(tenant_id), loaded.tenant_sequence).await?;
        }
        Ok(loaded)
    }

    /// Loads an organization, and waits for it.
    async fn load(&self, key: Key, symbols: &Arc<Symbols>, sequence: i64) -> Result<Arc<Slot<OrganizationState>>> {
        let slot = slot(&self.organizations, key, || symbols.clone());
        slot.asked(self.budget.tick());
        let loaded = slot.catch_up(&self.db, key.0, Stream::Organization(key.1), sequence).await;
        if !slot.is_loaded() {
            // It does not exist, or could not be read.
            let mut organizations = self.organizations.write();
            if organizations.get(&key).is_some_and(|present| Arc::ptr_eq(present, &slot)) {
                organizations.remove(&key);
            }
        }
        loaded?;
        self.make_room();
        Ok(slot)
    }

    /// Has an organization loaded by somebody else, if there is room and hands are free.
    fn load_behind(self: &Arc<Self>, key: Key, symbols: Arc<Symbols>) {
        if self.organizations.read().get(&key).is_some_and(|slot| slot.is_busy()) {
            return;
        }
        let Some(turn) = self.budget.admit(key) else { return };
        let index = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = index.load(key, &symbols, 0).await {
                tracing::warn!(%error, organization_id = %key.1, "an organization could not be loaded");
            }
        });
    }

    /// Drops the organizations that were not asked for the longest, where all of them together take too much.
    fn make_room(&self) {
        let tenants = || self.tenants.read().values().map(|slot| slot.bytes()).sum::<usize>();
        let organizations = || self.organizations.read().values().map(|slot| slot.bytes()).sum::<usize>();
        if !self.budget.is_over(|| tenants() + organizations()) {
            return;
        }
        let mut slots: Vec<(u32, usize, Key)> = {
            let slots = self.organizations.read();
            slots.iter().map(|(key, slot)| (slot.asked_at(), slot.bytes(), *key)).collect()
        };
        slots.sort_unstable();
        let goners = self.budget.choose(&slots);
        let mut organizations = self.organizations.write();
        goners.iter().for_each(|key| drop(organizations.remove(key)));
    }

    /// Up to which sequences the streams of the tenant and the organization must be included.
    async fn sequences(&self, tenant: TenantId, id: OrganizationId, consistency: Consistency) -> Result<(i64, i64)> {
        match consistency {
            Consistency::MinimizeLatency => Ok((0, 0)),
            Consistency::AtLeastAsFresh(revision) => {
                let of_this = revision.organization.filter(|(organization, _)| *organization == id);
                if let Some((_, sequence)) = of_this {
                    return Ok((revision.tenant_sequence, sequence));
                }
                // It does not say how far this organization had come, and what it includes may have changed this one
                // too, as when a role of the tenant is deleted: everything that is committed now includes that.
                let present = events::store::organization_sequence(&mut self.db.snapshot().await?, tenant, id).await?;
                Ok((revision.tenant_sequence, present.unwrap_or(0)))
            }
            Consistency::Full => {
                let mut tx = self.db.snapshot().await?;
                let organization = events::store::organization_sequence(&mut tx, tenant, id).await?;
                Ok((events::store::tenant_sequence(&mut tx, tenant).await?, organization.unwrap_or(0)))
            }
        }
    }

    /// Whether this replica has not heard the log for too long; fails where the operator wants no such answers.
    fn is_stale(&self, consistency: Consistency) -> Result<bool> {
        if !matches!(consistency, Consistency::MinimizeLatency) {
            return Ok(false);
        }
        let silence = self.age_micros().saturating_sub(self.heard_at.load(Ordering::Relaxed));
        let stale = u128::from(silence) > self.settings.max_staleness.as_micros();
        if stale && !self.settings.answer_stale {
            return Err(Error::new(Reason::IndexStale, "this replica has not heard the log for too long"));
        }
        Ok(stale)
    }
}

/// The slot of a key. It is there before its state is loaded, so that no event is missed in between.
fn slot<K: Copy + Eq + Hash, S: Folded>(
    slots: &Slots<K, S>,
    key: K,
    symbols: impl FnOnce() -> Arc<Symbols>,
) -> Arc<Slot<S>> {
    if let Some(slot) = slots.read().get(&key) {
        return slot.clone();
    }
    slots.write().entry(key).or_insert_with(|| Arc::new(Slot::new(symbols()))).clone()
}
