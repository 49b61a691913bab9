//! The server: everything put together, started, and stopped in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::{
    Server,
    server::{Router, TcpIncoming},
};
use tower::layer::util::{Identity, Stack};

use crate::{
    audit,
    auth::{AuthLayer, Credentials, Methods, keys::Secret},
    bootstrap,
    clock::Clock,
    config::Config,
    db::{Db, wake::Wake},
    decision::Index,
    dns::Dns,
    domains::{Checker, Lists},
    error::{Error, Result},
    events,
    leader::Leader,
    mail::{Mailer, Templates},
    meter::{Meter, MeterLayer},
    proto::{
        DESCRIPTORS,
        v1::{
            api_key_service_server::ApiKeyServiceServer, audit_service_server::AuditServiceServer,
            authorization_service_server::AuthorizationServiceServer, domain_service_server::DomainServiceServer,
            event_service_server::EventServiceServer, grant_service_server::GrantServiceServer,
            invitation_service_server::InvitationServiceServer, membership_service_server::MembershipServiceServer,
            organization_service_server::OrganizationServiceServer, policy_service_server::PolicyServiceServer,
            role_service_server::RoleServiceServer, team_service_server::TeamServiceServer,
            tenant_service_server::TenantServiceServer, user_service_server::UserServiceServer,
        },
    },
    retention::Retention,
    service::Service,
    sweeper::Sweeper,
    tail::Tail,
    upgrade,
};

/// The services that health speaks of.
const SERVICES: [&str; 15] = [
    "",
    "roster.v1.TenantService",
    "roster.v1.ApiKeyService",
    "roster.v1.UserService",
    "roster.v1.OrganizationService",
    "roster.v1.MembershipService",
    "roster.v1.TeamService",
    "roster.v1.RoleService",
    "roster.v1.GrantService",
    "roster.v1.PolicyService",
    "roster.v1.AuthorizationService",
    "roster.v1.DomainService",
    "roster.v1.EventService",
    "roster.v1.InvitationService",
    "roster.v1.AuditService",
];

/// What a server cannot start for: a sentence for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How large a request with thousands of entries may be; others are held to tonic's 4 MiB.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How many calls of one connection are in the server at once, streams among them; more wait at the caller.
const CALLS_PER_CONNECTION: u32 = 1_000;
/// How much of one stream of requests waits unread: HTTP/2's own default (RFC 9113, section 6.5.2).
const STREAM_WINDOW: u32 = 64 << 10;
/// How much of one connection waits unread. The HTTP/2 library closes a connection (`ENHANCE_YOUR_CALM`) on which so many
/// small messages wait that their bookkeeping comes to half of this: as many calls as may be here, and some seventy
/// streams of Checks that are full, stay below.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The tail, the leader, the wake-ups, the keys of issuers, and the key that this replica signs with.
const BACKGROUND_TASKS: usize = 5;

/// A server that is running.
#[derive(Debug)]
pub struct Running {
    /// The address that it serves on.
    pub address: SocketAddr,
    /// The first key, where this was a fresh installation: shown once.
    pub first_key: Option<Secret>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    meter: Arc<Meter>,
    /// Whatever is fed by the log: stopped after the last call.
    background: TaskTracker,
    background_stop: CancellationToken,
    db: Db,
    shutdown: Duration,
    _folder: Option<std::fs::File>,
}

