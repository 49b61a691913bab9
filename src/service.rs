//! What every rpc is given: how to open a request, and the one way to read and to write.

use std::sync::Arc;

use tonic::{Request, Response, Status, metadata::MetadataValue};

use crate::{
    audit::note::Signer,
    auth::{Caller, Credentials, Who, scopes::PLATFORM},
    authority::{self, Authority, UserAuthority},
    cedar::Context,
    clock::{Clock, Timestamp},
    context::{Actor, Ctx},
    db::{Db, Tx, wake::Wake},
    decision::{Circumstances, Consistency, Index, Needs, Question, allows},
    dns::Dns,
    domains::Lists,
    error::{Error, Reason, Result},
    events::{self, Revision, Stream},
    idempotency::{Answer, Repeatable},
    ids::{OrganizationId, TenantId},
    mail::Templates,
    organizations,
    proto::v1::CheckReason,
};

/// A request that says which organization it is about, and which request it is: implemented for every request of the contract by build.rs, from
/// its descriptors.
pub trait Scoped {
    /// The organization, as the request names it; none where it is about no one organization.
    fn organization_id(&self) -> Option<&str>;

    /// Which request it is, where it has a `request_id`: of a caller of this tenant, with the credential that it came
    /// with.
    fn repeatable(&self, tenant_id: TenantId, credential: &[u8]) -> Option<Repeatable>;
}

include!(concat!(env!("OUT_DIR"), "/scoped.rs"));

/// A stream of requests is about no one organization.
impl<T> Scoped for tonic::Streaming<T> {
    fn organization_id(&self) -> Option<&str> {
        None
    }

    fn repeatable(&self, _: TenantId, _: &[u8]) -> Option<Repeatable> {
        None
    }
}

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
    /// What verifies credentials.
    pub credentials: Arc<Credentials>,
    /// Asks the domain name system.
    pub dns: Dns,
    /// Domains that nobody can claim.
    pub lists: Arc<Lists>,
    /// Hints that there is work.
    pub wake: Wake,
    /// The log, for readers.
    pub log: events::Reader,
    /// For how long what an organization leaves behind is kept.
    pub retention: organizations::Retention,
    /// The templates of mails.
    pub templates: Arc<Templates>,
    /// Who signs checkpoints and exports, if anybody.
    pub signer: Option<Arc<Signer>>,
}

impl Service {
    /// The context of a call, and its message. Here is where a user's right to the call is decided, for every method:
    /// there is no other way to a context.
    pub async fn open<T: Scoped>(&self, request: Request<T>) -> Result<(Ctx, T)> {
        let caller = self.caller(&request)?;
        let organization_id = request.get_ref().organization_id().and_then(|id| id.parse().ok());
        let user_agent = request.metadata().get("user-agent").and_then(|text| text.to_str().ok());
        let (kind, id) = caller.who.actor();
        let actor = Actor {
            kind,
            id,
            address: request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
            user_agent: user_agent.unwrap_or_default().chars().take(200).collect(),
        };
        let mut ctx = Ctx::local(caller.tenant_id, actor, self.clock.now());
        let trace_parent = request.metadata().get("traceparent").and_then(|text| text.to_str().ok());
        ctx.trace_parent = trace_parent.filter(|text| text.len() <= TRACE_PARENT_MAX).unwrap_or_default().to_owned();
        let credential = request.metadata().get("authorization").map(MetadataValue::as_encoded_bytes);
        ctx.repeatable = request.get_ref().repeatable(caller.tenant_id, credential.unwrap_or_default());
        ctx.authority = match self.authority(&caller, organization_id, ctx.now).await {
            Ok(authority) => authority,
            Err(refusal) => self.heard_again(&caller, &mut ctx, refusal).await?,
        };
        Ok((ctx, request.into_inner()))
    }

    /// A user whose own request took their right to it, such as by handing over what they owned, hears its answer again.
    async fn heard_again(&self, caller: &Caller, ctx: &mut Ctx, refusal: Error) -> Result<Authority> {
        let (Who::User(user_id, _), Some(request)) = (&caller.who, &ctx.repeatable) else { return Err(refusal) };
        if !request.was_answered(ctx, &mut self.db.snapshot().await?).await? {
            return Err(refusal);
        }
        ctx.answered_before = true;
        Ok(Authority::Oneself(*user_id))
    }

