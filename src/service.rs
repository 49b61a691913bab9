//! What every rpc is given: how to open a request, and the one way to read and to write.

use std::sync::Arc;

use tonic::{Request, Status};

use crate::{
    auth::{Caller, keys::KeyCache},
    clock::Clock,
    context::{Actor, Ctx},
    db::{Db, Tx, wake::Wake},
    decision::Index,
    error::{Error, Result},
    events::{self, Stream},
    ids::TenantId,
    proto::v1 as pb,
};

/// A `traceparent` of version 00 has 55 characters (W3C Trace Context, section 3.2); a later one may have more.
const TRACE_PARENT_MAX: usize = 128;

/// The service: all gRPC services are implemented on it, each in the `rpc.rs` of its slice.
#[derive(Debug, Clone)]
pub struct Service {
    /// Storage.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// What answers Check.
    pub index: Arc<Index>,
    /// Who was verified lately.
    pub keys: Arc<KeyCache>,
    /// Hints that there is work.
    pub wake: Wake,
    /// The log, for readers.
    pub log: events::Reader,
}

impl Service {
    /// The context of a call, and its message.
    pub fn open<T>(&self, request: Request<T>) -> Result<(Ctx, T)> {
        let caller = self.caller(&request)?;
        let user_agent = request.metadata().get("user-agent").and_then(|text| text.to_str().ok());
        let actor = Actor {
            kind: pb::EventActorKind::ApiKey,
            id: caller.api_key_id.to_string(),
            address: request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
            user_agent: user_agent.unwrap_or_default().chars().take(200).collect(),
        };
        let mut ctx = Ctx::local(caller.tenant_id, actor, self.clock.now());
        let trace_parent = request.metadata().get("traceparent").and_then(|text| text.to_str().ok());
        ctx.trace_parent = trace_parent.filter(|text| text.len() <= TRACE_PARENT_MAX).unwrap_or_default().to_owned();
        Ok((ctx, request.into_inner()))
    }

    /// Who calls.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller> {
        request.extensions().get().cloned().ok_or_else(|| Error::internal("a call passed the guard without a caller"))
    }

    /// The one way to write: an operation, in one transaction that also appends its events. Its answer comes with the
    /// revision that includes it, and this replica's index includes it before the caller hears of it.
    pub async fn write<T>(
        &self,
        tenant_id: TenantId,
        operation: impl AsyncFn(&mut Tx) -> Result<T>,
    ) -> Result<(T, String), Status> {
        let (answer, mut ledger) = self.db.write(operation).await?;
        for event in ledger.events() {
            self.index.feed(event);
            self.keys.feed(event);
        }
        for (stream, sequence) in ledger.heads() {
            self.index.heard_of(tenant_id, stream, sequence);
        }
        if !ledger.events().is_empty() {
            self.wake.committed();
        }
        if ledger.tenant_sequence(tenant_id).is_none() {
            // Nothing was changed, and no lock taken: the present state includes it.
            let sequence = events::store::tenant_sequence(&mut self.db.snapshot().await?, tenant_id).await?;
            ledger.reached(Stream::Tenant(tenant_id), sequence);
        }
        Ok((answer, ledger.revision(tenant_id).encode()))
    }

    /// Reads from one snapshot.
    pub async fn read<T>(&self, query: impl AsyncFn(&mut Tx) -> Result<T>) -> Result<T, Status> {
        Ok(query(&mut self.db.snapshot().await?).await?)
    }
}
