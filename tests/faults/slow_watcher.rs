//! A watcher that reads one event per second while thousands are written, beside one that keeps up; hundreds that read
//! nothing; and many more for whom there is nothing.
//!
//! `ROSTER_SLOW_WATCHER` says for how many seconds to write: then the bound is the default one, and there are 2,000 idle
//! watchers. Without it everything is short.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use roster::{
    clock::{Clock, Timestamp},
    proto::v1::{
        Event, WatchEventsRequest, WatchEventsResponse, event_service_client::EventServiceClient,
        watch_events_response::Item,
    },
};
use serde_json::json;
use tonic::{
    Request, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::support::{
    Caller, Database, Engine, metadata,
    process::{Process, free_port},
    reason, text,
};

/// Events of one call: a user and a membership for each member.
const MEMBERS: usize = 500;
const WRITES_PER_SECOND: usize = 5_000;
/// Who write them, each in an organization of its own, one call after another.
const WRITERS: usize = 4;
/// Watchers that read nothing.
const DEAF: usize = 200;
/// How much may be held for one of them, in bytes.
const HELD_MAX: u64 = 1 << 20;
/// How long after its bound the slow one is let go of at the latest: it takes a few pages into the buffers on the way, and
/// a loaded machine takes its time.
const SLACK: Duration = Duration::from_secs(5);
/// How long anything may take that is certain to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long and how much.
struct Plan {
    page_seconds: u64,
    write: Duration,
    idle: usize,
}

impl Plan {
    fn read() -> Self {
        let seconds = std::env::var("ROSTER_SLOW_WATCHER").ok().map(|seconds| seconds.parse().expect("seconds"));
        match seconds {
            Some(seconds) => Self { page_seconds: 30, write: Duration::from_secs(seconds), idle: 2_000 },
            None => Self { page_seconds: 4, write: Duration::from_secs(5), idle: 200 },
        }
    }
}

struct Watch(Streaming<WatchEventsResponse>);

impl Watch {
    async fn open(channel: &Channel, key: &str, request: WatchEventsRequest) -> Self {
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        Self(EventServiceClient::new(channel.clone()).watch_events(request).await.expect("is opened").into_inner())
    }

    /// The next event; heartbeats are passed over.
    async fn event(&mut self) -> Result<Event, Status> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.message()).await.expect("something comes")?;
            if let Some(Item::Event(event)) = next.expect("no end").item {
                return Ok(event);
            }
        }
    }
}

/// A connection of its own, on which little waits unread.
async fn channel(process: &Process) -> Channel {
    let endpoint = Endpoint::new(process.address.clone()).unwrap();
    endpoint.initial_stream_window_size(65_535).connect().await.unwrap()
}

fn from(position: i64) -> WatchEventsRequest {
    WatchEventsRequest { after_position: Some(position), ..WatchEventsRequest::default() }
}

/// What the process has in memory, in bytes.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// How long the process has run on a processor: ticks of 10 ms (proc(5)).
fn processor(process: &Process) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

async fn organization(caller: &Caller, slug: &str) -> String {
    let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    text(&created["organization"]["organizationId"])
}

/// Adds members, as many as make its share of so many events a second, until it is told to end.
async fn write(caller: Caller, organization: String, ending: Arc<AtomicBool>, written: Arc<AtomicUsize>) {
    let calls_per_second = WRITES_PER_SECOND as f64 / (2 * MEMBERS * WRITERS) as f64;
    let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / calls_per_second));
    while !ending.load(Ordering::Relaxed) {
        clock.tick().await;
        let batch = uuid::Uuid::now_v7().simple();
        let members: Vec<_> =
            (0..MEMBERS).map(|index| json!({"email": format!("u{index}-{batch}@example.com")})).collect();
        let request = json!({"organizationId": organization, "members": members});
        caller.call("MembershipService/BatchAddMembers", request).await;
        written.fetch_add(2 * MEMBERS, Ordering::Relaxed);
    }
}

/// Reads everything up to a number of events; answers how late they came, in order of lateness.
async fn keep_up(mut watch: Watch, done: Arc<AtomicBool>, wanted: Arc<AtomicUsize>) -> Vec<Duration> {
    let (clock, mut late) = (Clock::system(), Vec::new());
    let begin = Instant::now();
    while !done.load(Ordering::Relaxed) || late.len() < wanted.load(Ordering::Relaxed) {
        let event = watch.event().await.expect("who keeps up is never disconnected");
        let occurred = Timestamp::try_from(&event.occur_time.unwrap()).unwrap();
        late.push(Duration::from_micros(u64::try_from(clock.now().0 - occurred.0).unwrap_or(0)));
        assert!(begin.elapsed() < PATIENCE + Duration::from_secs(600));
    }
    late.sort();
    late
}

/// What became of one that lags behind.
struct Lagged {
    events: usize,
    position: i64,
    status: Status,
    /// When it got its first event.
    first_at: Timestamp,
}

