//! Tokens: what they tell whom, and that they are nowhere.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::{Acme, DAY, acceptance};
use crate::{
    on_both_engines,
    support::{Database, Engine, TestServer, text},
};

/// What takes a token, and the rest of a request for it.
const TAKERS: [&str; 3] = ["PreviewInvitation", "AcceptInvitation", "DeclineInvitation"];

/// Every method that takes a token refuses this one for this reason.
async fn assert_refused(acme: &Acme<'_>, token: &Value, reason: &str) {
    for method in TAKERS {
        let mut request = json!({"token": token});
        if method == "AcceptInvitation" {
            request["email"] = json!("bo@example.com");
            request["emailVerified"] = json!(true);
        }
        acme.root.refused(&format!("InvitationService/{method}"), request, reason).await;
    }
}

/// Everything that is in a database, as text; bytes are in hex too.
async fn everything(database: &Database) -> String {
    match database {
        Database::Sqlite(folder) => {
            let mut all = String::new();
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    all += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
                }
            }
            all
        }
        Database::Postgres { url } => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
            let tables = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            let mut all = String::new();
            for table in tables {
                let name: String = table.get(0);
                let sql = AssertSqlSafe(format!("SELECT t::text FROM {name} t"));
                for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
                    all += &row.get::<String, _>(0);
                }
            }
            all
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

on_both_engines! {
    async fn a_token_that_never_was_valid_tells_nothing(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let token = text(&made["token"]);
        assert!(token.starts_with("rinv_") && token.len() == 48, "256 bits: {}", token.len());
        for place in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            let altered = json!(String::from_utf8(altered).unwrap());
            acme.root.refused("InvitationService/PreviewInvitation", json!({"token": altered}), "INVITATION_NOT_FOUND").await;
        }
        for nothing in ["x", "rinv_", &token[..47], &format!("{token}A"), &format!(" {token}"), &token.to_uppercase()] {
            assert_refused(&acme, &json!(nothing), "INVITATION_NOT_FOUND").await;
        }
        let stranger = server.stranger().await;
        let theirs = Acme::build(&stranger).await;
        assert_refused(&theirs, &made["token"], "INVITATION_NOT_FOUND").await;
        server.root.call("InvitationService/PreviewInvitation", json!({"token": token})).await;
    }

    async fn a_token_that_was_valid_tells_why_it_is_not(server) {
        let acme = Acme::build(&server.root).await;
        let id = |made: &Value| acme.with(json!({"invitationId": made["invitation"]["invitationId"], "skipMail": true}));

        let made = acme.invite("bo@example.com", json!({})).await;
        let resent = acme.root.call("InvitationService/ResendInvitation", id(&made)).await;
        assert_refused(&acme, &made["token"], "INVITATION_TOKEN_REPLACED").await;
        acme.root.call("InvitationService/AcceptInvitation", acceptance(&resent, "bo@example.com")).await;
        assert_refused(&acme, &resent["token"], "INVITATION_USED").await;
        let of_accepted = acme.root.call("MembershipService/RemoveMember",
            acme.with(json!({"membershipId": made["invitation"]["membershipId"]}))).await;
        assert_eq!(of_accepted["membership"]["status"], "MEMBERSHIP_STATUS_REMOVED");
        assert_refused(&acme, &resent["token"], "INVITATION_USED").await;

        let made = acme.invite("bo@example.com", json!({})).await;
        acme.root.call("InvitationService/DeclineInvitation", json!({"token": made["token"]})).await;
        assert_refused(&acme, &made["token"], "INVITATION_DECLINED").await;

        let made = acme.invite("bo@example.com", json!({})).await;
        let revoke = acme.with(json!({"invitationId": made["invitation"]["invitationId"]}));
        acme.root.call("InvitationService/RevokeInvitation", revoke).await;
        assert_refused(&acme, &made["token"], "INVITATION_REVOKED").await;

        let made = acme.invite("bo@example.com", json!({"lifetime": "60s"})).await;
        server.clock.advance(DAY);
        assert_refused(&acme, &made["token"], "INVITATION_EXPIRED").await;
    }

    async fn looking_never_consumes_it(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({"message": "Welcome"})).await;
        let before = acme.events("").await.len();
        for _ in 0..20 {
            let shown = acme.root.call("InvitationService/PreviewInvitation", json!({"token": made["token"]})).await;
            assert_eq!(shown["invitation"], made["invitation"]);
            assert_eq!(shown["organizationName"], "Acme & Sons");
        }
        assert_eq!(acme.events("").await.len(), before);
        acme.root.call("InvitationService/AcceptInvitation", acceptance(&made, "bo@example.com")).await;
    }

    async fn the_latest_tokens_are_kept_and_the_valid_one_is_among_them(server) {
        let acme = Acme::build(&server.root).await;
        let made = acme.invite("bo@example.com", json!({})).await;
        let resend = acme.with(json!({"invitationId": made["invitation"]["invitationId"], "skipMail": true}));
        let mut last = made.clone();
        for _ in 0..30 {
            last = acme.root.call("InvitationService/ResendInvitation", resend.clone()).await;
        }
        assert_refused(&acme, &made["token"], "INVITATION_NOT_FOUND").await;
        acme.root.call("InvitationService/AcceptInvitation", acceptance(&last, "bo@example.com")).await;
    }

    async fn no_token_is_stored(server) {
        let acme = Acme::build(&server.root).await;
        let with_id = |mut request: Value, id: &str| {
            request["requestId"] = json!(id);
            request
        };
        let create = "InvitationService/CreateInvitation";
        let made = acme.root.call(create, with_id(acme.invitation("bo@example.com", json!({})), "1")).await;
        let entries = json!({"invitations": [{"email": "cy@example.com", "skipMail": true}], "requestId": "2"});
        let bulk = acme.call("InvitationService/BulkCreateInvitations", entries).await;
        let resend = json!({"invitationId": made["invitation"]["invitationId"], "requestId": "3"});
        let resent = acme.call("InvitationService/ResendInvitation", resend).await;
        let accept = with_id(acceptance(&resent, "bo@example.com"), "4");
        acme.root.call("InvitationService/AcceptInvitation", accept.clone()).await;
        acme.root.call("InvitationService/AcceptInvitation", accept).await; // the same once more
        let decline = json!({"token": bulk["results"][0]["token"], "requestId": "5"});
        acme.root.call("InvitationService/DeclineInvitation", decline).await;
        let all = everything(&server.database).await;
        assert!(all.contains("cy@example.com"), "everything is looked at");
        for token in [&made["token"], &resent["token"], &bulk["results"][0]["token"]] {
            let token = text(token);
            let secret = token.strip_prefix("rinv_").unwrap();
            assert!(!all.contains(secret) && !all.contains(&hex(secret)), "a token is stored");
        }
    }
}
