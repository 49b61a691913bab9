//! The reference consumers, each as a process of its own, against a topic with everything that may happen to one.

mod topic;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message as _;
use prost_reflect::DynamicMessage;
use roster::proto::v1 as pb;
use serde_json::{Value, json};
use topic::{Spoiled, read};

use crate::{
    alone,
    history::{assert_stream_proven, with_kafka},
    support::{
        Caller, Database, Engine,
        process::{Process, ROSTER, free_port, kafka, script},
        root, text,
    },
};

/// The consumers, and where the text of each is.
const CONSUMERS: [(&str, &str); 4] = [
    ("python", "python/consumer.py"),
    ("java", "java/src/main/java/dev/roster/example/Consumer.java"),
    ("go", "go/main.go"),
    ("rust", "rust/main.rs"),
];
const LINES_MAX: usize = 100;
/// How long one may take over everything.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program of a consumer; built first, where it is not there.
fn program(language: &str) -> PathBuf {
    let path = match language {
        "rust" => Path::new(ROSTER).parent().unwrap().join("examples/consumer"),
        other => PathBuf::from(script("consumers", &[other])),
    };
    assert!(path.exists(), "{} is not there: build it first", path.display());
    path
}

/// What a consumer applied, in its order: epoch, stream, sequence, type and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    epoch: String,
    stream: String,
    pub sequence: i64,
    name: String,
    id: String,
}

impl Applied {
    fn of(event: &Value) -> Self {
        let stream = Some(text(&event["organizationId"])).filter(|id| !id.is_empty());
        Self {
            epoch: text(&event["streamEpoch"]),
            stream: stream.unwrap_or_else(|| text(&event["tenantId"])),
            sequence: text(&event["sequence"]).parse().unwrap(),
            name: text(&event["type"]),
            id: text(&event["eventId"]),
        }
    }

    fn published(event: &pb::Event) -> Self {
        let stream = Some(event.organization_id.clone()).filter(|id| !id.is_empty());
        Self {
            epoch: event.stream_epoch.clone(),
            stream: stream.unwrap_or_else(|| event.tenant_id.clone()),
            sequence: event.sequence,
            name: event.r#type.clone(),
            id: event.event_id.clone(),
        }
    }

    fn read(journal: &Path) -> Vec<Self> {
        let text = fs::read_to_string(journal).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let line = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
            [epoch, _, _, stream, sequence, name, id] => {
                let [epoch, stream, name, id] = [epoch, stream, name, id].map(str::to_owned);
                Self { epoch, stream, sequence: sequence.parse().unwrap(), name, id }
            }
            _ => panic!("not a line of a journal: {line}"),
        };
        whole.lines().map(line).collect()
    }
}

/// Every stream by itself: of two streams there is no order.
fn by_stream(applied: impl IntoIterator<Item = Applied>) -> BTreeMap<String, Vec<Applied>> {
    let mut streams = BTreeMap::<_, Vec<_>>::new();
    for each in applied {
        streams.entry(each.stream.clone()).or_default().push(each);
    }
    streams
}

/// What a topic has, each once.
pub fn log_in(topic: &str) -> BTreeMap<String, Vec<Applied>> {
    let mut log = by_stream(read(&kafka(), topic).into_values().flatten().map(|event| Applied::published(&event)));
    log.values_mut().for_each(|stream| stream.dedup());
    log
}

/// What the log has of a tenant.
async fn log_of(caller: &Caller) -> Vec<Applied> {
    let events = caller.list("EventService/ListEvents", json!({"pageSize": 1000}), "events").await;
    events.iter().map(Applied::of).collect()
}

/// Organizations of this tenant, each with some members.
async fn settle(caller: &Caller, name: &str) {
    for organization in 0..4 {
        let create = json!({"slug": format!("{name}-{organization}")});
        let made = caller.call("OrganizationService/CreateOrganization", create).await;
        for member in 0..12 {
            let email = format!("{name}-{organization}-{member}@example.com");
            let add = json!({"organizationId": made["organization"]["organizationId"], "member": {"email": email}});
            caller.call("MembershipService/AddMember", add).await;
        }
    }
}

/// What a consumer is to follow.
pub struct Stage {
    pub address: String,
    pub key: String,
    pub topic: String,
    pub log: BTreeMap<String, Vec<Applied>>,
}

impl Stage {
    /// Every consumer comes to exactly this log, in spite of what the topic has of it.
    pub fn show_all(&self) {
        CONSUMERS.iter().for_each(|(language, _)| self.show(language));
    }
}

