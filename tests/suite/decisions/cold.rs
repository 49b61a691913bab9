//! An organization that nobody asked for yet: its first Check takes few statements, and does not wait for the rest of it.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use roster::{db::Db, db::Location};
use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, text, wire_tap::WireTap},
};

const MEMBERS: i64 = 100_000;
/// The bar of how many statements the first Check takes.
const STATEMENTS_MAX: usize = 2;
/// A Check takes at most this part of the time that the load takes.
const PART_MAX: u32 = 5;
/// Long enough for everything that a service does by itself, while nobody asks, to be done twice.
const QUIET: Duration = Duration::from_millis(1_500);

/// A large organization and a small one, each with somebody who may do something.
#[derive(Clone)]
struct House {
    large: String,
    small: String,
    user: String,
}

impl House {
    async fn build(server: &mut TestServer) -> Self {
        let root = &server.root.clone();
        root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let role = json!({"slug": "reader", "permissions": ["docs:read"]});
        root.call("RoleService/CreateRole", role).await;
        let [large, small] = [organization(root, "large").await, organization(root, "small").await];
        let mut user = String::new();
        for organization in [&large, &small] {
            let member = json!({"email": "bob@example.com", "roles": ["reader"]});
            let member = json!({"organizationId": organization, "member": member});
            user = text(&root.call("MembershipService/AddMember", member).await["membership"]["userId"]);
        }
        fill(server).await;
        Self { large, small, user }
    }

    /// What a Check says, and how long it takes.
    async fn check(&self, root: &Caller, organization: &str) -> (String, Duration) {
        let begin = Instant::now();
        let resource = json!({"type": "doc", "id": "1"});
        let check = json!({"organizationId": organization, "userId": self.user, "permission": "docs:read",
            "resource": resource});
        let answer = root.call("AuthorizationService/Check", check).await;
        (text(&answer["reason"]), begin.elapsed())
    }

    /// Waits until an organization is in memory: a batch of more than a few questions needs all of it.
    async fn wait_for_all(&self, root: &Caller, organization: &str) {
        let entries = vec![json!({"userId": self.user, "permission": "docs:read"}); 9];
        let batch = json!({"organizationId": organization, "entries": entries});
        root.call("AuthorizationService/BatchCheck", batch).await;
    }
}

async fn organization(root: &Caller, slug: &str) -> String {
    let made: Value = root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    text(&made["organization"]["organizationId"])
}

/// Makes as many members of the large organization, at once and without their events: more than a test can wait for.
async fn fill(server: &mut TestServer) {
    server.meddled_with = true;
    let (new_id, analyze) = match &server.database {
        Database::Postgres { .. } => ("gen_random_uuid()", "ANALYZE"),
        Database::Sqlite(_) => ("randomblob(16)", "SELECT 1"),
    };
    let metadata = if analyze == "ANALYZE" { "CAST('{}' AS JSONB)" } else { "'{}'" };
    let users: &'static str = Box::leak(
        format!(
            "INSERT INTO users (tenant_id, id, email, email_key, display_name, status, metadata, version, created_at,
                updated_at)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MEMBERS})
            SELECT o.tenant_id, {new_id}, 'bulk-' || CAST(n AS TEXT), 'bulk-' || CAST(n AS TEXT), '', 'active',
                {metadata}, 1, 0, 0
            FROM organizations o CROSS JOIN numbers WHERE o.slug = 'large'"
        )
        .into_boxed_str(),
    );
    let db = Db::open(&server.database.location()).await.unwrap();
    let statements = [
        users,
        "INSERT INTO memberships (tenant_id, organization_id, id, user_id, status, source, status_reason, created_at,
            updated_at)
        SELECT o.tenant_id, o.id, u.id, u.id, 'active', 'api', '', 0, 0
        FROM organizations o JOIN users u ON u.tenant_id = o.tenant_id
        WHERE o.slug = 'large' AND u.email_key LIKE 'bulk-%'",
        "INSERT INTO membership_roles (tenant_id, organization_id, membership_id, scope_id, role, source)
        SELECT m.tenant_id, m.organization_id, m.id, m.tenant_id, 'member', 'api'
        FROM memberships m WHERE m.id = m.user_id",
        analyze,
    ];
    db.write(async |tx| {
        for statement in statements {
            tx.execute(statement, Vec::new()).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    db.close().await;
}

/// The statements of a question: without those by which the service follows its log and begins and ends transactions, and
/// without those that it runs by itself, as it did while nobody asked.
fn of_questions(statements: Vec<String>, by_itself: &HashSet<String>) -> Vec<String> {
    let of_others = ["events", "log_head", "leases", "BEGIN", "COMMIT", "ROLLBACK", "LISTEN", "SET "];
    let of_a_question =
        |sql: &String| !by_itself.contains(sql) && !of_others.iter().any(|of_other| sql.contains(of_other));
    statements.into_iter().filter(of_a_question).collect()
}

/// Whether a statement reads the whole organization, behind whoever asked: it names no user.
fn is_load(sql: &str) -> bool {
    sql.contains("FROM memberships") && !sql.contains("$3")
}

on_both_engines! {
    async fn the_first_check_takes_two_statements_and_waits_for_no_load(server) {
        let mut server = server;
        let house = House::build(&mut server).await;
        let tap = match &server.database {
            Database::Postgres { url } => Some(WireTap::before(url).await),
            Database::Sqlite(_) => None,
        };
        let tapped = tap.as_ref().map(|tap| tap.url.clone());
        server.restart(|config| {
            if let Some(url) = tapped {
                config.location = Location::Postgres { url, connections_max: 10 };
            }
        }).await;
        let root = server.root.clone();
        // The caller's key and the tenant are known: this is about the organization.
        assert_eq!(house.check(&root, &house.small).await.0, "CHECK_REASON_ROLE");
        house.wait_for_all(&root, &house.small).await;
        let executed = || tap.iter().flat_map(WireTap::executed).collect::<Vec<_>>();
        let _ = executed();
        tokio::time::sleep(QUIET).await;
        let by_itself = executed().into_iter().collect();

        let begin = Instant::now();
        let (reason, first) = house.check(&root, &house.large).await;
        assert_eq!(reason, "CHECK_REASON_ROLE");
        let statements = of_questions(executed(), &by_itself);
        let loading = tokio::spawn({
            let (root, house) = (root.clone(), house.clone());
            async move { house.wait_for_all(&root, &house.large).await }
        });
        let mut meanwhile = Vec::new();
        while !loading.is_finished() {
            meanwhile.push(house.check(&root, &house.large).await.1);
        }
        loading.await.unwrap();
        let whole = begin.elapsed();

        meanwhile.sort();
        let middle = meanwhile[meanwhile.len() / 2];
        println!("first Check of {MEMBERS} members: {first:?}; the {} meanwhile: p50 {middle:?}; the load: {whole:?}", meanwhile.len());
        assert!(first * PART_MAX < whole, "the first Check took {first:?} of the {whole:?} that the load takes");
        assert!(middle * PART_MAX < whole, "a Check took {middle:?} of the {whole:?} that the load takes");
        if tap.is_some() {
            let (load, mine): (Vec<_>, Vec<_>) = statements.into_iter().partition(|sql| is_load(sql));
            println!("it took {} statements, and the load behind it {}", mine.len(), load.len());
            assert!(load.len() <= 1, "loaded {} times", load.len());
            assert!((1..=STATEMENTS_MAX).contains(&mine.len()), "{} statements: {mine:#?}", mine.len());
        }
    }
}
