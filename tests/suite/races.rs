//! Races: 64 callers at once, round after round. Whoever is first, the outcome is one that the rules allow: exactly so
//! many answers, everybody else refused for the right reason, the state, and the events of exactly that.
//!
//! Ordinarily each race has a few rounds on each engine. `ROSTER_RACES=1000` says how many instead.

mod accepting;
mod adding;
mod claiming;
mod crowd;
mod owning;
mod repeating;
mod transferring;

use serde_json::{Value, json};

use crate::{
    decisions::number,
    support::{Caller, text},
};

/// How many rounds each race has on each engine.
const ROUNDS: usize = 10;

fn rounds() -> usize {
    number("ROSTER_RACES").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap())
}

/// Races, each once for each engine.
macro_rules! races {
    ($($(#[$doc:meta])* async fn $name:ident($crowd:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn run($crowd: &Crowd) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let crowd = Crowd::gather(Engine::Sqlite).await;
                run(&crowd).await;
                crowd.tell(stringify!($name), rounds());
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let crowd = Crowd::gather(Engine::Postgres).await;
                run(&crowd).await;
                crowd.tell(stringify!($name), rounds());
            }
        }
    )*};
}
pub(crate) use races;

/// An organization, which knows nobody yet.
async fn organization(root: &Caller, slug: &str) -> String {
    let created = root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    text(&created["organization"]["organizationId"])
}

async fn add(root: &Caller, organization: &str, email: &str, roles: &[&str]) -> Value {
    let add = json!({"organizationId": organization, "member": {"email": email, "roles": roles}});
    root.call("MembershipService/AddMember", add).await["membership"].clone()
}

/// The present members of an organization, as of one moment.
async fn members(root: &Caller, organization: &str) -> Vec<Value> {
    let all = json!({"organizationId": organization, "pageSize": 200});
    let page = root.call("MembershipService/ListMemberships", all).await;
    assert_eq!(page["nextPageToken"], "");
    page["memberships"].as_array().unwrap().clone()
}

async fn remove(root: &Caller, membership: &Value) {
    let which = json!({"organizationId": membership["organizationId"], "membershipId": membership["membershipId"]});
    root.call("MembershipService/RemoveMember", which).await;
}

/// Whether a membership is active and has the role of an owner.
fn is_owner(membership: &Value) -> bool {
    let mut roles = membership["roles"].as_array().unwrap().iter();
    membership["status"] == "MEMBERSHIP_STATUS_ACTIVE" && roles.any(|role| role["role"] == "owner")
}
