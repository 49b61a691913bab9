//! Roster's own permissions, the roles that every tenant has, and tenants of a version from before.

use roster::{clock::Clock, db::Db, server};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{create, events, organization};
use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, config, text},
};

/// What every tenant's catalogue has, and who may what: o for owner, a for admin, d for developer, b for billing-admin,
/// m for member, g for guest.
const OWN: [(&str, &str); 30] = [
    ("api-keys:read", "o"),
    ("api-keys:write", "o"),
    ("authz:check", "oad"),
    ("domains:read", "oa"),
    ("domains:write", "oa"),
    ("events:read", "oa"),
    ("grants:read", "oad"),
    ("grants:write", "oa"),
    ("invitations:accept", "o"),
    ("invitations:read", "oa"),
    ("invitations:write", "oa"),
    ("members:read", "oadbm"),
    ("members:write", "oa"),
    ("organizations:delete", "o"),
    ("organizations:read", "oadbmg"),
    ("organizations:suspend", "o"),
    ("organizations:transfer", "o"),
    ("organizations:write", "oa"),
    ("policies:read", "oa"),
    ("policies:write", "oa"),
    ("resources:read", "oad"),
    ("resources:write", "oad"),
    ("roles:read", "oadbm"),
    ("roles:write", "oa"),
    ("teams:read", "oadbm"),
    ("teams:write", "oa"),
    ("users:erase", "o"),
    ("users:link", "o"),
    ("users:read", "oa"),
    ("users:write", "o"),
];
const ROLES: [&str; 6] = ["owner", "admin", "developer", "billing-admin", "member", "guest"];

/// The permissions of a built-in role by the table; a pattern for the owner.
fn expected(role: &str) -> Vec<&'static str> {
    let may = |(slug, who): &(&'static str, &str)| who.contains(&role[..1]).then_some(*slug);
    if role == "owner" { vec!["*"] } else { OWN.iter().filter_map(may).collect() }
}

async fn assert_complete(caller: &Caller) {
    let all = caller.list("RoleService/ListPermissions", json!({}), "permissions").await;
    let own: Vec<_> = all.iter().filter(|it| it["builtIn"] == true).map(|it| text(&it["slug"])).collect();
    assert_eq!(own, OWN.map(|(slug, _)| slug));
    let tenant = caller.call("TenantService/GetTenant", json!({})).await["tenant"].clone();
    assert_eq!(tenant["rolePriority"].as_array().unwrap()[..6], ROLES.map(Value::from));
    assert_eq!((&tenant["roleMode"], &tenant["defaultRole"]), (&json!("ROLE_MODE_UNION"), &json!("member")));
}

/// A server on a database that may have been used before, and whoever holds its first key.
async fn start(database: &Database, key: Option<String>) -> (server::Running, CancellationToken, Caller, String) {
    let stop = CancellationToken::new();
    let mut running = server::start(&config(database), Clock::system(), stop.clone()).await.expect("starts");
    let first = running.first_key.take().map(roster::auth::keys::Secret::reveal);
    let key = key.or(first).expect("a fresh database, or its key");
    let caller = Caller::connect(&format!("http://{}", running.address), Some(key.clone())).await;
    (running, stop, caller, key)
}

on_both_engines! {
    async fn the_built_in_roles_may_what_the_catalogue_says(server) {
        assert_complete(&server.root).await;
        let acme = organization(&server.root, "acme").await;
        for role in ROLES {
            let held = server.root.call("RoleService/GetRole", json!({"slug": role})).await["role"].clone();
            assert_eq!(held["permissions"], json!(expected(role)), "{role}");
            let member = json!({"email": format!("{role}@example.com"), "roles": [role]});
            let add = json!({"organizationId": acme, "member": member});
            let user = server.root.call("MembershipService/AddMember", add).await["membership"]["userId"].clone();
            let entries: Vec<_> = OWN.iter().map(|(slug, _)| json!({"userId": user, "permission": slug})).collect();
            let check = json!({"organizationId": acme, "entries": entries, "consistency": {"fullyConsistent": true}});
            let answer = server.root.call("AuthorizationService/BatchCheck", check).await;
            for ((slug, who), result) in OWN.iter().zip(answer["results"].as_array().unwrap()) {
                assert_eq!(result["allowed"], who.contains(&role[..1]), "{role} {slug}");
            }
        }
    }

    async fn a_permission_of_rosters_own_stays(server) {
        let which = || json!({"slug": "members:read"});
        server.root.refused("RoleService/DeletePermission", which(), "PERMISSION_NOT_EDITABLE").await;
        server.root.refused("RoleService/CreatePermission", which(), "SLUG_TAKEN").await;
        let update = json!({"permission": {"slug": "members:read", "description": "D"}, "updateMask": "description"});
        let changed = server.root.call("RoleService/UpdatePermission", update).await["permission"].clone();
        assert_eq!((&changed["description"], &changed["builtIn"]), (&json!("D"), &json!(true)));
        let update = json!({"permission": {"slug": "members:read"}, "updateMask": "builtIn"});
        server.root.refused("RoleService/UpdatePermission", update, "INVALID_REQUEST").await;
    }
}

