//! The index that answers Check: the state of organizations and tenants in memory, fed by the log alone.
//!
//! A state is loaded when it is first asked for, moved forward event by event, and never written by a handler. Each
//! carries the sequence it has reached; a question that needs a later one reads the missing events from the log first.

mod catalogue;
mod check;
mod load;
mod organization;
mod rpc;
mod slot;
mod tenant;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use check::{Answer, Question};
use organization::OrganizationState;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use slot::Slot;
use tenant::TenantState;
use uuid::Uuid;

use crate::{
    db::Db,
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

/// The state of one organization and its tenant, fresh enough for a question.
#[derive(Debug, Clone)]
pub struct Standpoint {
    tenant_id: TenantId,
    organization_id: OrganizationId,
    organization: Arc<Slot<OrganizationState>>,
    tenant: Arc<Slot<TenantState>>,
}

/// States by their keys.
type Slots<K, S> = RwLock<FxHashMap<K, Arc<Slot<S>>>>;

/// The states of all organizations and tenants that were asked for.
#[derive(Debug)]
pub struct Index {
    db: Db,
    max_staleness: Duration,
    begun: Instant,
    /// When the log was last heard: microseconds since `begun`, by a clock that nobody sets.
    heard_at: AtomicU64,
    organizations: Slots<(TenantId, OrganizationId), OrganizationState>,
    tenants: Slots<TenantId, TenantState>,
}

impl Index {
    /// Nothing loaded yet.
    pub fn new(db: Db, max_staleness: Duration) -> Self {
        let (organizations, tenants) = (RwLock::default(), RwLock::default());
        Self { db, max_staleness, begun: Instant::now(), heard_at: AtomicU64::new(0), organizations, tenants }
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

    /// Moves what is loaded forward by one committed event.
    pub fn feed(&self, event: &pb::Event) {
        let Ok(tenant_id) = event.tenant_id.parse() else { return };
        // The maps are let go before a state is waited for: a long batch must not stop other tenants.
        if event.organization_id.is_empty() {
            let slot = self.tenants.read().get(&tenant_id).cloned();
            slot.iter().for_each(|slot| slot.feed(event));
        } else if let Ok(organization_id) = event.organization_id.parse() {
            let slot = self.organizations.read().get(&(tenant_id, organization_id)).cloned();
            slot.iter().for_each(|slot| slot.feed(event));
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

    /// The state of an organization, as fresh as asked for. Warm and fresh enough, it costs no wait. Fails with
    /// `ORGANIZATION_NOT_FOUND`, `INVALID_REVISION`, `INDEX_STALE`.
    pub async fn standpoint(
        &self,
        tenant_id: TenantId,
        organization_id: OrganizationId,
        consistency: Consistency,
    ) -> Result<Standpoint> {
        let (tenant_needs, organization_needs) = self.needs(tenant_id, organization_id, consistency).await?;
        let tenant = self.tenant(tenant_id);
        if !tenant.is_at(tenant_needs) {
            tenant.catch_up(&self.db, tenant_id, Stream::Tenant(tenant_id), tenant_needs).await?;
        }
        let organization = self.organization(tenant_id, organization_id);
        if !organization.is_at(organization_needs) {
            let stream = Stream::Organization(organization_id);
            let caught_up = organization.catch_up(&self.db, tenant_id, stream, organization_needs).await;
            if caught_up.as_ref().is_err_and(|error| error.reason() == Reason::OrganizationNotFound) {
                self.organizations.write().remove(&(tenant_id, organization_id));
            }
            caught_up?;
        }
        Ok(Standpoint { tenant_id, organization_id, organization, tenant })
    }

    /// Up to which sequences the streams of the tenant and the organization must be included.
    async fn needs(
        &self,
        tenant_id: TenantId,
        organization_id: OrganizationId,
        consistency: Consistency,
    ) -> Result<(i64, i64)> {
        match consistency {
            Consistency::MinimizeLatency => {
                self.ensure_heard()?;
                Ok((0, 0))
            }
            Consistency::AtLeastAsFresh(revision) => {
                let of_this = revision.organization.filter(|(id, _)| *id == organization_id);
                Ok((revision.tenant_sequence, of_this.map_or(0, |(_, sequence)| sequence)))
            }
            Consistency::Full => {
                let mut tx = self.db.snapshot().await?;
                let organization = events::store::organization_sequence(&mut tx, tenant_id, organization_id).await?;
                Ok((events::store::tenant_sequence(&mut tx, tenant_id).await?, organization.unwrap_or(0)))
            }
        }
    }

    /// Fails where this replica has not heard the log for too long to answer from what it has.
    fn ensure_heard(&self) -> Result<()> {
        let silence = self.age_micros().saturating_sub(self.heard_at.load(Ordering::Relaxed));
        if u128::from(silence) > self.max_staleness.as_micros() {
            return Err(Error::new(Reason::IndexStale, "this replica has not heard the log for too long"));
        }
        Ok(())
    }

    fn tenant(&self, id: TenantId) -> Arc<Slot<TenantState>> {
        slot(&self.tenants, id)
    }

    fn organization(&self, tenant_id: TenantId, id: OrganizationId) -> Arc<Slot<OrganizationState>> {
        slot(&self.organizations, (tenant_id, id))
    }
}

/// The slot of a key. It is there before its state is loaded, so that no event is missed in between.
fn slot<K: Copy + Eq + std::hash::Hash, S>(slots: &Slots<K, S>, key: K) -> Arc<Slot<S>> {
    if let Some(slot) = slots.read().get(&key) {
        return slot.clone();
    }
    slots.write().entry(key).or_default().clone()
}

/// The value of an id in an event of our own log.
fn uuid<K: type_safe_id::StaticType>(id: &str) -> Result<Uuid> {
    id.parse::<crate::ids::Id<K>>().map(crate::ids::Id::uuid).map_err(|()| Error::internal(format!("bad id {id:?}")))
}
