//! Handing ownership over, over gRPC.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Acme, roles};
use crate::{
    in_a_house, on_both_engines,
    support::{Engine, TestServer, bad_fields, reason, text},
    tokens::House,
};

const TRANSFER: &str = "TransferOwnership";

fn transfer(from: &str, to: &str) -> Value {
    json!({"ownerMembershipId": from, "newOwnerMembershipId": to})
}

on_both_engines! {
    async fn a_member_becomes_the_owner_and_the_owner_an_admin_in_one_change(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bob = text(&acme.add("bob@example.com", &["developer"]).await["membershipId"]);
        let before = acme.events().await.len();
        let done = acme.call(TRANSFER, transfer(&acme.owner, &bob)).await;
        assert_eq!(roles(&done["owner"]), ["developer", "owner"], "other roles stay");
        assert_eq!(roles(&done["formerOwner"]), ["admin"]);
        assert_eq!(acme.membership(&bob).await, done["owner"]);
        assert_eq!(acme.membership(&acme.owner).await, done["formerOwner"]);
        let events = acme.events().await.split_off(before);
        let types: Vec<_> = events.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types,
            ["organization.ownership_transferred", "membership.role_assigned", "membership.roles_changed"]);
        let data = &events[0]["organizationOwnershipTransferred"];
        assert_eq!((&data["ownerMembershipId"], &data["formerOwnerMembershipId"], &data["formerOwnerRole"]),
            (&json!(bob), &json!(acme.owner), &json!("admin")));
        assert_eq!(data["after"], acme.get().await, "the organization itself stays as it is");
        assert!(events[1..].iter().all(|event| event["correlationId"] == events[0]["eventId"]
            && event["causationId"] == events[0]["eventId"]));
        let role = |membership: &str, role: &str| json!({"membershipId": membership, "role": role});
        acme.refused("MembershipService/RevokeRole", role(&bob, "owner"), "LAST_OWNER").await;
    }

    async fn the_former_owner_gets_the_role_that_is_named(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bob = text(&acme.add("bob@example.com", &[]).await["membershipId"]);
        acme.call("RoleService/CreateRole", json!({"slug": "org-emeritus"})).await;
        let named = |role: &str| {
            let mut request = transfer(&acme.owner, &bob);
            request["formerOwnerRole"] = json!(role);
            request
        };
        acme.refused(TRANSFER, named("org-unknown"), "ROLE_NOT_FOUND").await;
        let owner = acme.root.refused("OrganizationService/TransferOwnership", acme.request(named("owner")),
            "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&owner), ["former_owner_role"]);
        let same = acme.request(transfer(&bob, &bob));
        let same = acme.root.refused("OrganizationService/TransferOwnership", same, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&same), ["new_owner_membership_id"]);
        let done = acme.call(TRANSFER, named("org-emeritus")).await;
        assert_eq!(roles(&done["formerOwner"]), ["org-emeritus"]);
    }

    async fn who_is_no_active_owner_hands_nothing_over(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bob = acme.add("bob@example.com", &["owner"]).await;
        let (bob, user) = (text(&bob["membershipId"]), bob["userId"].clone());
        let cy = text(&acme.add("cy@example.com", &["admin"]).await["membershipId"]);
        let before = acme.events().await.len();
        acme.refused(TRANSFER, transfer(&cy, &bob), "NOT_AN_OWNER").await;
        assert_eq!(acme.events().await.len(), before, "what is refused changes nothing");
        let whose = json!({"membershipId": bob});
        acme.call("MembershipService/SuspendMembership", whose.clone()).await;
        acme.refused(TRANSFER, transfer(&bob, &cy), "NOT_AN_OWNER").await;
        acme.call("MembershipService/ReactivateMembership", whose.clone()).await;
        acme.root.call("UserService/SuspendUser", json!({"userId": user})).await;
        acme.refused(TRANSFER, transfer(&bob, &cy), "NOT_AN_OWNER").await;
        acme.call("MembershipService/RemoveMember", whose).await;
        acme.refused(TRANSFER, transfer(&bob, &cy), "NOT_AN_OWNER").await;
        acme.call(TRANSFER, transfer(&acme.owner, &cy)).await;
        acme.refused(TRANSFER, transfer(&acme.owner, &cy), "NOT_AN_OWNER").await;
    }

    async fn only_an_active_member_becomes_an_owner(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bob = acme.add("bob@example.com", &[]).await;
        let (bob, user) = (text(&bob["membershipId"]), bob["userId"].clone());
        let (to_bob, whose) = (transfer(&acme.owner, &bob), json!({"membershipId": bob}));
        acme.call("MembershipService/SuspendMembership", whose.clone()).await;
        acme.refused(TRANSFER, to_bob.clone(), "MEMBER_NOT_ACTIVE").await;
        acme.call("MembershipService/ReactivateMembership", whose.clone()).await;
        acme.root.call("UserService/SuspendUser", json!({"userId": user})).await;
        acme.refused(TRANSFER, to_bob.clone(), "MEMBER_NOT_ACTIVE").await;
        acme.root.call("UserService/ReactivateUser", json!({"userId": user})).await;
        acme.call("MembershipService/RemoveMember", whose).await;
        acme.refused(TRANSFER, to_bob, "MEMBER_NOT_ACTIVE").await;
        let other = Acme::new(&server.root, "other").await;
        acme.refused(TRANSFER, transfer(&acme.owner, &other.owner), "MEMBERSHIP_NOT_FOUND").await;
        acme.refused(TRANSFER, transfer(&other.owner, &acme.owner), "MEMBERSHIP_NOT_FOUND").await;
        acme.call("DeleteOrganization", json!({})).await;
        acme.refused(TRANSFER, transfer(&acme.owner, &bob), "ORGANIZATION_DELETING").await;
    }

    async fn of_many_transfers_of_one_ownership_one_is_made(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let mut heirs = Vec::new();
        for heir in 0..64 {
            heirs.push(text(&acme.add(&format!("heir-{heir}@example.com"), &[]).await["membershipId"]));
        }
        let before = acme.events().await.len();
        let transfers = heirs.iter().map(|heir| {
            acme.root.try_call("OrganizationService/TransferOwnership", acme.request(transfer(&acme.owner, heir)))
        });
        let answers = join_all(transfers).await;
        let made: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(refused.iter().all(|status| reason(status) == "NOT_AN_OWNER"), "{refused:?}");
        assert_eq!(acme.owners().await, [text(&made[0]["owner"]["membershipId"])]);
        assert_eq!(acme.events().await.len(), before + 3);
    }

    async fn both_ways_at_once_there_is_always_one_owner(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bob = text(&acme.add("bob@example.com", &[]).await["membershipId"]);
        for _ in 0..4 {
            let before = acme.events().await.len();
            let ways = (0..64).map(|call| {
                let (from, to) = if call % 2 == 0 { (&acme.owner, &bob) } else { (&bob, &acme.owner) };
                acme.root.try_call("OrganizationService/TransferOwnership", acme.request(transfer(from, to)))
            });
            let answers = join_all(ways).await;
            let made = answers.iter().filter(|answer| answer.is_ok()).count();
            let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err().map(reason)).collect();
            assert!(made > 0 && refused.iter().all(|why| why == "NOT_AN_OWNER"), "{made} made, {refused:?}");
            assert_eq!(acme.owners().await.len(), 1);
            let events = acme.events().await.split_off(before);
            assert_eq!(events.len(), 3 * made);
            let new_owner = |event: &Value| event["organizationOwnershipTransferred"]["ownerMembershipId"].clone();
            let owners: Vec<_> = events.iter().step_by(3).map(new_owner).collect();
            assert!(owners.windows(2).all(|two| two[0] != two[1]), "each hands on what the last one got");
        }
    }
}