/// As a version left it that had neither settings of roles nor permissions of its own.
async fn age(database: &Database) {
    let db = Db::open(&database.location()).await.unwrap();
    db.write(async |tx| {
        for sql in [
            "DELETE FROM role_permissions WHERE role <> 'owner'",
            "DELETE FROM permissions WHERE built_in AND slug <> 'members:read'",
            "UPDATE permissions SET built_in = FALSE, description = 'Ours.' WHERE slug = 'members:read'",
            "UPDATE tenants SET role_priority = '[]'",
            "UPDATE organizations SET role_priority = '[]', default_role = ''",
        ] {
            tx.execute(sql, Vec::new()).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    db.close().await;
}

/// What the streams of the tenant and an organization have, behind these numbers of events.
async fn log(caller: &Caller, organization: &str, after: [usize; 2]) -> [Vec<Value>; 2] {
    [events(caller).await.split_off(after[0]), caller.events(organization).await.split_off(after[1])]
}

/// The last state that events say of the tenant, its permissions and its built-in roles is the one that is read.
async fn assert_log_agrees(caller: &Caller, tenant: &Value) {
    let log = events(caller).await;
    let last = |kind: &str, id: &Value| {
        let about = |event: &&Value| event["subject"]["kind"] == kind && event["subject"]["id"] == *id;
        let event = log.iter().rfind(about).unwrap_or_else(|| panic!("no event about {kind} {id}"));
        let data = event.as_object().unwrap().values().find(|data| data["after"].is_object()).unwrap();
        data["after"].clone()
    };
    assert_eq!(last("tenant", &tenant["tenantId"]), *tenant);
    for role in caller.list("RoleService/ListRoles", json!({}), "roles").await {
        assert_eq!(last("role", &role["slug"]), role);
    }
    for permission in caller.list("RoleService/ListPermissions", json!({}), "permissions").await {
        assert_eq!(last("permission", &permission["slug"]), permission);
    }
}

async fn a_tenant_from_before_gets_what_it_misses(engine: Engine) {
    let database = Database::fresh(engine).await;
    let (running, stop, root, key) = start(&database, None).await;
    let [acme, beta] = [organization(&root, "acme").await, organization(&root, "beta").await];
    create(&root, json!({"slug": "support"})).await;
    create(&root, json!({"slug": "auditor"})).await;
    create(&root, json!({"organizationId": acme, "slug": "org-b"})).await;
    create(&root, json!({"organizationId": acme, "slug": "org-a"})).await;
    let mut before = log(&root, &acme, [0, 0]).await.map(|events| events.len());
    stop.cancel();
    running.stopped().await.unwrap();
    age(&database).await;

    // Replicas start together, where there can be several; and once more after all is done.
    for attempt in 0..2 {
        let again = || start(&database, Some(key.clone()));
        let started = match engine {
            Engine::Sqlite => vec![again().await],
            Engine::Postgres => {
                let (one, two, three) = tokio::join!(again(), again(), again());
                vec![one, two, three]
            }
        };
        let root = started[0].2.clone();
        assert_complete(&root).await;
        let tenant = root.call("TenantService/GetTenant", json!({})).await["tenant"].clone();
        assert_eq!(tenant["rolePriority"].as_array().unwrap()[6..], ["support", "auditor"]);
        let get = |id: &str| json!({"organizationId": id});
        let of_acme = root.call("OrganizationService/GetOrganization", get(&acme)).await["organization"].clone();
        assert_eq!((&of_acme["defaultRole"], &of_acme["rolePriority"]), (&json!("member"), &json!(["org-b", "org-a"])));
        let of_beta = root.call("OrganizationService/GetOrganization", get(&beta)).await["organization"].clone();
        assert_eq!(of_beta["defaultRole"], "");
        let held = root.call("RoleService/GetPermission", json!({"slug": "members:read"})).await["permission"].clone();
        assert_eq!((&held["description"], &held["builtIn"]), (&json!("Ours."), &json!(true)));
        for role in ROLES {
            let held = root.call("RoleService/GetRole", json!({"slug": role})).await["role"].clone();
            let mut expected = expected(role);
            expected.retain(|slug| attempt == 0 || role != "guest" || *slug != "organizations:read");
            assert_eq!(held["permissions"], json!(expected), "{role}");
        }
        let [of_tenant, of_acme] = log(&root, &acme, before).await;
        let new = [&of_tenant[..], &of_acme].concat();
        let count = |name: &str| new.iter().filter(|event| event["type"] == name).count();
        if attempt == 0 {
            assert!(new.iter().all(|event| event["actor"]["kind"] == "EVENT_ACTOR_KIND_SYSTEM"));
            assert_eq!((count("permission.created"), count("permission.updated")), (29, 1));
            assert_eq!((count("role.permissions_changed"), count("tenant.updated")), (5, 1));
            assert_eq!((count("organization.updated"), new.len()), (1, 29 + 1 + 5 + 1 + 1));
            assert_log_agrees(&root, &tenant).await;
            // What somebody takes from a role now stays taken.
            let update = json!({"role": {"slug": "guest", "permissions": []}, "updateMask": "permissions"});
            root.call("RoleService/UpdateRole", update).await;
            before = [before[0] + of_tenant.len() + 1, before[1] + of_acme.len()];
        } else {
            assert_eq!(new, [json!(null); 0], "it is done once");
        }
        for (running, stop, ..) in started {
            stop.cancel();
            running.stopped().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_from_before_gets_what_it_misses_on_sqlite() {
    a_tenant_from_before_gets_what_it_misses(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_from_before_gets_what_it_misses_on_postgres() {
    a_tenant_from_before_gets_what_it_misses(Engine::Postgres).await;
}
