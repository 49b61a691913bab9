//! The same request twice has one effect. That every write is so is shown where every write is called: see tenants.rs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, text},
    tokens::House,
};

const DAY: Duration = Duration::from_hours(24);

async fn organization(caller: &Caller) -> Value {
    let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    made["organization"]["organizationId"].clone()
}

fn member(organization: &Value, email: &str, request_id: &str) -> Value {
    json!({"organizationId": organization, "member": {"email": email}, "requestId": request_id})
}

async fn members(caller: &Caller, organization: &Value) -> usize {
    let all = json!({"organizationId": organization});
    caller.list("MembershipService/ListMemberships", all, "memberships").await.len()
}

/// Everything that is stored of requests.
async fn stored(server: &TestServer) -> Vec<u8> {
    let db = roster::db::Db::open(&server.location()).await.unwrap();
    let sql = "SELECT digest, COALESCE(answer, digest) FROM requests";
    let rows: Vec<(Vec<u8>, Vec<u8>)> = db.snapshot().await.unwrap().fetch_all(sql, Vec::new()).await.unwrap();
    db.close().await;
    rows.into_iter().flat_map(|(digest, answer)| [digest, answer].concat()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

on_both_engines! {
    async fn a_repeated_request_returns_the_first_answer_also_when_the_state_has_moved_on(server) {
        let root = &server.root;
        let organization = organization(root).await;
        let add = member(&organization, "ada@example.com", "one");
        let first = root.call("MembershipService/AddMember", add.clone()).await;
        let remove = json!({"organizationId": organization, "membershipId": first["membership"]["membershipId"]});
        root.call("MembershipService/RemoveMember", remove).await;
        assert_eq!(root.call("MembershipService/AddMember", add).await, first);
        assert_eq!(members(root, &organization).await, 0, "nobody was added again");
    }

    async fn an_id_is_of_one_request_of_one_caller_for_a_day(server) {
        let root = &server.root;
        let organization = organization(root).await;
        let add = |email: &str| member(&organization, email, "one");
        root.call("MembershipService/AddMember", add("ada@example.com")).await;
        root.refused("MembershipService/AddMember", add("bob@example.com"), "IDEMPOTENCY_KEY_REUSED").await;
        let suspend = json!({"organizationId": organization, "requestId": "one"});
        root.refused("OrganizationService/SuspendOrganization", suspend, "IDEMPOTENCY_KEY_REUSED").await;
        assert_eq!(members(root, &organization).await, 1, "what is refused changes nothing");
        server.caller(&["members:*"]).await.call("MembershipService/AddMember", add("bob@example.com")).await;
        server.clock.advance(DAY.checked_sub(Duration::from_secs(1)).unwrap());
        root.refused("MembershipService/AddMember", add("cy@example.com"), "IDEMPOTENCY_KEY_REUSED").await;
        server.clock.advance(Duration::from_secs(1));
        root.call("MembershipService/AddMember", add("cy@example.com")).await;
        assert_eq!(members(root, &organization).await, 3);
    }

    async fn what_failed_is_tried_again(server) {
        let root = &server.root;
        let create = json!({"slug": "acme", "externalId": "7", "requestId": "one"});
        let other = json!({"slug": "other", "externalId": "7"});
        let other = root.call("OrganizationService/CreateOrganization", other).await["organization"].clone();
        root.refused("OrganizationService/CreateOrganization", create.clone(), "EXTERNAL_ID_TAKEN").await;
        let free = json!({"organization": {"organizationId": other["organizationId"], "externalId": ""},
            "updateMask": "externalId"});
        root.call("OrganizationService/UpdateOrganization", free).await;
        let made = root.call("OrganizationService/CreateOrganization", create.clone()).await;
        assert_eq!(root.call("OrganizationService/CreateOrganization", create).await, made);
    }

    async fn a_tenant_that_is_asked_for_again_is_the_one_that_was_made(server) {
        let root = &server.root;
        let create = json!({"slug": "beside", "requestId": "one"});
        let made = root.call("TenantService/CreateTenant", create.clone()).await;
        assert_eq!(root.call("TenantService/CreateTenant", create).await, made);
        // The id is used up in the tenant of the caller, whatever a request is about.
        let which = made["tenant"]["tenantId"].clone();
        let rename = json!({"tenant": {"tenantId": which, "displayName": "B"}, "updateMask": "displayName",
            "requestId": "one"});
        root.refused("TenantService/UpdateTenant", rename, "IDEMPOTENCY_KEY_REUSED").await;
        let user = json!({"email": "ada@example.com", "requestId": "one"});
        root.refused("UserService/CreateUser", user.clone(), "IDEMPOTENCY_KEY_REUSED").await;
        let mut there = root.clone();
        there.client.tenant = Some(text(&which));
        there.call("UserService/CreateUser", user).await;
    }

}

async fn a_secret_is_given_again_with_the_same_credential_and_is_not_stored(engine: Engine) {
    let house = House::start(engine).await;
    let token = |expires: i64| {
        let mut claims = house.claims();
        claims["exp"] = json!(house.now() + expires);
        claims["scope"] = json!("api-keys:write users:*");
        house.key.token(&claims)
    };
    // The same service, whose token was renewed.
    let (first, renewed) = (house.caller(&token(200)).await, house.caller(&token(300)).await);
    let request = json!({"name": "k", "scopes": ["users:read"], "requestId": "one"});
    let made = first.call("ApiKeyService/CreateApiKey", request.clone()).await;
    assert_eq!(first.call("ApiKeyService/CreateApiKey", request.clone()).await, made);
    let bytes = stored(&house.server).await;
    assert!(!bytes.is_empty() && !holds(&bytes, &text(&made["secret"])), "the secret is stored");
    renewed.refused("ApiKeyService/CreateApiKey", request, "IDEMPOTENCY_ANSWER_GONE").await;
    let user = json!({"email": "ada@example.com", "requestId": "two"});
    let created = first.call("UserService/CreateUser", user.clone()).await;
    assert_eq!(renewed.call("UserService/CreateUser", user).await, created, "without a secret, to the same caller");
    assert!(holds(&stored(&house.server).await, "ada@example.com"), "an answer without a secret is stored as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_given_again_on_postgres() {
    a_secret_is_given_again_with_the_same_credential_and_is_not_stored(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_given_again_on_sqlite() {
    a_secret_is_given_again_with_the_same_credential_and_is_not_stored(Engine::Sqlite).await;
}
