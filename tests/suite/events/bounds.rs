//! What a watcher may take: a page for so long, and so many watches.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic::Code;

use crate::support::{
    Engine, TestServer, assert_code, metadata, reason, text,
    watcher::{Watcher, ids},
};

const MEMBERS: usize = 600;

/// Whoever reads nothing for longer than a page is held is told so behind what they were sent, and loses nothing.
async fn who_reads_nothing_is_disconnected_and_loses_nothing(engine: Engine) {
    let server = TestServer::with(engine, |config| config.watches.page_time = Duration::from_millis(500)).await;
    let root = &server.root;
    let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let id = text(&created["organization"]["organizationId"]);
    let members: Vec<_> = (0..MEMBERS).map(|index| json!({"email": format!("u{index}@example.com")})).collect();
    root.call("MembershipService/BatchAddMembers", json!({"organizationId": id, "members": members})).await;
    let before = 1 + roster::permissions::OWN.len() + 6 + 1 + 1;
    let log = root.log_with(before + 2 * MEMBERS).await;

    let (mut position, mut events, mut slow) = (0, Vec::new(), 0);
    while events.len() < log.len() {
        let caller = root.with_little_room();
        let mut watcher = Watcher::open(&caller, json!({"afterPosition": position})).await;
        if slow == 0 {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let refused = loop {
            match watcher.try_next().await {
                Ok(item) => {
                    position = item.position();
                    events.extend(item.event());
                }
                Err(refused) => break Some(refused),
            }
            if events.len() == log.len() {
                break None;
            }
        };
        if let Some(refused) = refused {
            assert_eq!(reason(&refused), "WATCH_TOO_SLOW", "{refused:?}");
            assert_code(&refused, Code::Aborted);
            assert_eq!(metadata(&refused)["resume_position"], position.to_string());
            slow += 1;
        }
    }
    assert!(slow > 0, "it was sent everything");
    assert_eq!(ids(&events), ids(&log));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_is_disconnected_on_sqlite() {
    who_reads_nothing_is_disconnected_and_loses_nothing(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_is_disconnected_on_postgres() {
    who_reads_nothing_is_disconnected_and_loses_nothing(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_watches_without_end_is_refused_and_harms_nobody() {
    let server = TestServer::with(Engine::Sqlite, |config| {
        (config.watches.watches_max, config.watches.watches_per_caller_max) = (7, 5);
    })
    .await;
    let greedy = server.caller(&["events:read"]).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Watcher::open(&greedy, json!({})).await);
    }
    for _ in 0..100 {
        let refused = Watcher::try_open(&greedy, json!({})).await.err().expect("is refused");
        assert_eq!((reason(&refused).as_str(), refused.code()), ("TOO_MANY_WATCHES", Code::ResourceExhausted));
        assert_eq!(metadata(&refused)["limit"], "watches_per_caller_max");
    }
    let mut others = [Watcher::open(&server.root, json!({})).await, Watcher::open(&server.root, json!({})).await];
    let refused = Watcher::try_open(&server.root, json!({})).await.err().expect("is refused");
    assert_eq!(metadata(&refused)["limit"], "watches_max");
    others[0].next().await;

    // Whoever goes makes room; and whoever asks for what there is not, takes none.
    drop(open);
    for _ in 0..20 {
        server.root.refused("EventService/ListEvents", json!({"types": ["x"]}), "INVALID_REQUEST").await;
    }
    let begin = Instant::now();
    while let Err(refused) = Watcher::try_open(&greedy, json!({"types": ["user.created"]})).await {
        assert_eq!(reason(&refused), "TOO_MANY_WATCHES");
        assert!(begin.elapsed() < Duration::from_secs(30), "no room is made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        let refused = Watcher::try_open(&greedy, json!({"types": ["x"]})).await.err().unwrap();
        assert_eq!(reason(&refused), "INVALID_REQUEST");
    }
    drop(Watcher::open(&greedy, json!({})).await);
    server.stop().await;
}
