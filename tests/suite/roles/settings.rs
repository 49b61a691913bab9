//! Default roles and orders of roles, over gRPC.

use std::time::Duration;

use roster::db::{Db, Value as Sql};
use serde_json::{Value, json};

use super::{create, events, organization};
use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, bad_fields, text},
};

/// What somebody who is given no role gets in an organization, and what those of a batch get.
async fn given(caller: &Caller, organization: &str, name: &str) -> Vec<String> {
    let member = |name: &str| json!({"email": format!("{name}@example.com")});
    let one = json!({"organizationId": organization, "member": member(name)});
    let one = caller.call("MembershipService/AddMember", one).await["membership"].clone();
    let batch = json!({"organizationId": organization, "members": [member(&format!("{name}-too"))]});
    let batch = caller.call("MembershipService/BatchAddMembers", batch).await["results"][0]["membership"].clone();
    assert_eq!(one["roles"], batch["roles"]);
    one["roles"].as_array().unwrap().iter().map(|held| text(&held["role"])).collect()
}

/// Default role and priority of an organization.
async fn settings(caller: &Caller, id: &str) -> Value {
    let held = caller.call("OrganizationService/GetOrganization", json!({"organizationId": id})).await;
    json!([held["organization"]["defaultRole"], held["organization"]["rolePriority"]])
}

async fn tenant(caller: &Caller) -> Value {
    caller.call("TenantService/GetTenant", json!({})).await["tenant"].clone()
}

fn default(organization: &str, role: &str) -> Value {
    json!({"organizationId": organization, "role": role})
}

const BUILT_IN: [&str; 6] = ["owner", "admin", "developer", "billing-admin", "member", "guest"];

