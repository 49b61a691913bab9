//! A database of before: what it holds is there afterwards, in its new form.

use std::time::{Duration, Instant};

use roster::{
    db::{Db, FromRow, Tx},
    error::Result,
    events::{Record, store},
    ids::{EventId, TenantId, UserId},
    upgrade,
};
use serde_json::json;
use sqlx::migrate::Migrator;
use uuid::Uuid;

use crate::{
    on_both_engines,
    support::{Database, Engine, TestServer, proof::assert_chained, text},
};

on_both_engines! {
    async fn the_log_of_before_is_carried_over_and_chained(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme",
            "initialOwners": [{"email": "ada@example.com"}]})).await;
        let id = text(&created["organization"]["organizationId"]);
        for status in ["Suspend", "Reactivate"] {
            server.root.call(&format!("OrganizationService/{status}Organization"), json!({"organizationId": id})).await;
        }
        server.root.events(&id).await;
        let now = Db::open(&server.location()).await.unwrap();
        let (log, rows) = (whole(&now).await, rows(&now).await);
        let engine = if matches!(now, Db::Postgres(_)) { Engine::Postgres } else { Engine::Sqlite };
        now.close().await;

        let before = Database::fresh(engine).await;
        let db = of_version(&before, 14).await;
        fill(&db, rows).await;
        upgrade::run(&db).await.unwrap();
        let carried = whole(&db).await;
        assert_eq!(carried.len(), log.len());
        for (there, was) in carried.iter().zip(&log) {
            assert_eq!(there.position, was.position);
            assert_eq!(there.clone().decode("").unwrap(), was.clone().decode("").unwrap());
        }
        assert_chained(&mut db.snapshot().await.unwrap()).await;
        upgrade::run(&db).await.expect("again, when there is nothing to do");
        db.close().await;
    }
}

async fn whole(db: &Db) -> Vec<Record> {
    let begin = Instant::now();
    while store::unnumbered(&mut db.snapshot().await.unwrap()).await.unwrap() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody numbers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut tx = db.snapshot().await.unwrap();
    store::after_position_everywhere(&mut tx, 0, i64::MAX).await.unwrap()
}

/// A database with a schema of before.
async fn of_version(database: &Database, version: i64) -> Db {
    let db = Db::open(&database.location()).await.unwrap();
    let engine = if matches!(db, Db::Postgres(_)) { "postgres" } else { "sqlite" };
    let folder = crate::support::root().join("migrations").join(engine);
    let mut migrator = Migrator::new(folder).await.unwrap();
    migrator.migrations.to_mut().retain(|migration| migration.version <= version);
    match &db {
        Db::Postgres(pool) => migrator.run(pool).await.unwrap(),
        Db::Sqlite { writer, .. } => migrator.run(writer).await.unwrap(),
    }
    db
}

/// An event, with everything that version 14 had of it.
#[derive(FromRow)]
struct Row {
    tenant_id: TenantId,
    stream_id: Uuid,
    sequence: i64,
    id: EventId,
    name: String,
    occurred_at: i64,
    payload: Vec<u8>,
    position: i64,
    subject_id: Option<UserId>,
    subject_payload: Option<Vec<u8>>,
    actor_id: Option<UserId>,
    actor_payload: Option<Vec<u8>>,
}

async fn rows(db: &Db) -> Vec<Row> {
    let sql = "SELECT e.tenant_id, e.stream_id, e.sequence, e.id, e.type AS name, e.occurred_at, e.payload, p.position,
            x.subject_id, x.subject_payload, x.actor_id, x.actor_payload
        FROM events_positions p JOIN events e ON e.row_id = p.row_id
        LEFT JOIN events_personal x ON x.tenant_id = e.tenant_id AND x.event_id = e.id ORDER BY p.position";
    db.snapshot().await.unwrap().fetch_all(sql, Vec::new()).await.unwrap()
}

/// Writes a log as version 14 did; its last event has no position yet, and the first two got theirs in another order.
async fn fill(db: &Db, mut log: Vec<Row>) {
    let head = i64::try_from(log.len()).unwrap() - 1;
    log.swap(0, 1);
    let fill = async |tx: &mut Tx| {
        let begin = "INSERT INTO log_head (id, position, leader_epoch, stream_epoch) VALUES (1, $1, 0, $2)";
        tx.execute(begin, vec![head.into(), Some(Uuid::now_v7()).into()]).await?;
        for (row_id, row) in (1_i64..).zip(&log) {
            insert(tx, row).await?;
            if row.position <= head {
                let number = "INSERT INTO events_positions (position, row_id) VALUES ($1, $2)";
                tx.execute(number, vec![row.position.into(), row_id.into()]).await?;
                tx.execute("DELETE FROM events_pending WHERE row_id = $1", vec![row_id.into()]).await?;
            }
        }
        Ok(())
    };
    db.write(fill).await.unwrap();
}

async fn insert(tx: &mut Tx, row: &Row) -> Result<()> {
    let event = "INSERT INTO events (tenant_id, stream_id, sequence, id, type, occurred_at, payload)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = vec![
        row.tenant_id.into(),
        Some(row.stream_id).into(),
        row.sequence.into(),
        row.id.into(),
        row.name.as_str().into(),
        row.occurred_at.into(),
        row.payload.clone().into(),
    ];
    tx.execute(event, values).await?;
    let (Some(subject), Some(actor)) = (&row.subject_payload, &row.actor_payload) else { return Ok(()) };
    let personal = "INSERT INTO events_personal
        (tenant_id, event_id, subject_id, subject_payload, actor_id, actor_payload) VALUES ($1, $2, $3, $4, $5, $6)";
    let values = vec![
        row.tenant_id.into(),
        row.id.into(),
        row.subject_id.into(),
        subject.clone().into(),
        row.actor_id.into(),
        actor.clone().into(),
    ];
    tx.execute(personal, values).await.map(drop)
}
