//! What retention has dropped of the log: the topics that had it keep it, and a new one gets what the state needs.

use std::time::Duration;

use roster::{
    clock::{Clock, Timestamp},
    db::Db,
    retention::Retention,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{assert_both_proven, house};
use crate::{
    consumers::{Applied, Stage, log_in},
    history::{topic, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, free_port, kafka},
    },
};

/// The topics of events and of states.
const SINKS: i64 = 2;

/// Hides everything that there is, and drops its month, as the leader does when the time has come.
async fn drop_everything(database: &Database) {
    let later = Clock::system().now().plus(Duration::from_hours(24 * 70));
    let db = Db::open(&database.location()).await.unwrap();
    let retention = Retention { db: db.clone(), clock: Clock::from_fn(move || later) };
    let stop = CancellationToken::new();
    let until = async {
        let sql = "SELECT COUNT(*) FROM log_chains WHERE hidden_sequence < sequence";
        while db.snapshot().await.unwrap().fetch_one::<(i64,)>(sql, vec![]).await.unwrap() != (0,) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(retention.run(SINKS, &stop), until) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("it ends");
    let later = Timestamp(later.0).plus(Duration::from_mins(2));
    assert!(db.drop_month(later, SINKS).await.unwrap(), "both topics have everything");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_topic_gets_what_is_left_of_what_was_dropped() {
    let _alone = crate::alone().await;
    let (database, brokers) = (Database::fresh(Engine::Postgres).await, kafka());
    let (first, second) = (topic(), topic());
    let settings = with_kafka(&database, &brokers, &first);
    let purging = [&settings[..], &["--restore-days".to_owned(), "0".to_owned()]].concat();
    let mut service = Process::start(free_port(), &purging);
    let key = service.first_key.clone();
    let caller = Caller::connect(&service.address, key.clone()).await;
    house::furnish(&caller).await;
    let tenant = caller.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
    let update = json!({"tenant": {"tenantId": tenant, "logRetentionDays": 30}, "updateMask": "logRetentionDays"});
    caller.call("TenantService/UpdateTenant", update).await;
    let proven = |settings: Vec<String>| async {
        tokio::task::spawn_blocking(move || assert_both_proven(&settings)).await.unwrap();
    };
    proven(settings.clone()).await;
    assert_eq!(service.terminate(), Some(0));
    drop_everything(&database).await;

    // The topics that had everything have it still, and go on.
    let mut service = Process::start(free_port(), &settings);
    let caller = Caller::connect(&service.address, key.clone()).await;
    caller.call("UserService/CreateUser", json!({"email": "later@example.com"})).await;
    proven(settings).await;
    assert_eq!(service.terminate(), Some(0));

    // New ones get the last event of whatever there is, and what came after.
    let settings = with_kafka(&database, &brokers, &second);
    let mut service = Process::start(free_port(), &settings);
    let caller = Caller::connect(&service.address, key.clone()).await;
    caller.call("UserService/CreateUser", json!({"email": "latest@example.com"})).await;
    proven(settings).await;

    // And consumers go over what is gone for good.
    tokio::task::spawn_blocking(move || {
        let log = log_in(&second);
        let lacks = |stream: &&Vec<_>| stream.last().is_some_and(|last: &Applied| last.sequence > stream.len() as i64);
        assert!(log.values().filter(lacks).count() > 1, "nothing was dropped");
        let address = service.address.trim_start_matches("http://").to_owned();
        Stage { address, key: key.expect("a fresh database"), topic: second, log }.show_all();
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}
