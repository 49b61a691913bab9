//! The connection is not cut: nothing comes through any more. Whoever waits for the COMMIT waits, and the caller does
//! not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::{House, PATIENCE, WRITE, assert_good};
use crate::support::{
    Caller, reason, text,
    wire_tap::{Failure, Mishap, Moment},
};

/// For how long PostgreSQL keeps a transaction that says nothing more, and its locks. Beyond that: for this machine.
const KEPT: Duration = Duration::from_secs(5 + 15);

/// More than a service has connections.
const FROZEN: usize = 12;

struct Acme {
    house: House,
    id: String,
}

impl Acme {
    async fn build() -> Self {
        let house = House::build().await;
        let created = house.server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        Self { house, id: text(&created["organization"]["organizationId"]) }
    }

    fn root(&self) -> &Caller {
        &self.house.server.root
    }

    /// Adds somebody, by a call whose COMMIT is stuck.
    async fn stuck(&self, name: &str, moment: Moment) -> (JoinHandle<Result<Value, Status>>, Value, Mishap) {
        let email = format!("{name}@example.com");
        let add = json!({"organizationId": self.id, "member": {"email": email}, "requestId": name});
        let mishap = self.house.tap.befall(WRITE, moment, Failure::Frozen);
        let (root, request) = (self.root().clone(), add.clone());
        let first = tokio::spawn(async move { root.try_call("MembershipService/AddMember", request).await });
        mishap.happened().await;
        (first, add, mishap)
    }

    async fn add(&self, request: &Value) -> Value {
        self.root().call("MembershipService/AddMember", request.clone()).await
    }

    async fn assert_once(&self, names: usize) {
        let all = json!({"organizationId": self.id});
        assert_eq!(self.root().list("MembershipService/ListMemberships", all, "memberships").await.len(), names);
        assert_eq!(self.root().events(&self.id).await.len(), 1 + names, "created, and each member once");
        self.house.assert_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_again_while_the_answer_is_stuck_gets_it() {
    let acme = Acme::build().await;
    let (first, request, mishap) = acme.stuck("ada", Moment::After).await;
    let begin = Instant::now();
    let again = acme.add(&request).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "nobody waits: it is done");
    assert!(!first.is_finished());
    mishap.let_go();
    assert_eq!(first.await.unwrap().unwrap(), again);
    acme.assert_once(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_again_while_the_commit_is_stuck_waits_for_its_end() {
    let acme = Acme::build().await;
    let (first, request, mishap) = acme.stuck("ada", Moment::Before).await;
    let (root, add) = (acme.root().clone(), request.clone());
    let again = tokio::spawn(async move { root.call("MembershipService/AddMember", add).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!again.is_finished(), "nobody knows yet");
    mishap.let_go();
    assert_eq!(again.await.unwrap(), first.await.unwrap().unwrap());
    acme.assert_once(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_too_late_does_nothing_more() {
    let acme = Acme::build().await;
    let (first, request, mishap) = acme.stuck("ada", Moment::Before).await;
    let begin = Instant::now();
    let again = acme.add(&request).await;
    assert!(begin.elapsed() < KEPT, "PostgreSQL gives up on whoever is silent");
    assert!(!first.is_finished());
    mishap.let_go();
    let told = first.await.unwrap().unwrap_err();
    assert_eq!((told.code(), reason(&told)), (Code::Unavailable, "OUTCOME_UNKNOWN".to_owned()));
    assert_eq!(acme.add(&request).await, again);
    acme.assert_once(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_gives_up_asks_again_and_gets_the_secret() {
    let acme = Acme::build().await;
    let mishap = acme.house.tap.befall(WRITE, Moment::After, Failure::Frozen);
    let create = json!({"name": "k", "scopes": ["users:read"], "requestId": "one"});
    let call = acme.root().try_call("ApiKeyService/CreateApiKey", create.clone());
    assert!(tokio::time::timeout(Duration::from_secs(2), call).await.is_err(), "there is no answer");
    assert!(mishap.has_happened());
    let made = acme.root().call("ApiKeyService/CreateApiKey", create).await;
    assert_good(&acme.house, &made["secret"]).await;
    mishap.let_go();
    let keys = acme.root().list("ApiKeyService/ListApiKeys", json!({}), "apiKeys").await;
    assert_eq!(keys.iter().filter(|key| key["name"] == "k").count(), 1);
    acme.house.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_stay_frozen_are_given_up_and_others_take_their_place() {
    let acme = Acme::build().await;
    for round in 0..FROZEN {
        let (first, request, _never_let_go) = acme.stuck(&format!("p{round}"), Moment::After).await;
        first.abort(); // the caller gives up
        drop((first.await, request));
    }
    let begin = Instant::now();
    while acme.root().try_call("OrganizationService/GetOrganization", json!({"organizationId": acme.id})).await.is_err()
    {
        assert!(begin.elapsed() < PATIENCE, "the service has no connection left");
    }
    acme.assert_once(FROZEN).await;
}
