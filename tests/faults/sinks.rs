//! Another cluster, or a topic made anew, under the same name: it gets everything from the beginning.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use serde_json::json;

use crate::{
    history::{assert_stream_proven, topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Broker, Process, ROSTER, free_port, kafka},
    },
};

/// Runs the service with these brokers until the topic has everything; the state grows by an organization.
async fn publish(database: &Database, brokers: &str, topic: &str, key: &mut Option<String>) {
    let mut service = Process::start(free_port(), &with_kafka(database, brokers, topic));
    let key = key.get_or_insert_with(|| service.first_key.clone().expect("a fresh database")).clone();
    let caller = Caller::connect(&service.address, Some(key)).await;
    let slug = format!("o{}", uuid::Uuid::now_v7().simple());
    caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    let (arguments, brokers, topic) = (database.arguments(), brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        assert_stream_proven(&arguments, &brokers, &topic);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

async fn delete_topic(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let deleted = admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted, [Ok(topic.to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_and_another_cluster_get_everything() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Sqlite).await;
    let (brokers, topic, mut key) = (kafka(), topic(), None);
    publish(&database, &brokers, &topic, &mut key).await;
    delete_topic(&brokers, &topic).await;
    publish(&database, &brokers, &topic, &mut key).await;
    let other = tokio::task::spawn_blocking(Broker::start).await.unwrap();
    publish(&database, &other.address, &topic, &mut key).await;
    // Back at the first one, it goes on where it was: what the other one got meanwhile comes here too.
    publish(&database, &brokers, &topic, &mut key).await;
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
}

/// Makes a topic as it was before, with nothing in it: brokers take a while to have forgotten the one of its name.
async fn make_topic(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let begin = Instant::now();
    let wanted = NewTopic::new(topic, 12, TopicReplication::Fixed(1));
    while admin.create_topics([&wanted], &AdminOptions::new()).await.unwrap() != [Ok(topic.to_owned())] {
        assert!(begin.elapsed() < Duration::from_secs(30), "the topic cannot be made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_under_a_running_service_gets_everything() {
    let _alone = crate::alone().await;
    let (database, brokers, topic) = (Database::fresh(Engine::Sqlite).await, kafka(), topic());
    let arguments = database.arguments();
    let mut service = Process::start(free_port(), &with_kafka(&database, &brokers, &topic));
    let caller = Caller::connect(&service.address, service.first_key.clone()).await;
    let looked_at = (arguments.clone(), brokers.clone(), topic.clone());
    tokio::task::spawn_blocking(move || assert_stream_proven(&looked_at.0, &looked_at.1, &looked_at.2)).await.unwrap();
    delete_topic(&brokers, &topic).await;
    make_topic(&brokers, &topic).await;
    // Of the tenant's own stream, in whose partition there was something before.
    caller.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await;
    tokio::task::spawn_blocking(move || {
        assert_complete(&arguments, &brokers, &topic);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

/// The topic has everything, and the state can be rebuilt from it. What was published before it was known to be another one
/// comes first, and is no fault.
fn assert_complete(arguments: &[String], brokers: &str, topic: &str) {
    let begin = Instant::now();
    loop {
        let verify = Command::new(ROSTER)
            .args(["verify", "--json", "--kafka-brokers", brokers, "--kafka-topic", topic])
            .args(arguments)
            .output()
            .expect("runs");
        let report: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap_or_default();
        let count = |name: &str| report[name]["count"].as_u64();
        let state = report["state"]["different"]["count"].as_u64();
        if (count("lost"), count("phantom"), report["pending"].as_u64(), state) == (Some(0), Some(0), Some(0), Some(0))
        {
            assert_eq!(report["faultless"], true, "{report}");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{report}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_may_hold_what_was_erased_since_it_was_published() {
    let _alone = crate::alone().await;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (database, brokers, topic) = (Database::fresh(engine).await, kafka(), topic());
        let arguments = database.arguments();
        let mut service = Process::start(free_port(), &with_kafka(&database, &brokers, &topic));
        let caller = Caller::connect(&service.address, service.first_key.clone()).await;
        let organization = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let member = json!({"organizationId": organization["organization"]["organizationId"],
            "member": {"email": "ada@example.com", "displayName": "Ada", "metadata": {"desk": "7"}}});
        let added = caller.call("MembershipService/AddMember", member).await;
        let invitation = json!({"organizationId": organization["organization"]["organizationId"],
            "invitation": {"email": "bo@example.com", "message": "Come, Bo!"}});
        let invited = caller.call("InvitationService/CreateInvitation", invitation).await;
        caller.call("InvitationService/DeclineInvitation", json!({"token": invited["token"]})).await;
        let proven = move || assert_stream_proven(&arguments, &brokers, &topic);
        tokio::task::spawn_blocking(proven.clone()).await.unwrap();
        for user_id in [&added["membership"]["userId"], &invited["invitation"]["userId"]] {
            let erased = caller.call("UserService/EraseUser", json!({"userId": user_id})).await;
            assert_eq!(erased["user"]["email"], "");
        }
        tokio::task::spawn_blocking(move || {
            proven();
            assert_eq!(service.terminate(), Some(0));
        })
        .await
        .unwrap();
    }
}
