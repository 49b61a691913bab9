//! The layer in front of every method: who calls, and whether they hold what the method needs.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{Caller, Credentials, Methods, Who, scopes::PLATFORM};
use crate::{
    clock::Clock,
    db::Db,
    error::{Error, Reason, Result},
    ids::TenantId,
    tenants,
};

/// The metadata in which a service with the platform scope names the tenant of a call.
const TENANT: &str = "roster-tenant";
/// What may be called without a credential.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Puts authentication in front of a server.
#[derive(Debug, Clone)]
pub struct AuthLayer(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    methods: Methods,
    credentials: Arc<Credentials>,
    db: Db,
    clock: Clock,
}

impl AuthLayer {
    /// Guards these methods.
    pub fn new(methods: Methods, credentials: Arc<Credentials>, db: Db, clock: Clock) -> Self {
        Self(Arc::new(Guard { methods, credentials, db, clock }))
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.0.clone(), inner }
    }
}

/// A server behind authentication.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let guard = self.guard.clone();
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            // In parts: a body cannot be looked at from two threads, and waiting may change the thread.
            let (mut parts, body) = request.into_parts();
            match guard.admit(parts.uri.path(), &parts.headers).await {
                Ok(Some(caller)) => {
                    parts.extensions.insert(caller);
                    ready.call(Request::from_parts(parts, body)).await.map(explain_refusal)
                }
                Ok(None) => ready.call(Request::from_parts(parts, body)).await,
                Err(error) => Ok(Status::from(error).into_http()),
            }
        })
    }
}

/// Our own errors always have details. One without them is the transport's, about bytes that are no request.
fn explain_refusal(response: Response<Body>) -> Response<Body> {
    let status = response.headers().get(Status::GRPC_STATUS).and_then(|code| code.to_str().ok());
    if response.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let message = match status.map(|code| Code::from_bytes(code.as_bytes())) {
        Some(Code::Internal) => "the bytes are not a request of this method",
        Some(Code::OutOfRange | Code::ResourceExhausted) => "the request is larger than this method takes",
        _ => return response,
    };
    Status::from(Error::new(Reason::InvalidRequest, message)).into_http()
}

impl Guard {
    /// The caller, or nobody for what is open to everybody or does not exist.
    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Caller>> {
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(None);
        }
        let who = self.verify(headers).await?;
        let Some(needed) = self.methods.needed(path) else { return Ok(None) }; // answered as UNIMPLEMENTED
        let tenant_id = self.tenant(&who, headers).await?;
        // A user is asked for it where the organization is known: by `Service::open`.
        if !matches!(who, Who::User(..)) && !who.scopes().allow(&needed.permission) {
            return Err(Error::missing_permission(&needed.permission));
        }
        Ok(Some(Caller { tenant_id, who, needed: needed.clone() }))
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<Who> {
        let missing =
            || Error::new(Reason::MissingCredentials, "send an API key or a token as metadata authorization: Bearer …");
        let header = headers.get(AUTHORIZATION).ok_or_else(missing)?;
        let malformed =
            || Error::new(Reason::InvalidCredentials, "the metadata authorization is not Bearer and a credential");
        let (scheme, presented) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(malformed());
        }
        self.credentials.verify(presented, self.clock.now()).await
    }

    /// The tenant of a call: the credential's own, or the one that a service with the platform scope names.
    async fn tenant(&self, who: &Who, headers: &HeaderMap) -> Result<TenantId> {
        let own = match who {
            Who::Key(key) => key.tenant_id,
            Who::Service(token) | Who::User(_, token) => token.tenant_id,
        };
        let Some(named) = headers.get(TENANT) else { return Ok(own) };
        let not_found = || Error::new(Reason::TenantNotFound, "no such tenant");
        let named: TenantId = named.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(not_found)?;
        if named == own {
            return Ok(named);
        }
        if !who.scopes().allow(PLATFORM) {
            return Err(not_found());
        }
        tenants::get(&mut self.db.snapshot().await?, named).await.map(|tenant| tenant.id)
    }
}