in_a_house! {
    async fn a_user_hands_over_their_own_ownership_alone(house) {
        let root = &house.server.root;
        let acme = Acme::new(root, "acme").await;
        let mut people = Vec::new();
        for (name, role) in [("bob", "owner"), ("cy", "owner"), ("dan", "admin")] {
            let member = acme.add(&format!("{name}@example.com"), &[role]).await;
            let caller = crate::callers::link(&house, &text(&member["userId"]), name).await;
            people.push((text(&member["membershipId"]), caller));
        }
        let [(bob, as_bob), (cy, _), (dan, as_dan)] = &people[..] else { panic!() };
        let method = "OrganizationService/TransferOwnership";
        as_bob.refused(method, acme.request(transfer(cy, dan)), "OWNERSHIP_OF_ANOTHER").await;
        as_dan.refused(method, acme.request(transfer(cy, dan)), "MISSING_PERMISSION").await;
        as_bob.call(method, acme.request(transfer(bob, dan))).await;
        as_bob.refused(method, acme.request(transfer(bob, cy)), "MISSING_PERMISSION").await;
        as_dan.call(method, acme.request(transfer(dan, bob))).await;
        let service = house.server.caller(&["organizations:transfer"]).await;
        service.call(method, acme.request(transfer(cy, dan))).await;
        house.server.caller(&["organizations:write"]).await
            .refused(method, acme.request(transfer(bob, cy)), "MISSING_PERMISSION").await;
    }
}
