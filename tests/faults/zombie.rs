//! The leader is frozen for longer than its lease; another takes over; then it is woken.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    follower::Follower,
    history::topic,
    support::{
        Database, Engine,
        process::{Process, free_port, kafka},
    },
    verdict::{Stand, extent},
    writers::{Pace, Writers},
};

/// How many freezes are enough for every day; `ROSTER_FAULTS_FREEZES` says another number.
const FREEZES: u64 = 3;
/// How long whatever is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Puts down every write to a mark, with what was there before, and who wrote.
const WATCH: &str = "
    CREATE TABLE marks_written (
        number BIGSERIAL, position BIGINT, leader_epoch BIGINT, position_before BIGINT, epoch_before BIGINT
    );
    CREATE FUNCTION watch_mark() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO marks_written (position, leader_epoch, position_before, epoch_before)
        VALUES (NEW.position, NEW.leader_epoch, OLD.position, OLD.leader_epoch);
        RETURN NEW;
    END $$;
    CREATE TRIGGER watch_mark AFTER UPDATE ON relay_cursors FOR EACH ROW EXECUTE FUNCTION watch_mark();";

/// Two replicas, one of which leads.
struct House {
    stand: Stand,
    replicas: Vec<Process>,
}

impl House {
    async fn epoch(&self) -> i64 {
        self.stand.ask::<(i64,)>("SELECT epoch FROM leases WHERE name = 'leader'").await[0].0
    }

    /// Which replica leads, and since which epoch.
    async fn leader(&self) -> (usize, i64) {
        let begin = Instant::now();
        loop {
            let epoch = self.epoch().await;
            let said = |replica: &Process| replica.logged(&["\"leading\"", &format!("\"epoch\":{epoch}}}")]) > 0;
            if let Some(leader) = self.replicas.iter().position(said) {
                return (leader, epoch);
            }
            assert!(begin.elapsed() < PATIENCE, "nobody leads");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until another replica leads.
    async fn taken_over(&self, from: i64) {
        let begin = Instant::now();
        while self.epoch().await == from {
            assert!(begin.elapsed() < PATIENCE, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a replica says that it no longer leads, in this epoch.
    async fn gave_up(&self, replica: usize, epoch: i64) {
        let begin = Instant::now();
        let epoch = format!("\"epoch\":{epoch}}}");
        while self.replicas[replica].logged(&["\"no longer leading\"", &epoch]) == 0 {
            assert!(begin.elapsed() < PATIENCE, "the woken leader believes that it leads");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Freezes the leader in the middle of a batch: its head is locked, its events have their numbers, and nothing
    /// is committed. The lock that it waits for is a test's own.
    async fn freeze_in_a_batch(&self, leader: usize) {
        let mut lock = PgConnection::connect(&self.stand.database_url).await.unwrap();
        sqlx::query("BEGIN").execute(&mut lock).await.unwrap();
        sqlx::query("LOCK TABLE log_chains IN SHARE MODE").execute(&mut lock).await.unwrap();
        let begin = Instant::now();
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO log_chains%'";
        while self.stand.ask::<(i64,)>(waiting).await[0].0 == 0 {
            assert!(begin.elapsed() < PATIENCE, "nobody numbers");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.replicas[leader].signal("STOP");
        sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
        lock.close().await.unwrap();
    }

    /// One freeze; answers how long it took until the other led.
    async fn freeze(&self, in_a_batch: bool) -> Duration {
        let (leader, epoch) = self.leader().await;
        match in_a_batch {
            true => self.freeze_in_a_batch(leader).await,
            false => self.replicas[leader].signal("STOP"),
        }
        let begin = Instant::now();
        self.taken_over(epoch).await;
        let taken_over = begin.elapsed();
        self.leader().await;
        // The other one publishes what the frozen one has in flight.
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.replicas[leader].signal("CONT");
        self.gave_up(leader, epoch).await;
        taken_over
    }

    fn logged(&self, words: &str) -> usize {
        self.replicas.iter().map(|replica| replica.logged(&[words])).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_frozen_for_longer_than_its_lease_writes_nothing_when_it_is_woken() {
    let _alone = crate::alone().await;
    let (begin, freezes) = (Instant::now(), extent("ROSTER_FAULTS_FREEZES", FREEZES));
    let Database::Postgres { url } = Database::fresh(Engine::Postgres).await else { unreachable!() };
    let stand = Stand { database_url: url, brokers: kafka(), topic: topic() };
    let replicas: Vec<_> = (0..2).map(|_| Process::start(free_port(), &stand.arguments())).collect();
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.address.clone()).collect();
    let key = replicas[0].first_key.clone().expect("a fresh database");
    let house = House { stand, replicas };
    let follower = Follower::start(&house.stand.brokers, &house.stand.topic).await;
    let mut watch = PgConnection::connect(&house.stand.database_url).await.unwrap();
    sqlx::raw_sql(WATCH).execute(&mut watch).await.unwrap();
    watch.close().await.unwrap();

    let pace = Pace { writers: 32, organizations: 12, pause: Duration::from_millis(100) };
    let writers = Writers::begin(&addresses, &key, pace).await;
    let (mut by_chance, mut in_a_batch) = (Duration::ZERO, Duration::ZERO);
    for number in 0..freezes {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if number % 3 == 1 {
            in_a_batch = in_a_batch.max(house.freeze(true).await);
        } else {
            by_chance = by_chance.max(house.freeze(false).await);
        }
    }
    let changes = writers.end().await;
    let verdict = house.stand.judge(&changes, &follower).await;

    let sql = "SELECT position, leader_epoch, position_before, epoch_before FROM marks_written ORDER BY number";
    let marks: Vec<(i64, i64, i64, i64)> = house.stand.ask(sql).await;
    let back = |(position, epoch, position_before, epoch_before): &&(i64, i64, i64, i64)| {
        position < position_before || epoch < epoch_before
    };
    assert_eq!(marks.iter().find(back), None, "the mark of the stream never goes back, nor to a former leader");
    let refused = house.logged("nothing marked");
    let more = json!({"freezes": freezes, "of_them_in_a_batch": (freezes + 1) / 3, "writers": pace.writers,
        "marks_written": marks.len(), "marks_of_a_former_leader": 0, "marks_refused": refused,
        "batches_refused": house.logged("nothing numbered"),
        "taken_over_ms_max": {"frozen": by_chance.as_millis() as u64, "in_a_batch": in_a_batch.as_millis() as u64}});
    verdict.report("a zombie", begin, more);
    assert!(refused > 0, "no former leader ever tried: nothing was shown");
}
