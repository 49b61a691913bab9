//! How a membership begins, and what it is until its user comes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Acme, status};
use crate::{
    callers::link,
    in_a_house, on_both_engines,
    support::{Engine, TestServer, metadata, text},
    tokens::{House, USERS},
};

const ACTIVATE: &str = "MembershipService/ActivateMembership";

async fn user_status(acme: &Acme<'_>, membership: &Value) -> String {
    let user = acme.root.call("UserService/GetUser", json!({"userId": membership["userId"]})).await;
    text(&user["user"]["status"])
}

on_both_engines! {
    async fn a_person_not_known_stands_where_the_membership_does(server) {
        let acme = Acme::build(&server.root).await;
        for (how, state) in [("invite", "INVITED"), ("preProvision", "PRE_PROVISIONED")] {
            let email = format!("{state}@example.com");
            let added = acme.add(json!({"email": email, how: {}})).await;
            assert_eq!(status(&added), state);
            assert_eq!(user_status(&acme, &added).await, format!("USER_STATUS_{state}"));
            assert_eq!((&added["joinedTime"], &added["roles"][0]["role"]), (&Value::Null, &json!("member")));
            let last = acme.events().await.pop().unwrap();
            assert_eq!((&last["type"], &last["membershipCreated"]["after"]), (&json!("membership.created"), &added));
            // Somebody who is there already, stays where they are.
            let known = acme.root.call("UserService/CreateUser", json!({"email": format!("known-{email}")})).await;
            let added = acme.add(json!({"userId": known["user"]["userId"], how: {}})).await;
            assert_eq!((status(&added).as_str(), user_status(&acme, &added).await.as_str()), (state, "USER_STATUS_ACTIVE"));
            let again = json!({"organizationId": acme.id, "member": {"userId": known["user"]["userId"]}});
            let refusal = acme.root.refused("MembershipService/AddMember", again, "ALREADY_MEMBER").await;
            let named = metadata(&refusal);
            assert_eq!((&named["membership_id"], named["status"].as_str()), (&text(&added["membershipId"]), state));
        }
        let active = acme.add(json!({"email": "now@example.com"})).await;
        assert_eq!((&active["joinedTime"], status(&active).as_str()), (&active["createTime"], "ACTIVE"));
    }

    async fn a_batch_has_each_standing(server) {
        let acme = Acme::build(&server.root).await;
        let members = json!([
            {"email": "a@example.com", "invite": {}}, {"email": "b@example.com", "preProvision": {}},
            {"email": "c@example.com", "kind": "MEMBERSHIP_KIND_GUEST"},
            {"email": "a@example.com"}, {"email": "d@example.com", "invite": {}, "authenticatedVia": "sso"},
            {"email": "e@example.com", "endTime": "2001-01-01T00:00:00Z"},
        ]);
        let answer = acme.call_whole("BatchAddMembers", json!({"members": members})).await;
        let outcomes: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| {
            result["error"]["reason"].as_str().map_or_else(|| status(&result["membership"]), str::to_owned)
        }).collect();
        assert_eq!(outcomes,
            ["INVITED", "PRE_PROVISIONED", "ACTIVE", "ALREADY_MEMBER", "INVALID_REQUEST", "INVALID_REQUEST"]);
        for email in ["d@example.com", "e@example.com"] {
            server.root.refused("UserService/LookupUser", json!({"email": email}), "USER_NOT_FOUND").await;
        }
    }

    async fn who_waits_is_denied_and_then_has_everything_that_was_given(server) {
        let acme = Acme::build(&server.root).await;
        let team = server.root.call("TeamService/CreateTeam", json!({"organizationId": acme.id, "name": "t"})).await;
        let team = &team["team"]["teamId"];
        server.root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        server.root.call("RoleService/CreatePermission", json!({"slug": "docs:pay"})).await;
        let role = json!({"organizationId": acme.id, "slug": "org-reader", "permissions": ["docs:read"]});
        server.root.call("RoleService/CreateRole", role).await;
        let assign = json!({"organizationId": acme.id, "teamId": team, "role": "org-reader"});
        server.root.call("TeamService/AssignTeamRole", assign).await;
        let pending = acme.add(json!({"email": "bob@example.com", "invite": {}, "teamIds": [team]})).await;
        let grant = json!({"organizationId": acme.id, "principal": {"membershipId": pending["membershipId"]},
            "resource": {"type": "doc", "id": "1"}, "permission": "docs:pay"});
        server.root.call("GrantService/SetGrant", grant).await;
        let ask = async |permission: &str| acme.check(&pending["userId"], permission, Some("1")).await;
        for _ in 0..20 { // from the database, and then from memory
            assert_eq!(ask("docs:read").await, "MEMBERSHIP_PENDING");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let subjects = json!({"organizationId": acme.id, "permission": "docs:read"});
        let listed = server.root.list("AuthorizationService/ListSubjects", subjects.clone(), "subjects").await;
        assert!(listed.iter().all(|subject| subject["userId"] != pending["userId"]), "{listed:?}");
        acme.call("ActivateMembership", json!({"membershipId": pending["membershipId"]})).await;
        assert_eq!((ask("docs:read").await.as_str(), ask("docs:pay").await.as_str()), ("ROLE", "GRANT"));
        let listed = server.root.list("AuthorizationService/ListSubjects", subjects, "subjects").await;
        assert!(listed.iter().any(|subject| subject["userId"] == pending["userId"]), "{listed:?}");
    }

    async fn whoever_comes_becomes_an_active_user_first(server) {
        let acme = Acme::build(&server.root).await;
        for (how, state) in [("invite", "INVITED"), ("preProvision", "PRE_PROVISIONED")] {
            let pending = acme.add(json!({"email": format!("{how}@example.com"), how: {}})).await;
            server.clock.advance(Duration::from_secs(1));
            let request = json!({"membershipId": pending["membershipId"], "authenticatedVia": "okta"});
            let active = acme.call("ActivateMembership", request.clone()).await;
            assert_eq!((status(&active).as_str(), &active["authenticatedVia"]), ("ACTIVE", &json!("okta")), "{state}");
            assert_eq!(active["joinedTime"], active["updateTime"]);
            assert_ne!(active["joinedTime"], active["createTime"]);
            assert_eq!(user_status(&acme, &pending).await, "USER_STATUS_ACTIVE");
            let tenant = text(&acme.tenant);
            let user = server.root.events(&tenant).await.pop().unwrap();
            let membership = acme.events().await.pop().unwrap();
            assert_eq!((&user["type"], &membership["type"]), (&json!("user.activated"), &json!("membership.activated")));
            assert_eq!(membership["correlationId"], user["eventId"], "the user comes first");
        }
        // Who was made a member before they came: nothing is left to do but that.
        let pending = acme.add(json!({"email": "late@example.com", "preProvision": {}})).await;
        let other = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "other"})).await;
        let other = Acme { id: text(&other["organization"]["organizationId"]), ..Acme::of(&acme) };
        let there = other.add(json!({"userId": pending["userId"]})).await;
        assert_eq!((status(&there).as_str(), user_status(&acme, &there).await.as_str()),
            ("ACTIVE", "USER_STATUS_PRE_PROVISIONED"));
        let same = other.call("ActivateMembership", json!({"membershipId": there["membershipId"]})).await;
        assert_eq!((same, user_status(&acme, &there).await.as_str()), (there, "USER_STATUS_ACTIVE"));
    }

    async fn who_may_not_come_does_not(server) {
        let acme = Acme::build(&server.root).await;
        let mut waiting = Vec::new();
        for how in ["invite", "preProvision"] {
            waiting.push(acme.add(json!({"email": format!("{how}@example.com"), how: {}})).await);
        }
        let request = |of: &Value| json!({"organizationId": acme.id, "membershipId": of["membershipId"]});
        let before = acme.events().await.len();
        let organization = json!({"organizationId": acme.id});
        for of in &waiting {
            let user = json!({"userId": of["userId"]});
            server.root.call("UserService/SuspendUser", user.clone()).await;
            server.root.refused(ACTIVATE, request(of), "ILLEGAL_TRANSITION").await;
        }
        assert_eq!(acme.events().await.len(), before);
        let known = acme.add(json!({"email": "ok@example.com", "invite": {}})).await;
        let put = acme.add(json!({"email": "put@example.com", "preProvision": {}})).await;
        server.root.call("OrganizationService/SuspendOrganization", organization.clone()).await;
        server.root.refused(ACTIVATE, request(&known), "ORGANIZATION_SUSPENDED").await;
        server.root.call(ACTIVATE, request(&put)).await;
        server.root.call("OrganizationService/ReactivateOrganization", organization.clone()).await;
        server.root.call(ACTIVATE, request(&known)).await;
        let late = acme.add(json!({"email": "late@example.com", "invite": {}})).await;
        server.root.call("OrganizationService/DeleteOrganization", organization).await;
        server.root.refused(ACTIVATE, request(&late), "ORGANIZATION_DELETING").await;
    }

    async fn two_who_activate_at_once_do_it_once(server) {
        let acme = Acme::build(&server.root).await;
        for round in 0..5 {
            let pending = acme.add(json!({"email": format!("p{round}@example.com"), "invite": {}})).await;
            let before = acme.events().await.len();
            let request = json!({"organizationId": acme.id, "membershipId": pending["membershipId"]});
            let calls: Vec<_> = (0..8).map(|_| {
                let (root, request) = (server.root.clone(), request.clone());
                tokio::spawn(async move { root.call(ACTIVATE, request).await["membership"].clone() })
            }).collect();
            let after = acme.joined(calls).await;
            assert!(after.iter().all(|answer| *answer == after[0] && status(answer) == "ACTIVE"), "{after:?}");
            assert_eq!(acme.events().await.len(), before + 1);
        }
    }

    async fn pending_owners_do_not_count(server) {
        let acme = Acme::build(&server.root).await;
        let pending = acme.add(json!({"email": "bob@example.com", "roles": ["owner"], "invite": {}})).await;
        let leave = json!({"organizationId": acme.id, "membershipId": acme.owner});
        server.root.refused("MembershipService/Leave", leave.clone(), "LAST_OWNER").await;
        acme.call("ActivateMembership", json!({"membershipId": pending["membershipId"]})).await;
        server.root.call("MembershipService/Leave", leave).await;
        let which = json!({"organizationId": acme.id, "membershipId": pending["membershipId"]});
        server.root.refused("MembershipService/RemoveMember", which, "LAST_OWNER").await;
    }

    async fn lists_filter_by_status_and_kind(server) {
        let acme = Acme::build(&server.root).await;
        for (name, member) in [
            ("a", json!({"invite": {}})), ("b", json!({"preProvision": {}, "kind": "MEMBERSHIP_KIND_GUEST"})),
            ("c", json!({"kind": "MEMBERSHIP_KIND_GUEST"})), ("d", json!({"kind": "MEMBERSHIP_KIND_MEMBER"})),
        ] {
            let mut member = member;
            member["email"] = json!(format!("{name}@example.com"));
            acme.add(member).await;
        }
        let count = async |filter: Value| {
            let mut request = filter;
            request["organizationId"] = json!(acme.id);
            request["pageSize"] = json!(1);
            server.root.list("MembershipService/ListMemberships", request, "memberships").await.len()
        };
        for (status, kind, expected) in [
            ("UNSPECIFIED", "UNSPECIFIED", 5), ("INVITED", "UNSPECIFIED", 1), ("PRE_PROVISIONED", "GUEST", 1),
            ("PRE_PROVISIONED", "MEMBER", 0), ("UNSPECIFIED", "GUEST", 2), ("ACTIVE", "MEMBER", 2), ("REMOVED", "GUEST", 0),
        ] {
            let filter = json!({"status": format!("MEMBERSHIP_STATUS_{status}"), "kind": format!("MEMBERSHIP_KIND_{kind}")});
            assert_eq!(count(filter).await, expected, "{status} {kind}");
        }
    }
}

