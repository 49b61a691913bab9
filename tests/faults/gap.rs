//! The reason for the sequencer: a reader that asks for `id > last` loses events of transactions that commit late.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use roster::{
    bootstrap,
    clock::Clock,
    context::{Actor, Ctx},
    db::Db,
    error::{Error, Reason},
    events::store,
    ids::{OrganizationId, TenantId},
    lease, organizations, sequencer, tenants, upgrade,
};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, Engine};

const WRITERS: usize = 24;
const ORGANIZATIONS: usize = 50;
const DURATION: Duration = Duration::from_secs(8);

/// What a reader saw: stream and sequence, in its order.
type Seen = Vec<(uuid::Uuid, i64)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_naive_query_loses_events_and_ours_loses_none() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    let Database::Postgres { url } = &database else { unreachable!() };
    let location = roster::db::Location::Postgres { url: url.clone(), connections_max: 40 };
    let db = Db::open(&location).await.unwrap();
    upgrade::run(&db).await.unwrap();
    bootstrap::run(&db, &Clock::system()).await.unwrap();
    let tenant = tenants::find(&mut db.snapshot().await.unwrap(), "default").await.unwrap().unwrap().id;
    let organizations = create_organizations(&db, tenant).await;

    let stop = CancellationToken::new();
    let written = Arc::new(AtomicBool::new(false));
    let naive = tokio::spawn(read_naively(url.clone(), written.clone()));
    let sequencing = tokio::spawn(sequence(db.clone(), stop.clone()));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(db.clone(), tenant, organizations.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    written.store(true, Ordering::Release);
    let naive = naive.await.unwrap();
    stop.cancel();
    sequencing.await.unwrap();

    let committed = committed(&db).await;
    let ours = read_by_position(&db).await;
    let lost = |seen: &Seen| committed.difference(&seen.iter().copied().collect()).count();
    println!("{} committed; lost by the naive query: {}; by ours: {}", committed.len(), lost(&naive), lost(&ours));
    assert!(lost(&naive) > 0, "the experiment did not bring the loss about");
    assert_eq!(lost(&ours), 0);
    assert_eq!(ours.len(), committed.len(), "nothing twice");
    let mut last = BTreeMap::new();
    for (stream, sequence) in ours {
        let before = last.insert(stream, sequence).unwrap_or(0);
        assert_eq!(sequence, before + 1, "in order and without a gap in its stream");
    }
}

async fn create_organizations(db: &Db, tenant: TenantId) -> Vec<OrganizationId> {
    let mut ids = Vec::new();
    for index in 0..ORGANIZATIONS {
        let ctx = Ctx::local(tenant, Actor::system(), Clock::system().now());
        let slug = format!("org-{index}");
        let input = organizations::Create {
            display_name: slug.clone(),
            slug,
            external_id: None,
            metadata: BTreeMap::new(),
            branding: organizations::Branding::default(),
            feature_flags: BTreeMap::new(),
            initial_owners: Vec::new(),
        };
        let (created, _) = db.write(async move |tx| organizations::create(&ctx, tx, &input).await).await.unwrap();
        ids.push(created.organization.id);
    }
    ids
}

/// Suspends and reactivates organizations; some transactions are slow to commit, and some never do.
async fn write(db: Db, tenant: TenantId, organizations: Vec<OrganizationId>, writer: usize) {
    let end = tokio::time::Instant::now() + DURATION;
    let mut round = writer;
    while tokio::time::Instant::now() < end {
        round = round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, fate) = (organizations[(round >> 33) % ORGANIZATIONS], (round >> 20) % 100);
        let ctx = Ctx::local(tenant, Actor::system(), Clock::system().now());
        let outcome = db
            .write(async move |tx| {
                let organization = organizations::lock(&ctx, tx, id).await?;
                match organization.status {
                    organizations::Status::Active => organizations::suspend(&ctx, tx, id).await?,
                    _ => organizations::reactivate(&ctx, tx, id).await?,
                };
                match fate {
                    0..2 => Err(Error::new(Reason::LastOwner, "rolled back")),
                    2..10 => {
                        tokio::time::sleep(Duration::from_millis(8)).await;
                        Ok(())
                    }
                    _ => Ok(()),
                }
            })
            .await;
        assert!(outcome.is_ok() || fate < 2, "{outcome:?}");
    }
}

/// The usual outbox: everything beyond the highest id that was seen.
async fn read_naively(url: String, written: Arc<AtomicBool>) -> Seen {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let (mut seen, mut last) = (Vec::new(), 0i64);
    let rounds_after_the_end = AtomicU32::new(0);
    while rounds_after_the_end.load(Ordering::Relaxed) < 20 {
        let sql = "SELECT row_id, stream_id, sequence FROM events WHERE row_id > $1 ORDER BY row_id";
        let rows: Vec<(i64, uuid::Uuid, i64)> =
            sqlx::query_as(sql).bind(last).fetch_all(&mut connection).await.unwrap();
        last = rows.last().map_or(last, |row| row.0);
        seen.extend(rows.into_iter().map(|(_, stream, sequence)| (stream, sequence)));
        if written.load(Ordering::Acquire) {
            rounds_after_the_end.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

async fn sequence(db: Db, stop: CancellationToken) {
    let epoch = lease::acquire(&db, "test").await.unwrap().expect("nobody else leads");
    loop {
        let count = sequencer::number(&db, epoch).await.unwrap().expect("still the leader");
        if count == 0 && stop.is_cancelled() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn committed(db: &Db) -> BTreeSet<(uuid::Uuid, i64)> {
    let mut tx = db.snapshot().await.unwrap();
    let rows: Vec<(uuid::Uuid, i64)> =
        tx.fetch_all("SELECT stream_id, sequence FROM events", Vec::new()).await.unwrap();
    rows.into_iter().collect()
}

async fn read_by_position(db: &Db) -> Seen {
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let mut tx = db.snapshot().await.unwrap();
        let records = store::after_position_everywhere(&mut tx, after, 1000).await.unwrap();
        if records.is_empty() {
            return seen;
        }
        for record in records {
            assert_eq!(record.position, Some(after + 1), "positions have no gap");
            after += 1;
            seen.push((record.stream_id, record.sequence));
        }
    }
}
