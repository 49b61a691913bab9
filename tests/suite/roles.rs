//! Permissions and roles, over gRPC.

mod built_in;
mod deletion;
mod preview;
mod settings;
mod sources;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, bad_fields, database, text},
};

/// A catalogue of these permissions.
async fn catalogue(caller: &Caller, slugs: &[&str]) {
    for slug in slugs {
        caller.call("RoleService/CreatePermission", json!({"slug": slug})).await;
    }
}

async fn organization(caller: &Caller, slug: &str) -> String {
    let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    text(&created["organization"]["organizationId"])
}

async fn create(caller: &Caller, role: Value) -> Value {
    caller.call("RoleService/CreateRole", role).await["role"].clone()
}

/// The slugs of a list.
async fn slugs(caller: &Caller, method: &str, request: Value, field: &str) -> Vec<String> {
    caller.list(method, request, field).await.iter().map(|entry| text(&entry["slug"])).collect()
}

/// The permissions of the catalogue that are not Roster's own.
async fn made(caller: &Caller, request: Value) -> Vec<String> {
    let all = caller.list("RoleService/ListPermissions", request, "permissions").await;
    all.iter().filter(|permission| permission["builtIn"] == false).map(|permission| text(&permission["slug"])).collect()
}

/// Slugs in the order of their bytes, which is not that of every language.
const ORDERED: [&str; 7] = ["a-b", "a.c", "a0", "a:a", "a_b", "aa", "ab"];

/// A database of a PostgreSQL that was set up in English.
async fn english() -> Database {
    let (server, name) = (database::server_url(), format!("test_{}", uuid::Uuid::now_v7().simple()));
    let mut connection = PgConnection::connect(&server).await.expect("PostgreSQL answers");
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE 'en'");
    sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database is created");
    Database::Postgres { url: format!("{}/{name}", server.rsplit_once('/').unwrap().0) }
}

/// The tenant's own stream.
async fn events(caller: &Caller) -> Vec<Value> {
    let tenant = caller.call("TenantService/GetTenant", json!({})).await;
    caller.events(&text(&tenant["tenant"]["tenantId"])).await
}

