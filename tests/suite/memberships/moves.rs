//! SPEC section 4, "Membership": the table of its moves. Every state, by every method.

use serde_json::{Value, json};

use super::{Acme, status};
use crate::{
    callers::link,
    in_a_house, on_both_engines,
    support::{Caller, Engine, TestServer, metadata, reason, text},
    tokens::House,
};

const STATES: [&str; 5] = ["INVITED", "PRE_PROVISIONED", "ACTIVE", "SUSPENDED", "REMOVED"];

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Outcome {
    /// A move, to this state, with this event.
    To(&'static str, &'static str),
    /// Nothing: it is there already.
    Same,
    /// Refused: there is no such move to this state.
    Not(&'static str),
}

use Outcome::{Not, Same, To};

/// Each method, with what it does to a membership in each of [`STATES`].
const MOVES: [(&str, [Outcome; 5]); 5] = [
    ("ActivateMembership", [ACTIVATED, ACTIVATED, Same, Not("ACTIVE"), Not("ACTIVE")]),
    ("SuspendMembership", [Not("SUSPENDED"), Not("SUSPENDED"), SUSPENDED, Same, Not("SUSPENDED")]),
    ("ReactivateMembership", [Not("ACTIVE"), Not("ACTIVE"), Same, REACTIVATED, Not("ACTIVE")]),
    ("RemoveMember", [REMOVED, REMOVED, REMOVED, REMOVED, Same]),
    ("Leave", [REMOVED, REMOVED, REMOVED, REMOVED, Same]),
];
const ACTIVATED: Outcome = To("ACTIVE", "membership.activated");
const SUSPENDED: Outcome = To("SUSPENDED", "membership.suspended");
const REACTIVATED: Outcome = To("ACTIVE", "membership.reactivated");
const REMOVED: Outcome = To("REMOVED", "membership.removed");

/// A membership of somebody new in this state.
async fn membership(acme: &Acme<'_>, state: &str, email: &str) -> Value {
    let member = match state {
        "INVITED" => json!({"email": email, "invite": {}}),
        "PRE_PROVISIONED" => json!({"email": email, "preProvision": {}}),
        _ => json!({"email": email}),
    };
    let added = acme.add(member).await;
    let which = json!({"membershipId": added["membershipId"]});
    match state {
        "SUSPENDED" => acme.call("SuspendMembership", which).await,
        "REMOVED" => acme.call("RemoveMember", which).await,
        _ => added,
    }
}

/// One method on a membership in one state; a user calls without saying which.
async fn try_move(acme: &Acme<'_>, by: &Caller, (method, outcome): (&str, Outcome), before: &Value, named: bool) {
    let what = format!("{method} of {}", status(before));
    let events = acme.events().await.len();
    let mut request = json!({"organizationId": acme.id, "reason": "moved"});
    if named {
        request["membershipId"] = before["membershipId"].clone();
    }
    let answer = by.try_call(&format!("MembershipService/{method}"), request).await;
    let after = acme.get(&before["membershipId"]).await;
    let new = acme.events().await.split_off(events);
    match (outcome, answer) {
        (To(state, event), Ok(answer)) => {
            assert_eq!(answer["membership"], after, "{what}");
            assert_eq!((status(&after).as_str(), &after["statusReason"]), (state, &json!("moved")), "{what}");
            assert_ne!(after["etag"], before["etag"], "{what}");
            let types: Vec<_> = new.iter().map(|event| text(&event["type"])).collect();
            assert_eq!(types, [event], "{what}");
            let verb = event.split('.').nth(1).unwrap();
            let data = &new[0][format!("membership{}{}", verb[..1].to_uppercase(), &verb[1..])];
            assert_eq!((&data["before"], &data["after"]), (before, &after), "{what}: {}", new[0]);
        }
        (Same, Ok(answer)) => {
            assert_eq!((&answer["membership"], &after), (before, before), "{what}");
            assert!(new.is_empty(), "{what}: {new:?}");
        }
        (Not(to), Err(refusal)) => {
            assert_eq!(reason(&refusal), "ILLEGAL_TRANSITION", "{what}: {}", refusal.message());
            let named = metadata(&refusal);
            assert_eq!((named["from"].as_str(), named["to"].as_str()), (status(before).as_str(), to), "{what}");
            assert_eq!((&after, new.len()), (before, 0), "{what}");
        }
        (_, answer) => panic!("{what}: {answer:?}"),
    }
}

on_both_engines! {
    async fn a_membership_makes_the_moves_of_the_table_and_no_other(server) {
        let acme = Acme::build(&server.root).await;
        for (method, outcomes) in MOVES {
            for (state, outcome) in STATES.into_iter().zip(outcomes) {
                let email = format!("{method}-{state}@example.com");
                let before = membership(&acme, state, &email).await;
                assert_eq!(status(&before), state);
                server.clock.advance(std::time::Duration::from_secs(1));
                try_move(&acme, &server.root, (method, outcome), &before, true).await;
            }
        }
    }
}

in_a_house! {
    async fn a_user_makes_their_own_moves(house) {
        let acme = Acme::build(&house.server.root).await;
        for (method, outcomes) in [MOVES[0], MOVES[4]] {
            for (state, outcome) in STATES.into_iter().zip(outcomes) {
                let subject = format!("{method}-{state}");
                let before = membership(&acme, state, &format!("{subject}@example.com")).await;
                let user = link(&house, &text(&before["userId"]), &subject).await;
                if state == "REMOVED" {
                    let request = json!({"organizationId": acme.id});
                    let method = format!("MembershipService/{method}");
                    user.refused(&method, request.clone(), "ORGANIZATION_NOT_FOUND").await;
                } else {
                    try_move(&acme, &user, (method, outcome), &before, false).await;
                }
            }
        }
    }
}