    /// By what right a caller calls: a service by its scopes, which were looked at before; a user by their membership in
    /// the organization that the call is about.
    pub async fn authority(
        &self,
        caller: &Caller,
        organization_id: Option<OrganizationId>,
        now: Timestamp,
    ) -> Result<Authority> {
        let Who::User(user_id, _) = caller.who else { return Ok(Authority::Service(caller.who.scopes())) };
        if caller.needed.self_service {
            return Ok(Authority::Oneself(user_id));
        }
        let permission = caller.needed.permission.clone();
        let lacks = || Error::missing_permission(&caller.needed.permission);
        let organization_id = organization_id.filter(|_| *permission != *PLATFORM).ok_or_else(lacks)?;
        let needs = Needs::Question(user_id.uuid(), None);
        let consistency = Consistency::MinimizeLatency;
        let mut standpoint = self.index.standpoint(caller.tenant_id, organization_id, consistency, needs).await?;
        if standpoint.is_stale() {
            // Stale answers are a choice about Check: what a caller may do here is asked of the database then.
            standpoint = self.index.standpoint(caller.tenant_id, organization_id, Consistency::Full, needs).await?;
        }
        let circumstances = Circumstances { now, context: &Context::default() };
        let question =
            Question { user_id: Some(user_id.uuid()), permission: &permission, resource: None, circumstances };
        let answer = standpoint.view()?.check(&question);
        let mut user = UserAuthority { user_id, permission: permission.clone(), by_role: true };
        match answer {
            Ok(reason) if allows(reason) => user.by_role = reason == CheckReason::Role,
            Ok(
                CheckReason::MembershipSuspended
                | CheckReason::MembershipPending
                | CheckReason::UserSuspended
                | CheckReason::NoPermission,
            ) => return Err(lacks()),
            Ok(_) => {
                // That the organization is suspended, say, is nothing that a stranger hears.
                let mut tx = self.db.snapshot().await?;
                let member = authority::is_member(&mut tx, caller.tenant_id, organization_id, user_id).await?;
                return Err(if member { lacks() } else { organizations::not_found() });
            }
            Err(error) => return Err(error),
        }
        Ok(Authority::User(user))
    }

    /// Who calls.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller> {
        request.extensions().get().cloned().ok_or_else(|| Error::internal("a call passed the guard without a caller"))
    }

    /// The one way to write: an operation, in one transaction that also appends its events, and keeps the answer for
    /// whoever comes with the same `request_id` again. The answer comes with the revision that includes the change, and
    /// this replica's index includes it before the caller hears of it.
    pub async fn write<T, A: Answer>(
        &self,
        ctx: Ctx,
        operation: impl AsyncFn(&Ctx, &mut Tx) -> Result<T>,
        answer: impl Fn(T, String) -> A,
    ) -> Result<Response<A>, Status> {
        let tenant_id = ctx.tenant_id;
        let (answer, ledger) = self.db.write(async move |tx| once(&ctx, tx, &operation, &answer).await).await?;
        if !ledger.events().is_empty() {
            self.wake.committed();
        }
        ledger.events().iter().for_each(|event| self.credentials.feed(event));
        self.index.include(tenant_id, &ledger).await;
        Ok(Response::new(answer))
    }

    /// Reads from one snapshot.
    pub async fn read<T>(&self, query: impl AsyncFn(&mut Tx) -> Result<T>) -> Result<T, Status> {
        Ok(query(&mut self.db.snapshot().await?).await?)
    }
}

/// Does what is asked, unless it was done before.
async fn once<T, A: Answer>(
    ctx: &Ctx,
    tx: &mut Tx,
    operation: &impl AsyncFn(&Ctx, &mut Tx) -> Result<T>,
    answer: &impl Fn(T, String) -> A,
) -> Result<A> {
    if let Some(request) = &ctx.repeatable
        && let Some(answer) = request.recall::<A>(ctx, tx).await?
    {
        // Whoever did it may have been another replica, or this one, which never heard that it was committed.
        if let Ok(revision) = Revision::decode(answer.revision(), ctx.tenant_id) {
            tx.ledger.reached_by(&revision);
        }
        return Ok(answer);
    }
    if ctx.answered_before {
        return Err(Error::new(
            Reason::IdempotencyAnswerGone,
            "the request was done, and its answer is forgotten by now",
        ));
    }
    let done = operation(ctx, tx).await?;
    if tx.ledger.tenant_sequence(ctx.tenant_id).is_none() {
        // Nothing was changed, and no lock taken: the present state includes it.
        let sequence = events::store::tenant_sequence(tx, ctx.tenant_id).await?;
        tx.ledger.reached(Stream::Tenant(ctx.tenant_id), sequence);
    }
    let answer = answer(done, tx.ledger.revision(ctx.tenant_id).encode());
    if let Some(request) = &ctx.repeatable {
        request.keep(ctx, tx, &answer).await?;
    }
    Ok(answer)
}