impl Stage {
    fn start(&self, program: &Path, journal: &Path) -> Running {
        let mut command = Command::new(program);
        command.env("ROSTER_ADDRESS", &self.address).env("ROSTER_KEY", &self.key).env("JOURNAL", journal);
        command.env("KAFKA_BROKERS", kafka()).env("KAFKA_TOPIC", &self.topic);
        Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"))
    }

    /// Waits until as many events of the log were applied.
    fn until(&self, running: &mut Running, journal: &Path, count: usize) {
        let begin = Instant::now();
        let epoch = &self.log.values().next().unwrap()[0].epoch;
        while Applied::read(journal).iter().filter(|each| each.epoch == *epoch).count() < count {
            assert_eq!(running.0.try_wait().unwrap(), None, "it ended");
            assert!(begin.elapsed() < PATIENCE, "it does not come to {count} events");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a consumer, kills it on its way, starts it again, and compares what it applied with the log.
    fn show(&self, language: &str) {
        let (program, folder) = (program(language), tempfile::tempdir().unwrap());
        let (journal, begin) = (folder.path().join("applied.log"), Instant::now());
        let count = self.log.values().map(Vec::len).sum::<usize>();
        let mut first = self.start(&program, &journal);
        self.until(&mut first, &journal, count / 3);
        drop(first);
        let kept = Applied::read(&journal).len();
        let mut second = self.start(&program, &journal);
        self.until(&mut second, &journal, count);
        drop(second);
        let applied = Applied::read(&journal);
        let epoch = &self.log.values().next().unwrap()[0].epoch;
        let begun = applied.iter().position(|each| each.epoch == *epoch).unwrap();
        assert!(applied[..begun].iter().all(|each| each.epoch == Spoiled::EPOCH_BEFORE), "{language}");
        assert!(by_stream(applied[begun..].to_vec()) == self.log, "{language} applied something else than the log has");
        println!("{language}: {count} events, killed after {kept}, in {:?}", begin.elapsed());
    }
}

/// A consumer, until it is killed with `kill -9`.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_applies_every_event_once_and_in_order() {
    let _alone = alone().await;
    let (database, whole) = (Database::fresh(Engine::Sqlite).await, crate::history::topic());
    let mut service = Process::start(free_port(), &with_kafka(&database, &kafka(), &whole));
    let root = Caller::connect(&service.address, service.first_key.clone()).await;
    let mut other = root.clone();
    let tenant = root.call("TenantService/CreateTenant", json!({"slug": "other"})).await;
    other.client.tenant = Some(text(&tenant["tenant"]["tenantId"]));
    settle(&root, "one").await;
    settle(&other, "two").await;
    let arguments = database.arguments();
    let proven = whole.clone();
    tokio::task::spawn_blocking(move || assert_stream_proven(&arguments, &kafka(), &proven)).await.unwrap();
    let log = by_stream([log_of(&root).await, log_of(&other).await].concat());
    tokio::task::spawn_blocking(move || {
        let topic = format!("{whole}-spoiled");
        let spoiled = Spoiled::of(read(&kafka(), &whole));
        assert!(spoiled.missing > 20 && spoiled.repeated > 100, "{} {}", spoiled.missing, spoiled.repeated);
        spoiled.write(&kafka(), &topic);
        let address = service.address.trim_start_matches("http://").to_owned();
        let stage = Stage { address, key: service.first_key.clone().unwrap(), topic, log };
        stage.show_all();
        assert_eq!(service.terminate(), Some(0));
    })
    .await
    .unwrap();
}

#[test]
fn each_is_short() {
    for (language, path) in CONSUMERS {
        let text = fs::read_to_string(root().join("examples/consumers").join(path)).unwrap();
        assert!(text.lines().count() <= LINES_MAX, "{language}: {} lines", text.lines().count());
    }
}

/// Every example of the catalogue, as Google's own library for Python reads it.
#[test]
fn the_json_form_is_the_same_to_python() {
    let pool = roster::dynamic::contract().unwrap();
    let event = pool.get_message_by_name("roster.v1.Event").unwrap();
    let catalogue = fs::read_to_string(root().join("docs/events.md")).unwrap();
    let examples: Vec<_> = catalogue.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), roster::events::TYPES.len());
    let mut python = Command::new(program("python"))
        .arg(root().join("tests/faults/json_form.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    for example in &examples {
        let mut reader = serde_json::Deserializer::from_str(example);
        let bytes = DynamicMessage::deserialize(event.clone(), &mut reader).unwrap().encode_to_vec();
        assert_eq!(pb::Event::decode(&*bytes).unwrap().encode_to_vec().len(), bytes.len());
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{}\t{digits}", example.replace('\n', " ")).unwrap();
    }
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), examples.len().to_string());
}
