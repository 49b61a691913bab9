//! Grants, over gRPC.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

/// An organization with a member, a team and the permissions `docs:read` and `docs:write`.
struct Acme {
    caller: Caller,
    id: String,
    bob: String,
    team: String,
}

impl Acme {
    async fn new(server: &TestServer) -> Self {
        let caller = server.root.clone();
        let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&created["organization"]["organizationId"]);
        for slug in ["docs:read", "docs:write"] {
            caller.call("RoleService/CreatePermission", json!({"slug": slug})).await;
        }
        let mut acme = Self { caller, id, bob: String::new(), team: String::new() };
        let member = json!({"member": {"email": "bob@example.com"}});
        acme.bob = text(&acme.call("MembershipService/AddMember", member).await["membership"]["membershipId"]);
        acme.team = text(&acme.call("TeamService/CreateTeam", json!({"name": "core"})).await["team"]["teamId"]);
        acme
    }

    fn here(&self, mut request: Value) -> Value {
        request["organizationId"] = json!(self.id);
        request
    }

    async fn call(&self, method: &str, request: Value) -> Value {
        self.caller.call(method, self.here(request)).await
    }

    async fn refused(&self, method: &str, request: Value, reason: &str) -> tonic::Status {
        self.caller.refused(method, self.here(request), reason).await
    }

    async fn set(&self, request: Value) -> Value {
        self.call("GrantService/SetGrant", request).await["grant"].clone()
    }

    async fn list(&self, filter: Value) -> Vec<String> {
        let grants = self.caller.list("GrantService/ListGrants", self.here(filter), "grants").await;
        grants.iter().map(|grant| text(&grant["grantId"])).collect()
    }

    async fn events(&self) -> Vec<Value> {
        self.caller.events(&self.id).await
    }

    /// Bob may read a document.
    fn read(&self, document: &str) -> Value {
        json!({"principal": {"membershipId": self.bob}, "resource": doc(document), "permission": "docs:read"})
    }
}

fn doc(id: &str) -> Value {
    json!({"type": "doc", "id": id})
}

