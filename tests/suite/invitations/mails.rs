//! The mails of invitations, to a real mail server and into a folder.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Acme, DAY};
use crate::support::{
    Caller, Engine, TestServer,
    smtp::{MailServer, token_in},
    text,
};

/// One test, once for each engine, on a server with a mail server.
macro_rules! with_mail {
    ($(async fn $name:ident($server:ident, $mail:ident) $body:block)*) => {
        $(
            mod $name {
                use super::*;

                async fn run($server: TestServer, $mail: MailServer) $body

                async fn on(engine: Engine) {
                    let mail = MailServer::start().await;
                    let url = mail.url();
                    let server = TestServer::with_mail(engine, |config| {
                        config.smtp_url = Some(url);
                        config.from = "Acme <hello@acme.example>".parse().unwrap();
                        config.invitation_url = "https://app.example/join?token={token}&from=mail".to_owned();
                    });
                    run(server.await, mail).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    on(Engine::Sqlite).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    on(Engine::Postgres).await;
                }
            }
        )*
    };
}

/// Invites by mail.
async fn invite(acme: &Acme<'_>, email: &str, mut more: Value) -> Value {
    more["email"] = json!(email);
    acme.call("InvitationService/CreateInvitation", json!({"invitation": more})).await
}

async fn accept(root: &Caller, token: &str, email: &str) -> Value {
    let accept = json!({"token": token, "email": email, "emailVerified": true});
    root.call("InvitationService/AcceptInvitation", accept).await
}

