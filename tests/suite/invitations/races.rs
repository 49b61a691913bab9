//! Many at once: one wins.

use futures_util::future::join_all;
use serde_json::json;

use super::{Acme, acceptance};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, reason},
};

const AT_ONCE: usize = 64;

on_both_engines! {
    async fn of_many_who_invite_one_person_one_does(server) {
        let acme = Acme::build(&server.root).await;
        for round in 0..4 {
            let invite = acme.invitation(&format!("p{round}@example.com"), json!({}));
            let create = || server.root.try_call("InvitationService/CreateInvitation", invite.clone());
            let answers = join_all((0..AT_ONCE).map(|_| create())).await;
            let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).map(reason).collect();
            assert_eq!(refused, vec!["INVITATION_PENDING"; AT_ONCE - 1]);
        }
    }

    async fn it_is_accepted_declined_or_revoked_and_only_one_of_them(server) {
        let acme = Acme::build(&server.root).await;
        for round in 0..8 {
            let email = format!("p{round}@example.com");
            let made = acme.invite(&email, json!({})).await;
            let revoke = acme.with(json!({"invitationId": made["invitation"]["invitationId"]}));
            let calls = (0..12).map(|n| match n % 3 {
                0 => server.root.try_call("InvitationService/AcceptInvitation", acceptance(&made, &email)),
                1 => server.root.try_call("InvitationService/RevokeInvitation", revoke.clone()),
                _ => server.root.try_call("InvitationService/DeclineInvitation", json!({"token": made["token"]})),
            });
            join_all(calls).await;
            let ends = ["accepted", "declined", "revoked"].map(|verb| format!("invitation.{verb}"));
            let events = acme.events("invitation.").await;
            let mine = events.iter().filter(|event| event["subject"]["id"] == made["invitation"]["invitationId"]);
            let ended = mine.filter(|event| ends.contains(&event["type"].as_str().unwrap().to_owned())).count();
            assert_eq!(ended, 1);
            let accepted = acme.get(&made).await["status"] == "INVITATION_STATUS_ACCEPTED";
            let membership = acme.membership(&made["invitation"]["membershipId"]).await;
            let expected = if accepted { "MEMBERSHIP_STATUS_ACTIVE" } else { "MEMBERSHIP_STATUS_REMOVED" };
            assert_eq!(membership["status"], expected);
        }
    }
}
