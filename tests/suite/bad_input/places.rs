//! The other places of a request where the name of a thing goes: what is of another tenant is not found there either.

use serde_json::json;

use super::{House, attempt, not_found};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, reason},
};

/// A method, a word that is in another place than in its entry of `METHODS`, and the request.
const PLACES: &[(&str, &str, &str)] = &[
    (
        "GrantService/SetGrant",
        "$team",
        r#"{"organizationId": "$org", "principal": {"teamId": "$team"},
        "resource": {"type": "doc", "id": "2"}, "permission": "$known"}"#,
    ),
    (
        "GrantService/SetGrant",
        "$role",
        r#"{"organizationId": "$org", "principal": {"role": "$role"},
        "resource": {"type": "doc", "id": "2"}, "permission": "$known"}"#,
    ),
    (
        "GrantService/SetGrant",
        "$role",
        r#"{"organizationId": "$org", "principal": {"membershipId": "$mem"},
        "resource": {"type": "doc", "id": "2"}, "role": "$role"}"#,
    ),
    (
        "OrganizationService/CreateOrganization",
        "$user",
        r#"{"slug": "another", "initialOwners": [{"userId": "$user"}]}"#,
    ),
    ("UserService/LookupUser", "$user", r#"{"userId": "$user"}"#),
    (
        "RoleService/DeleteRole",
        "$role",
        r#"{"organizationId": "$org", "slug": "org-$slug", "replacementRole": "$role"}"#,
    ),
    (
        "RoleService/PreviewRoleChange",
        "$known",
        r#"{"organizationId": "$org", "role": "$role", "permissions": {"permissions": ["$known"]}}"#,
    ),
    (
        "PolicyService/TestPolicies",
        "$org",
        r#"{"organizationId": "$org", "changes": [{"put": {"organizationId": "$org",
        "name": "new", "text": "permit (principal, action, resource);"}}],
        "requests": [{"userId": "$anybody", "permission": "$known"}]}"#,
    ),
    (
        "AuthorizationService/ListSubjects",
        "$known",
        r#"{"organizationId": "$org", "permission": "$known", "resource": {"type": "doc", "id": "1"}}"#,
    ),
    (
        "AuthorizationService/Check",
        "$org",
        r#"{"organizationId": "$org", "permission": "$known",
        "identity": {"issuer": "https://idp.example", "subject": "$account"}}"#,
    ),
    (
        "AuthorizationService/Explain",
        "$org",
        r#"{"check": {"organizationId": "$org", "permission": "$known",
        "identity": {"issuer": "https://idp.example", "subject": "$account"}}}"#,
    ),
];

on_both_engines! {
    async fn what_is_of_another_tenant_is_not_found_in_any_place(server) {
        let theirs = House::build(&server.root, "acme").await;
        let stranger = server.stranger().await;
        let own = House::build(&stranger, "evil").await;
        let pool = roster::dynamic::contract().unwrap();
        for (name, word, template) in PLACES {
            let before = [theirs.history(&server.root).await, own.history(&stranger).await];
            let method = roster::dynamic::find(&pool, name).unwrap();
            let request = own.request(template, Some((word, &theirs.0[word])));
            let status = attempt(&stranger, &method, request.clone()).await.expect_err(name);
            assert_eq!(Some(reason(&status).as_str()), not_found(word), "{name} {request}: {}", status.message());
            assert_eq!([theirs.history(&server.root).await, own.history(&stranger).await], before, "{name}");
            let good = attempt(&stranger, &method, own.request(template, None)).await;
            // A role that is its own replacement is wrong in itself.
            assert!(good.is_ok() || *name == "RoleService/DeleteRole", "{name}: {good:?}");
        }
    }

    async fn an_account_of_another_tenant_is_nobody(server) {
        let theirs = House::build(&server.root, "acme").await;
        let stranger = server.stranger().await;
        let own = House::build(&stranger, "evil").await;
        let account = json!({"issuer": "https://idp.example", "subject": theirs.0["$account"]});
        let question = json!({"organizationId": own.0["$org"], "identity": account, "permission": own.0["$known"]});
        let answer = stranger.call("AuthorizationService/Check", question.clone()).await;
        assert_eq!(answer["reason"], "CHECK_REASON_NOT_A_MEMBER");
        let explained = stranger.call("AuthorizationService/Explain", json!({"check": question})).await;
        assert_eq!((&explained["userId"], &explained["membershipId"]), (&json!(""), &json!("")));
        let list = json!({"organizationId": own.0["$org"], "identity": account});
        let permissions = stranger.call("AuthorizationService/ListPermissions", list).await;
        assert_eq!(permissions["permissions"], json!([]));
        let unlink = json!({"userId": own.0["$user"], "identity": account});
        stranger.refused("UserService/UnlinkIdentity", unlink, "IDENTITY_NOT_FOUND").await;
        let found = server.root.call("UserService/GetUser", json!({"userId": theirs.0["$user"]})).await;
        assert_eq!(found["user"]["identities"].as_array().unwrap().len(), 1);
    }
}