/// Starts a server; it is ready when this returns. Cancel `stop`, then wait for [`Running::stopped`].
pub async fn start(config: &Config, clock: Clock, stop: CancellationToken) -> Result<Running, Failure> {
    let methods = Methods::of_contract()?;
    let templates = Arc::new(Templates::load(config.mail.templates.as_deref())?);
    let folder = lock_folder(config).await?;
    let signer = config.audit.key.as_ref().map(audit::key::KeyFile::read).transpose()?.map(Arc::new);
    if signer.is_none() {
        tracing::warn!("audit_key_file is not set: no checkpoint is published, and no export of the log is signed");
    }
    // Before the first key is made: it is shown once, and must not be lost to a port in use.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let address = listener.local_addr()?;
    let db = Db::open(&config.location).await?;
    upgrade::run(&db).await?;
    let first_key = bootstrap::run(&db, &clock).await?;

    let verifier = signer.as_ref().map(|signer| signer.verifier().to_string());
    let signers = audit::signers::Signers::begin(db.clone(), clock.clone(), verifier).await?;

    let wake = Wake::default();
    let index = Arc::new(Index::new(db.clone(), config.index));
    let credentials = Arc::new(Credentials::new(&config.tokens, &db, &clock)?);
    let tail = Tail::begin(db.clone(), wake.clone(), index.clone(), credentials.clone()).await?;
    let (_, stream_epoch) = events::store::head(&mut db.snapshot().await?).await?;
    let log = events::Reader {
        db: db.clone(),
        head: tail.head(),
        recent: tail.recent(),
        watches: Arc::new(events::Watches::new(config.watches)),
        stream_epoch: stream_epoch.to_string().into(),
        stop: stop.clone(),
    };
    let dns = Dns::new(&config.domains.dns_servers);
    let service = Service {
        db: db.clone(),
        clock: clock.clone(),
        index,
        credentials: credentials.clone(),
        dns: dns.clone(),
        lists: Arc::new(Lists::new(config.domains.refused.clone(), config.domains.allowed.clone())),
        wake: wake.clone(),
        log,
        retention: config.retention,
        templates: templates.clone(),
        signer: signer.clone(),
    };
    let mailer = Mailer::new(&config.mail, templates, db.clone(), clock.clone(), wake.clone())?;

    let background = TaskTracker::new();
    let background_stop = CancellationToken::new();
    spawn_background(
        config,
        &background,
        &background_stop,
        &stop,
        &db,
        &clock,
        wake,
        dns,
        tail,
        credentials.clone(),
        mailer,
        signer,
        signers,
    );

    let (reporter, health) = tonic_health::server::health_reporter();
    for name in SERVICES {
        reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
    }
    let meter = Arc::new(Meter::new(&methods));
    let layers = (MeterLayer::new(meter.clone()), AuthLayer::new(methods, credentials, db.clone(), clock));
    let routes = routes(service, layers)?.add_service(health);
    let draining = stop.clone();
    let serving = tokio::spawn(async move {
        let drained = async move {
            draining.cancelled().await;
            for name in SERVICES {
                reporter.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
            }
        };
        // Small answers must not wait for acknowledgements; the builder's own setting is not for listeners given to it.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        routes.serve_with_incoming_shutdown(incoming, drained).await
    });
    let shutdown = config.shutdown;
    Ok(Running { address, first_key, stop, serving, meter, background, background_stop, db, shutdown, _folder: folder })
}

/// One process at a time on a folder: two would each believe to be the leader.
async fn lock_folder(config: &Config) -> Result<Option<std::fs::File>, Failure> {
    let crate::db::Location::Folder(folder) = &config.location else { return Ok(None) };
    let folder = folder.clone();
    let lock = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let file = std::fs::File::create(folder.join("roster.lock"))?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                std::io::Error::other(format!("another process serves {}", folder.display()))
            }
            std::fs::TryLockError::Error(error) => error,
        })?;
        Ok::<_, std::io::Error>(file)
    });
    Ok(Some(lock.await??))
}

