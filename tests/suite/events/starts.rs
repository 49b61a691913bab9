//! Where a list and a watch begin.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{
        Caller, Engine, TestServer, text,
        watcher::{Watcher, ids, number},
    },
};

const BEFORE: usize = 1 + roster::permissions::OWN.len() + 6 + 1;

async fn create(caller: &Caller, slug: &str) -> (String, String) {
    let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    (text(&created["organization"]["organizationId"]), text(&created["revision"]))
}

async fn put(caller: &Caller, organization: &str, id: &str) -> String {
    let put = json!({"organizationId": organization, "resource": {"type": "doc", "id": id}});
    text(&caller.call("GrantService/PutResource", put).await["revision"])
}

/// The events that a watch brings which begins so, until it has come to the log's end.
async fn watched(caller: &Caller, log: &[Value], request: Value) -> Vec<String> {
    let end = number(&log.last().unwrap()["position"]);
    ids(&Watcher::open(caller, request).await.events_until(end).await)
}

on_both_engines! {
    async fn a_watch_begins_behind_a_sequence(server) {
        let root = &server.root;
        let (acme, _) = create(root, "acme").await;
        let (beta, _) = create(root, "beta").await;
        for id in ["1", "2", "3"] {
            put(root, &acme, id).await;
            put(root, &beta, id).await;
        }
        let log = root.log_with(BEFORE + 8).await;
        let of_acme: Vec<_> = log.iter().filter(|event| event["organizationId"] == acme).cloned().collect();
        for sequence in 0..=4_usize {
            let request = json!({"streamId": acme, "afterSequence": sequence});
            let expected = ids(&of_acme[sequence..]);
            assert_eq!(watched(root, &log, request.clone()).await, expected, "{sequence}");
            let listed = root.list("EventService/ListEvents", request, "events").await;
            assert_eq!(ids(&listed), expected, "{sequence}");
        }
        for method in ["EventService/ListEvents", "EventService/WatchEvents"] {
            let method = roster::dynamic::find(&roster::dynamic::contract().unwrap(), method).unwrap();
            let request = json!({"streamId": acme, "afterSequence": 5});
            let status = crate::bad_input::attempt(root, &method, request).await.unwrap_err();
            assert_eq!(crate::support::bad_fields(&status), ["after_sequence"]);
        }
    }

    async fn a_watch_begins_behind_a_revision(server) {
        let root = &server.root;
        let (acme, _) = create(root, "acme").await;
        let (beta, before) = create(root, "beta").await;
        let first = put(root, &acme, "1").await;
        put(root, &beta, "1").await;
        root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let last = put(root, &acme, "2").await;
        let log = root.log_with(BEFORE + 6).await;
        let behind = |count: usize| ids(&log[BEFORE + count..]);
        let watch = |revision: String| json!({"afterRevision": revision});
        assert_eq!(watched(root, &log, watch(before)).await, behind(2));
        assert_eq!(watched(root, &log, watch(first.clone())).await, behind(3));
        assert_eq!(watched(root, &log, watch(last)).await, behind(6));
        let of_acme = json!({"afterRevision": first, "streamId": acme});
        assert_eq!(watched(root, &log, of_acme).await, ids(&log[BEFORE + 5..]));

        // A write's own revision, at once: its events may have no position yet.
        for index in 0..20 {
            let revision = put(root, &acme, &format!("again-{index}")).await;
            let mut watcher = Watcher::open(root, json!({"afterRevision": revision, "streamId": acme})).await;
            put(root, &acme, &format!("next-{index}")).await;
            let event = loop {
                if let Some(event) = watcher.next().await.event() {
                    break event;
                }
            };
            assert_eq!(event["subject"]["id"], json!(format!("doc/next-{index}")));
        }
        let stranger = server.stranger().await;
        let refused = Watcher::try_open(&stranger, json!({"afterRevision": first})).await.err().unwrap();
        assert_eq!(crate::support::reason(&refused), "INVALID_REVISION");
    }

    async fn a_watch_begins_at_a_time(server) {
        let root = &server.root;
        let (acme, _) = create(root, "acme").await;
        let mut times = Vec::new();
        for id in ["1", "2", "3"] {
            server.clock.advance(Duration::from_secs(3_600));
            times.push(server.clock.in_future(Duration::ZERO));
            put(root, &acme, id).await;
            create(root, &format!("other-{id}")).await;
        }
        let log = root.log_with(BEFORE + 7).await;
        for (hour, time) in times.iter().enumerate() {
            let expected = ids(&log[BEFORE + 1 + 2 * hour..]);
            let request = json!({"sinceTime": time});
            assert_eq!(watched(root, &log, request.clone()).await, expected);
            assert_eq!(ids(&root.list("EventService/ListEvents", request, "events").await), expected);
            let request = json!({"sinceTime": time, "streamId": acme, "pageSize": 1});
            let of_acme: Vec<_> = log[BEFORE + 1 + 2 * hour..].iter().filter(|e| e["organizationId"] == acme).cloned().collect();
            assert_eq!(ids(&root.list("EventService/ListEvents", request.clone(), "events").await), ids(&of_acme));
            let request = json!({"sinceTime": time, "streamId": acme});
            assert_eq!(watched(root, &log, request).await, ids(&of_acme));
        }
        assert_eq!(watched(root, &log, json!({"sinceTime": "1970-01-01T00:00:00Z"})).await, ids(&log));
        let now = server.clock.in_future(Duration::from_secs(5));
        assert_eq!(watched(root, &log, json!({"sinceTime": now})).await, [""; 0]);
        let listed = root.list("EventService/ListEvents", json!({"sinceTime": now, "streamId": acme}), "events").await;
        assert_eq!(listed, [Value::Null; 0]);
    }

    async fn a_watch_begins_with_what_is_new(server) {
        let root = &server.root;
        let (acme, _) = create(root, "acme").await;
        root.log_with(BEFORE + 1).await;
        let mut old = Watcher::open(root, json!({"afterPosition": "0"})).await;
        old.until(i64::try_from(BEFORE + 1).unwrap()).await; // this replica has read the log so far
        let mut watcher = Watcher::open(root, json!({})).await;
        watcher.next().await;
        put(root, &acme, "1").await;
        let log = root.log_with(BEFORE + 2).await;
        assert_eq!(ids(&watcher.events_until(number(&log.last().unwrap()["position"])).await), ids(&log[BEFORE + 1..]));
    }
}
