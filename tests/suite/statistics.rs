//! What PostgreSQL's planner knows of a database that has just begun, and grows fast.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::{Database, Engine, TestServer, text};

/// Long before autovacuum would look by itself, and that would be another column.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_person_is_found_by_the_right_index_while_many_are_imported() {
    let database = Database::fresh(Engine::Postgres).await;
    let Database::Postgres { url } = &database else { unreachable!() };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let server = TestServer::on(database).await;
    let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let organization = text(&created["organization"]["organizationId"]);
    for batch in 0..4 {
        let members: Vec<Value> =
            (0..500).map(|index| json!({"email": format!("{batch}-{index}@example.com")})).collect();
        let request = json!({"organizationId": organization, "members": members});
        server.root.call("MembershipService/BatchAddMembers", request).await;
    }

    let analysed = "SELECT COUNT(*) FROM pg_stat_user_tables
        WHERE relname IN ('users', 'memberships', 'membership_roles') AND last_analyze IS NOT NULL";
    let begin = Instant::now();
    while sqlx::query_scalar::<_, i64>(analysed).fetch_one(&mut connection).await.unwrap() < 3 {
        assert!(begin.elapsed() < SOON, "nobody had the planner look");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sqlx::raw_sql(
        "SET plan_cache_mode = force_generic_plan;
        PREPARE by_email (UUID, TEXT) AS SELECT id FROM users
            WHERE tenant_id = $1 AND email_key = $2 AND status <> 'removed'",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let explain = "EXPLAIN EXECUTE by_email ('00000000-0000-0000-0000-000000000000', '')";
    let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut connection).await.unwrap();
    assert!(plan.join("\n").contains("users_by_email"), "{plan:#?}");
    server.stop().await;
}