#[expect(clippy::too_many_arguments, reason = "each task has its own")]
fn spawn_background(
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    server: &CancellationToken,
    db: &Db,
    clock: &Clock,
    wake: Wake,
    dns: Dns,
    tail: Tail,
    credentials: Arc<Credentials>,
    mailer: Mailer,
    signer: Option<Arc<audit::note::Signer>>,
    signers: audit::signers::Signers,
) {
    let leader = Leader {
        db: db.clone(),
        wake: wake.clone(),
        holder: uuid::Uuid::now_v7().to_string(),
        mailer,
        sweeper: Sweeper {
            db: db.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
            retention: config.retention,
            signer,
            checkpoint_after: config.audit.checkpoint_after,
        },
        retention: Retention { db: db.clone(), clock: clock.clone() },
        checker: Checker { db: db.clone(), clock: clock.clone(), wake: wake.clone(), dns },
        #[cfg(feature = "kafka")]
        relays: config.kafka.as_ref().map(crate::relay::Relay::all).unwrap_or_default(),
    };
    let _ = config;
    let (for_tail, for_leader, for_wake, for_tokens) = (stop.clone(), stop.clone(), stop.clone(), stop.clone());
    let for_signers = stop.clone();
    let wake_db = db.clone();
    // A task that ends, ends the service: without it the log would stand still unseen.
    let ends = || server.clone().drop_guard();
    let (with_tail, with_leader, with_wake, with_tokens) = (ends(), ends(), ends(), ends());
    let with_signers = ends();
    tasks.spawn(async move { (tail.run(for_tail).await, with_tail).0 });
    tasks.spawn(async move { (leader.run(for_leader).await, with_leader).0 });
    tasks.spawn(async move { (wake.run(wake_db, for_wake).await, with_wake).0 });
    tasks.spawn(async move { (credentials.tokens().run(for_tokens).await, with_tokens).0 });
    tasks.spawn(async move { (signers.run(&for_signers).await, with_signers).0 });
    tasks.close();
}

/// What every call passes: the meter first.
type Layers = Stack<AuthLayer, Stack<MeterLayer, Identity>>;

fn routes(service: Service, (meter, auth): (MeterLayer, AuthLayer)) -> Result<Router<Layers>> {
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let service = Arc::new(service);
    Ok(Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(meter)
        .layer(auth)
        .add_service(reflection().build_v1().map_err(Error::internal)?)
        .add_service(reflection().build_v1alpha().map_err(Error::internal)?)
        .add_service(TenantServiceServer::from_arc(service.clone()))
        .add_service(ApiKeyServiceServer::from_arc(service.clone()))
        .add_service(UserServiceServer::from_arc(service.clone()))
        .add_service(OrganizationServiceServer::from_arc(service.clone()))
        .add_service(MembershipServiceServer::from_arc(service.clone()).max_decoding_message_size(BATCH_BYTES_MAX))
        .add_service(TeamServiceServer::from_arc(service.clone()))
        .add_service(RoleServiceServer::from_arc(service.clone()))
        .add_service(GrantServiceServer::from_arc(service.clone()))
        .add_service(PolicyServiceServer::from_arc(service.clone()).max_decoding_message_size(BATCH_BYTES_MAX))
        .add_service(AuthorizationServiceServer::from_arc(service.clone()).max_decoding_message_size(BATCH_BYTES_MAX))
        .add_service(DomainServiceServer::from_arc(service.clone()))
        .add_service(InvitationServiceServer::from_arc(service.clone()))
        .add_service(AuditServiceServer::from_arc(service.clone()))
        .add_service(EventServiceServer::from_arc(service)))
}

impl Running {
    /// Waits until the server is told to stop; then until calls have finished, what was committed is numbered and
    /// published as far as that can be had, and the lease is given up.
    pub async fn stopped(self) -> Result<()> {
        let mut serving = self.serving;
        let mut ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = self.stop.cancelled() => None,
        };
        if ended.is_none() {
            ended = tokio::time::timeout(self.shutdown, &mut serving).await.ok();
            if ended.is_none() {
                tracing::warn!("calls did not finish in time and are cut off");
                serving.abort();
            }
        }
        self.meter.log();
        let broken = self.background.len() < BACKGROUND_TASKS;
        self.background_stop.cancel();
        if tokio::time::timeout(Duration::from_secs(10), self.background.wait()).await.is_err() {
            tracing::warn!("background work did not finish in time: it goes on when the service starts again");
        }
        self.db.close().await;
        if broken {
            return Err(Error::internal("background work ended by itself: see the log"));
        }
        match ended {
            Some(ended) => ended.map_err(Error::internal)?.map_err(Error::internal),
            None => Ok(()),
        }
    }
}