on_both_engines! {
    async fn a_grant_names_who_where_and_what(server) {
        let acme = Acme::new(&server).await;
        let principals = [json!({"membershipId": acme.bob}), json!({"teamId": acme.team}), json!({"role": "member"})];
        for principal in principals {
            for (right, slug) in [("role", "guest"), ("permission", "docs:read")] {
                let id = format!("{principal} {slug}");
                let mut request = json!({"principal": principal, "resource": doc("a/b ü"), "requestId": id});
                request[right] = json!(slug);
                let grant = acme.set(request).await;
                assert_eq!((&grant["principal"], &grant["resource"]), (&principal, &doc("a/b ü")));
                assert_eq!(grant[right], slug);
                assert!(grant["endTime"].is_null());
                assert_eq!(grant["organizationId"], acme.id.as_str());
                let event = acme.events().await.pop().unwrap();
                assert_eq!((&event["type"], &event["requestId"]), (&json!("grant.created"), &json!(id)));
                assert_eq!(event["grantCreated"]["after"], grant);
            }
        }
    }

    async fn the_same_grant_changes_only_its_end(server) {
        let acme = Acme::new(&server).await;
        let end = server.clock.in_future(Duration::from_secs(60));
        let first = acme.set(acme.read("1")).await;
        let before = acme.events().await.len();
        server.clock.advance(Duration::from_secs(1));
        assert_eq!(acme.set(acme.read("1")).await, first, "what changes nothing moves no time");
        assert_eq!(acme.events().await.len(), before);
        let mut ending = acme.read("1");
        ending["endTime"] = json!(end);
        let second = acme.set(ending).await;
        assert_eq!(second["grantId"], first["grantId"]);
        assert_eq!(second["endTime"], end.as_str());
        assert_ne!(second["updateTime"], first["updateTime"]);
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["changedFields"]), (&json!("grant.updated"), &json!(["end_time"])));
        assert_eq!(event["grantUpdated"], json!({"before": first, "after": second}));
        server.clock.advance(Duration::from_secs(61));
        assert_eq!(acme.list(json!({})).await.len(), 1, "also those past their end");
        let mut past = acme.read("1");
        past["endTime"] = json!(end);
        let status = acme.refused("GrantService/SetGrant", past, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["end_time"]);
    }

    async fn a_time_that_is_finer_than_a_microsecond_is_still_the_same(server) {
        let acme = Acme::new(&server).await;
        let mut request = acme.read("1");
        request["endTime"] = json!("9000-01-01T00:00:00.123456789Z");
        let first = acme.set(request.clone()).await;
        let before = acme.events().await.len();
        assert_eq!(acme.set(request).await, first);
        assert_eq!(acme.events().await.len(), before);
        let listed = acme.call("GrantService/ListGrants", json!({})).await;
        assert_eq!(listed["grants"][0], first);
    }

    async fn whatever_a_grant_names_is_there(server) {
        let acme = Acme::new(&server).await;
        let before = acme.events().await.len();
        let grant = |change: Value| {
            let mut request = acme.read("1");
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            request
        };
        let as_role = |slug: &str| json!({"principal": {"membershipId": acme.bob}, "resource": doc("1"), "role": slug});
        for (request, reason) in [
            (grant(json!({"permission": "docs:burn"})), "UNKNOWN_PERMISSION"),
            (grant(json!({"permission": "guest"})), "UNKNOWN_PERMISSION"),
            (as_role("nobody"), "ROLE_NOT_FOUND"),
            (as_role("org-nobody"), "ROLE_NOT_FOUND"),
            (as_role("docs:read"), "ROLE_NOT_FOUND"),
            (grant(json!({"principal": {"role": "nobody"}})), "ROLE_NOT_FOUND"),
        ] {
            acme.refused("GrantService/SetGrant", request, reason).await;
        }
        for (change, field) in [
            (json!({"permission": "docs:*"}), "permission"),
            (json!({"permission": ""}), "permission"),
            (json!({"principal": {"role": "*"}}), "principal.role"),
            (json!({"principal": {}}), "principal.kind"),
            (json!({"resource": {"type": "Doc", "id": "1"}}), "resource.type"),
            (json!({"resource": {"type": "d".repeat(65), "id": "1"}}), "resource.type"),
            (json!({"resource": {"type": "doc", "id": ""}}), "resource.id"),
            (json!({"resource": {"type": "doc", "id": "ü".repeat(257)}}), "resource.id"),
        ] {
            let status = acme.refused("GrantService/SetGrant", grant(change), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field]);
        }
        assert_eq!(acme.events().await.len(), before);
        acme.set(grant(json!({"resource": {"type": "d".repeat(64), "id": "ü".repeat(256)}}))).await;
        acme.call("MembershipService/RemoveMember", json!({"membershipId": acme.bob})).await;
        acme.refused("GrantService/SetGrant", acme.read("1"), "ILLEGAL_TRANSITION").await;
    }

    async fn replacing_revokes_what_the_principal_held_there_and_nothing_else(server) {
        let acme = Acme::new(&server).await;
        let held = acme.set(acme.read("1")).await;
        let elsewhere = acme.set(acme.read("2")).await;
        let somebody = json!({"principal": {"teamId": acme.team}, "resource": doc("1"), "permission": "docs:read"});
        let somebody = acme.set(somebody).await;
        let replace = json!({"principal": {"membershipId": acme.bob}, "resource": doc("1"), "permission": "docs:write",
            "replace": true});
        let new = acme.set(replace.clone()).await;
        let left = acme.list(json!({})).await;
        assert_eq!(left, [&elsewhere, &somebody, &new].map(|grant| text(&grant["grantId"])));
        let events = acme.events().await;
        let [created, revoked] = &events[events.len() - 2..] else { unreachable!() };
        assert_eq!((&created["type"], &revoked["type"]), (&json!("grant.created"), &json!("grant.revoked")));
        assert_eq!(revoked["grantRevoked"]["before"], held);
        assert_eq!((&revoked["correlationId"], &revoked["causationId"]), (&created["eventId"], &created["eventId"]));
        let before = events.len();
        assert_eq!(acme.set(replace).await, new);
        assert_eq!(acme.events().await.len(), before);
    }

    async fn a_grant_is_revoked_once(server) {
        let acme = Acme::new(&server).await;
        let grant = acme.set(acme.read("1")).await;
        let which = json!({"grantId": grant["grantId"], "requestId": "req-1"});
        acme.call("GrantService/RevokeGrant", which.clone()).await;
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["requestId"]), (&json!("grant.revoked"), &json!("req-1")));
        assert_eq!(event["grantRevoked"], json!({"before": grant}));
        acme.call("GrantService/RevokeGrant", which.clone()).await; // the same request: the first answer
        let anew = json!({"grantId": grant["grantId"]});
        acme.refused("GrantService/RevokeGrant", anew, "GRANT_NOT_FOUND").await;
        let again = acme.set(acme.read("1")).await;
        assert_ne!(again["grantId"], grant["grantId"]);
    }

    async fn grants_are_listed_once_and_by_what_they_name(server) {
        let acme = Acme::new(&server).await;
        let team = json!({"teamId": acme.team});
        let mut ids = Vec::new();
        let (bob, role) = (json!({"membershipId": acme.bob}), json!({"role": "member"}));
        for (principal, document) in [(&bob, "1"), (&team, "1"), (&role, "1"), (&bob, "2"), (&team, "2")] {
            let grant = acme.set(json!({"principal": principal, "resource": doc(document), "role": "guest"})).await;
            ids.push(text(&grant["grantId"]));
        }
        let of = |indices: &[usize]| indices.iter().map(|index| ids[*index].clone()).collect::<Vec<_>>();
        for (filter, expected) in [
            (json!({}), of(&[0, 1, 2, 3, 4])),
            (json!({"resource": doc("1")}), of(&[0, 1, 2])),
            (json!({"resource": doc("3")}), of(&[])),
            (json!({"resource": {"type": "file", "id": "1"}}), of(&[])),
            (json!({"principal": {"membershipId": acme.bob}}), of(&[0, 3])),
            (json!({"principal": {"role": "member"}}), of(&[2])),
            (json!({"principal": {"role": "guest"}}), of(&[])),
            (json!({"principal": team, "resource": doc("2")}), of(&[4])),
        ] {
            for size in 1..=3 {
                let mut request = filter.clone();
                request["pageSize"] = json!(size);
                assert_eq!(acme.list(request).await, expected, "{filter}, pages of {size}");
            }
        }
        let page = acme.call("GrantService/ListGrants", json!({"pageSize": 1, "resource": doc("1")})).await;
        let narrower = json!({"resource": doc("1"), "principal": role});
        for mut request in [json!({}), json!({"resource": doc("2")}), narrower] {
            request["pageToken"] = page["nextPageToken"].clone();
            acme.refused("GrantService/ListGrants", request, "INVALID_PAGE_TOKEN").await;
        }
    }

    async fn an_organization_that_is_being_deleted_takes_no_grants(server) {
        let acme = Acme::new(&server).await;
        let grant = json!({"principal": {"role": "member"}, "resource": doc("1"), "role": "guest"});
        let set = acme.set(grant.clone()).await;
        acme.call("OrganizationService/DeleteOrganization", json!({})).await;
        acme.refused("GrantService/SetGrant", grant, "ORGANIZATION_DELETING").await;
        let revoke = json!({"grantId": set["grantId"]});
        acme.refused("GrantService/RevokeGrant", revoke, "ORGANIZATION_DELETING").await;
        assert_eq!(acme.list(json!({})).await.len(), 1, "the records stay");
    }
}