/// Reads one event a second for so long, then what it was sent.
async fn lag_behind(mut watch: Watch, for_so_long: Duration) -> Lagged {
    let (begin, mut events, mut position, mut first_at) = (Instant::now(), 0, 0, None);
    loop {
        match watch.event().await {
            Ok(event) => (events, position) = (events + 1, event.position),
            Err(status) => return Lagged { events, position, status, first_at: first_at.expect("an event") },
        }
        first_at.get_or_insert_with(|| Clock::system().now());
        if begin.elapsed() < for_so_long {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// How long after this time the first watcher was let go of that did not take a page: the service says so when it happens,
/// whenever its watcher hears of it.
fn let_go_after(process: &Process, since: Timestamp) -> Duration {
    let line = process.first_logged("did not take a page in time").expect("it is said");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let at: prost_types::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    let micros = Timestamp::try_from(&at).unwrap().0 - since.0;
    Duration::from_micros(u64::try_from(micros).expect("after its first event"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_watcher() {
    let _alone = crate::alone().await;
    let plan = Plan::read();
    let database = Database::fresh(Engine::Postgres).await;
    let mut arguments = database.arguments();
    let page_seconds = plan.page_seconds.to_string();
    arguments.extend(["--watch-page-seconds", &page_seconds, "--watches-per-caller-max", "5000"].map(str::to_owned));
    let process = Process::start(free_port(), &arguments);
    let key = process.first_key.clone().expect("a fresh database");
    let root = Caller::connect(&process.address, Some(key.clone())).await;
    let quiet = organization(&root, "quiet").await;
    let mut busy = Vec::new();
    for index in 0..WRITERS {
        busy.push(organization(&root, &format!("busy-{index}")).await);
    }

    // Many for whom there is nothing.
    let quiet = WatchEventsRequest { stream_id: quiet, ..WatchEventsRequest::default() };
    let before_idle = resident(&process);
    let mut idle = Vec::with_capacity(plan.idle);
    let mut shared = channel(&process).await;
    for index in 0..plan.idle {
        if index % 500 == 0 {
            shared = channel(&process).await;
        }
        idle.push(Watch::open(&shared, &key, quiet.clone()).await);
    }
    let idle_bytes = resident(&process).saturating_sub(before_idle) / plan.idle as u64;
    let (begin, before) = (Instant::now(), processor(&process));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle_share = (processor(&process) - before).as_secs_f64() / begin.elapsed().as_secs_f64();

    // One that lags behind, and one that keeps up, while others write.
    let (ending, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let last = root.log_with(1 + roster::permissions::OWN.len() + 6 + 1 + 1 + WRITERS).await.len();
    let begins = from(i64::try_from(last).unwrap());
    let slow = Watch::open(&channel(&process).await, &key, begins.clone()).await;
    let fast =
        Watch::open(&Endpoint::new(process.address.clone()).unwrap().connect().await.unwrap(), &key, begins).await;
    let bound = Duration::from_secs(plan.page_seconds);
    let slow = tokio::spawn(lag_behind(slow, plan.write.max(bound + Duration::from_secs(6))));
    let done = Arc::<AtomicBool>::default();
    let fast = tokio::spawn(keep_up(fast, done.clone(), written.clone()));
    let begin = Instant::now();
    let mut writing = tokio::task::JoinSet::new();
    for organization in busy {
        writing.spawn(write(root.clone(), organization, ending.clone(), written.clone()));
    }
    tokio::time::sleep(plan.write).await;
    ending.store(true, Ordering::Relaxed);
    writing.join_all().await;
    let rate = written.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    let ended = Instant::now();
    done.store(true, Ordering::Relaxed);
    let late = fast.await.unwrap();
    let caught_up = ended.elapsed();
    assert_eq!(late.len(), written.load(Ordering::Relaxed), "who keeps up gets everything");
    let Lagged { events, position, status, first_at } = slow.await.unwrap();
    let let_go = let_go_after(&process, first_at);
    assert_eq!(reason(&status), "WATCH_TOO_SLOW", "{status:?}");
    assert_eq!(metadata(&status)["resume_position"], position.to_string());
    drop(idle);

    // Hundreds that read nothing of a long log.
    let before = resident(&process);
    let mut deaf = Vec::with_capacity(DEAF);
    for index in 0..DEAF {
        if index % 20 == 0 {
            shared = channel(&process).await;
        }
        deaf.push(Watch::open(&shared, &key, from(0)).await);
    }
    let (begin, mut most) = (Instant::now(), 0);
    while begin.elapsed() < bound {
        most = most.max(resident(&process));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let held = most.saturating_sub(before) / DEAF as u64;
    let at = |share: f64| late[(share * (late.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    let figures = json!({"test": "slow_watcher", "bound_seconds": plan.page_seconds,
        "events_per_second": rate.round(), "events_written": late.len(), "slow_was_sent": events,
        "slow_ended": reason(&status), "slow_ended_after_ms": let_go.as_millis(), "resume_position": position, "others_late_p50_ms": at(0.5).round(),
        "others_late_p99_ms": at(0.99).round(), "others_caught_up_ms": caught_up.as_millis(),
        "deaf_watchers": DEAF, "bytes_per_deaf_watcher": held, "idle_watchers": plan.idle,
        "bytes_per_idle_watcher": idle_bytes, "idle_processor_share": (idle_share * 1e3).round() / 1e3});
    println!("{figures}");
    // Its page was given to it an instant before it had its first event.
    let bounds = bound - Duration::from_secs(1)..bound + SLACK;
    assert!(bounds.contains(&let_go), "let go of after {let_go:?}, and the bound is {bound:?}");
    assert!(held < HELD_MAX, "{held} bytes are held for one that reads nothing");
    assert!(caught_up < Duration::from_secs(20), "who keeps up is {caught_up:?} behind");
    assert!(idle_share < 0.5, "{} idle watchers take {idle_share} of a processor", plan.idle);

    // None of them was told yet: whoever reads on hears it behind what they were sent.
    let mut watch = deaf.swap_remove(0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = loop {
        if let Err(status) = watch.event().await {
            break status;
        }
    };
    assert_eq!(reason(&status), "WATCH_TOO_SLOW", "{status:?}");
}
