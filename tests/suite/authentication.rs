//! Keys, scopes, and what is open to everybody.

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, assert_code, text},
};

on_both_engines! {
    async fn nobody_calls_without_a_valid_key(server) {
        let list = || json!({});
        let anonymous = server.anonymous().await;
        let status =
            anonymous.refused("OrganizationService/ListOrganizations", list(), "MISSING_CREDENTIALS").await;
        assert_code(&status, Code::Unauthenticated);
        let key = server.root.client.key.clone().unwrap();
        let other = if key.ends_with('A') { 'B' } else { 'A' };
        let forged = [format!("{}{other}", &key[..key.len() - 1]), "rk_x".to_owned(), "x".to_owned()];
        for key in forged {
            let forger = Caller::connect(&server.address, Some(key)).await;
            forger.refused("OrganizationService/ListOrganizations", list(), "INVALID_CREDENTIALS").await;
        }
    }

    async fn a_key_does_what_its_scopes_say(server) {
        let reader = server.caller(&["organizations:read", "users:*"]).await;
        reader.call("OrganizationService/ListOrganizations", json!({})).await;
        reader.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await;
        let create = json!({"slug": "acme"});
        let status = reader.refused("OrganizationService/CreateOrganization", create, "MISSING_PERMISSION").await;
        assert_code(&status, Code::PermissionDenied);
        let everything = server.caller(&["*"]).await;
        everything.refused("TenantService/ListTenants", json!({}), "MISSING_PERMISSION").await;
        let grab = json!({"name": "more", "scopes": ["platform"]});
        everything.refused("ApiKeyService/CreateApiKey", grab, "MISSING_PERMISSION").await;
    }

    async fn keys_end_by_themselves_by_rotation_and_by_revocation(server) {
        let list = || json!({});
        let end = server.clock.in_future(Duration::from_secs(60));
        let request = json!({"name": "short", "scopes": ["organizations:read"], "expireTime": end});
        let made = server.root.call("ApiKeyService/CreateApiKey", request).await;
        let short = Caller::connect(&server.address, Some(text(&made["secret"]))).await;
        short.call("OrganizationService/ListOrganizations", list()).await;
        server.clock.advance(Duration::from_secs(61));
        short.refused("OrganizationService/ListOrganizations", list(), "INVALID_CREDENTIALS").await;

        let request = json!({"name": "long", "scopes": ["organizations:read"]});
        let made = server.root.call("ApiKeyService/CreateApiKey", request).await;
        let old = Caller::connect(&server.address, Some(text(&made["secret"]))).await;
        let which = json!({"apiKeyId": made["apiKey"]["apiKeyId"], "overlap": "60s"});
        let rotated = server.root.call("ApiKeyService/RotateApiKey", which).await;
        let new = Caller::connect(&server.address, Some(text(&rotated["secret"]))).await;
        old.call("OrganizationService/ListOrganizations", list()).await;
        new.call("OrganizationService/ListOrganizations", list()).await;
        server.clock.advance(Duration::from_secs(61));
        old.refused("OrganizationService/ListOrganizations", list(), "INVALID_CREDENTIALS").await;
        new.call("OrganizationService/ListOrganizations", list()).await;

        let which = json!({"apiKeyId": rotated["apiKey"]["apiKeyId"]});
        server.root.call("ApiKeyService/RevokeApiKey", which).await;
        new.refused("OrganizationService/ListOrganizations", list(), "INVALID_CREDENTIALS").await;
    }

    async fn no_secret_is_ever_shown_again(server) {
        let made = server.root.call("ApiKeyService/CreateApiKey", json!({"name": "k", "scopes": ["*"]})).await;
        let secret = text(&made["secret"]);
        let id = json!({"apiKeyId": made["apiKey"]["apiKeyId"]});
        let seen = [
            server.root.call("ApiKeyService/GetApiKey", id).await.to_string(),
            server.root.call("ApiKeyService/ListApiKeys", json!({})).await.to_string(),
            format!("{:?}", server.root.events("").await),
        ];
        assert!(seen.iter().all(|text| !text.contains(&secret[30..])));
    }

    async fn health_and_reflection_are_open(server) {
        let channel = server.anonymous().await.client.channel;
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
        let answer = health.check(tonic_health::pb::HealthCheckRequest { service: String::new() }).await.unwrap();
        assert_eq!(answer.get_ref().status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
        use tonic_reflection::pb::v1::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel);
        let mut answers =
            client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        assert!(format!("{:?}", answers.message().await.unwrap()).contains("roster.v1.AuthorizationService"));
    }
}