with_mail! {
    async fn it_is_sent_resent_and_accepted_through_the_mail(server, mail) {
        let acme = Acme::build(&server.root).await;
        let ada = server.root.call("UserService/LookupUser", json!({"email": "ada@acme.example"})).await;
        let more = json!({"displayName": "Bo", "message": "Welcome <b>!", "inviterUserId": ada["user"]["userId"]});
        let made = invite(&acme, "Bo@bücher.example", more).await;
        assert_eq!(made["invitation"]["mailStatus"], "INVITATION_MAIL_STATUS_PENDING");
        let first = mail.wait_for(1).await.remove(0);
        assert_eq!(first.from, "hello@acme.example");
        assert_eq!(first.to, ["Bo@xn--bcher-kva.example"]);
        for part in ["To: Bo <Bo@xn--bcher-kva.example>", "From: Acme <hello@acme.example>", "text/plain", "text/html",
            "Auto-Submitted: auto-generated", "Message-ID: <inv_", "Welcome <b>!", "Welcome &lt;b&gt;!",
            "ada@acme.example invites you to join Acme & Sons", "Acme &amp; Sons"] {
            let whole = first.data.replace("=\r\n", "").replace("\r\n ", " ").replace("=3D", "=");
            assert!(whole.contains(part), "{part}: {whole}");
        }
        acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_SENT").await;
        let sent = acme.events("invitation.mail_sent").await;
        assert_eq!((sent.len(), &sent[0]["changedFields"]), (1, &json!(["mail_status"])));
        assert_eq!(sent[0]["actor"]["kind"], "EVENT_ACTOR_KIND_SYSTEM");

        // The token in the mail and the caller's are both good, and end together.
        let shown = json!({"token": first.token()});
        server.root.call("InvitationService/PreviewInvitation", shown.clone()).await;
        assert_ne!(json!(first.token()), made["token"]);
        let resend = json!({"invitationId": made["invitation"]["invitationId"]});
        acme.call("InvitationService/ResendInvitation", resend).await;
        let second = mail.wait_for(2).await.remove(1);
        server.root.refused("InvitationService/PreviewInvitation", shown, "INVITATION_TOKEN_REPLACED").await;
        let accepted = accept(&server.root, &second.token(), "bo@bücher.example").await;
        assert_eq!(accepted["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE");
        let said = format!("{:?}", acme.events("").await);
        assert!(!said.contains(&first.token()) && !said.contains(&second.token()));
    }

    async fn without_a_mail_server_no_call_fails_and_the_mail_goes_out_after(server, mail) {
        mail.go_away().await;
        let acme = Acme::build(&server.root).await;
        let mut made = Vec::new();
        for n in 0..5 {
            made.push(invite(&acme, &format!("p{n}@example.com"), json!({})).await);
        }
        let revoke = json!({"invitationId": made[4]["invitation"]["invitationId"]});
        acme.call("InvitationService/RevokeInvitation", revoke).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        for one in &made[..4] {
            assert_eq!(acme.get(one).await["mailStatus"], "INVITATION_MAIL_STATUS_PENDING");
        }
        mail.come_back().await;
        server.clock.advance(Duration::from_mins(1)); // past the first pause
        let received = mail.wait_for(4).await;
        for (n, one) in made[..4].iter().enumerate() {
            acme.until(one, "mailStatus", "INVITATION_MAIL_STATUS_SENT").await;
            let email = format!("p{n}@example.com");
            let letter = received.iter().find(|letter| letter.to == [email.clone()]).expect("a mail");
            accept(&server.root, &letter.token(), &email).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(mail.received().len(), 4, "nothing twice, and nothing for what was taken back");
        assert_eq!(acme.get(&made[4]).await["mailStatus"], "INVITATION_MAIL_STATUS_UNSPECIFIED");
    }

    async fn a_refused_recipient_is_visible_and_an_event(server, mail) {
        mail.refuse(550, "no such mailbox");
        let acme = Acme::build(&server.root).await;
        let made = invite(&acme, "bo@example.com", json!({})).await;
        let failed = acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_FAILED").await;
        let why = text(&failed["mailError"]);
        assert!(why.contains("550") && why.contains("no such mailbox"), "{why}");
        assert_eq!(failed["status"], "INVITATION_STATUS_PENDING", "it can still be accepted");
        let events = acme.events("invitation.mail_failed").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["invitationMailFailed"]["after"], failed);
        server.clock.advance(DAY);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(acme.events("invitation.mail").await.len(), 1, "it is not tried again");
        accept(&server.root, &text(&made["token"]), "bo@example.com").await;
    }

    async fn what_may_be_mended_is_tried_for_three_days(server, mail) {
        mail.refuse(451, "try later");
        let acme = Acme::build(&server.root).await;
        let made = invite(&acme, "bo@example.com", json!({})).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            assert_eq!(acme.get(&made).await["mailStatus"], "INVITATION_MAIL_STATUS_PENDING");
            server.clock.advance(Duration::from_hours(1));
        }
        server.clock.advance(3 * DAY);
        let failed = acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_FAILED").await;
        assert!(text(&failed["mailError"]).contains("451"));
    }

    async fn no_header_is_smuggled_in(server, mail) {
        let acme = Acme::build(&server.root).await;
        let name = json!({"organization": {"organizationId": acme.id, "displayName": "Acme =?utf-8?q?=0D=0ABcc: all?= \u{2028}é"},
            "updateMask": "displayName"});
        server.root.call("OrganizationService/UpdateOrganization", name).await;
        let more = json!({"displayName": "Bo\", <all@example.com>, \"x", "message": ".\u{2028}QUIT"});
        invite(&acme, "bo@example.com", more).await;
        let letter = mail.wait_for(1).await.remove(0);
        assert_eq!(letter.to, ["bo@example.com"]);
        let (headers, _) = letter.data.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = headers.replace("\r\n ", " ").lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        let mut expected = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"];
        let mut found: Vec<_> = names.iter().map(String::as_str).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{headers}");
    }
}

async fn into_the_folder(engine: Engine) {
    let templates = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("invitation.de.subject.txt", "Einladung zu {{ organization.name }}"),
        ("invitation.de.txt", "Servus {{ person.name }}: {{ link }}"),
        ("invitation.de.html", "<p>{{ organization.name }}: <a href=\"{{ link }}\">hier</a></p>"),
    ] {
        std::fs::write(templates.path().join(file), text).unwrap();
    }
    let folder = templates.path().to_owned();
    let server = TestServer::with_mail(engine, |config| config.templates = Some(folder)).await;
    let acme = Acme::build(&server.root).await;
    let made = invite(&acme, "bo@example.com", json!({"locale": "de-AT", "displayName": "Bo"})).await;
    acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_SENT").await;
    let mails: Vec<_> =
        std::fs::read_dir(server.database.mail_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].extension().unwrap(), "eml");
    let mail = std::fs::read_to_string(&mails[0]).unwrap();
    assert!(mail.contains("Subject: Einladung zu Acme & Sons"), "{mail}");
    assert!(mail.contains("Servus Bo") && mail.contains("<p>Acme &amp; Sons"), "{mail}");
    accept(&server.root, &token_in(&mail), "bo@example.com").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mail_server_mails_are_files_on_sqlite() {
    into_the_folder(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mail_server_mails_are_files_on_postgres() {
    into_the_folder(Engine::Postgres).await;
}
