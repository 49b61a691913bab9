//! One owner, however many hand the ownership over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    add,
    crowd::{AT_ONCE, Crowd},
    is_owner, members, organization, races, rounds,
};
use crate::support::{Caller, Engine, text};

/// The types of the events of one transfer.
const ONE: [&str; 3] = ["organization.ownership_transferred", "membership.role_assigned", "membership.roles_changed"];

/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

fn transfer(acme: &str, from: &Value, to: &Value) -> (&'static str, Value) {
    let request = json!({"organizationId": acme, "ownerMembershipId": from, "newOwnerMembershipId": to});
    ("OrganizationService/TransferOwnership", request)
}

/// The memberships of the owners, as of one moment.
async fn owners(root: &Caller, acme: &str) -> Vec<Value> {
    let all = members(root, acme).await;
    all.iter().filter(|member| is_owner(member)).map(|owner| owner["membershipId"].clone()).collect()
}

/// Somebody who looks again and again, and who must always see one owner; answers how often they looked.
async fn look(root: Caller, acme: String, over: Arc<AtomicBool>) -> usize {
    let mut looks = 0;
    while !over.load(Ordering::Acquire) {
        assert_eq!(owners(&root, &acme).await.len(), 1);
        looks += 1;
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    looks
}

races! {
    async fn both_ways_at_once_there_is_always_one_owner(crowd) {
        let acme = organization(crowd.root(), "acme").await;
        let ada = add(crowd.root(), &acme, "ada@example.com", &["owner"]).await["membershipId"].clone();
        let bob = add(crowd.root(), &acme, "bob@example.com", &[]).await["membershipId"].clone();
        let mut log = crowd.log(&[&acme]).await;
        let (over, mut owner) = (Arc::<AtomicBool>::default(), ada.clone());
        let looking = tokio::spawn(look(crowd.root().clone(), acme.clone(), over.clone()));
        for _ in 0..rounds() {
            let outcomes = crowd.call(|number| {
                let (from, to) = if number % 2 == 0 { (&ada, &bob) } else { (&bob, &ada) };
                transfer(&acme, from, to)
            }).await;

            assert!(outcomes.refusals().iter().all(|refusal| *refusal == "NOT_AN_OWNER"), "{outcomes:?}");
            let news = log.news().await;
            let types: Vec<_> = news.iter().map(|event| text(&event["type"])).collect();
            assert_eq!(types, vec![ONE; outcomes.answers().len()].concat());
            // Each hands on what the one before got.
            for transferred in news.iter().step_by(ONE.len()).map(|event| &event["organizationOwnershipTransferred"]) {
                assert_eq!(transferred["formerOwnerMembershipId"], owner);
                owner = transferred["ownerMembershipId"].clone();
            }
            assert!(!news.is_empty());
            assert_eq!(owners(crowd.root(), &acme).await, [owner.clone()]);
        }
        over.store(true, Ordering::Release);
        assert!(looking.await.unwrap() >= rounds());
    }

    async fn of_many_heirs_one_gets_the_ownership(crowd) {
        let acme = organization(crowd.root(), "acme").await;
        let mut owner = add(crowd.root(), &acme, "ada@example.com", &["owner"]).await["membershipId"].clone();
        let mut heirs = Vec::new();
        for number in 0..AT_ONCE {
            heirs.push(add(crowd.root(), &acme, &format!("h{number}@example.com"), &[]).await["membershipId"].clone());
        }
        let mut log = crowd.log(&[&acme]).await;
        for _ in 0..rounds() {
            let outcomes = crowd.call(|number| transfer(&acme, &owner, &heirs[number])).await;

            let won = outcomes.one_wins("NOT_AN_OWNER");
            assert_eq!(won["formerOwner"]["membershipId"], owner);
            let heir = heirs.iter_mut().find(|heir| **heir == won["owner"]["membershipId"]).unwrap();
            std::mem::swap(&mut owner, heir);
            assert_eq!(owners(crowd.root(), &acme).await, [owner.clone()]);
            assert_eq!(log.types().await, ONE);
        }
    }
}
