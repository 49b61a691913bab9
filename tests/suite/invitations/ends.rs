//! The ends of an invitation, and of the membership that goes with it.

use serde_json::{Value, json};

use super::{Acme, DAY, acceptance};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, text},
};

/// The invitation ended so, and its membership with it, which follows from that.
async fn assert_over(acme: &Acme<'_>, made: &Value, verb: &str) {
    let event = acme.events(&format!("invitation.{verb}")).await.pop().expect("an event");
    assert_eq!(event["subject"]["id"], made["invitation"]["invitationId"]);
    let removed = acme.events("membership.removed").await.pop().expect("an event");
    assert_eq!(removed["subject"]["id"], made["invitation"]["membershipId"]);
    assert_eq!(removed["causationId"], event["eventId"], "it follows");
    assert_eq!(removed["correlationId"], event["correlationId"]);
    let now = acme.get(made).await;
    assert_eq!(now["status"], format!("INVITATION_STATUS_{}", verb.to_uppercase()));
    assert!(now["endTime"].is_string());
    assert_eq!(acme.membership(&made["invitation"]["membershipId"]).await["status"], "MEMBERSHIP_STATUS_REMOVED");
}

on_both_engines! {
    async fn declined_revoked_and_expired_ones_take_their_membership_with_them(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let decline = json!({"token": made["token"], "reason": "no time"});
        let declined = server.root.call("InvitationService/DeclineInvitation", decline).await;
        assert_eq!(declined["invitation"]["statusReason"], "no time");
        assert_over(&acme, &made, "declined").await;

        let made = acme.invite("bo@example.com", json!({})).await;
        let id = json!({"invitationId": made["invitation"]["invitationId"]});
        let revoked = acme.call("InvitationService/RevokeInvitation", id.clone()).await;
        assert_over(&acme, &made, "revoked").await;
        let again = acme.call("InvitationService/RevokeInvitation", id).await;
        assert_eq!(again["invitation"], revoked["invitation"], "again changes nothing");
        assert_eq!(acme.events("invitation.revoked").await.len(), 1);

        let made = acme.invite("bo@example.com", json!({"lifetime": "3600s"})).await;
        server.clock.advance(DAY);
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_EXPIRED", "at once");
        expired(&acme, &made).await;
        assert_over(&acme, &made, "expired").await;
    }

    async fn what_has_ended_is_not_revoked_or_resent(server) {
        let acme = Acme::build(&server.root).await;
        let accepted = acme.invite("a@example.com", json!({})).await;
        server.root.call("InvitationService/AcceptInvitation", acceptance(&accepted, "a@example.com")).await;
        let declined = acme.invite("d@example.com", json!({})).await;
        server.root.call("InvitationService/DeclineInvitation", json!({"token": declined["token"]})).await;
        let revoked = acme.invite("r@example.com", json!({})).await;
        let id = |made: &Value| acme.with(json!({"invitationId": made["invitation"]["invitationId"]}));
        server.root.call("InvitationService/RevokeInvitation", id(&revoked)).await;
        let expired = acme.invite("e@example.com", json!({"lifetime": "60s"})).await;
        server.clock.advance(DAY);
        for made in [&accepted, &declined, &expired] {
            server.root.refused("InvitationService/RevokeInvitation", id(made), "ILLEGAL_TRANSITION").await;
        }
        for made in [&accepted, &declined, &revoked] {
            server.root.refused("InvitationService/ResendInvitation", id(made), "ILLEGAL_TRANSITION").await;
        }
    }

    async fn who_was_erased_is_not_invited_again_by_resending(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({"lifetime": "3600s"})).await;
        server.clock.advance(DAY);
        expired(&acme, &made).await;
        server.root.call("UserService/EraseUser", json!({"userId": made["invitation"]["userId"]})).await;
        let id = acme.with(json!({"invitationId": made["invitation"]["invitationId"]}));
        server.root.refused("InvitationService/ResendInvitation", id, "ILLEGAL_TRANSITION").await;
    }

    async fn a_resent_one_keeps_its_id_and_has_another_token(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({"lifetime": "3600s", "roles": ["developer"]})).await;
        let resend = json!({"invitationId": made["invitation"]["invitationId"], "skipMail": true});
        let resent = acme.call("InvitationService/ResendInvitation", resend.clone()).await;
        assert_eq!(resent["invitation"]["invitationId"], made["invitation"]["invitationId"]);
        assert_eq!(resent["invitation"]["membershipId"], made["invitation"]["membershipId"]);
        assert_ne!(resent["token"], made["token"]);
        let preview = "InvitationService/PreviewInvitation";
        server.root.refused(preview, json!({"token": made["token"]}), "INVITATION_TOKEN_REPLACED").await;
        server.root.call(preview, json!({"token": resent["token"]})).await;
        server.clock.advance(DAY);
        server.root.call(preview, json!({"token": resent["token"]})).await;
        // Expired, and its membership over: it begins again.
        server.clock.advance(7 * DAY);
        expired(&acme, &resent).await;
        let third = acme.call("InvitationService/ResendInvitation", resend.clone()).await;
        assert_eq!(third["invitation"]["status"], "INVITATION_STATUS_PENDING");
        assert_eq!(third["invitation"]["invitationId"], made["invitation"]["invitationId"]);
        assert_ne!(third["invitation"]["membershipId"], made["invitation"]["membershipId"]);
        assert!(third["invitation"]["endTime"].is_null());
        let accepted = server.root.call("InvitationService/AcceptInvitation", acceptance(&third, "bo@example.com")).await;
        assert_eq!(accepted["membership"]["membershipId"], third["invitation"]["membershipId"]);
        assert_eq!(accepted["membership"]["roles"][0]["role"], "developer");
        assert_eq!(acme.events("invitation.resent").await.len(), 2);
    }

    async fn an_expired_one_is_not_resent_past_another(server) {
        let acme = Acme::build(&server.root).await;
        let first = acme.invite("bo@example.com", json!({"lifetime": "60s"})).await;
        server.clock.advance(DAY);
        acme.invite("bo@example.com", json!({})).await;
        let resend = acme.with(json!({"invitationId": first["invitation"]["invitationId"]}));
        server.root.refused("InvitationService/ResendInvitation", resend, "INVITATION_PENDING").await;
    }

    async fn the_end_of_the_membership_takes_the_invitation_back(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let id = json!({"membershipId": made["invitation"]["membershipId"]});
        acme.call("MembershipService/RemoveMember", id).await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_REVOKED");
        let made = acme.invite("bo@example.com", json!({})).await;
        let user = json!({"userId": made["invitation"]["userId"]});
        server.root.call("UserService/DeleteUser", user).await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_REVOKED");
        let accept = acceptance(&made, "bo@example.com");
        server.root.refused("InvitationService/AcceptInvitation", accept, "INVITATION_REVOKED").await;
    }

    async fn a_first_sign_in_accepts_it_too(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let id = json!({"membershipId": made["invitation"]["membershipId"]});
        acme.call("MembershipService/ActivateMembership", id).await;
        assert_eq!(acme.get(&made).await["status"], "INVITATION_STATUS_ACCEPTED");
        let late = acme.invite("cy@example.com", json!({"lifetime": "60s"})).await;
        server.clock.advance(DAY);
        let id = acme.with(json!({"membershipId": late["invitation"]["membershipId"]}));
        let refused = server.root.try_call("MembershipService/ActivateMembership", id).await.unwrap_err();
        assert!(["INVITATION_EXPIRED", "ILLEGAL_TRANSITION"].contains(&crate::support::reason(&refused).as_str()));
    }

    async fn its_end_is_recorded_once(server) {
        let acme = Acme::build(&server.root).await;
        let mut made = Vec::new();
        for n in 0..20 {
            made.push(acme.invite(&format!("p{n}@example.com"), json!({})).await);
        }
        server.clock.advance(7 * DAY);
        for one in &made {
            expired(&acme, one).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        let mut events: Vec<_> =
            acme.events("invitation.expired").await.iter().map(|event| text(&event["subject"]["id"])).collect();
        assert_eq!(events.len(), 20);
        events.sort();
        events.dedup();
        assert_eq!(events.len(), 20);
    }
}

/// Waits until the end of an invitation is recorded.
async fn expired(acme: &Acme<'_>, made: &Value) {
    for _ in 0..200 {
        if acme.get(made).await["endTime"].is_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not recorded: {}", acme.get(made).await);
}
