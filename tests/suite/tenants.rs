//! Tenants, over gRPC; and what every event says, of whatever noun.

mod life;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

pub use life::{BY_ITSELF, LIFE, Words, state};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

async fn create(caller: &Caller, slug: &str) -> Value {
    caller.call("TenantService/CreateTenant", json!({"slug": slug})).await["tenant"].clone()
}

on_both_engines! {
    async fn a_tenant_is_created_with_its_built_in_roles(server) {
        let request = json!({"slug": "acme-prod", "displayName": "Acme", "requestId": "req-1"});
        let tenant = server.root.call("TenantService/CreateTenant", request).await["tenant"].clone();
        assert_eq!((&tenant["slug"], &tenant["displayName"]), (&json!("acme-prod"), &json!("Acme")));
        assert_eq!(tenant["createTime"], tenant["updateTime"]);
        let which = json!({"tenantId": tenant["tenantId"]});
        assert_eq!(server.root.call("TenantService/GetTenant", which).await["tenant"], tenant);
        let mut there = server.root.clone();
        there.client.tenant = Some(text(&tenant["tenantId"]));
        assert_eq!(there.call("TenantService/GetTenant", json!({})).await["tenant"], tenant, "the one of the call");
        let events = there.events(&text(&tenant["tenantId"])).await;
        let types: Vec<_> = events.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types[0], "tenant.created");
        let count = |name: &str| types.iter().filter(|found| *found == name).count();
        assert_eq!((types.len(), count("permission.created"), count("role.created")), (37, 30, 6));
        assert!(events.iter().all(|event| event["requestId"] == "req-1"
            && event["correlationId"] == events[0]["eventId"] && event["tenantId"] == tenant["tenantId"]));
        let roles = there.list("RoleService/ListRoles", json!({}), "roles").await;
        let slugs: Vec<_> = roles.iter().map(|role| text(&role["slug"])).collect();
        assert_eq!(slugs, ["admin", "billing-admin", "developer", "guest", "member", "owner"]);
        assert!(roles.iter().all(|role| role["builtIn"] == true));
    }

    async fn a_tenant_is_called_by_its_slug_where_it_has_no_name(server) {
        assert_eq!(create(&server.root, "acme").await["displayName"], "acme");
        let rename = |slug: &str| json!({"slug": slug});
        server.root.refused("TenantService/CreateTenant", rename("acme"), "SLUG_TAKEN").await;
        for bad in ["a", "-ab", "a--b", "Acme", "a_b", "a b", "ä1"] {
            let status = server.root.refused("TenantService/CreateTenant", rename(bad), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["slug"], "{bad}");
        }
        let [longest, longer] = [63, 64].map(|length| "a".repeat(length));
        create(&server.root, &longest).await;
        server.root.refused("TenantService/CreateTenant", rename(&longer), "INVALID_REQUEST").await;
    }

    async fn a_tenant_changes_by_mask_and_etag(server) {
        let tenant = create(&server.root, "acme").await;
        let other = create(&server.root, "other").await;
        let update = |change: Value, mask: &str| {
            let mut request = json!({"tenant": {"tenantId": tenant["tenantId"]}, "updateMask": mask});
            request["tenant"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            request
        };
        let change = json!({"slug": "beta", "displayName": "not named", "etag": tenant["etag"]});
        let changed = server.root.call("TenantService/UpdateTenant", update(change.clone(), "slug")).await;
        assert_eq!((&changed["tenant"]["slug"], &changed["tenant"]["displayName"]), (&json!("beta"), &json!("acme")));
        assert_ne!(changed["tenant"]["etag"], tenant["etag"]);
        server.root.refused("TenantService/UpdateTenant", update(change, "slug"), "ETAG_MISMATCH").await;
        let taken = update(json!({"slug": other["slug"]}), "slug");
        server.root.refused("TenantService/UpdateTenant", taken, "SLUG_TAKEN").await;
        server.clock.advance(Duration::from_secs(1));
        let same = server.root.call("TenantService/UpdateTenant", update(json!({"slug": "beta"}), "slug")).await;
        assert_eq!(same["tenant"], changed["tenant"], "what changes nothing moves no time");
        let name = ("displayName", "tenant.display_name");
        let mode = ("roleMode", "tenant.role_mode");
        for (mask, field) in [("", "update_mask"), ("createTime,defaultRole", "update_mask"), name, mode] {
            let request = update(json!({}), mask);
            let status = server.root.refused("TenantService/UpdateTenant", request, "INVALID_REQUEST").await;
            assert!(bad_fields(&status).iter().all(|named| named == field), "{mask:?}");
        }
        assert_eq!(tenant["roleMode"], "ROLE_MODE_UNION");
        let highest = update(json!({"roleMode": "ROLE_MODE_HIGHEST_PRIORITY"}), "roleMode");
        let changed = server.root.call("TenantService/UpdateTenant", highest).await;
        assert_eq!(changed["tenant"]["roleMode"], "ROLE_MODE_HIGHEST_PRIORITY");
    }

    async fn all_tenants_are_listed_once(server) {
        for slug in ["t1", "t2", "t3", "t4"] {
            create(&server.root, slug).await;
        }
        for size in 1..=6 {
            let tenants = server.root.list("TenantService/ListTenants", json!({"pageSize": size}), "tenants").await;
            let slugs: Vec<_> = tenants.iter().map(|tenant| text(&tenant["slug"])).collect();
            assert_eq!(slugs, ["default", "t1", "t2", "t3", "t4"], "pages of {size}");
        }
    }

    async fn only_a_platform_key_names_another_tenant(server) {
        let tenant = create(&server.root, "acme").await;
        let own = server.root.call("TenantService/GetTenant", json!({})).await;
        let unknown = roster::ids::TenantId::generate().to_string();
        let mut platform = server.root.clone();
        platform.client.tenant = Some(text(&tenant["tenantId"]));
        platform.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await;
        let lookup = || json!({"email": "ada@example.com"});
        platform.call("UserService/LookupUser", lookup()).await;
        server.root.refused("UserService/LookupUser", lookup(), "USER_NOT_FOUND").await;
        for nonsense in [unknown.as_str(), "acme", "nonsense"] {
            platform.client.tenant = Some(nonsense.to_owned());
            platform.refused("UserService/ListUsers", json!({}), "TENANT_NOT_FOUND").await;
        }
        let mut everything = server.caller(&["*"]).await;
        for named in [text(&tenant["tenantId"]), unknown, "nonsense".to_owned()] {
            everything.client.tenant = Some(named);
            everything.refused("UserService/ListUsers", json!({}), "TENANT_NOT_FOUND").await;
        }
        everything.client.tenant = Some(text(&own["tenant"]["tenantId"]));
        everything.call("UserService/ListUsers", json!({})).await;
    }

    async fn every_change_says_what_it_changed(server) {
        let own = server.root.call("TenantService/GetTenant", json!({})).await;
        let tenant = text(&own["tenant"]["tenantId"]);
        let mut words = Words::of(&tenant);
        for (index, (method, template, name, changed)) in LIFE.iter().enumerate() {
            let mut request = words.fill(template);
            let request_id = format!("request-{index}");
            request["requestId"] = json!(request_id);
            let answer = server.root.call(method, request.clone()).await;
            let again = server.root.call(method, request.clone()).await;
            assert_eq!(again, answer, "{method}: the same request returns the first answer");
            words.hear(&answer);
            let mut events = server.root.events(&tenant).await;
            if let Some(id) = words.of_kind("organization") {
                events.extend(server.root.events(id).await);
            }
            let mine: Vec<_> = events.iter().filter(|event| event["requestId"] == request_id.as_str()).collect();
            let event = mine.iter().find(|event| event["type"] == *name)
                .unwrap_or_else(|| panic!("{method} {request} emitted {mine:?}"));
            assert_eq!(mine.iter().filter(|event| event["type"] == *name).count(), 1, "{method}: one effect");
            assert_eq!(event["changedFields"], json!(changed), "{method} {request}");
            assert_eq!(event["reason"], request["reason"].as_str().unwrap_or_default(), "{method}");
            let (before, after) = (state(event, name, "before"), state(event, name, "after"));
            let verb = name.split('.').nth(1).unwrap();
            let (has_before, has_after) = match (*name, verb) {
                (_, "created" | "member_added" | "added") | (_, "erased") => (false, true),
                ("organization.deleted" | "user.deleted" | "membership.removed", _) => (true, true),
                ("grant.revoked", _) | ("domain.removed", _) | (_, "deleted" | "member_removed") => (true, false),
                _ => (true, true),
            };
            assert_eq!((before.is_object(), after.is_object()), (has_before, has_after), "{name}: {event}");
            let subject = &event["subject"];
            let kind = text(&subject["kind"]);
            let expected = if verb.starts_with("member_") { "team_member" } else { name.split('.').next().unwrap() };
            assert_eq!(kind, expected, "{name}");
            assert_eq!(event["actor"]["kind"], "EVENT_ACTOR_KIND_API_KEY");
            words.see(event);
        }
        let organization = words.of_kind("organization").unwrap();
        // What happens by itself.
        server.clock.advance(Duration::from_hours(24 * 30));
        let begin = std::time::Instant::now();
        while server.root.events(organization).await.iter().all(|event| event["type"] != "organization.purged") {
            assert!(begin.elapsed() < Duration::from_secs(20), "not purged");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut log = server.root.events(&tenant).await;
        log.extend(server.root.events(organization).await);
        let seen: BTreeSet<_> = log.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let made = roster::events::TYPES.iter().copied().filter(|name| !BY_ITSELF.contains(name));
        assert_eq!(seen, made.collect());
    }
}

// Findings: the id of a stream is read by its number alone.
on_both_engines! {
    async fn the_stream_of_another_tenant_is_a_tenant_that_is_not_found(server) {
        let tenant = create(&server.root, "acme").await;
        let stream = json!({"streamId": tenant["tenantId"]});
        server.root.refused("EventService/ListEvents", stream, "TENANT_NOT_FOUND").await;
    }

    async fn a_stream_has_one_id(server) {
        let acme = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&acme["organization"]["organizationId"]);
        let disguised = json!({"streamId": id.replace("org_", "tenant_")});
        server.root.refused("EventService/ListEvents", disguised, "TENANT_NOT_FOUND").await;
    }
}
