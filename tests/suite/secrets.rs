//! Secrets are handed out once, and nothing keeps or tells them: what every test searches for, here proven to be found, and all
//! of it handed out.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    invitations::{Acme, acceptance},
    on_both_engines,
    support::{Database, Engine, TestServer, secrets, text},
};

/// What looks like a token of an invitation.
fn token() -> String {
    format!("rinv_{}", "aB3-_".repeat(9))
}

#[test]
fn what_looks_like_a_secret_is_found() {
    let jwt = format!("eyJhbGciOiJFUzI1NiJ9.{}.{}", "eyJhIjoxfQ".repeat(5), "x".repeat(86));
    for secret in [token(), format!("rk_{}", "0a".repeat(35)), jwt] {
        assert_eq!(secrets::find(&format!("in \"{secret}\" the middle")), Some(&*secret));
    }
    for harmless in ["rinv_…", "rk_short", "eyJ", &"0a".repeat(80)] {
        assert_eq!(secrets::find(harmless), None);
    }
}

#[tokio::test]
async fn what_a_table_keeps_is_found() {
    let server = TestServer::start(Engine::Postgres).await; // for the tables
    let Database::Postgres { url } = &server.database else { unreachable!() };
    assert_eq!(secrets::kept_in(&server.database).await, [""; 0]);
    let mut connection = PgConnection::connect(url).await.unwrap();
    for (column, value) in [("text", "$1"), ("bytea", "convert_to($1, 'UTF8')")] {
        let plant = format!("INSERT INTO planted SELECT {value} AS it");
        let create = format!("CREATE TABLE planted (it {column})");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(plant)).bind(token()).execute(&mut connection).await.unwrap();
        assert_eq!(secrets::kept_in(&server.database).await.len(), 1, "{column}");
        sqlx::query("DROP TABLE planted").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_file_keeps_is_found() {
    let database = Database::fresh(Engine::Sqlite).await;
    let roster::db::Location::Folder(folder) = database.location() else { unreachable!() };
    std::fs::write(folder.join("roster.db"), [&[0xff, 0, 1], token().as_bytes(), &[0]].concat()).unwrap();
    assert_eq!(secrets::kept_in(&database).await.len(), 1);
}

on_both_engines! {
    async fn of_all_that_is_handed_out_nothing_is_kept_or_told(server) {
        let acme = Acme::build(&server.root).await;
        let create = json!({"name": "k", "scopes": ["users:read"], "requestId": "k1"});
        let key = server.root.call("ApiKeyService/CreateApiKey", create.clone()).await;
        assert_eq!(secrets::find(&text(&key["secret"])), Some(&*text(&key["secret"])), "a key has the shape that is looked for");
        assert_eq!(server.root.call("ApiKeyService/CreateApiKey", create).await, key, "kept, though sealed");
        let which = json!({"apiKeyId": key["apiKey"]["apiKeyId"]});
        server.root.call("ApiKeyService/RotateApiKey", which).await;

        let mut create = acme.with(json!({"invitation": {"email": "bo@example.com"}}));
        create["requestId"] = json!("i1");
        let made = server.root.call("InvitationService/CreateInvitation", create.clone()).await;
        assert_eq!(secrets::find(&text(&made["token"])), Some(&*text(&made["token"])), "so has a token");
        assert_eq!(server.root.call("InvitationService/CreateInvitation", create).await, made);
        acme.until(&made, "mailStatus", "INVITATION_MAIL_STATUS_SENT").await;
        let bulk = json!({"invitations": [{"email": "cy@example.com"}, {"email": "dan@example.com"}]});
        acme.call("InvitationService/BulkCreateInvitations", bulk).await;
        let which = json!({"invitationId": made["invitation"]["invitationId"]});
        let resent = acme.call("InvitationService/ResendInvitation", which).await;
        server.root.refused("InvitationService/AcceptInvitation", acceptance(&made, "bo@example.com"), "INVITATION_TOKEN_REPLACED").await;
        server.root.call("InvitationService/AcceptInvitation", acceptance(&resent, "bo@example.com")).await;
        server.root.refused("InvitationService/AcceptInvitation", acceptance(&resent, "bo@example.com"), "INVITATION_USED").await;
        // Whatever a caller sends where no secret belongs, it is not told to others by way of a log.
        server.root.refused("InvitationService/PreviewInvitation", json!({"token": format!("{}x", text(&resent["token"]))}),
            "INVITATION_NOT_FOUND").await;
        let stranger = crate::support::Caller::connect(&server.address, Some(format!("{}x", text(&key["secret"])))).await;
        stranger.refused("UserService/ListUsers", json!({}), "INVALID_CREDENTIALS").await;
        acme.call("InvitationService/ListInvitations", json!({})).await;
        acme.events("").await;
        server.root.events("").await;
    }
}
