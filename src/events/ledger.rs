//! What one transaction has appended to the log, and how far it saw the streams.

use std::{collections::BTreeMap, sync::Arc};

use super::{Revision, Stream};
use crate::{ids::TenantId, proto::v1 as pb};

/// What one transaction has appended, and how far it saw the streams.
#[derive(Debug, Default)]
pub struct Ledger {
    events: Vec<Arc<pb::Event>>,
    heads: BTreeMap<Stream, i64>,
}

impl Ledger {
    /// Notes how far a stream had come when this transaction held its lock, or just before it committed.
    pub fn reached(&mut self, stream: Stream, sequence: i64) {
        let head = self.heads.entry(stream).or_insert(sequence);
        *head = sequence.max(*head);
    }

    /// Notes that the streams had come as far as a revision says.
    pub fn reached_by(&mut self, revision: &Revision) {
        self.reached(Stream::Tenant(revision.tenant_id), revision.tenant_sequence);
        if let Some((id, sequence)) = revision.organization {
            self.reached(Stream::Organization(id), sequence);
        }
    }

    pub(super) fn appended(&mut self, event: Arc<pb::Event>) {
        self.events.push(event);
    }

    /// What was appended, in order.
    pub fn events(&self) -> &[Arc<pb::Event>] {
        &self.events
    }

    /// How far each stream was seen.
    pub fn heads(&self) -> impl Iterator<Item = (Stream, i64)> {
        self.heads.iter().map(|(stream, sequence)| (*stream, *sequence))
    }

    /// Whether this transaction knows how far a stream has come: whether it holds its lock.
    pub fn has_seen(&self, stream: Stream) -> bool {
        self.heads.contains_key(&stream)
    }

    /// How far the tenant's own stream was seen.
    pub fn tenant_sequence(&self, tenant_id: TenantId) -> Option<i64> {
        self.heads.get(&Stream::Tenant(tenant_id)).copied()
    }

    /// The revision that includes this transaction: of its tenant's stream, and of its organization's where it changed
    /// or looked at exactly one.
    pub fn revision(&self, tenant_id: TenantId) -> Revision {
        let mut organizations = self.heads.iter().filter_map(|(stream, sequence)| match stream {
            Stream::Organization(id) => Some((*id, *sequence)),
            Stream::Tenant(_) => None,
        });
        let organization = organizations.next().filter(|_| organizations.next().is_none());
        Revision { tenant_id, tenant_sequence: self.tenant_sequence(tenant_id).unwrap_or(0), organization }
    }
}
