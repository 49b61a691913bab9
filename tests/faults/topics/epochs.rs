//! After a restore: another stream epoch, and everything again.

use serde_json::{Value, json};

use super::{assert_both_proven, house, roster, roster_until_well};
use crate::{
    alone,
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

async fn begins_again_on(engine: Engine) {
    let _alone = alone().await;
    let (database, topic) = (Database::fresh(engine).await, topic());
    let settings = with_kafka(&database, &kafka(), &topic);
    let arguments = [&settings[..], &["--restore-days".to_owned(), "0".to_owned()]].concat();
    let mut service = Process::start(free_port(), &arguments);
    let key = service.first_key.clone();
    let caller = Caller::connect(&service.address, key.clone()).await;
    house::furnish(&caller).await;
    let mut service = tokio::task::spawn_blocking(move || {
        assert_both_proven(&settings);
        let refused = roster(&["events", "new-epoch", "--yes"], &settings);
        assert_eq!(refused.code, 1, "while a replica leads: {refused:?}");
        assert_eq!(service.terminate(), Some(0));
        let before = status(&settings);
        assert_eq!(roster(&["events", "new-epoch"], &settings).code, 2, "it asks");
        let begun = roster(&["events", "new-epoch", "--yes"], &settings);
        assert_eq!((begun.code, begun.out.contains("x-stream-epoch")), (0, true), "{begun:?}");
        let after = status(&settings);
        assert!(after["stream_epoch"].as_str() > before["stream_epoch"].as_str(), "{before} {after}");
        assert_eq!(after["sinks"].as_array().unwrap().len(), 2);
        assert!(after["sinks"].as_array().unwrap().iter().all(|sink| sink["acknowledged"] == 0), "{after}");
        Process::start(free_port(), &arguments)
    })
    .await
    .unwrap();
    let caller = Caller::connect(&service.address, key).await;
    caller.call("OrganizationService/CreateOrganization", json!({"slug": "later"})).await;
    tokio::task::spawn_blocking(move || {
        let settings = with_kafka(&database, &kafka(), &topic);
        assert_both_proven(&settings);
        let told = roster_until_well(&["verify", "--drained", "--json"], &settings).out;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert!(told["superseded"].as_u64() >= Some(20), "{told}");
        assert_eq!(told["lost"]["count"], 0, "{told}");
        let now = status(&settings);
        assert!(now["sinks"].as_array().unwrap().iter().all(|sink| sink["lag_events"] == 0), "{now}");
        assert!(now["leader"].is_string(), "{now}");
        assert!(now["sinks"].as_array().unwrap().iter().all(|sink| sink["stalled"] == false), "{now}");
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

/// How far everything is. The exit code is 1 where topics lack what is old, as they do until a service is started.
fn status(settings: &[String]) -> Value {
    let told = roster(&["events", "status", "--json"], settings);
    let status: Value = serde_json::from_str(&told.out).unwrap();
    let stalled = status["sinks"].as_array().unwrap().iter().any(|sink| sink["stalled"] == true);
    assert_eq!(told.code, i32::from(stalled), "{told:?}");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_epoch_is_all_that_counts_on_sqlite() {
    begins_again_on(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_epoch_is_all_that_counts_on_postgres() {
    begins_again_on(Engine::Postgres).await;
}
