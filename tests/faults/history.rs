//! Eight years of real membership changes, through everything: gRPC, both engines, Kafka, and faults.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    Database, Engine,
    process::{Broker, Process, ROSTER, free_port, kafka},
};

/// How often the service is killed during the replay.
const KILLS: u32 = 20;

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The replay, as a process of its own.
fn replay(address: &str, key: &str, arguments: &[&str]) -> Command {
    let path = PathBuf::from(ROSTER).parent().unwrap().join("examples/replay");
    assert!(path.exists(), "build it first: cargo build --example replay");
    let mut command = Command::new(path);
    command.args(["--address", address, "--key", key]);
    command.arg("--changes").arg(data().join("changes.jsonl")).args(arguments).stdin(Stdio::null());
    command
}

/// Every change was applied: the state read back, and every decision of the truth table, are as expected.
fn assert_as_expected(address: &str, key: &str) {
    let folder = data();
    let status = replay(address, key, &["--limit", "0", "--verify", folder.to_str().unwrap()]).status().expect("runs");
    assert!(status.success(), "the state or a decision differs");
}

/// The topic has everything, once its sender has caught up, and nothing else.
fn assert_stream_proven(arguments: &[String], brokers: &str, topic: &str) {
    let begin = Instant::now();
    loop {
        let verify = Command::new(ROSTER)
            .args(["verify", "--drained", "--kafka-brokers", brokers, "--kafka-topic", topic])
            .args(arguments)
            .output()
            .expect("runs");
        let told = String::from_utf8_lossy(&verify.stdout).into_owned();
        if verify.status.success() {
            println!("{told}");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{told}\n{}", String::from_utf8_lossy(&verify.stderr));
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn with_kafka(database: &Database, brokers: &str, topic: &str) -> Vec<String> {
    let kafka = ["--kafka-brokers", brokers, "--kafka-topic", topic].map(str::to_owned);
    database.arguments().into_iter().chain(kafka).collect()
}

fn topic() -> String {
    format!("history-{}", uuid::Uuid::now_v7().simple())
}

/// Kills and starts the service again, at moments that nobody chose, until the replay is through.
fn torment(service: &mut Process, port: u16, arguments: &[String], replay: &mut Child) -> u32 {
    let mut kills = 0;
    loop {
        let pause = 200 + (uuid::Uuid::now_v7().as_u128() & 0x07ff);
        std::thread::sleep(Duration::from_millis(u64::try_from(pause).unwrap()));
        if let Some(status) = replay.try_wait().unwrap() {
            assert!(status.success(), "the replay failed");
            return kills;
        }
        if kills < KILLS {
            service.kill();
            *service = Process::start(port, arguments);
            kills += 1;
        }
    }
}

fn survives_kills(database: &Database) {
    let (brokers, topic, port) = (kafka(), topic(), free_port());
    let arguments = with_kafka(database, &brokers, &topic);
    let mut service = Process::start(port, &arguments);
    let key = service.first_key.clone().expect("a fresh database");
    let begin = Instant::now();
    let mut replaying = replay(&service.address, &key, &[]).spawn().expect("runs");
    let kills = torment(&mut service, port, &arguments, &mut replaying);
    println!("22,946 changes and {kills} kills in {:?}", begin.elapsed());
    assert_eq!(kills, KILLS, "the replay was too fast to be tormented");
    assert_as_expected(&service.address, &key);
    assert_stream_proven(&database.arguments(), &brokers, &topic);
    assert_eq!(service.terminate(), Some(0));
}

#[tokio::test]
async fn the_service_is_killed_twenty_times_on_sqlite() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Sqlite).await;
    tokio::task::spawn_blocking(move || survives_kills(&database)).await.unwrap();
}

#[tokio::test]
async fn kafka_is_away_for_the_whole_replay_on_postgres() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    tokio::task::spawn_blocking(move || {
        let (broker, topic) = (Broker::start(), topic());
        broker.stop();
        let arguments = with_kafka(&database, &broker.address, &topic);
        let mut service = Process::start(free_port(), &arguments);
        let key = service.first_key.clone().expect("a fresh database");
        let begin = Instant::now();
        assert!(replay(&service.address, &key, &[]).status().expect("runs").success(), "no write fails");
        println!("22,946 changes in {:?}", begin.elapsed());
        broker.start_again();
        assert_stream_proven(&database.arguments(), &broker.address, &topic);
        assert_as_expected(&service.address, &key);
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}
