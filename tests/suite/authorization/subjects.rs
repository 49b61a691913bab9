//! An account of an identity provider as the subject of a question.

use serde_json::{Value, json};

use super::{House, doc};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, bad_fields},
};

fn account(subject: &str) -> Value {
    json!({"issuer": "https://idp.example", "subject": subject})
}

/// What every method answers about an account: Check, BatchCheck, the two lists, Explain.
async fn everywhere(house: &House, consistency: &Value) -> [Value; 5] {
    let who = json!({"identity": account("bob"), "consistency": consistency});
    let with = |more: Value| {
        let mut request = who.clone();
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let question = with(json!({"permission": "docs:read"}));
    let check = house.call("AuthorizationService/Check", question.clone()).await;
    let entry = json!({"identity": account("bob"), "permission": "docs:read"});
    let batch = json!({"entries": [entry], "consistency": consistency});
    let batch = house.call("AuthorizationService/BatchCheck", batch).await;
    let permissions = house.call("AuthorizationService/ListPermissions", who.clone()).await;
    let resources = house.call("AuthorizationService/ListAccessibleResources", question.clone()).await;
    let mut question = question;
    question["organizationId"] = json!(house.organization);
    let explained = house.caller.call("AuthorizationService/Explain", json!({"check": question})).await;
    [
        check["reason"].clone(),
        batch["results"][0]["reason"].clone(),
        permissions["permissions"].clone(),
        resources["resources"].clone(),
        explained["userId"].clone(),
    ]
}

on_both_engines! {
    async fn an_account_is_the_user_whom_it_is_linked_to(server) {
        let house = House::build(&server).await;
        house.call("MembershipService/SetRoles", json!({"membershipId": house.membership, "roles": ["reader"]})).await;
        house.chain("page", 1).await;
        let nobody = json!("CHECK_REASON_NOT_A_MEMBER");
        let unknown = [nobody.clone(), nobody, json!([]), json!([]), json!("")];
        assert_eq!(everywhere(&house, &json!({})).await, unknown, "nobody was ever linked to it");
        let link = json!({"userId": house.user, "identity": account("bob")});
        for _ in 0..3 {
            let linked = house.caller.call("UserService/LinkIdentity", link.clone()).await;
            let role = json!("CHECK_REASON_ROLE");
            let known = [role.clone(), role, json!(["docs:read"]), json!([doc("page 0")]), json!(house.user)];
            let included = json!({"atLeastAsFresh": linked["revision"]});
            for consistency in [&included, &json!({"fullyConsistent": true}), &json!({})] {
                assert_eq!(everywhere(&house, consistency).await, known);
            }
            let unlinked = house.caller.call("UserService/UnlinkIdentity", link.clone()).await;
            let included = json!({"atLeastAsFresh": unlinked["revision"]});
            for consistency in [&included, &json!({"fullyConsistent": true}), &json!({})] {
                assert_eq!(everywhere(&house, consistency).await, unknown);
            }
        }
    }

    async fn a_subject_is_named_one_way(server) {
        let house = House::build(&server).await;
        let both = json!({"userId": house.user, "identity": account("bob"), "permission": "docs:read"});
        for method in ["Check", "ListPermissions", "ListAccessibleResources"] {
            let mut both = both.clone();
            if method == "ListPermissions" {
                both.as_object_mut().unwrap().remove("permission");
            }
            let status = house.refused(&format!("AuthorizationService/{method}"), both, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["user_id"], "{method}");
        }
        let mut check = both.clone();
        check["organizationId"] = json!(house.organization);
        let explain = json!({"check": check});
        let status = house.caller.refused("AuthorizationService/Explain", explain, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["check.user_id"]);
        let good = json!({"userId": house.user, "permission": "docs:read"});
        let neither = json!({"permission": "docs:read"});
        let entries = json!({"entries": [both, good, neither]});
        let answer = house.call("AuthorizationService/BatchCheck", entries).await;
        let reasons: Vec<_> =
            answer["results"].as_array().unwrap().iter().map(|result| result["error"]["reason"].clone()).collect();
        assert_eq!(reasons, [json!("INVALID_REQUEST"), Value::Null, json!("INVALID_REQUEST")]);
        let half = json!({"identity": {"issuer": "https://idp.example"}, "permission": "docs:read"});
        let status = house.refused("AuthorizationService/Check", half, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["identity.subject"]);
    }
}

/// Replicas share a PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_another_replica_ends_has_ended_for_who_brings_its_revision() {
    let server = TestServer::start(Engine::Postgres).await;
    let house = House::build(&server).await;
    house.assign("reader").await;
    let replica = server.replica(|_| ()).await;
    let other = &replica.root;
    let link = json!({"userId": house.user, "identity": account("bob")});
    let check = |revision: &Value| {
        json!({"organizationId": house.organization, "identity": account("bob"),
        "permission": "docs:read", "consistency": {"atLeastAsFresh": revision}})
    };
    for _ in 0..10 {
        let linked = house.caller.call("UserService/LinkIdentity", link.clone()).await;
        let answer = other.call("AuthorizationService/Check", check(&linked["revision"])).await;
        assert_eq!(answer["reason"], "CHECK_REASON_ROLE");
        let unlinked = house.caller.call("UserService/UnlinkIdentity", link.clone()).await;
        let answer = other.call("AuthorizationService/Check", check(&unlinked["revision"])).await;
        assert_eq!(answer["reason"], "CHECK_REASON_NOT_A_MEMBER");
    }
}