on_both_engines! {
    async fn the_default_role_is_the_organizations_or_else_the_tenants(server) {
        let [acme, beta] = [organization(&server.root, "acme").await, organization(&server.root, "beta").await];
        assert_eq!(given(&server.root, &acme, "a").await, ["member"]);
        let before = events(&server.root).await.len();
        let set = server.root.call("RoleService/SetDefaultRole", default("", "developer")).await;
        assert_eq!(set["defaultRole"], "developer");
        let last = events(&server.root).await.split_off(before);
        assert_eq!((last.len(), &last[0]["type"]), (1, &json!("tenant.updated")));
        assert_eq!(last[0]["changedFields"], json!(["default_role"]));
        assert_eq!(last[0]["tenantUpdated"]["after"], tenant(&server.root).await);
        assert_eq!(given(&server.root, &acme, "b").await, ["developer"]);

        server.root.call("RoleService/SetDefaultRole", default(&acme, "guest")).await;
        assert_eq!(server.root.events(&acme).await.pop().unwrap()["changedFields"], json!(["default_role"]));
        assert_eq!(given(&server.root, &acme, "c").await, ["guest"]);
        assert_eq!(given(&server.root, &beta, "d").await, ["developer"]);
        create(&server.root, json!({"organizationId": acme, "slug": "org-x"})).await;
        assert_eq!(settings(&server.root, &acme).await, json!(["guest", ["org-x"]]), "it has a default already");
        server.root.call("RoleService/SetDefaultRole", default(&acme, "org-x")).await;
        assert_eq!(given(&server.root, &acme, "e").await, ["org-x"]);
    }

    async fn a_default_that_cannot_be_is_refused(server) {
        let acme = organization(&server.root, "acme").await;
        let beta = organization(&server.root, "beta").await;
        create(&server.root, json!({"organizationId": beta, "slug": "org-x"})).await;
        for scope in ["", acme.as_str()] {
            for role in ["owner", "admin", "", "Member", "a b"] {
                let set = default(scope, role);
                let status = server.root.refused("RoleService/SetDefaultRole", set, "INVALID_REQUEST").await;
                assert_eq!(bad_fields(&status), ["role"], "{role:?}");
            }
            for role in ["nobody", "org-x"] {
                let set = default(scope, role);
                server.root.refused("RoleService/SetDefaultRole", set, "ROLE_NOT_FOUND").await;
            }
        }
        server.root.call("OrganizationService/DeleteOrganization", json!({"organizationId": beta})).await;
        let set = default(&beta, "guest");
        server.root.refused("RoleService/SetDefaultRole", set, "ORGANIZATION_DELETING").await;
        let order = json!({"organizationId": beta, "roles": ["org-x"]});
        server.root.refused("RoleService/SetRolePriority", order, "ORGANIZATION_DELETING").await;
    }

    async fn what_is_set_again_changes_nothing(server) {
        let acme = organization(&server.root, "acme").await;
        create(&server.root, json!({"organizationId": acme, "slug": "org-x"})).await;
        let before = (tenant(&server.root).await, settings(&server.root, &acme).await);
        let counts = (events(&server.root).await.len(), server.root.events(&acme).await.len());
        server.clock.advance(Duration::from_secs(1));
        for scope in ["", acme.as_str()] {
            server.root.call("RoleService/SetDefaultRole", default(scope, "member")).await;
            let order = if scope.is_empty() { json!(BUILT_IN) } else { json!(["org-x"]) };
            server.root.call("RoleService/SetRolePriority", json!({"organizationId": scope, "roles": order})).await;
        }
        assert_eq!((tenant(&server.root).await, settings(&server.root, &acme).await), before);
        assert_eq!((events(&server.root).await.len(), server.root.events(&acme).await.len()), counts);
    }

    async fn the_first_own_role_gives_an_organization_its_own_default(server) {
        let acme = organization(&server.root, "acme").await;
        assert_eq!(settings(&server.root, &acme).await, json!(["", []]));
        server.root.call("RoleService/SetDefaultRole", default("", "guest")).await;
        create(&server.root, json!({"organizationId": acme, "slug": "org-a"})).await;
        create(&server.root, json!({"organizationId": acme, "slug": "org-b"})).await;
        server.root.call("RoleService/SetDefaultRole", default("", "developer")).await;
        assert_eq!(settings(&server.root, &acme).await, json!(["guest", ["org-a", "org-b"]]));
        for slug in ["org-a", "org-b"] {
            server.root.call("RoleService/DeleteRole", json!({"organizationId": acme, "slug": slug})).await;
        }
        assert_eq!(settings(&server.root, &acme).await, json!(["guest", []]), "nobody is silently given anything else");
        assert_eq!(given(&server.root, &acme, "a").await, ["guest"]);
    }

    async fn roles_have_an_order(server) {
        let acme = organization(&server.root, "acme").await;
        assert_eq!(tenant(&server.root).await["rolePriority"], json!(BUILT_IN));
        create(&server.root, json!({"slug": "zoo"})).await;
        create(&server.root, json!({"slug": "app"})).await;
        let created = events(&server.root).await.split_off(events(&server.root).await.len() - 2);
        assert_eq!((&created[0]["type"], &created[1]["type"]), (&json!("role.created"), &json!("tenant.updated")));
        assert_eq!(created[1]["changedFields"], json!(["role_priority"]));
        let order = ["owner", "app", "guest", "member", "zoo", "admin", "developer", "billing-admin"];
        let set = server.root.call("RoleService/SetRolePriority", json!({"roles": order})).await;
        assert_eq!((&set["rolePriority"], &tenant(&server.root).await["rolePriority"]), (&json!(order), &json!(order)));
        server.root.call("RoleService/DeleteRole", json!({"slug": "zoo"})).await;
        let rest = ["owner", "app", "guest", "member", "admin", "developer", "billing-admin"];
        assert_eq!(tenant(&server.root).await["rolePriority"], json!(rest));

        for slug in ["org-a", "org-b", "org-c"] {
            create(&server.root, json!({"organizationId": acme, "slug": slug})).await;
        }
        let order = json!(["org-c", "org-a", "org-b"]);
        server.root.call("RoleService/SetRolePriority", json!({"organizationId": acme, "roles": order})).await;
        assert_eq!(settings(&server.root, &acme).await[1], order);
    }

    async fn an_order_names_every_role_once(server) {
        let acme = organization(&server.root, "acme").await;
        for slug in ["org-a", "org-b"] {
            create(&server.root, json!({"organizationId": acme, "slug": slug})).await;
        }
        let log = events(&server.root).await.len();
        let cases: [(&str, &[&str], &[&str]); 9] = [
            (&acme, &["org-a"], &["roles"]),
            (&acme, &["org-a", "org-b", "org-a"], &["roles[2]"]),
            (&acme, &["org-a", "org-b", "member"], &["roles[2]"]),
            (&acme, &["org-x", "org-y", "org-a"], &["roles[0]", "roles[1]", "roles"]),
            (&acme, &[], &["roles"]),
            (&acme, &["A", "org-b"], &["roles[0]"]),
            ("", &["admin", "owner", "developer", "billing-admin", "member", "guest"], &["roles[0]"]),
            ("", &["owner", "admin", "developer"], &["roles", "roles", "roles"]),
            ("", &["owner", "admin", "developer", "billing-admin", "member", "guest", "org-a"], &["roles[6]"]),
        ];
        for (scope, order, bad) in cases {
            let request = json!({"organizationId": scope, "roles": order});
            let status = server.root.refused("RoleService/SetRolePriority", request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), bad, "{order:?}");
        }
        let many: Vec<_> = (0..1_001).map(|index| format!("r{index}")).collect();
        let status = server.root.refused("RoleService/SetRolePriority", json!({"roles": many}), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["roles"]);
        assert_eq!(events(&server.root).await.len(), log);
    }
}

/// A tenant and an organization that have as many roles as they may.
async fn there_are_a_thousand_roles_at_most(engine: Engine) {
    let database = Database::fresh(engine).await;
    let location = database.location();
    let mut server = TestServer::on(database).await;
    server.meddled_with = true;
    let acme = organization(&server.root, "acme").await;
    let db = Db::open(&location).await.unwrap();
    let full = |count: usize| json!((0..count).map(|index| format!("r{index}")).collect::<Vec<_>>());
    for (count, reason) in [(999, ""), (1_000, "LIMIT_REACHED")] {
        db.write(async |tx| {
            tx.execute("UPDATE tenants SET role_priority = $1", vec![Sql::from(full(count))]).await?;
            tx.execute("UPDATE organizations SET role_priority = $1", vec![Sql::from(full(count))]).await
        })
        .await
        .unwrap();
        for (scope, prefix) in [("", ""), (acme.as_str(), "org-")] {
            let role = json!({"organizationId": scope, "slug": format!("{prefix}{count}")});
            match reason {
                "" => drop(server.root.call("RoleService/CreateRole", role).await),
                reason => drop(server.root.refused("RoleService/CreateRole", role, reason).await),
            }
        }
    }
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_a_thousand_roles_at_most_on_sqlite() {
    there_are_a_thousand_roles_at_most(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_a_thousand_roles_at_most_on_postgres() {
    there_are_a_thousand_roles_at_most(Engine::Postgres).await;
}
