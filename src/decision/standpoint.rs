//! Where a question is answered from: the state of an organization and its tenant, held still.

use std::{ops::Deref, sync::Arc};

use parking_lot::MappedRwLockReadGuard;

use super::{load::Loaded, organization::OrganizationState, slot::Slot, tenant::TenantState};
use crate::{
    error::Result,
    events::Revision,
    ids::{OrganizationId, TenantId},
};

/// The state of one organization and its tenant, fresh enough for a question.
#[derive(Debug)]
pub struct Standpoint {
    tenant_id: TenantId,
    organization_id: OrganizationId,
    tenant: Arc<Slot<TenantState>>,
    organization: Source,
    stale: bool,
}

/// Where the organization's state is.
#[derive(Debug)]
enum Source {
    /// In the index.
    Warm(Arc<Slot<OrganizationState>>),
    /// Read for one question.
    Cold(Box<Loaded>),
}

/// The states, held still while questions are answered.
pub struct View<'a> {
    /// The organization's.
    pub(super) organization: Held<'a, OrganizationState>,
    /// The tenant's.
    pub(super) tenant: Held<'a, TenantState>,
    /// Which organization it is.
    pub(super) organization_id: OrganizationId,
    /// The state that the answers are of.
    pub revision: Revision,
    /// Whether this replica has not heard the log for longer than `max_staleness`.
    pub stale: bool,
}

/// A state, wherever it is.
pub(super) enum Held<'a, S> {
    /// In the index, where events move it.
    Locked(MappedRwLockReadGuard<'a, S>),
    /// Where nobody else has it.
    Owned(&'a S),
}

impl<S> Deref for Held<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Held::Locked(state) => state,
            Held::Owned(state) => state,
        }
    }
}

impl Standpoint {
    pub(super) fn warm(
        tenant_id: TenantId,
        organization_id: OrganizationId,
        tenant: Arc<Slot<TenantState>>,
        organization: Arc<Slot<OrganizationState>>,
        stale: bool,
    ) -> Self {
        Self { tenant_id, organization_id, tenant, organization: Source::Warm(organization), stale }
    }

    pub(super) fn cold(
        tenant_id: TenantId,
        organization_id: OrganizationId,
        tenant: Arc<Slot<TenantState>>,
        loaded: Loaded,
        stale: bool,
    ) -> Self {
        let organization = Source::Cold(Box::new(loaded));
        Self { tenant_id, organization_id, tenant, organization, stale }
    }

    /// Whether this replica has not heard the log for longer than `max_staleness`.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Holds the states still. Nothing may wait while they are held.
    pub fn view(&self) -> Result<View<'_>> {
        let tenant = Held::Locked(self.tenant.read()?);
        let (organization, sequence) = match &self.organization {
            Source::Warm(slot) => (Held::Locked(slot.read()?), slot.applied()),
            Source::Cold(loaded) => (Held::Owned(&loaded.state), loaded.sequence),
        };
        let revision = Revision {
            tenant_id: self.tenant_id,
            tenant_sequence: self.tenant.applied(),
            organization: Some((self.organization_id, sequence)),
        };
        Ok(View { organization, tenant, organization_id: self.organization_id, revision, stale: self.stale })
    }
}
