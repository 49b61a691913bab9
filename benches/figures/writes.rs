//! AddMember through everything, against the same statements sent raw to the same engine: the same number of writers,
//! the same tables, the same rows.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use prost_reflect::DescriptorPool;
use roster::{
    db::{Db, Location},
    dynamic::{self, Client},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::{service::Service, table::Table};

const WRITERS: usize = 8;
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;

/// Somebody who calls in JSON.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    pool: DescriptorPool,
}

impl Caller {
    pub async fn connect(service: &Service) -> Self {
        let channel = Endpoint::new(service.address.clone()).unwrap().connect().await.unwrap();
        Self {
            client: Client { channel, key: Some(service.key.clone()), tenant: None },
            pool: dynamic::contract().unwrap(),
        }
    }

    pub async fn call(&self, method: &str, request: Value) -> Value {
        let method = dynamic::find(&self.pool, method).unwrap();
        let message = dynamic::parse(&method, &request.to_string()).unwrap();
        dynamic::to_json(&self.client.unary(&method, message).await.unwrap()).unwrap()
    }
}

pub async fn run(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = ["--data-dir".to_owned(), folder.path().display().to_string()];
    compare(table, "SQLite", &sqlite, &Location::Folder(folder.path().to_owned())).await;
    let url = fresh_postgres().await;
    let postgres = ["--database-url".to_owned(), url.clone()];
    compare(table, "PostgreSQL", &postgres, &Location::Postgres { url, connections_max: 20 }).await;
}

/// A fresh database in the PostgreSQL of the run.
pub async fn fresh_postgres() -> String {
    let server = std::env::var("ROSTER_TEST_DATABASE_URL").expect("run it by `make bench`");
    let name = format!("bench_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.expect("created");
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

async fn compare(table: &mut Table, engine: &str, arguments: &[String], location: &Location) {
    let service = Service::start(arguments);
    let caller = Caller::connect(&service).await;
    let mut organizations = Vec::new();
    for index in 0..WRITERS {
        let created =
            caller.call("OrganizationService/CreateOrganization", json!({"slug": format!("org-{index}")})).await;
        organizations.push(created["organization"]["organizationId"].as_str().unwrap().to_owned());
    }
    let db = Db::open(location).await.unwrap();
    let tenant = tenant(&db).await;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(through_grpc(&caller, &organizations, round).await);
        raw.push(statements(&db, tenant, &organizations, round).await);
    }
    ours.sort_by(f64::total_cmp);
    raw.sort_by(f64::total_cmp);
    let (ours, raw) = (ours[ROUNDS / 2], raw[ROUNDS / 2]);
    let what = format!("AddMember of a new person, {WRITERS} writers, {engine}");
    table.ratio(&what, "/s", (ours, raw), "the same statements raw", "≥ 0.5");
}

async fn tenant(db: &Db) -> Uuid {
    let (id,): (Uuid,) = db.snapshot().await.unwrap().fetch_one("SELECT id FROM tenants", Vec::new()).await.unwrap();
    id
}

async fn through_grpc(caller: &Caller, organizations: &[String], round: usize) -> f64 {
    let done = AtomicU32::new(0);
    let begin = Instant::now();
    let writers = organizations.iter().enumerate().map(|(writer, organization)| {
        let done = &done;
        async move {
            while begin.elapsed() < ROUND {
                let number = done.fetch_add(1, Ordering::Relaxed);
                let email = format!("g{round}-{writer}-{number}@example.com");
                let request = json!({"organizationId": organization, "member": {"email": email}});
                caller.call("MembershipService/AddMember", request).await;
            }
        }
    });
    futures_join(writers.collect()).await;
    f64::from(done.load(Ordering::Relaxed)) / begin.elapsed().as_secs_f64()
}

/// Runs them all at once.
async fn futures_join<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut pinned: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut pinned {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if pinned.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// What AddMember says to the database, said by hand, by as many writers.
async fn statements(db: &Db, tenant: Uuid, organizations: &[String], round: usize) -> f64 {
    let done = AtomicU32::new(0);
    let begin = Instant::now();
    let writers = organizations.iter().enumerate().map(|(writer, organization)| {
        let organization: roster::ids::OrganizationId = organization.parse().unwrap();
        let done = &done;
        async move {
            while begin.elapsed() < ROUND {
                let number = done.fetch_add(1, Ordering::Relaxed);
                let email = format!("r{round}-{writer}-{number}@example.com");
                db.write(async |tx| add_member(tx, tenant, organization.uuid(), &email).await).await.unwrap();
            }
        }
    });
    futures_join(writers.collect()).await;
    f64::from(done.load(Ordering::Relaxed)) / begin.elapsed().as_secs_f64()
}

/// A macro, because the one of the library is its own.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(roster::db::Value::from($value)),*] };
}

async fn add_member(
    tx: &mut roster::db::Tx,
    tenant: Uuid,
    organization: Uuid,
    email: &str,
) -> roster::error::Result<()> {
    let now = 1_700_000_000_000_000i64;
    let (user, membership) = (Uuid::now_v7(), Uuid::now_v7());
    let payload = vec![7u8; 420];
    tx.lock_one::<(i64,)>(
        "SELECT sequence FROM organizations WHERE tenant_id = $1 AND id = $2",
        args![tenant, organization],
    )
    .await?;
    tx.fetch_optional::<(String,)>(
        "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $1 AND slug = 'member'",
        args![tenant],
    )
    .await?;
    tx.fetch_optional::<(Uuid,)>(
        "SELECT id FROM users WHERE tenant_id = $1 AND email_key = $2 AND status <> 'removed'",
        args![tenant, email],
    )
    .await?;
    tx.execute("INSERT INTO users (tenant_id, id, email, email_key, display_name, status, metadata, version, created_at, updated_at) VALUES ($1, $2, $3, $3, '', 'active', $4, 1, $5, $5)", args![tenant, user, email, json!({}), now]).await?;
    tx.execute("INSERT INTO memberships (tenant_id, organization_id, id, user_id, status, source, status_reason, created_at, updated_at) VALUES ($1, $2, $3, $4, 'active', 'api', '', $5, $5)", args![tenant, organization, membership, user, now]).await?;
    tx.execute("INSERT INTO membership_roles (tenant_id, organization_id, membership_id, scope_id, role, source) VALUES ($1, $2, $3, $1, 'member', 'api')", args![tenant, organization, membership]).await?;
    let (sequence,): (i64,) = tx
        .fetch_one(
            "UPDATE organizations SET sequence = sequence + 1 WHERE tenant_id = $1 AND id = $2 RETURNING sequence",
            args![tenant, organization],
        )
        .await?;
    let (tenant_sequence,): (i64,) = tx
        .fetch_one("UPDATE tenants SET sequence = sequence + 1 WHERE id = $1 RETURNING sequence", args![tenant])
        .await?;
    let event =
        |stream: Uuid, sequence: i64| args![tenant, stream, sequence, Uuid::now_v7(), "bench", now, payload.clone()];
    tx.insert_all(
        "INSERT INTO events (tenant_id, stream_id, sequence, id, type, occurred_at, payload)",
        vec![event(tenant, tenant_sequence), event(organization, sequence)],
    )
    .await
}
