//! Who accepts: users by their own token, and services for whom they name.

use serde_json::{Value, json};

use super::{Acme, DAY, acceptance};
use crate::{
    in_a_house, on_both_engines,
    support::{Caller, Engine, TestServer},
    tokens::{AUDIENCE, House, USERS},
};

/// A user who is known by an account, whose token says this.
async fn user(house: &House, user_id: &Value, subject: &str, claims: Value) -> Caller {
    let account = json!({"userId": user_id, "identity": {"issuer": USERS, "subject": subject}});
    house.server.root.call("UserService/LinkIdentity", account).await;
    holder(house, subject, claims).await
}

async fn holder(house: &House, subject: &str, mut claims: Value) -> Caller {
    let all = json!({"iss": USERS, "sub": subject, "aud": AUDIENCE, "exp": house.now() + 3000});
    for (name, value) in all.as_object().unwrap() {
        claims[name] = value.clone();
    }
    house.caller(&house.key.token(&claims)).await
}

fn verified(email: &str) -> Value {
    json!({"email": email, "email_verified": true})
}

in_a_house! {
    async fn a_user_accepts_what_was_sent_to_their_own_verified_address(house) {
        let acme = Acme::build(&house.server.root).await;
        let made = acme.invite("bo@example.com", json!({"roles": ["developer"]})).await;
        let bo = user(&house, &made["invitation"]["userId"], "bo", json!({})).await;
        let accept = "InvitationService/AcceptInvitation";
        let token = json!({"token": made["token"]});
        for unsaid in [json!({}), json!({"email": "bo@example.com"}), verified("other@example.com"),
            json!({"email": "bo@example.com", "email_verified": false})] {
            let bo = holder(&house, "bo", unsaid).await;
            bo.refused(accept, token.clone(), "ADDRESS_NOT_VERIFIED").await;
        }
        // What a service would say is not theirs to say.
        let claimed = json!({"token": made["token"], "email": "bo@example.com", "emailVerified": true});
        bo.refused(accept, claimed, "ADDRESS_NOT_VERIFIED").await;
        let bo = holder(&house, "bo", verified("Bo@Example.com")).await;
        let shown = bo.call("InvitationService/PreviewInvitation", token.clone()).await;
        assert_eq!(shown["invitation"]["invitationId"], made["invitation"]["invitationId"]);
        let accepted = bo.call(accept, token).await;
        assert_eq!(accepted["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE");
        assert_eq!(accepted["membership"]["authenticatedVia"], USERS);
        let event = acme.events("invitation.accepted").await.pop().unwrap();
        assert_eq!(event["actor"]["kind"], "EVENT_ACTOR_KIND_USER");
        assert_eq!(event["actor"]["id"], made["invitation"]["userId"]);
        bo.call("OrganizationService/GetOrganization", acme.with(json!({}))).await;
    }

    async fn nobody_accepts_or_declines_what_is_anothers(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let eve = root.call("UserService/CreateUser", json!({"email": "eve@example.com"})).await;
        let eve = user(&house, &eve["user"]["userId"], "eve", verified("eve@example.com")).await;
        let token = json!({"token": made["token"]});
        for method in ["InvitationService/AcceptInvitation", "InvitationService/DeclineInvitation"] {
            eve.refused(method, token.clone(), "INVITATION_ADDRESS_MISMATCH").await;
        }
        // Her token may say another address: it is not the one that she is known by.
        let liar = holder(&house, "eve", verified("bo@example.com")).await;
        liar.refused("InvitationService/AcceptInvitation", token.clone(), "INVITATION_ADDRESS_MISMATCH").await;
        let bo = user(&house, &made["invitation"]["userId"], "bo", json!({})).await;
        let declined = bo.call("InvitationService/DeclineInvitation", token).await;
        assert_eq!(declined["invitation"]["status"], "INVITATION_STATUS_DECLINED");
    }

    async fn without_the_token_the_address_must_be_proven_too(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let made = acme.invite("ceo@example.com", json!({"roles": ["admin"]})).await;
        let user_id = &made["invitation"]["userId"];
        let activate = acme.with(json!({}));
        let method = "MembershipService/ActivateMembership";
        let unproven = user(&house, user_id, "mallory", json!({"email": "ceo@example.com"})).await;
        unproven.refused(method, activate.clone(), "ADDRESS_NOT_VERIFIED").await;
        let other = holder(&house, "mallory", verified("mallory@example.com")).await;
        other.refused(method, activate.clone(), "INVITATION_ADDRESS_MISMATCH").await;
        let proven = holder(&house, "mallory", verified("ceo@example.com")).await;
        proven.call(method, activate).await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_ACCEPTED");
    }

    async fn a_request_that_took_its_own_right_is_answered_again(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let owner = root.call("UserService/LookupUser", json!({"email": "ada@acme.example"})).await;
        let ada = user(&house, &owner["user"]["userId"], "ada", json!({})).await;
        let next = acme.call("MembershipService/AddMember", json!({"member": {"email": "bo@example.com"}})).await;
        let listed = acme.call("MembershipService/ListMemberships", json!({"userId": owner["user"]["userId"]})).await;
        let transfer = acme.with(json!({"requestId": "t", "ownerMembershipId": listed["memberships"][0]["membershipId"],
            "newOwnerMembershipId": next["membership"]["membershipId"], "formerOwnerRole": "member"}));
        let method = "OrganizationService/TransferOwnership";
        let answer = ada.call(method, transfer.clone()).await;
        assert_eq!(ada.call(method, transfer.clone()).await, answer);
        let mut other = transfer.clone();
        other["requestId"] = json!("another");
        ada.refused(method, other, "MISSING_PERMISSION").await;
        let mut changed = transfer;
        changed["formerOwnerRole"] = json!("admin");
        ada.refused(method, changed, "MISSING_PERMISSION").await;
        assert_eq!(acme.events("organization.ownership_transferred").await.len(), 1);
    }

    async fn a_suspended_user_declines_nothing(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let bo = user(&house, &made["invitation"]["userId"], "bo", verified("bo@example.com")).await;
        root.call("UserService/SuspendUser", json!({"userId": made["invitation"]["userId"]})).await;
        let decline = json!({"token": made["token"]});
        bo.refused("InvitationService/DeclineInvitation", decline.clone(), "USER_SUSPENDED").await;
        bo.refused("InvitationService/PreviewInvitation", decline, "USER_SUSPENDED").await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_PENDING");
    }

    async fn a_user_who_invites_is_the_inviter_and_gives_what_they_have(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let member = json!({"member": {"email": "max@acme.example", "displayName": "Max", "roles": ["admin"]}});
        let max = acme.call("MembershipService/AddMember", member).await["membership"]["userId"].clone();
        let caller = user(&house, &max, "max", json!({})).await;
        let create = "InvitationService/CreateInvitation";
        let made = caller.call(create, acme.invitation("bo@example.com", json!({"roles": ["admin"]}))).await;
        assert_eq!(made["invitation"]["inviterUserId"], max);
        let shown = root.call("InvitationService/PreviewInvitation", json!({"token": made["token"]})).await;
        assert_eq!(shown["inviterName"], "Max");
        let owner = acme.invitation("cy@example.com", json!({"roles": ["owner"]}));
        caller.refused(create, owner, "MISSING_PERMISSION").await;
        let plain = json!({"member": {"email": "mia@acme.example"}});
        let mia = acme.call("MembershipService/AddMember", plain).await["membership"]["userId"].clone();
        let mia = user(&house, &mia, "mia", json!({})).await;
        mia.refused(create, acme.invitation("cy@example.com", json!({})), "MISSING_PERMISSION").await;
    }
}

on_both_engines! {
    async fn a_service_accepts_for_whom_it_names_and_says_that_they_are_verified(server) {
        let acme = Acme::build(&server.root).await;
        let service = server.caller(&["invitations:accept"]).await;
        let accept = "InvitationService/AcceptInvitation";
        let made = acme.invite("bo@example.com", json!({})).await;
        let (token, user) = (&made["token"], &made["invitation"]["userId"]);
        service.refused(accept, json!({"token": token}), "INVALID_REQUEST").await;
        let unverified = json!({"token": token, "email": "bo@example.com"});
        service.refused(accept, unverified, "ADDRESS_NOT_VERIFIED").await;
        let other = acceptance(&made, "eve@example.com");
        service.refused(accept, other, "INVITATION_ADDRESS_MISMATCH").await;
        let nobody = json!({"email": "eve@example.com"});
        server.root.refused("UserService/LookupUser", nobody, "USER_NOT_FOUND").await;
        let by_id = json!({"token": token, "userId": user, "emailVerified": true});
        server.caller(&["invitations:write"]).await.refused(accept, by_id.clone(), "MISSING_PERMISSION").await;
        service.call(accept, by_id).await;
    }

    async fn a_suspended_user_accepts_nothing(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        server.root.call("UserService/SuspendUser", json!({"userId": made["invitation"]["userId"]})).await;
        let accept = acceptance(&made, "bo@example.com");
        server.root.refused("InvitationService/AcceptInvitation", accept, "USER_SUSPENDED").await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_PENDING");
    }

    async fn another_address_of_the_domain_is_another_address_until_the_domain_is_verified(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@acme.example", json!({"allowSameVerifiedDomain": true})).await;
        let accept = acceptance(&made, "cy@acme.example");
        server.root.refused("InvitationService/AcceptInvitation", accept, "INVITATION_ADDRESS_MISMATCH").await;
    }

    async fn nobody_takes_a_place_whose_time_is_over(server) {
        let acme = Acme::build(&server.root).await;
        let member = json!({"email": "office@example.com", "invite": {}, "endTime": server.clock.in_future(DAY)});
        let added = acme.call("MembershipService/AddMember", json!({"member": member})).await;
        let resend = json!({"invitationId": added["invitationId"], "skipMail": true});
        let made = acme.call("InvitationService/ResendInvitation", resend).await;
        let moved = json!({"user": {"userId": added["membership"]["userId"], "email": "bo@example.com"},
            "updateMask": "email"});
        server.root.call("UserService/UpdateUser", moved).await;
        server.root.call("UserService/CreateUser", json!({"email": "office@example.com"})).await;
        server.clock.advance(2 * DAY);
        let accept = acceptance(&made, "office@example.com");
        server.root.refused("InvitationService/AcceptInvitation", accept, "MEMBERSHIP_ENDED").await;
    }

    async fn whoever_has_the_address_now_takes_the_place(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("office@example.com", json!({"roles": ["developer"]})).await;
        let before = &made["invitation"]["userId"];
        let moved = json!({"user": {"userId": before, "email": "bo@example.com"}, "updateMask": "email"});
        server.root.call("UserService/UpdateUser", moved).await;
        let next = server.root.call("UserService/CreateUser", json!({"email": "office@example.com"})).await;
        let accept = acceptance(&made, "office@example.com");
        let accepted = server.root.call("InvitationService/AcceptInvitation", accept).await;
        assert_eq!(accepted["membership"]["userId"], next["user"]["userId"]);
        assert_eq!(accepted["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE");
        assert_eq!(accepted["membership"]["roles"][0]["role"], "developer");
        assert_eq!(accepted["invitation"]["membershipId"], accepted["membership"]["membershipId"]);
        let place = acme.membership(&made["invitation"]["membershipId"]).await;
        assert_eq!(place["status"], "MEMBERSHIP_STATUS_REMOVED");
        assert_eq!(acme.events("invitation.accepted").await.len(), 1);
        assert_eq!(acme.events("invitation.revoked").await.len(), 0);
    }
}
