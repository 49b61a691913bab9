//! Handing ownership over, over gRPC.

use serde_json::{Value, json};

use super::{Acme, roles};
use crate::{
    in_a_house, on_both_engines,
    support::{Engine, TestServer, bad_fields, text},
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