in_a_house! {
    async fn a_user_comes_by_a_token_and_its_issuer_is_remembered(house) {
        let acme = Acme::build(&house.server.root).await;
        let pending = acme.add(json!({"email": "bob@example.com", "invite": {}})).await;
        let other = acme.add(json!({"email": "eve@example.com", "invite": {}})).await;
        let bob = link(&house, &text(&pending["userId"]), "bob").await;
        let nothing = json!({"organizationId": acme.id});
        bob.refused("OrganizationService/GetOrganization", nothing.clone(), "MISSING_PERMISSION").await;
        let said = json!({"organizationId": acme.id, "authenticatedVia": "me"});
        bob.refused(ACTIVATE, said, "INVALID_REQUEST").await;
        let theirs = json!({"organizationId": acme.id, "membershipId": other["membershipId"]});
        bob.refused(ACTIVATE, theirs.clone(), "MEMBERSHIP_NOT_FOUND").await;
        bob.refused("MembershipService/Leave", theirs, "MEMBERSHIP_NOT_FOUND").await;
        let own = json!({"organizationId": acme.id, "membershipId": pending["membershipId"]});
        let active = bob.call(ACTIVATE, own).await["membership"].clone();
        assert_eq!((status(&active).as_str(), &active["authenticatedVia"]), ("ACTIVE", &json!(USERS)));
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["actor"]["kind"], &event["actor"]["id"]), (&json!("EVENT_ACTOR_KIND_USER"), &pending["userId"]));
        assert_eq!(status(&acme.get(&other["membershipId"]).await), "INVITED", "nobody else's");
        // Whoever is suspended may do nothing, also about themselves.
        house.server.root.call("UserService/SuspendUser", json!({"userId": pending["userId"]})).await;
        bob.refused("MembershipService/Leave", nothing, "MISSING_PERMISSION").await;
    }

    async fn a_service_needs_the_permission_and_says_which(house) {
        let acme = Acme::build(&house.server.root).await;
        let pending = acme.add(json!({"email": "bob@example.com", "invite": {}})).await;
        let which = json!({"organizationId": acme.id, "membershipId": pending["membershipId"]});
        let reader = house.server.caller(&["members:read"]).await;
        for method in ["ActivateMembership", "Leave"] {
            let method = format!("MembershipService/{method}");
            reader.refused(&method, which.clone(), "MISSING_PERMISSION").await;
            let unsaid = json!({"organizationId": acme.id});
            house.server.root.refused(&method, unsaid, "INVALID_REQUEST").await;
        }
    }
}
