//! What happened, the newest first; and an organization as it was.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use super::{chained, organization};
use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, text},
};

/// An organization as of then: the things by kind and id, and the first answer.
async fn as_of(caller: &Caller, request: Value) -> (Value, BTreeMap<(String, String), Value>) {
    let mut answers = caller.stream("AuditService/ReadStateAsOf", request).await.unwrap();
    let (mut first, mut things) = (Value::Null, BTreeMap::new());
    while let Some(answer) = answers.next().await {
        let answer = roster::dynamic::to_json(&answer.unwrap()).unwrap();
        match &answer["state"] {
            Value::Null => first = answer["asOf"].clone(),
            state => drop(things.insert((text(&state["kind"]), text(&state["id"])), state.clone())),
        }
    }
    (first, things)
}

fn of_kind<'t>(things: &'t BTreeMap<(String, String), Value>, kind: &str) -> Vec<&'t Value> {
    things.iter().filter(|((of, _), _)| of == kind).map(|(_, state)| state).collect()
}

on_both_engines! {
    async fn the_newest_comes_first_page_by_page_and_filtered(server) {
        let (id, _) = organization(&server, "acme").await;
        organization(&server, "other").await;
        let name = "AuditService/ListAuditEvents";
        let mut forward = server.root.events(&id).await;
        forward.reverse();
        assert_eq!(server.root.list(name, json!({"streamId": id, "pageSize": 2}), "events").await, forward);

        chained(&server.root, &id).await;
        let mut all = server.root.events("").await;
        all.reverse();
        assert_eq!(server.root.list(name, json!({"pageSize": 7}), "events").await, all, "of the tenant, by position");

        let membership = forward.iter().find(|event| event["type"] == "membership.removed").unwrap()["subject"].clone();
        let request = json!({"subjects": [{"kind": "membership", "id": membership["id"]}], "types": ["membership.suspended", "membership.removed"]});
        let found = server.root.list(name, request, "events").await;
        let types: Vec<_> = found.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types, ["membership.removed", "membership.suspended"]);
        let nobody = json!({"actors": [{"kind": "EVENT_ACTOR_KIND_USER"}]});
        assert_eq!(server.root.list(name, nobody, "events").await, Vec::<Value>::new());
    }

    async fn times_bound_what_is_listed(server) {
        let (id, _) = organization(&server, "acme").await;
        server.clock.advance(Duration::from_hours(2));
        let middle = server.clock.in_future(Duration::ZERO);
        server.clock.advance(Duration::from_hours(2));
        server.root.call("OrganizationService/SuspendOrganization", json!({"organizationId": id})).await;
        chained(&server.root, &id).await;
        let name = "AuditService/ListAuditEvents";
        let after = server.root.list(name, json!({"streamId": id, "sinceTime": middle}), "events").await;
        assert_eq!(after.iter().map(|event| text(&event["type"])).collect::<Vec<_>>(), ["organization.suspended"]);
        let before = server.root.list(name, json!({"streamId": id, "untilTime": middle}), "events").await;
        assert_eq!(before.len() + 1, server.root.events(&id).await.len());
        let refused = json!({"sinceTime": "2026-01-02T00:00:00Z", "untilTime": "2026-01-01T00:00:00Z"});
        let status = server.root.refused(name, refused, "INVALID_REQUEST").await;
        assert_eq!(crate::support::bad_fields(&status), ["until_time"]);
    }

    async fn who_had_access_on_a_day_is_told_as_it_was(server) {
        let (id, _) = organization(&server, "acme").await;
        let team = json!({"organizationId": id, "name": "core"});
        let team = server.root.call("TeamService/CreateTeam", team).await["team"].clone();
        let add = json!({"organizationId": id, "member": {"email": "bo@acme.example", "roles": ["admin"]}});
        let member = server.root.call("MembershipService/AddMember", add).await["membership"].clone();
        let sequence = server.root.events(&id).await.len();
        let then = server.clock.in_future(Duration::from_hours(1));
        server.clock.advance(Duration::from_hours(2));

        let which = json!({"organizationId": id, "membershipId": member["membershipId"]});
        server.root.call("MembershipService/RemoveMember", which).await;
        server.root.call("TeamService/DeleteTeam", json!({"organizationId": id, "teamId": team["teamId"]})).await;
        let role = json!({"slug": "late", "permissions": ["members:read"]});
        server.root.call("RoleService/CreateRole", role).await;

        for when in [json!({"sequence": sequence.to_string()}), json!({"time": then})] {
            let mut request = when.clone();
            request["organizationId"] = json!(id);
            let (first, things) = as_of(&server.root, request).await;
            assert_eq!(first["sequence"], sequence.to_string(), "{when}");
            let key = ("membership".to_owned(), text(&member["membershipId"]));
            assert_eq!(things[&key]["membership"], member, "{when}");
            assert_eq!(of_kind(&things, "team").len(), 1, "{when}");
            assert!(of_kind(&things, "role").iter().all(|role| role["id"] != "late"), "{when}");
            assert!(of_kind(&things, "user").is_empty(), "who users are is not told here");
            assert!(of_kind(&things, "permission").len() >= 30);
        }
        let (first, now) = as_of(&server.root, json!({"organizationId": id})).await;
        assert_eq!(first["sequence"], server.root.events(&id).await.len().to_string());
        assert!(of_kind(&now, "team").is_empty());
        assert!(of_kind(&now, "role").iter().any(|role| role["id"] == "late"));
        let (_, before) = as_of(&server.root, json!({"organizationId": id, "sequence": "0"})).await;
        assert!(of_kind(&before, "organization").is_empty(), "before it was there");
    }

    async fn that_a_user_was_suspended_is_told_and_policies_to_who_may_read_them(server) {
        let (id, _) = organization(&server, "acme").await;
        let add = json!({"organizationId": id, "member": {"email": "bo@acme.example", "displayName": "Bo"}});
        let member = server.root.call("MembershipService/AddMember", add).await["membership"].clone();
        let elsewhere = server.root.call("UserService/CreateUser", json!({"email": "cy@other.example"})).await;
        let policy = json!({"policy": {"name": "night", "text": "forbid (principal, action, resource) when { context has mfa };"}});
        server.root.call("PolicyService/PutPolicy", policy).await;
        let before = server.clock.in_future(Duration::from_hours(1));
        server.clock.advance(Duration::from_hours(2));
        for user_id in [&member["userId"], &elsewhere["user"]["userId"]] {
            server.root.call("UserService/SuspendUser", json!({"userId": user_id})).await;
        }
        let tenant_id = server.root.events(&id).await[0]["tenantId"].clone();
        let combined = json!({"tenant": {"tenantId": tenant_id, "roleMode": "ROLE_MODE_HIGHEST_PRIORITY"}, "updateMask": "roleMode"});
        server.root.call("TenantService/UpdateTenant", combined).await;

        let (first, now) = as_of(&server.root, json!({"organizationId": id})).await;
        assert_eq!(first["roleMode"], "ROLE_MODE_HIGHEST_PRIORITY");
        let users = of_kind(&now, "user");
        assert_eq!(users.len(), 1, "none of others");
        let user = &users[0]["user"];
        assert_eq!((&user["userId"], text(&user["status"])), (&member["userId"], "USER_STATUS_SUSPENDED".to_owned()));
        let personal = ["email", "displayName", "externalId"].map(|field| text(&user[field]));
        assert_eq!(personal, ["", "", ""], "and not who it is");
        assert_eq!(of_kind(&now, "policy").len(), 1);
        let (first, then) = as_of(&server.root, json!({"organizationId": id, "time": before})).await;
        assert!(first["roleMode"] != "ROLE_MODE_HIGHEST_PRIORITY" && of_kind(&then, "user").is_empty(), "not yet then");
        server.root.call("UserService/ReactivateUser", json!({"userId": member["userId"]})).await;
        let narrow = server.caller(&["events:read"]).await;
        let (_, again) = as_of(&narrow, json!({"organizationId": id})).await;
        assert!(of_kind(&again, "user").is_empty(), "no more");
        assert!(of_kind(&again, "policy").is_empty(), "the tenant's own are not for everybody");
    }

    async fn what_is_not_there_cannot_be_read(server) {
        let (id, _) = organization(&server, "acme").await;
        let name = "AuditService/ReadStateAsOf";
        for (request, field) in [
            (json!({}), "organization_id"),
            (json!({"organizationId": id, "sequence": "99"}), "sequence"),
            (json!({"organizationId": id, "sequence": "-1"}), "sequence"),
        ] {
            let status = server.root.refused(name, request, "INVALID_REQUEST").await;
            assert_eq!(crate::support::bad_fields(&status), [field]);
        }
        let stranger = server.stranger().await;
        stranger.refused(name, json!({"organizationId": id}), "ORGANIZATION_NOT_FOUND").await;
        stranger.refused("AuditService/ListAuditEvents", json!({"streamId": id}), "ORGANIZATION_NOT_FOUND").await;
    }
}
