//! What a membership carries beside its roles; and its end, which comes by itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Acme, status};
use crate::{
    callers::link,
    in_a_house, on_both_engines,
    support::{Engine, TestServer, bad_fields, text},
    tokens::House,
};

const UPDATE: &str = "MembershipService/UpdateMembership";
const HOUR: Duration = Duration::from_hours(1);

/// An update of a membership.
fn update(acme: &Acme<'_>, membership: &Value, change: &Value, mask: &str) -> Value {
    let mut wanted = json!({"organizationId": acme.id, "membershipId": membership["membershipId"]});
    wanted.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"membership": wanted, "updateMask": mask})
}

/// The membership, once it is in this state.
async fn until(acme: &Acme<'_>, id: &Value, state: &str) -> Value {
    for _ in 0..500 {
        let membership = acme.get(id).await;
        if status(&membership) == state {
            return membership;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} did not become {state}");
}

on_both_engines! {
    async fn an_update_changes_what_its_mask_names(server) {
        let acme = Acme::build(&server.root).await;
        let (review, end) = (server.clock.in_future(HOUR), server.clock.in_future(2 * HOUR));
        let member = json!({"email": "bob@example.com", "metadata": {"a": "b"}, "reviewTime": review,
            "endTime": end, "source": "MEMBERSHIP_SOURCE_IMPORT", "sourceReference": "row 7"});
        let before = acme.add(member).await;
        assert_eq!((&before["metadata"], &before["reviewTime"], &before["endTime"]),
            (&json!({"a": "b"}), &json!(review), &json!(end)));
        assert_eq!((&before["kind"], &before["sourceReference"]), (&json!("MEMBERSHIP_KIND_MEMBER"), &json!("row 7")));
        server.clock.advance(Duration::from_secs(1));
        let change = json!({"kind": "MEMBERSHIP_KIND_GUEST", "metadata": {"c": "d"}, "etag": before["etag"]});
        let after = server.root.call(UPDATE, update(&acme, &before, &change, "kind,metadata,reviewTime")).await;
        let after = &after["membership"];
        assert_eq!((&after["kind"], &after["metadata"]), (&change["kind"], &change["metadata"]));
        assert_eq!((&after["reviewTime"], &after["endTime"]), (&Value::Null, &json!(end)), "not named, not changed");
        server.root.refused(UPDATE, update(&acme, &before, &change, "kind"), "ETAG_MISMATCH").await;
        let event = acme.events().await.pop().unwrap();
        assert_eq!(event["membershipUpdated"], json!({"before": before, "after": after}));
        server.clock.advance(Duration::from_secs(1));
        let same = json!({"kind": "MEMBERSHIP_KIND_GUEST", "endTime": end});
        let same = server.root.call(UPDATE, update(&acme, &before, &same, "kind,endTime")).await;
        assert_eq!(same["membership"], *after, "what changes nothing moves no time");
        assert_eq!(acme.events().await.pop().unwrap()["eventId"], event["eventId"]);
        let role = json!({"membershipId": before["membershipId"], "role": "developer"});
        let etag = acme.call("AssignRole", role).await["etag"].clone();
        assert_ne!(etag, after["etag"], "roles are part of it");
        acme.call("RemoveMember", json!({"membershipId": before["membershipId"]})).await;
        server.root.refused(UPDATE, update(&acme, &before, &change, "kind"), "ILLEGAL_TRANSITION").await;
    }

    async fn whatever_is_wrong_is_named(server) {
        let acme = Acme::build(&server.root).await;
        let member = acme.add(json!({"email": "bob@example.com"})).await;
        let before = acme.events().await.len();
        let past = "2001-01-01T00:00:00Z";
        let many: serde_json::Map<_, _> = (0..51).map(|key| (key.to_string(), json!("x"))).collect();
        for (change, mask, field) in [
            (json!({}), "", "update_mask"), (json!({}), "status", "update_mask"), (json!({}), "kind", "membership.kind"),
            (json!({"endTime": past}), "endTime", "membership.end_time"),
            (json!({"reviewTime": past}), "reviewTime", "membership.review_time"),
            (json!({"metadata": many}), "metadata", "membership.metadata"),
            (json!({"metadata": {"k": "x".repeat(501)}}), "metadata", "membership.metadata[k]"),
        ] {
            let request = update(&acme, &member, &change, mask);
            let refusal = server.root.refused(UPDATE, request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&refusal), [field]);
        }
        let add = json!({"email": "eve@example.com", "endTime": past});
        let add = json!({"organizationId": acme.id, "member": add});
        let refusal = server.root.refused("MembershipService/AddMember", add, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&refusal), ["member.end_time"]);
        assert_eq!(acme.events().await.len(), before);
    }

    async fn the_same_request_returns_its_answer_also_after_the_end_it_asks_for(server) {
        let acme = Acme::build(&server.root).await;
        let end = server.clock.in_future(HOUR);
        let add = json!({"organizationId": acme.id, "member": {"email": "bob@example.com", "endTime": end},
            "requestId": "one"});
        let first = server.root.call("MembershipService/AddMember", add.clone()).await;
        server.clock.advance(2 * HOUR);
        assert_eq!(server.root.call("MembershipService/AddMember", add).await, first);
    }

    async fn from_its_end_on_a_member_is_denied_and_soon_suspended(server) {
        let acme = Acme::build(&server.root).await;
        server.root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let role = json!({"organizationId": acme.id, "slug": "org-reader", "permissions": ["docs:read"]});
        server.root.call("RoleService/CreateRole", role).await;
        let member = json!({"email": "bob@example.com", "roles": ["org-reader"], "endTime": server.clock.in_future(HOUR)});
        let member = acme.add(member).await;
        let id = &member["membershipId"];
        let pending = json!({"email": "eve@example.com", "invite": {}, "endTime": server.clock.in_future(HOUR)});
        let pending = acme.add(pending).await;
        let ask = async || acme.check(&member["userId"], "docs:read", None).await;
        assert_eq!(ask().await, "ROLE");
        server.clock.advance(2 * HOUR);
        assert_eq!(ask().await, "MEMBERSHIP_SUSPENDED", "at once");
        let list = json!({"organizationId": acme.id, "permission": "docs:read"});
        let listed = server.root.list("AuthorizationService/ListSubjects", list, "subjects").await;
        assert!(listed.iter().all(|subject| subject["userId"] != member["userId"]), "{listed:?}");
        let suspended = until(&acme, id, "SUSPENDED").await;
        assert_eq!(suspended["statusReason"], "end time reached");
        let events = acme.events().await;
        let event = events.last().unwrap();
        assert_eq!((&event["type"], &event["actor"]["kind"], &event["reason"]),
            (&json!("membership.suspended"), &json!("EVENT_ACTOR_KIND_SYSTEM"), &json!("end time reached")));
        assert_eq!(event["membershipSuspended"]["after"], suspended);
        assert_eq!(status(&acme.get(&pending["membershipId"]).await), "INVITED");
        let which = |of: &Value| json!({"organizationId": acme.id, "membershipId": of["membershipId"]});
        server.root.refused("MembershipService/ActivateMembership", which(&pending), "MEMBERSHIP_ENDED").await;
        // Back: not before the end is another one, and not by itself.
        server.root.refused("MembershipService/ReactivateMembership", which(&member), "MEMBERSHIP_ENDED").await;
        let later = json!({"endTime": server.clock.in_future(HOUR)});
        let longer = server.root.call(UPDATE, update(&acme, &member, &later, "endTime")).await;
        assert_eq!((status(&longer["membership"]).as_str(), ask().await.as_str()), ("SUSPENDED", "MEMBERSHIP_SUSPENDED"));
        server.root.call("MembershipService/ReactivateMembership", which(&member)).await;
        assert_eq!(ask().await, "ROLE");
        server.clock.advance(2 * HOUR);
        assert_eq!(ask().await, "MEMBERSHIP_SUSPENDED");
        until(&acme, id, "SUSPENDED").await;
        server.root.call(UPDATE, update(&acme, &member, &json!({}), "endTime")).await;
        server.root.call("MembershipService/ReactivateMembership", which(&member)).await;
        server.clock.advance(100 * HOUR);
        assert_eq!(ask().await, "ROLE");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let ended = acme.events().await.into_iter().filter(|event| event["type"] == "membership.suspended");
        assert_eq!(ended.count(), 2, "each end has its event once");
    }

    async fn an_end_is_heard_of_before_it_is_changed(server) {
        let acme = Acme::build(&server.root).await;
        for round in 0..5 {
            let end = server.clock.in_future(HOUR);
            let member = acme.add(json!({"email": format!("m{round}@example.com"), "endTime": end})).await;
            let before = acme.events().await.len();
            server.clock.advance(2 * HOUR);
            // Sooner than the sweep, or not: the same.
            let after = server.root.call(UPDATE, update(&acme, &member, &json!({}), "endTime")).await;
            assert_eq!(status(&after["membership"]), "SUSPENDED", "nobody comes back by that");
            let types: Vec<_> = acme.events().await[before..].iter().map(|event| text(&event["type"])).collect();
            assert_eq!(types, ["membership.suspended", "membership.updated"]);
        }
    }

    async fn many_ends_at_once_are_each_reached(server) {
        let acme = Acme::build(&server.root).await;
        let end = server.clock.in_future(HOUR);
        let members: Vec<_> =
            (0..600).map(|n| json!({"email": format!("m{n}@example.com"), "endTime": end})).collect();
        acme.call_whole("BatchAddMembers", json!({"members": members})).await;
        server.clock.advance(2 * HOUR);
        let filter = json!({"organizationId": acme.id, "status": "MEMBERSHIP_STATUS_SUSPENDED", "pageSize": 1000});
        for _ in 0..1500 {
            if server.root.list("MembershipService/ListMemberships", filter.clone(), "memberships").await.len() == 600 {
                let events = acme.events().await;
                let ended: Vec<_> = events.iter().filter(|event| event["type"] == "membership.suspended").collect();
                assert_eq!(ended.len(), 600);
                assert!(ended.iter().all(|event| event["correlationId"] == event["eventId"]), "each by itself");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not all were suspended");
    }

    async fn no_end_leaves_an_organization_without_an_owner(server) {
        let acme = Acme::build(&server.root).await;
        let owner = json!({"membershipId": acme.owner});
        let end = json!({"endTime": server.clock.in_future(HOUR)});
        let which = json!({"organizationId": acme.id, "membershipId": acme.owner});
        server.root.refused(UPDATE, update(&acme, &owner, &end, "endTime"), "LAST_OWNER").await;
        // An owner with an end is none to rely on.
        let other = json!({"email": "bob@example.com", "roles": ["owner"], "endTime": end["endTime"]});
        let other = acme.add(other).await;
        server.root.refused(UPDATE, update(&acme, &owner, &end, "endTime"), "LAST_OWNER").await;
        for method in ["RemoveMember", "Leave", "SuspendMembership"] {
            server.root.refused(&format!("MembershipService/{method}"), which.clone(), "LAST_OWNER").await;
        }
        let mut roles = which.clone();
        roles["roles"] = json!(["member"]);
        server.root.refused("MembershipService/SetRoles", roles, "LAST_OWNER").await;
        let user = acme.get(&json!(acme.owner)).await["userId"].clone();
        server.root.refused("UserService/SuspendUser", json!({"userId": user}), "LAST_OWNER").await;
        server.root.refused("UserService/DeleteUser", json!({"userId": user}), "LAST_OWNER").await;
        server.root.call(UPDATE, update(&acme, &other, &json!({}), "endTime")).await;
        server.root.call(UPDATE, update(&acme, &owner, &end, "endTime")).await;
        server.clock.advance(2 * HOUR);
        until(&acme, &json!(acme.owner), "SUSPENDED").await;
        server.root.refused(UPDATE, update(&acme, &other, &json!({"endTime": server.clock.in_future(HOUR)}), "endTime"),
            "LAST_OWNER").await;
    }

    async fn no_first_owner_is_one_for_a_time(server) {
        let made = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "empty"})).await;
        let acme = Acme { id: text(&made["organization"]["organizationId"]), ..Acme::build(&server.root).await };
        let end = server.clock.in_future(HOUR);
        let request = |member: &Value| json!({"organizationId": acme.id, "member": member});
        let owner = json!({"email": "bob@example.com", "roles": ["owner"], "endTime": end});
        server.root.refused("MembershipService/AddMember", request(&owner), "LAST_OWNER").await;
        let answer = acme.call_whole("BatchAddMembers", json!({"members": [owner]})).await;
        assert_eq!(answer["results"][0]["error"]["reason"], "LAST_OWNER");
        let member = acme.add(json!({"email": "bob@example.com", "endTime": end})).await;
        let role = json!({"organizationId": acme.id, "membershipId": member["membershipId"], "role": "owner"});
        server.root.refused("MembershipService/AssignRole", role, "LAST_OWNER").await;
        let roles = json!({"organizationId": acme.id, "membershipId": member["membershipId"], "roles": ["owner"]});
        server.root.refused("MembershipService/SetRoles", roles, "LAST_OWNER").await;
        let pending = json!({"email": "eve@example.com", "roles": ["owner"], "endTime": end, "invite": {}});
        let pending = acme.add(pending).await;
        let which = json!({"organizationId": acme.id, "membershipId": pending["membershipId"]});
        server.root.refused("MembershipService/ActivateMembership", which.clone(), "LAST_OWNER").await;
        acme.add(json!({"email": "ada2@example.com", "roles": ["owner"]})).await;
        server.root.call("MembershipService/ActivateMembership", which).await;
    }
}

