//! Where the states of the index are had from: the database.

use std::sync::Arc;

use super::{
    load::{self, Extent},
    organization::OrganizationState,
    slot::{Slot, Source},
    tenant::TenantState,
};
use crate::{
    db::{Db, Tx},
    error::Result,
    events::{self, Stream},
    ids::{OrganizationId, TenantId},
    proto::v1 as pb,
};

/// How many events are read at once to catch up.
const BATCH_MAX: i64 = 2_000;

/// A tenant.
pub struct OfTenant<'a> {
    /// The database.
    pub db: &'a Db,
    /// Which.
    pub tenant_id: TenantId,
    /// The place of its state.
    pub slot: &'a Slot<TenantState>,
}

/// An organization. Its tenant's state is brought as far first: what the organization's events refer to is there.
pub struct OfOrganization<'a> {
    /// Its tenant.
    pub tenant: OfTenant<'a>,
    /// Which.
    pub id: OrganizationId,
}

impl OfTenant<'_> {
    /// Has the tenant's state include a sequence.
    pub async fn ensure(&self, sequence: i64) -> Result<()> {
        if self.slot.is_at(sequence) { Ok(()) } else { self.slot.ensure(self, sequence).await }
    }
}

impl Source<TenantState> for OfTenant<'_> {
    async fn load(&self) -> Result<(TenantState, i64)> {
        load::tenant(&mut self.db.snapshot().await?, self.tenant_id, self.slot.symbols()).await
    }

    async fn after(&self, sequence: i64) -> Result<Vec<Arc<pb::Event>>> {
        after(&mut self.db.snapshot().await?, self.tenant_id, Stream::Tenant(self.tenant_id), sequence).await
    }
}

impl Source<OrganizationState> for OfOrganization<'_> {
    async fn load(&self) -> Result<(OrganizationState, i64)> {
        let (tenant_id, symbols) = (self.tenant.tenant_id, self.tenant.slot.symbols());
        let mut tx = self.tenant.db.snapshot().await?;
        let loaded = load::organization(&mut tx, tenant_id, self.id, symbols, Extent::Whole).await?;
        drop(tx);
        self.tenant.ensure(loaded.tenant_sequence).await?;
        Ok((loaded.state, loaded.sequence))
    }

    async fn after(&self, sequence: i64) -> Result<Vec<Arc<pb::Event>>> {
        let tenant_id = self.tenant.tenant_id;
        let mut tx = self.tenant.db.snapshot().await?;
        let of_tenant = events::store::tenant_sequence(&mut tx, tenant_id).await?;
        let events = after(&mut tx, tenant_id, Stream::Organization(self.id), sequence).await?;
        drop(tx);
        self.tenant.ensure(of_tenant).await?;
        Ok(events)
    }
}

async fn after(tx: &mut Tx, tenant_id: TenantId, stream: Stream, sequence: i64) -> Result<Vec<Arc<pb::Event>>> {
    let records = events::store::after_sequence(tx, tenant_id, stream.uuid(), sequence, BATCH_MAX).await?;
    records.into_iter().map(|record| record.decode("").map(Arc::new)).collect()
}
