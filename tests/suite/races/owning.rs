//! Of the last two owners one stays.

use serde_json::{Value, json};

use super::{add, crowd::Crowd, is_owner, members, organization, races, remove, rounds};
use crate::support::{Engine, text};

/// Every way in which somebody ceases to be an owner who counts.
const WAYS: [&str; 8] = [
    "MembershipService/RemoveMember",
    "MembershipService/Leave",
    "MembershipService/SuspendMembership",
    "MembershipService/RevokeRole",
    "MembershipService/SetRoles",
    "MembershipService/UpdateMembership",
    "UserService/SuspendUser",
    "UserService/DeleteUser",
];

/// Why somebody who is an owner no more cannot be made to cease again.
const DONE: [&str; 2] = ["ILLEGAL_TRANSITION", "USER_NOT_FOUND"];

/// That an owner ceases to be one, in this way.
fn end(way: &str, owner: &Value) -> Value {
    let (organization, id) = (&owner["organizationId"], &owner["membershipId"]);
    match way {
        "MembershipService/RevokeRole" => json!({"organizationId": organization, "membershipId": id, "role": "owner"}),
        "MembershipService/SetRoles" => {
            json!({"organizationId": organization, "membershipId": id, "roles": ["member"]})
        }
        "MembershipService/UpdateMembership" => {
            let membership =
                json!({"organizationId": organization, "membershipId": id, "endTime": "2999-01-01T00:00:00Z"});
            json!({"membership": membership, "updateMask": "endTime"})
        }
        way if way.starts_with("UserService/") => json!({"userId": owner["userId"]}),
        _ => json!({"organizationId": organization, "membershipId": id}),
    }
}

/// An organization's last two owners.
async fn two_owners(crowd: &Crowd, acme: &str, round: usize) -> [Value; 2] {
    let before = members(crowd.root(), acme).await;
    let mut two = Vec::new();
    for name in ["a", "b"] {
        two.push(add(crowd.root(), acme, &format!("{name}{round}@example.com"), &["member", "owner"]).await);
    }
    for membership in before {
        remove(crowd.root(), &membership).await;
    }
    assert_eq!(members(crowd.root(), acme).await, two);
    two.try_into().unwrap()
}

/// Whether a user may act.
async fn is_active(crowd: &Crowd, user: &Value) -> bool {
    let user = crowd.root().call("UserService/GetUser", json!({"userId": user})).await;
    user["user"]["status"] == "USER_STATUS_ACTIVE"
}

races! {
    /// Turn about, both are removed, or made to cease in every way there is.
    async fn of_the_last_two_owners_one_stays(crowd) {
        let acme = organization(crowd.root(), "acme").await;
        let mut log = crowd.log(&[&acme]).await;
        for round in 0..rounds() {
            let owners = two_owners(crowd, &acme, round).await;
            log.news().await;
            let ways = if round % 2 == 0 { &WAYS[..1] } else { &WAYS };
            let outcomes = crowd.call(|number| {
                let way = ways[number / 2 % ways.len()];
                (way, end(way, &owners[number % 2]))
            }).await;

            let mut staying = Vec::new();
            for owner in members(crowd.root(), &acme).await {
                if is_owner(&owner) && owner["endTime"].is_null() && is_active(crowd, &owner["userId"]).await {
                    staying.push(owner);
                }
            }
            let stays = owners.iter().position(|owner| staying == [owner.clone()]);
            let stays = stays.unwrap_or_else(|| panic!("{staying:?} stay of {owners:?}: {outcomes:?}"));
            let (of_who_stays, of_who_went) =
                (outcomes.of(|number| number % 2 == stays), outcomes.of(|number| number % 2 != stays));
            assert!(of_who_stays.0.iter().all(|outcome| *outcome == Err("LAST_OWNER".to_owned())), "{of_who_stays:?}");
            assert!(of_who_went.refusals().iter().all(|refusal| DONE.contains(refusal)), "{of_who_went:?}");
            let (news, staying) = (log.news().await, [&staying[0]["membershipId"], &staying[0]["userId"]]);
            assert!(news.iter().all(|event| !staying.contains(&&event["subject"]["id"])), "{news:?}");
            if ways.len() == 1 {
                assert_eq!(of_who_went.refusals(), [""; 0]);
                assert_eq!(news.iter().map(|event| text(&event["type"])).collect::<Vec<_>>(), ["membership.removed"]);
            } else {
                assert!(!news.is_empty());
            }
        }
    }
}
