//! Whoever got an answer acts on it, also where it is not the first one.

use serde_json::{Value, json};

use super::House;
use crate::support::{Caller, text, wire_tap::Moment};

const ROUNDS: usize = 10;

async fn allowed(caller: &Caller, organization: &Value, user: &Value) -> bool {
    let check = json!({"organizationId": organization, "userId": user, "permission": "members:read"});
    caller.call("AuthorizationService/Check", check).await["allowed"] == true
}

fn add(organization: &Value, name: &str) -> Value {
    let member = json!({"email": format!("{name}@example.com"), "roles": ["admin"]});
    json!({"organizationId": organization, "member": member, "requestId": name})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_check_after_the_repeated_answer_includes_the_change_on_every_replica() {
    let house = House::build().await;
    let root = &house.server.root;
    let beside = house.server.replica(|_| ()).await;
    let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let acme = created["organization"]["organizationId"].clone();
    let nobody = json!(roster::ids::UserId::generate().to_string());
    for caller in [root, &beside.root] {
        assert!(!allowed(caller, &acme, &nobody).await, "warm");
    }
    for round in 0..ROUNDS {
        let (added, _) =
            house.lost(root, "MembershipService/AddMember", &add(&acme, &format!("l{round}")), Moment::After).await;
        assert!(allowed(root, &acme, &added["membership"]["userId"]).await, "lost, round {round}");
        let request = add(&acme, &format!("r{round}"));
        let first = root.call("MembershipService/AddMember", request.clone()).await;
        let again = beside.root.call("MembershipService/AddMember", request).await;
        assert_eq!(text(&again["revision"]), text(&first["revision"]));
        assert!(allowed(&beside.root, &acme, &again["membership"]["userId"]).await, "elsewhere, round {round}");
    }
    beside.stop().await;
}
