//! The end of organizations that nobody restored, over gRPC and in the tables.

use std::time::Duration;

use roster::{
    db::{Db, Value as SqlValue},
    ids::OrganizationId,
};
use serde_json::{Value, json};

use super::{Acme, lifecycle::WINDOW, slugs::HOLD};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, reason, text},
};

const CREATE: &str = "OrganizationService/CreateOrganization";
/// How long the sweeper may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the sweeper has come.
pub async fn purged(acme: &Acme) {
    let begin = std::time::Instant::now();
    while acme.get().await["status"] != "ORGANIZATION_STATUS_PURGED" {
        assert!(begin.elapsed() < PATIENCE, "not purged: {}", acme.get().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An organization with something in every table.
async fn furnished(server: &TestServer, slug: &str) -> Acme {
    let acme = Acme::new(&server.root, slug).await;
    if slug == "acme" {
        server.root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    }
    acme.call("RoleService/CreateRole", json!({"slug": "org-reader", "permissions": ["docs:read"]})).await;
    let above = acme.call("TeamService/CreateTeam", json!({"name": "above"})).await;
    let below = json!({"name": "below", "parentTeamId": above["team"]["teamId"]});
    let team = acme.call("TeamService/CreateTeam", below).await["team"]["teamId"].clone();
    acme.call("TeamService/AssignTeamRole", json!({"teamId": team, "role": "org-reader"})).await;
    let member = json!({"email": "bob@example.com", "roles": ["org-reader"], "teamIds": [team]});
    let bob = acme.call("MembershipService/AddMember", json!({"member": member})).await["membership"].clone();
    for parent in [None, Some(json!({"type": "doc", "id": "1"}))] {
        let put =
            json!({"resource": {"type": "doc", "id": if parent.is_some() { "2" } else { "1" }}, "parent": parent});
        acme.call("GrantService/PutResource", put).await;
    }
    for principal in
        [json!({"membershipId": bob["membershipId"]}), json!({"teamId": team}), json!({"role": "org-reader"})]
    {
        let grant = json!({"principal": principal, "resource": {"type": "doc", "id": "1"}, "role": "org-reader"});
        acme.call("GrantService/SetGrant", grant).await;
    }
    let rule = "forbid (principal, action == Roster::Action::\"docs:read\", resource) when { context has risk };";
    let put = json!({"policy": {"organizationId": acme.id, "name": "p", "text": rule}});
    server.root.call("PolicyService/PutPolicy", put).await;
    acme.call("DomainService/AddDomain", json!({"name": "example.com"})).await;
    acme
}

/// The tables that hold something of an organization, other than the log, itself and its former slugs.
async fn tables_with(server: &TestServer, acme: &Acme) -> Vec<String> {
    let id: OrganizationId = acme.id.parse().unwrap();
    let db = Db::open(&server.location()).await.unwrap();
    let columns = match &db {
        Db::Postgres(_) => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns
            WHERE table_schema = 'public'"
        }
        Db::Sqlite { .. } => {
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table'"
        }
    };
    let mut tx = db.snapshot().await.unwrap();
    let columns: Vec<(String, String)> = tx.fetch_all(columns, Vec::new()).await.unwrap();
    let mut found = Vec::new();
    for (table, column) in columns {
        if !["organization_id", "scope_id", "principal_scope_id"].contains(&column.as_str()) || table == "slugs_held" {
            continue;
        }
        let sql: &'static str = format!("SELECT COUNT(*) FROM {table} WHERE {column} = $1").leak();
        let (count,): (i64,) = tx.fetch_one(sql, vec![SqlValue::from(id)]).await.unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    drop(tx);
    db.close().await;
    found.sort();
    found.dedup();
    found
}

on_both_engines! {
    async fn everything_of_it_goes_and_nothing_of_another(server) {
        let acme = furnished(&server, "acme").await;
        let other = furnished(&server, "other").await;
        let untouched = tables_with(&server, &other).await;
        for table in ["grants", "membership_roles", "memberships", "policies", "resources", "roles", "team_members",
            "team_roles", "teams"] {
            assert!(untouched.iter().any(|found| found == table), "nothing in {table}");
        }
        acme.call("DeleteOrganization", json!({})).await;
        let kept = tables_with(&server, &acme).await;
        assert!(kept.iter().filter(|table| table.ends_with("_kept")).count() == 4, "{kept:?}");
        let before = acme.events().await;
        server.clock.advance(WINDOW);
        purged(&acme).await;
        assert_eq!(tables_with(&server, &acme).await, Vec::<String>::new());
        assert_eq!(tables_with(&server, &other).await, untouched);

        let events = acme.events().await;
        let ids = |events: &[Value]| events.iter().map(|event| text(&event["eventId"])).collect::<Vec<_>>();
        assert_eq!(ids(&events[..before.len()]), ids(&before), "the log stays");
        assert_eq!(events.len(), before.len() + 1, "once");
        let last = &events[before.len()];
        assert_eq!((&last["type"], &last["actor"]["kind"]),
            (&json!("organization.purged"), &json!("EVENT_ACTOR_KIND_SYSTEM")));
        assert_eq!(last["organizationPurged"]["before"]["slug"], "acme");
        assert_eq!(last["organizationPurged"]["after"], acme.get().await);
    }

    async fn a_purged_organization_is_only_known_to_have_been(server) {
        let acme = furnished(&server, "acme").await;
        let user = acme.members().await[0]["userId"].clone();
        let update = json!({"organization": {"organizationId": acme.id, "externalId": "crm-7"}, "updateMask": "externalId"});
        acme.root.call("OrganizationService/UpdateOrganization", update.clone()).await;
        let check = json!({"userId": user, "permission": "docs:read"});
        acme.call("AuthorizationService/Check", check.clone()).await;
        acme.call("DeleteOrganization", json!({})).await;
        server.clock.advance(WINDOW);
        purged(&acme).await;
        let got = acme.get().await;
        for (field, value) in got.as_object().unwrap() {
            let stays = ["organizationId", "status", "etag", "createTime", "updateTime", "deleteTime"];
            let empty = [json!(""), json!([]), json!({}), json!(false), Value::Null];
            assert!(stays.contains(&field.as_str()) || empty.contains(value), "{field}: {value}");
        }
        let ids = |list: Vec<Value>| list.iter().map(|one| text(&one["organizationId"])).collect::<Vec<_>>();
        let list = |filter: Value| acme.root.list("OrganizationService/ListOrganizations", filter, "organizations");
        assert!(!ids(list(json!({})).await).contains(&acme.id));
        assert_eq!(ids(list(json!({"status": "ORGANIZATION_STATUS_PURGED"})).await), std::slice::from_ref(&acme.id));
        assert_eq!(acme.members().await, Vec::<Value>::new());
        for key in [json!({"slug": "acme"}), json!({"externalId": "crm-7"})] {
            acme.root.refused("OrganizationService/LookupOrganization", key, "ORGANIZATION_NOT_FOUND").await;
        }
        let answer = acme.call("AuthorizationService/Check", check).await;
        assert_eq!((&answer["allowed"], &answer["reason"]),
            (&json!(false), &json!("CHECK_REASON_ORGANIZATION_DELETING")));
        acme.refused("MembershipService/AddMember", json!({"member": {"email": "new@example.com"}}),
            "ORGANIZATION_DELETING").await;
        acme.refused("TeamService/CreateTeam", json!({"name": "t"}), "ORGANIZATION_DELETING").await;
        acme.refused("MembershipService/GetMembership", json!({"membershipId": acme.owner}), "MEMBERSHIP_NOT_FOUND").await;
        let method = "OrganizationService/UpdateOrganization";
        acme.root.refused(method, update, "ORGANIZATION_DELETING").await;
        server.root.call(CREATE, json!({"slug": "heir", "externalId": "crm-7"})).await;
    }

    async fn its_slug_is_held_back_after_that_too(server) {
        let acme = Acme::new(&server.root, "acme").await;
        acme.call("DeleteOrganization", json!({})).await;
        server.clock.advance(WINDOW);
        purged(&acme).await;
        server.root.refused(CREATE, json!({"slug": "acme"}), "SLUG_TAKEN").await;
        server.clock.advance(HOLD.checked_sub(Duration::from_secs(60)).unwrap());
        server.root.refused(CREATE, json!({"slug": "acme"}), "SLUG_TAKEN").await;
        server.clock.advance(Duration::from_secs(60));
        server.root.call(CREATE, json!({"slug": "acme"})).await;
        let acme = acme.events().await;
        assert_eq!(acme.iter().filter(|event| event["type"] == "organization.purged").count(), 1);
    }

    async fn when_the_window_is_over_nothing_is_restored_and_before_nothing_purged(server) {
        let acme = Acme::new(&server.root, "acme").await;
        acme.call("DeleteOrganization", json!({})).await;
        server.clock.advance(WINDOW.checked_sub(Duration::from_secs(30)).unwrap());
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(acme.get().await["status"], "ORGANIZATION_STATUS_DELETING");
        server.clock.advance(Duration::from_secs(30));
        acme.refused("RestoreOrganization", json!({}), "RESTORE_WINDOW_OVER").await;
        purged(&acme).await;
        acme.refused("RestoreOrganization", json!({}), "RESTORE_WINDOW_OVER").await;
    }

    async fn restored_at_the_last_moment_it_is_restored_or_purged(server) {
        let (mut restored, mut gone) = (0, 0);
        for round in 0..12_u32 {
            let acme = Acme::new(&server.root, &format!("o{round}")).await;
            acme.call("DeleteOrganization", json!({})).await;
            server.clock.advance(WINDOW.checked_sub(Duration::from_millis(400)).unwrap());
            tokio::time::sleep(Duration::from_millis(u64::from(64 * round))).await;
            match acme.root.try_call("OrganizationService/RestoreOrganization", acme.request(json!({}))).await {
                Ok(_) => {
                    restored += 1;
                    server.clock.advance(WINDOW);
                    tokio::time::sleep(Duration::from_millis(600)).await;
                    assert_eq!(acme.get().await["status"], "ORGANIZATION_STATUS_ACTIVE");
                    assert_eq!(acme.owners().await.len(), 1);
                }
                Err(status) => {
                    gone += 1;
                    assert_eq!(reason(&status), "RESTORE_WINDOW_OVER");
                    purged(&acme).await;
                }
            }
        }
        assert!(restored > 0 && gone > 0, "{restored} restored, {gone} gone: nothing was shown");
    }
}
