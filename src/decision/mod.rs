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
mod source;
mod standpoint;
mod stream;
mod symbols;
mod team_tree;
mod tenant;
mod verdict;
mod wire;
mod work;

use std::{
    collections::BTreeMap,
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
use source::{OfOrganization, OfTenant};
pub use standpoint::{Standpoint, View};
use symbols::Symbols;
use tenant::TenantState;
use uuid::Uuid;
pub use verdict::Sets;
pub use work::Work;

use crate::{
    db::Db,
    error::{Error, Reason, Result},
    events::{self, Ledger, Record, Revision, Stream},
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

    /// Everything that was committed by this time is here.
    pub fn heard(&self, at: Instant) {
        self.heard_at.store(self.age_micros(at), Ordering::Relaxed);
    }

    fn age_micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether an event of the log would move anything that is loaded.
    pub fn wants(&self, record: &Record) -> bool {
        if record.stream_id == record.tenant_id.uuid() {
            return self.tenants.read().contains_key(&record.tenant_id);
        }
        let organization_id = OrganizationId::from_uuid(record.stream_id);
        self.organizations.read().contains_key(&(record.tenant_id, organization_id))
    }

    /// Moves what is loaded forward by events of the log, in its order.
    pub fn feed(&self, events: &[Arc<pb::Event>]) {
        let of_one = |a: &Arc<pb::Event>, b: &Arc<pb::Event>| {
            (&a.tenant_id, &a.organization_id) == (&b.tenant_id, &b.organization_id)
        };
        for events in events.chunk_by(of_one) {
            // The maps are let go before a state is waited for: a long batch must not stop other tenants.
            match stream_of(&events[0]) {
                Some((_, Stream::Tenant(id))) => slot_of(&self.tenants, &id).iter().for_each(|slot| slot.feed(events)),
                Some((tenant_id, Stream::Organization(id))) => {
                    slot_of(&self.organizations, &(tenant_id, id)).iter().for_each(|slot| slot.feed(events));
                }
                None => {}
            }
        }
        self.make_room();
    }

    /// Moves what is loaded forward by what a transaction of this process has committed, and has it include all that the
    /// transaction saw: nobody who hears of the change is answered from before it.
    pub async fn include(&self, tenant_id: TenantId, ledger: &Ledger) {
        let tenant = slot(&self.tenants, tenant_id, Arc::default);
        let heads: BTreeMap<Stream, i64> = ledger.heads().collect();
        // The tenant's stream, which is the last, first: what the others refer to is there.
        for (stream, sequence) in heads.into_iter().rev() {
            let of_it = |event: &&Arc<pb::Event>| stream_of(event).is_some_and(|(_, of)| of == stream);
            let events: Vec<_> = ledger.events().iter().filter(of_it).cloned().collect();
            match stream {
                Stream::Tenant(_) => {
                    tenant.feed(&events);
                    tenant.include(&self.of_tenant(tenant_id, &tenant), sequence).await;
                }
                Stream::Organization(id) => {
                    let Some(slot) = slot_of(&self.organizations, &(tenant_id, id)) else { continue };
                    slot.feed(&events);
                    slot.include(&self.of_organization((tenant_id, id), &tenant), sequence).await;
                }
            }
        }
        self.make_room();
    }

    fn of_tenant<'a>(&'a self, tenant_id: TenantId, slot: &'a Slot<TenantState>) -> OfTenant<'a> {
        OfTenant { db: &self.db, tenant_id, slot }
    }

    fn of_organization<'a>(&'a self, (tenant_id, id): Key, tenant: &'a Slot<TenantState>) -> OfOrganization<'a> {
        OfOrganization { tenant: self.of_tenant(tenant_id, tenant), id }
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
        self.of_tenant(tenant_id, &tenant).ensure(of_tenant).await?;
        let key = (tenant_id, organization_id);
        let warm = slot_of(&self.organizations, &key);
        if let Some(slot) = warm.filter(|slot| slot.is_loaded()) {
            slot.asked(self.budget.tick());
            if !slot.is_at(of_organization) {
                slot.ensure(&self.of_organization(key, &tenant), of_organization).await?;
            }
            return Ok(Standpoint::warm(tenant_id, organization_id, tenant, slot, stale));
        }
        match needs {
            Needs::Everything => {
                let slot = self.load(key, &tenant, of_organization).await?;
                Ok(Standpoint::warm(tenant_id, organization_id, tenant, slot, stale))
            }
            Needs::Question(user_id, resource) => {
                let resource = resource.map(|(kind, id)| (kind.to_owned(), id.to_owned()));
                let loaded = self.facts(key, &tenant, Extent::Question { user_id, resource }, of_organization).await?;
                self.load_behind(key, tenant.clone());
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
        if loaded.sequence < sequence {
            return Err(slot::ahead(loaded.sequence));
        }
        self.of_tenant(tenant_id, tenant).ensure(loaded.tenant_sequence).await?;
        Ok(loaded)
    }

    /// Loads an organization, and waits for it.
    async fn load(&self, key: Key, tenant: &Slot<TenantState>, sequence: i64) -> Result<Arc<Slot<OrganizationState>>> {
        let slot = slot(&self.organizations, key, || tenant.symbols().clone());
        slot.asked(self.budget.tick());
        let _left = Left { organizations: &self.organizations, key, slot: &slot };
        slot.ensure(&self.of_organization(key, tenant), sequence).await?;
        self.make_room();
        Ok(slot.clone())
    }

    /// Has an organization loaded by somebody else, if there is room and hands are free.
    fn load_behind(self: &Arc<Self>, key: Key, tenant: Arc<Slot<TenantState>>) {
        if slot_of(&self.organizations, &key).is_some_and(|slot| !slot.is_empty()) {
            return;
        }
        let Some(turn) = self.budget.admit(key) else { return };
        let index = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = index.load(key, &tenant, 0).await {
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
            let loaded = slots.iter().filter(|(_, slot)| slot.is_loaded());
            loaded.map(|(key, slot)| (slot.asked_at(), slot.bytes(), *key)).collect()
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
        let silence = self.age_micros(Instant::now()).saturating_sub(self.heard_at.load(Ordering::Relaxed));
        let stale = u128::from(silence) > self.settings.max_staleness.as_micros();
        if stale && !self.settings.answer_stale {
            return Err(Error::new(Reason::IndexStale, "this replica has not heard the log for too long"));
        }
        Ok(stale)
    }
}

/// Takes the slot of an organization away again where its load came to nothing: it does not exist, or could not be read.
struct Left<'a> {
    organizations: &'a Slots<Key, OrganizationState>,
    key: Key,
    slot: &'a Arc<Slot<OrganizationState>>,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if !self.slot.is_empty() {
            return;
        }
        let mut organizations = self.organizations.write();
        if organizations.get(&self.key).is_some_and(|present| Arc::ptr_eq(present, self.slot)) {
            organizations.remove(&self.key);
        }
    }
}

/// The stream of an event, and its tenant.
fn stream_of(event: &pb::Event) -> Option<(TenantId, Stream)> {
    let tenant_id: TenantId = event.tenant_id.parse().ok()?;
    match event.organization_id.as_str() {
        "" => Some((tenant_id, Stream::Tenant(tenant_id))),
        id => Some((tenant_id, Stream::Organization(id.parse().ok()?))),
    }
}

fn slot_of<K: Eq + Hash, S>(slots: &Slots<K, S>, key: &K) -> Option<Arc<Slot<S>>> {
    slots.read().get(key).cloned()
}

/// The slot of a key. It is there before its state is loaded, so that no event is missed in between.
fn slot<K: Copy + Eq + Hash, S: Folded>(
    slots: &Slots<K, S>,
    key: K,
    symbols: impl FnOnce() -> Arc<Symbols>,
) -> Arc<Slot<S>> {
    if let Some(slot) = slot_of(slots, &key) {
        return slot;
    }
    slots.write().entry(key).or_insert_with(|| Arc::new(Slot::new(symbols()))).clone()
}