on_both_engines! {
    async fn a_permission_is_created_described_and_deleted(server) {
        let before = events(&server.root).await.len();
        let request = json!({"slug": "docs:read", "description": "Reads.", "requestId": "req-1"});
        let created = server.root.call("RoleService/CreatePermission", request).await["permission"].clone();
        assert_eq!((&created["slug"], &created["description"]), (&json!("docs:read"), &json!("Reads.")));
        assert_eq!(events(&server.root).await.pop().unwrap()["requestId"], "req-1");
        let anew = json!({"slug": "docs:read"});
        server.root.refused("RoleService/CreatePermission", anew, "SLUG_TAKEN").await;
        let which = || json!({"slug": "docs:read"});
        assert_eq!(server.root.call("RoleService/GetPermission", which()).await["permission"], created);

        server.clock.advance(Duration::from_secs(1));
        let update = |description: &str| json!({"updateMask": "description",
            "permission": {"slug": "docs:read", "description": description, "etag": created["etag"]}});
        let same = server.root.call("RoleService/UpdatePermission", update("Reads.")).await;
        assert_eq!(same["permission"], created);
        let changed = server.root.call("RoleService/UpdatePermission", update("")).await["permission"].clone();
        assert_eq!(changed["description"], "");
        assert_ne!(changed["updateTime"], created["updateTime"]);
        server.root.refused("RoleService/UpdatePermission", update("Again."), "ETAG_MISMATCH").await;

        server.root.call("RoleService/DeletePermission", which()).await;
        for method in ["GetPermission", "DeletePermission"] {
            server.root.refused(&format!("RoleService/{method}"), which(), "PERMISSION_NOT_FOUND").await;
        }
        let types: Vec<_> = events(&server.root).await.split_off(before).iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types, ["permission.created", "permission.updated", "permission.deleted"]);
        server.root.call("RoleService/CreatePermission", which()).await;
    }

    async fn a_slug_is_of_its_form(server) {
        let longest = "a".repeat(128);
        let longer = "a".repeat(129);
        for good in ["a", "0", ":", "a-b.c:d_e", &longest] {
            server.root.call("RoleService/CreatePermission", json!({"slug": good})).await;
            server.root.call("RoleService/CreateRole", json!({"slug": good})).await;
        }
        for bad in ["A", "a b", "a/b", "*", "a:*", "ä", &longer] {
            for method in ["RoleService/CreatePermission", "RoleService/CreateRole"] {
                let status = server.root.refused(method, json!({"slug": bad}), "INVALID_REQUEST").await;
                assert_eq!(bad_fields(&status), ["slug"], "{method} {bad}");
            }
        }
    }

    async fn a_permission_in_use_stays(server) {
        let acme = organization(&server.root, "acme").await;
        catalogue(&server.root, &["docs:read"]).await;
        let delete = || json!({"slug": "docs:read"});
        create(&server.root, json!({"slug": "reader", "permissions": ["docs:read"]})).await;
        server.root.refused("RoleService/DeletePermission", delete(), "PERMISSION_IN_USE").await;
        server.root.call("RoleService/DeleteRole", json!({"slug": "reader"})).await;
        let grant = json!({"organizationId": acme, "principal": {"role": "member"}, "permission": "docs:read",
            "resource": {"type": "doc", "id": "1"}});
        let grant = server.root.call("GrantService/SetGrant", grant).await;
        server.root.refused("RoleService/DeletePermission", delete(), "PERMISSION_IN_USE").await;
        let revoke = json!({"organizationId": acme, "grantId": grant["grant"]["grantId"]});
        server.root.call("GrantService/RevokeGrant", revoke).await;
        create(&server.root, json!({"slug": "all-docs", "permissions": ["docs:*"]})).await;
        server.root.call("RoleService/DeletePermission", delete()).await;
    }

    async fn a_role_has_permissions_and_patterns_each_once_in_order(server) {
        catalogue(&server.root, &["docs:read", "docs:write"]).await;
        let role = create(&server.root, json!({"slug": "writer", "description": "Writes.",
            "permissions": ["docs:write", "x.*", "docs:*", "*", "docs:read", "docs:write", "a-b_*"]})).await;
        assert_eq!(role["permissions"], json!(["*", "a-b_*", "docs:*", "docs:read", "docs:write", "x.*"]));
        assert_eq!((&role["displayName"], &role["builtIn"]), (&json!("writer"), &json!(false)));
        assert_eq!(server.root.call("RoleService/GetRole", json!({"slug": "writer"})).await["role"], role);
        for bad in ["docs*", "*:read", "docs:*:read", "**", "Docs:*", "", ":**"] {
            let request = json!({"slug": "other", "permissions": ["docs:read", bad]});
            let status = server.root.refused("RoleService/CreateRole", request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["permissions[1]"], "{bad:?}");
        }
        let unknown = json!({"slug": "other", "permissions": ["docs:read", "docs:burn"]});
        server.root.refused("RoleService/CreateRole", unknown, "UNKNOWN_PERMISSION").await;
        server.root.refused("RoleService/GetRole", json!({"slug": "other"}), "ROLE_NOT_FOUND").await;
        server.root.refused("RoleService/CreateRole", json!({"slug": "writer"}), "SLUG_TAKEN").await;
    }

    async fn a_role_takes_a_thousand_permissions(server) {
        let patterns = |count: usize| (0..count).map(|index| format!("p{index}:*")).collect::<Vec<_>>();
        let role = create(&server.root, json!({"slug": "much", "permissions": patterns(1_000)})).await;
        assert_eq!(role["permissions"].as_array().unwrap().len(), 1_000);
        let more = json!({"slug": "more", "permissions": patterns(1_001)});
        let status = server.root.refused("RoleService/CreateRole", more, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["permissions"]);
    }

    async fn a_role_of_an_organization_is_its_own(server) {
        let [acme, beta] = [organization(&server.root, "acme").await, organization(&server.root, "beta").await];
        let of = |id: &str, slug: &str| json!({"organizationId": id, "slug": slug});
        let role = create(&server.root, of(&acme, "org-x")).await;
        assert_eq!(role["organizationId"], acme.as_str());
        server.root.refused("RoleService/CreateRole", of(&acme, "org-x"), "SLUG_TAKEN").await;
        create(&server.root, of(&beta, "org-x")).await;
        for wrong in [of(&acme, "x"), of("", "org-y")] {
            let status = server.root.refused("RoleService/CreateRole", wrong, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["slug"]);
        }
        server.root.call("RoleService/GetRole", of(&acme, "org-x")).await;
        server.root.refused("RoleService/GetRole", of("", "org-x"), "ROLE_NOT_FOUND").await;
        let log = server.root.events(&acme).await;
        let [.., created, placed] = &log[..] else { panic!("{log:?}") };
        assert_eq!((&created["type"], &created["roleCreated"]["after"]), (&json!("role.created"), &role));
        assert_eq!(placed["type"], "organization.updated");
        assert_eq!(placed["causationId"], created["eventId"]);
        server.root.call("OrganizationService/DeleteOrganization", json!({"organizationId": beta})).await;
        server.root.refused("RoleService/CreateRole", of(&beta, "org-y"), "ORGANIZATION_DELETING").await;
        server.root.refused("RoleService/DeleteRole", of(&beta, "org-x"), "ORGANIZATION_DELETING").await;
        let update = json!({"role": of(&beta, "org-x"), "updateMask": "description"});
        server.root.refused("RoleService/UpdateRole", update, "ORGANIZATION_DELETING").await;
    }

    async fn a_role_changes_by_mask_and_etag(server) {
        catalogue(&server.root, &["docs:read", "docs:write"]).await;
        let role = create(&server.root, json!({"slug": "reader", "permissions": ["docs:read"]})).await;
        let update = |change: Value, mask: &str| {
            let mut request = json!({"role": {"slug": "reader"}, "updateMask": mask});
            request["role"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            request
        };
        server.clock.advance(Duration::from_secs(1));
        let before = events(&server.root).await.len();
        let same = json!({"permissions": ["docs:read", "docs:read"], "displayName": "reader"});
        let same = update(same, "permissions,displayName");
        assert_eq!(server.root.call("RoleService/UpdateRole", same).await["role"], role);
        assert_eq!(events(&server.root).await.len(), before);

        let named = update(json!({"displayName": "Reader", "permissions": ["*"], "etag": role["etag"]}), "displayName");
        let changed = server.root.call("RoleService/UpdateRole", named.clone()).await["role"].clone();
        assert_eq!((&changed["displayName"], &changed["permissions"]), (&json!("Reader"), &json!(["docs:read"])));
        server.root.refused("RoleService/UpdateRole", named, "ETAG_MISMATCH").await;
        let both = update(json!({"description": "D", "permissions": ["docs:write"]}), "description,permissions");
        let last = server.root.call("RoleService/UpdateRole", both).await["role"].clone();
        let log = events(&server.root).await.split_off(before);
        assert_eq!((&log[0]["type"], &log[1]["type"]), (&json!("role.updated"), &json!("role.permissions_changed")));
        assert_eq!(log[1]["changedFields"], json!(["description", "permissions"]));
        assert_eq!(log[1]["rolePermissionsChanged"], json!({"before": changed, "after": last}));

        let unknown = update(json!({"permissions": ["docs:burn"]}), "permissions");
        server.root.refused("RoleService/UpdateRole", unknown, "UNKNOWN_PERMISSION").await;
        for (mask, field) in [("", "update_mask"), ("builtIn", "update_mask"), ("displayName", "role.display_name")] {
            let request = update(json!({}), mask);
            let status = server.root.refused("RoleService/UpdateRole", request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field], "{mask:?}");
        }
    }

    async fn what_is_built_in_stays(server) {
        catalogue(&server.root, &["docs:read"]).await;
        for slug in ["owner", "admin", "member", "developer", "billing-admin", "guest"] {
            server.root.refused("RoleService/DeleteRole", json!({"slug": slug}), "ROLE_NOT_EDITABLE").await;
            server.root.refused("RoleService/CreateRole", json!({"slug": slug}), "SLUG_TAKEN").await;
            let role = json!({"slug": slug, "permissions": ["docs:read"], "description": "New."});
            let update = json!({"role": role, "updateMask": "permissions,description"});
            if slug == "owner" {
                server.root.refused("RoleService/UpdateRole", update, "ROLE_NOT_EDITABLE").await;
            } else {
                let changed = server.root.call("RoleService/UpdateRole", update).await;
                assert_eq!(changed["role"]["permissions"], json!(["docs:read"]), "{slug}");
                assert_eq!(changed["role"]["builtIn"], true);
            }
        }
    }

    async fn a_role_in_use_stays(server) {
        let acme = organization(&server.root, "acme").await;
        let member = json!({"organizationId": acme, "member": {"email": "bob@example.com"}});
        let bob = server.root.call("MembershipService/AddMember", member).await;
        let bob = text(&bob["membership"]["membershipId"]);
        let team = server.root.call("TeamService/CreateTeam", json!({"organizationId": acme, "name": "core"})).await;
        let team = text(&team["team"]["teamId"]);
        let resource = || json!({"type": "doc", "id": "1"});
        for (own, slug) in [("", "reader"), (acme.as_str(), "org-reader")] {
            create(&server.root, json!({"organizationId": own, "slug": slug})).await;
            let delete = || json!({"organizationId": own, "slug": slug});
            let uses = [
                ("MembershipService/AssignRole", "MembershipService/RevokeRole",
                    json!({"membershipId": bob, "role": slug})),
                ("TeamService/AssignTeamRole", "TeamService/RevokeTeamRole", json!({"teamId": team, "role": slug})),
                ("GrantService/SetGrant", "GrantService/RevokeGrant",
                    json!({"principal": {"teamId": team}, "resource": resource(), "role": slug})),
                ("GrantService/SetGrant", "GrantService/RevokeGrant",
                    json!({"principal": {"role": slug}, "resource": resource(), "role": "guest"})),
            ];
            for (assign, revoke, mut request) in uses {
                request["organizationId"] = json!(acme);
                let used = server.root.call(assign, request.clone()).await;
                server.root.refused("RoleService/DeleteRole", delete(), "ROLE_IN_USE").await;
                if used["grant"].is_object() {
                    request = json!({"organizationId": acme, "grantId": used["grant"]["grantId"]});
                }
                server.root.call(revoke, request).await;
            }
            server.root.call("RoleService/DeleteRole", delete()).await;
            server.root.refused("RoleService/GetRole", delete(), "ROLE_NOT_FOUND").await;
        }
    }

    async fn a_role_that_an_ended_membership_had_is_free(server) {
        let acme = organization(&server.root, "acme").await;
        create(&server.root, json!({"slug": "reader"})).await;
        let member = json!({"email": "bob@example.com", "roles": ["reader"]});
        let add = json!({"organizationId": acme, "member": member});
        let bob = server.root.call("MembershipService/AddMember", add).await;
        let remove = json!({"organizationId": acme, "membershipId": bob["membership"]["membershipId"]});
        server.root.call("MembershipService/RemoveMember", remove).await;
        server.root.call("RoleService/DeleteRole", json!({"slug": "reader"})).await;
    }

    async fn lists_are_by_slug_and_show_all_of_it_once(server) {
        let [acme, beta] = [organization(&server.root, "acme").await, organization(&server.root, "beta").await];
        let mut reversed = ORDERED;
        reversed.reverse();
        catalogue(&server.root, &reversed).await;
        for size in 1..=3 {
            let request = json!({"pageSize": size});
            assert_eq!(made(&server.root, request).await, ORDERED, "pages of {size}");
        }
        for (own, slug) in [(&acme, "org-b"), (&acme, "org-a"), (&beta, "org-a"), (&beta, "org-c")] {
            create(&server.root, json!({"organizationId": own, "slug": slug})).await;
        }
        let tenants = ["admin", "billing-admin", "developer", "guest", "member", "owner"];
        let of_acme = ["admin", "billing-admin", "developer", "guest", "member", "org-a", "org-b", "owner"];
        for size in 1..=3 {
            let request = json!({"pageSize": size});
            assert_eq!(slugs(&server.root, "RoleService/ListRoles", request, "roles").await, tenants);
            let request = json!({"pageSize": size, "organizationId": acme});
            assert_eq!(slugs(&server.root, "RoleService/ListRoles", request, "roles").await, of_acme);
        }
        let page = server.root.call("RoleService/ListRoles", json!({"pageSize": 1, "organizationId": acme})).await;
        for other in ["", &beta] {
            let request = json!({"pageToken": page["nextPageToken"], "organizationId": other});
            server.root.refused("RoleService/ListRoles", request, "INVALID_PAGE_TOKEN").await;
        }
    }
}

// A finding: the tables have the collation of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_by_slug_whatever_language_the_database_speaks() {
    let server = TestServer::on(english().await).await;
    catalogue(&server.root, &ORDERED).await;
    assert_eq!(made(&server.root, json!({"pageSize": 2})).await, ORDERED);
}
