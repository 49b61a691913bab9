//! What a fault did: acknowledged changes, the topic and the database held against each other.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use roster::{events::Revision, ids::TenantId};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    follower::{Follower, Place, Seen},
    support::process::binary,
    writers::Change,
};

/// How long the topic may take to have everything, once the faults are over.
const DRAINED_MAX: Duration = Duration::from_secs(120);

/// The database and the topic of a fault.
pub struct Stand {
    pub database_url: String,
    pub brokers: String,
    pub topic: String,
}

impl Stand {
    /// The arguments of the service, and of `roster verify`.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = [
            ("--database-url", &self.database_url),
            ("--kafka-brokers", &self.brokers),
            ("--kafka-topic", &self.topic),
        ];
        arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value.clone()]).collect()
    }

    /// The answer of a statement, as soon as it is asked.
    pub async fn ask<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let mut connection = PgConnection::connect(&self.database_url).await.expect("PostgreSQL answers");
        let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// The log: which event is where.
    async fn log(&self) -> BTreeMap<Place, Uuid> {
        let rows: Vec<(Uuid, i64, Uuid)> = self.ask("SELECT stream_id, sequence, id FROM events").await;
        rows.into_iter().map(|(stream, sequence, id)| ((stream, sequence), id)).collect()
    }

    /// Everything is over: the topic gets the rest, and then says the same as the database, and what was acknowledged.
    pub async fn judge(&self, changes: &[Change], follower: &Follower) -> Verdict {
        let log = self.log().await;
        let begin = Instant::now();
        while follower.count() < log.len() && begin.elapsed() < DRAINED_MAX {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let tenant: Vec<(Uuid,)> = self.ask("SELECT id FROM tenants WHERE slug = 'default'").await;
        let proof = self.verify().await;
        let seen = follower.seen.lock();
        let mut verdict = Verdict { events: log.len(), duplicates: seen.duplicates, proof, ..Verdict::default() };
        verdict.compare(&log, &seen);
        verdict.follow(changes, &seen, TenantId::from_uuid(tenant[0].0));
        verdict
    }

    /// What `roster verify` says, which must be that all is well.
    async fn verify(&self) -> Value {
        let arguments = self.arguments();
        tokio::task::spawn_blocking(move || {
            let begin = Instant::now();
            loop {
                let verify = ["verify", "--drained", "--json"].map(str::to_owned);
                let output = Command::new(binary()).args(&verify).args(&arguments).output().expect("it runs");
                let told = String::from_utf8_lossy(&output.stdout).into_owned();
                if output.status.success() {
                    return serde_json::from_str(&told).expect("one JSON object");
                }
                // The mark may be a moment behind the topic.
                let why = String::from_utf8_lossy(&output.stderr);
                assert!(begin.elapsed() < Duration::from_secs(30), "{told}\n{why}");
                std::thread::sleep(Duration::from_millis(200));
            }
        })
        .await
        .unwrap()
    }
}

/// The zeros, and what they are of.
#[derive(Debug, Default)]
pub struct Verdict {
    events: usize,
    acknowledged: usize,
    /// Changes of which nobody ever heard, and how many of them were made.
    unanswered: (usize, usize),
    lost: Vec<String>,
    phantom: Vec<String>,
    reordered: Vec<String>,
    duplicates: u64,
    proof: Value,
}

impl Verdict {
    fn compare(&mut self, log: &BTreeMap<Place, Uuid>, seen: &Seen) {
        self.reordered.clone_from(&seen.reordered);
        self.phantom.clone_from(&seen.wrong);
        for (place, event) in &seen.applied {
            if log.get(place) != Some(&event.id) {
                self.phantom.push(format!("{place:?} is not in the database"));
            }
        }
        let absent = log.keys().filter(|place| !seen.applied.contains_key(place));
        self.lost.extend(absent.map(|place| format!("{place:?} is not in the topic")));
    }

    /// What was acknowledged is where its revision says; nothing was done twice, and nothing that nobody asked for.
    fn follow(&mut self, changes: &[Change], seen: &Seen, tenant_id: TenantId) {
        let mut requests = seen.requests();
        for change in changes {
            let made = requests.remove(&*change.request_id);
            if let Some((_, times)) = &made
                && times.len() != 1
            {
                self.phantom.push(format!("{} was done {} times", change.request_id, times.len()));
            }
            let Some((_, revision)) = &change.acknowledged else {
                self.unanswered.0 += 1;
                self.unanswered.1 += usize::from(made.is_some());
                continue;
            };
            self.acknowledged += 1;
            let revision = Revision::decode(revision, tenant_id).expect("a revision of the tenant");
            let place = revision.organization.map(|(id, sequence)| (id.uuid(), sequence)).expect("of one organization");
            if made.is_none_or(|(places, _)| !places.contains(&place)) {
                self.lost.push(format!("{} was acknowledged, at {place:?}", change.request_id));
            }
        }
        self.phantom.extend(requests.keys().map(|request| format!("nobody asked for {request}")));
    }

    /// Fails unless the zeros are zeros; tells of them, with what else there is to say, in one line.
    pub fn report(&self, fault: &str, begin: Instant, more: Value) {
        let mut line = json!({
            "fault": fault,
            "seconds": begin.elapsed().as_secs(),
            "acknowledged": self.acknowledged,
            "unanswered": self.unanswered.0,
            "unanswered_and_made": self.unanswered.1,
            "events": self.events,
            "lost": self.lost.len(),
            "phantom": self.phantom.len(),
            "reordered": self.reordered.len(),
            "duplicates": self.duplicates,
            "proven": self.proof["faultless"],
            "things_compared": self.proof["state"]["compared"],
        });
        let object = line.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        tell(&line);
        let first = |all: &[String]| all.iter().take(10).cloned().collect::<Vec<_>>();
        let found = [("lost", &self.lost), ("phantom", &self.phantom), ("reordered", &self.reordered)];
        let found: Vec<_> =
            found.iter().filter(|(_, all)| !all.is_empty()).map(|(what, all)| (what, first(all))).collect();
        assert!(found.is_empty(), "the first of each: {found:#?}");
        assert_eq!(self.proof["state"]["different"]["count"], 0, "the state from the topic is the database's");
    }
}

/// Prints the result of a fault, and adds it to the file of `ROSTER_FAULTS_REPORT`.
pub fn tell(line: &Value) {
    println!("{line}");
    if let Some(path) = std::env::var_os("ROSTER_FAULTS_REPORT") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("the report's file"), "{line}").expect("the report is written");
    }
}

/// How often, or for how long: what the environment says, for the long form, or what is enough for every day.
pub fn extent(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number")))
}

/// The median and the largest, in milliseconds.
pub fn median_and_max(mut times: Vec<Duration>) -> (u64, u64) {
    times.sort();
    let at = |index: usize| times.get(index).map_or(0, |time| u64::try_from(time.as_millis()).unwrap());
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}
