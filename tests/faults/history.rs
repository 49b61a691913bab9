//! Eight years of real membership changes, through everything: gRPC, both engines, Kafka, and faults.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    support::{
        Database, Engine,
        process::{Broker, Process, ROSTER, free_port, kafka},
        proof,
    },
    topics::assert_both_proven,
};

/// How often the service is killed during the replay.
const KILLS: u32 = 20;

fn data() -> PathBuf {
    crate::support::root().join("tests/data")
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
pub fn assert_stream_proven(arguments: &[String], brokers: &str, topic: &str) {
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

pub fn with_kafka(database: &Database, brokers: &str, topic: &str) -> Vec<String> {
    let states = format!("{topic}-state");
    let kafka = ["--kafka-brokers", brokers, "--kafka-topic", topic, "--kafka-state-topic", &states];
    database.arguments().into_iter().chain(kafka.map(str::to_owned)).collect()
}

pub fn topic() -> String {
    format!("history-{}", uuid::Uuid::now_v7().simple())
}

/// How far a replay has come, by the file in which it keeps what was acknowledged.
struct Acknowledged {
    checkpoint: PathBuf,
    /// The numbers of each organization's changes, in order.
    changes: BTreeMap<String, Vec<u64>>,
}

impl Acknowledged {
    fn by(checkpoint: PathBuf) -> Self {
        let mut changes = BTreeMap::<String, Vec<u64>>::new();
        for line in std::fs::read_to_string(data().join("changes.jsonl")).unwrap().lines() {
            let change: serde_json::Value = serde_json::from_str(line).unwrap();
            changes.entry(change["org"].as_str().unwrap().to_owned()).or_default().push(change["n"].as_u64().unwrap());
        }
        Self { checkpoint, changes }
    }

    /// Of all changes, the part that the file has: 0 to 1.
    fn part(&self) -> f64 {
        let Ok(text) = std::fs::read(&self.checkpoint) else { return 0.0 };
        let last: BTreeMap<String, u64> = serde_json::from_slice(&text).unwrap();
        let done = |(org, n)| self.changes[org].partition_point(|change| change <= n) as f64;
        last.iter().map(done).sum::<f64>() / self.changes.values().map(Vec::len).sum::<usize>() as f64
    }
}

/// 0 to 1, by chance.
fn chance() -> f64 {
    (uuid::Uuid::now_v7().as_u128() & 0xffff) as f64 / f64::from(0x1_0000)
}

/// Kills and starts the service again, at moments that nobody chose, until the replay is through. The moments are spread
/// over the changes and not over time: a fast machine gets its kills too.
fn torment(
    service: &mut Process,
    port: u16,
    arguments: &[String],
    replay: &mut Child,
    acknowledged: &Acknowledged,
) -> u32 {
    let mut kills = 0;
    let mut next = chance();
    loop {
        if let Some(status) = replay.try_wait().unwrap() {
            assert!(status.success(), "the replay failed");
            return kills;
        }
        if kills < KILLS && acknowledged.part() * f64::from(KILLS + 1) >= next {
            std::thread::sleep(Duration::from_millis(100).mul_f64(chance()));
            service.kill();
            *service = Process::start(port, arguments);
            kills += 1;
            next = f64::from(kills) + chance();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Of the brokers that every test has; or of one that is away for as long as the replay takes.
fn survives_kills(database: &Database, away: Option<&Broker>) {
    let brokers = away.map_or_else(kafka, |broker| broker.address.clone());
    away.iter().for_each(|broker| broker.stop());
    let (topic, port) = (topic(), free_port());
    let arguments = with_kafka(database, &brokers, &topic);
    let mut service = Process::start(port, &arguments);
    let key = service.first_key.clone().expect("a fresh database");
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Acknowledged::by(folder.path().join("replay.json"));
    let begin = Instant::now();
    let checkpoint = ["--checkpoint", acknowledged.checkpoint.to_str().unwrap()];
    let mut replaying = replay(&service.address, &key, &checkpoint).spawn().expect("runs");
    let kills = torment(&mut service, port, &arguments, &mut replaying, &acknowledged);
    println!("22,946 changes and {kills} kills in {:?}", begin.elapsed());
    assert_eq!(kills, KILLS, "the replay was too fast to be tormented");
    away.iter().for_each(|broker| broker.start_again());
    assert_as_expected(&service.address, &key);
    assert_stream_proven(&database.arguments(), &brokers, &topic);
    assert_both_proven(&arguments);
    assert_eq!(service.terminate(), Some(0));
    proof::assert_proven(database); // and as of now
}

#[tokio::test]
async fn the_service_is_killed_twenty_times_on_sqlite() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Sqlite).await;
    tokio::task::spawn_blocking(move || survives_kills(&database, None)).await.unwrap();
}

#[tokio::test]
async fn the_service_is_killed_twenty_times_on_postgres_and_kafka_is_away() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    tokio::task::spawn_blocking(move || survives_kills(&database, Some(&Broker::start()))).await.unwrap();
}