in_a_house! {
    async fn nobody_gives_for_longer_what_they_lack(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let admin = acme.add(json!({"email": "admin@example.com", "roles": ["admin"]})).await;
        let admin = link(&house, &text(&admin["userId"]), "admin").await;
        let end = house.server.clock.in_future(HOUR);
        let owner = acme.add(json!({"email": "bob@example.com", "roles": ["owner"], "endTime": end})).await;
        let later = json!({"endTime": house.server.clock.in_future(2 * HOUR)});
        for change in [json!({}), later.clone()] {
            admin.refused(UPDATE, update(&acme, &owner, &change, "endTime"), "MISSING_PERMISSION").await;
        }
        let sooner = json!({"endTime": house.server.clock.in_future(HOUR / 2)});
        admin.call(UPDATE, update(&acme, &owner, &sooner, "endTime")).await;
        let member = acme.add(json!({"email": "eve@example.com", "endTime": end})).await;
        admin.call(UPDATE, update(&acme, &member, &later, "endTime")).await;
    }

    async fn a_user_may_do_nothing_from_the_end_on(house) {
        let acme = Acme::build(&house.server.root).await;
        let end = house.server.clock.in_future(Duration::from_secs(600));
        let admin = acme.add(json!({"email": "admin@example.com", "roles": ["admin"], "endTime": end})).await;
        let admin = link(&house, &text(&admin["userId"]), "admin").await;
        let get = json!({"organizationId": acme.id});
        admin.call("OrganizationService/GetOrganization", get.clone()).await;
        house.server.clock.advance(Duration::from_secs(700));
        admin.refused("OrganizationService/GetOrganization", get, "MISSING_PERMISSION").await;
    }
}
