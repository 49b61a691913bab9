//! Decisions from events alone: what a consumer of the stream can answer without asking the service.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    check::{Answer, Question},
    organization::OrganizationState,
    slot::Folded as _,
    standpoint::{Held, View},
    symbols::Symbols,
    tenant::TenantState,
};
use crate::{
    error::{Error, Reason, Result},
    events::Revision,
    ids::{OrganizationId, TenantId},
    proto::v1 as pb,
};

/// The states of one tenant and its organizations, made of events.
#[derive(Debug)]
pub struct Replica {
    tenant_id: TenantId,
    symbols: Arc<Symbols>,
    tenant: (TenantState, i64),
    organizations: FxHashMap<OrganizationId, (OrganizationState, i64)>,
}

impl Replica {
    /// A tenant of which no event was seen.
    pub fn new(tenant_id: TenantId) -> Self {
        let symbols = Arc::<Symbols>::default();
        let tenant = (TenantState::new(symbols.clone()), 0);
        Self { tenant_id, symbols, tenant, organizations: FxHashMap::default() }
    }

    /// Takes in an event of the tenant's log. Those of one stream come in the order of their sequence; one that was
    /// seen before changes nothing.
    pub fn apply(&mut self, event: &pb::Event) -> Result<()> {
        let Ok(organization_id) = event.organization_id.parse() else {
            return take(&mut self.tenant.1, event, || self.tenant.0.apply(event));
        };
        let fresh = || (OrganizationState::new(self.symbols.clone()), 0);
        let (state, sequence) = self.organizations.entry(organization_id).or_insert_with(fresh);
        take(sequence, event, || state.apply(event))
    }

    /// Answers one question. Fails with `ORGANIZATION_NOT_FOUND`, `UNKNOWN_PERMISSION`.
    pub fn check(&self, organization_id: OrganizationId, question: &Question<'_>) -> Result<Answer> {
        self.view(organization_id)?.check(question)
    }

    fn view(&self, organization_id: OrganizationId) -> Result<View<'_>> {
        let (organization, sequence) = self
            .organizations
            .get(&organization_id)
            .ok_or_else(|| Error::new(Reason::OrganizationNotFound, "no such organization"))?;
        let revision = Revision {
            tenant_id: self.tenant_id,
            tenant_sequence: self.tenant.1,
            organization: Some((organization_id, *sequence)),
        };
        let (organization, tenant) = (Held::Owned(organization), Held::Owned(&self.tenant.0));
        Ok(View { organization, tenant, organization_id, revision, stale: false })
    }
}

/// Applies an event that is the next of its stream.
fn take(sequence: &mut i64, event: &pb::Event, apply: impl FnOnce() -> Result<()>) -> Result<()> {
    if event.sequence <= *sequence {
        return Ok(());
    }
    if event.sequence != *sequence + 1 {
        return Err(Error::internal(format!("sequence {} does not follow {sequence}", event.sequence)));
    }
    apply()?;
    *sequence = event.sequence;
    Ok(())
}
