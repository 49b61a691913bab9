//! For how long the log is kept: what is hidden, what is dropped, what is kept in spite of that, and what never changes by it.

use std::time::{Duration, Instant};

use roster::{
    clock::{Clock, Timestamp},
    db::Db,
    retention::Retention,
};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    on_both_engines,
    support::{
        Caller, Database, Engine, TestServer, bad_fields, metadata, reason, text,
        watcher::{Watcher, number},
    },
};

const DAY: Duration = Duration::from_hours(24);
const LIST: &str = "EventService/ListEvents";
const AS_OF: &str = "AuditService/ReadStateAsOf";

/// From now on events are kept for so many days.
pub async fn keep(server: &TestServer, days: u32) {
    let tenant = server.root.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
    let update = json!({"tenant": {"tenantId": tenant, "logRetentionDays": days}, "updateMask": "logRetentionDays"});
    let updated = server.root.call("TenantService/UpdateTenant", update).await;
    assert_eq!(updated["tenant"]["logRetentionDays"], days);
}

/// Lets the leader look, and waits until it has hidden the beginning of a stream; answers the first sequence that is left.
pub async fn hidden(server: &TestServer, stream: &str) -> i64 {
    server.clock.advance(Duration::from_hours(2));
    let begin = Instant::now();
    loop {
        match server.root.try_call(LIST, json!({"streamId": stream})).await {
            Err(status) if reason(&status) == "RANGE_DROPPED" => {
                return metadata(&status)["first_sequence"].parse().unwrap();
            }
            Err(status) => panic!("{status:?}"),
            Ok(_) => assert!(begin.elapsed() < Duration::from_secs(30), "nothing is hidden"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An organization, by the name of its slug, with a member whose address is personal; answers both ids.
async fn organization(caller: &Caller, slug: &str) -> (String, String) {
    let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    let id = text(&created["organization"]["organizationId"]);
    let member = json!({"organizationId": id, "member": {"email": format!("ada@{slug}.example"),
        "metadata": {"desk": "Z 7"}}});
    let added = caller.call("MembershipService/AddMember", member).await;
    (id, text(&added["membership"]["userId"]))
}

/// The log of the tenant, once everything in a stream has its position.
async fn settled(caller: &Caller, stream: &str) -> Vec<Value> {
    let there = caller.list(LIST, json!({"streamId": stream, "skipDropped": true}), "events").await;
    let last = there.last().unwrap()["eventId"].clone();
    let begin = Instant::now();
    loop {
        let log = caller.list(LIST, json!({"pageSize": 1000, "skipDropped": true}), "events").await;
        if log.iter().any(|event| event["eventId"] == last) {
            return log;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody numbers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn put(caller: &Caller, organization: &str, document: &str) {
    let put = json!({"organizationId": organization, "resource": {"type": "doc", "id": document}});
    caller.call("GrantService/PutResource", put).await;
}

fn merged(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// Everything that an organization has, as the log tells it.
async fn states(caller: &Caller, request: Value) -> Result<Vec<Value>, tonic::Status> {
    let mut answers = caller.stream(AS_OF, request).await?;
    let mut states = Vec::new();
    while let Some(answer) = answers.next().await {
        let answer = roster::dynamic::to_json(&answer?).unwrap();
        states.extend(Some(answer["state"].clone()).filter(|state| !state.is_null()));
    }
    Ok(states)
}

/// The refusal of what is not there any more: the field, and the first that is.
async fn dropped(caller: &Caller, name: &str, request: Value) -> (String, String) {
    let status = match name {
        LIST => caller.try_call(name, request.clone()).await.expect_err("a refusal"),
        _ => caller.stream(name, request.clone()).await.expect_err("a refusal"),
    };
    assert_eq!((reason(&status).as_str(), status.code()), ("RANGE_DROPPED", Code::OutOfRange), "{name} {request}");
    let first = metadata(&status).into_iter().find(|(name, _)| name.starts_with("first_"));
    (bad_fields(&status).remove(0), first.map(|(_, value)| value).unwrap_or_default())
}

on_both_engines! {
    async fn what_is_older_than_its_tenant_keeps_it_is_hidden_and_the_state_stays(server) {
        let root = &server.root;
        let (id, user) = organization(root, "acme").await;
        put(root, &id, "old").await;
        put(root, &id, "gone").await;
        let delete = json!({"organizationId": id, "resource": {"type": "doc", "id": "gone"}});
        root.call("GrantService/DeleteResource", delete).await;
        settled(root, &id).await;
        let old = root.events(&id).await;
        server.clock.advance(DAY * 40);
        let then = server.clock.in_future(Duration::ZERO);
        keep(&server, 30).await;
        put(root, &id, "new").await;
        settled(root, &id).await;
        let before = states(root, json!({"organizationId": id})).await.unwrap();
        let first = hidden(&server, &id).await;
        assert_eq!(usize::try_from(first).unwrap(), old.len() + 1);

        // Whoever asks for what is hidden is told where it begins.
        let (last, sequence) = (old.last().unwrap(), first.to_string());
        let position = (number(&last["position"]) + 1).to_string();
        let told = |field: &str, first: &str| (field.to_owned(), first.to_owned());
        let behind = json!({"streamId": id, "afterSequence": first - 2});
        assert_eq!(dropped(root, LIST, behind).await, told("after_sequence", &sequence));
        let watch = "EventService/WatchEvents";
        let of_all = json!({"afterPosition": number(&last["position"]) - 1});
        assert_eq!(dropped(root, LIST, of_all.clone()).await, told("after_position", &position));
        assert_eq!(dropped(root, watch, of_all.clone()).await, told("after_position", &position));
        let time = json!({"sinceTime": last["occurTime"]});
        assert_eq!(dropped(root, LIST, time.clone()).await, told("since_time", &position));
        let export = "AuditService/ExportEvents";
        let whole = json!({"streamId": id});
        assert_eq!(dropped(root, export, whole).await, told("after_sequence", &sequence));
        let earlier = json!({"organizationId": id, "sequence": first - 2});
        assert_eq!(dropped(root, AS_OF, earlier).await, told("sequence", &sequence));
        let earlier = json!({"organizationId": id, "time": last["occurTime"]});
        assert_eq!(dropped(root, AS_OF, earlier).await.0, "time");
        let by_id = json!({"eventId": last["eventId"]});
        root.refused("EventService/GetEvent", by_id, "EVENT_NOT_FOUND").await;

        // What is left is there, from wherever it is asked for.
        let skipping = |request: Value| root.list(LIST, merged(request, json!({"skipDropped": true})), "events");
        let there = root.list(LIST, json!({"streamId": id, "afterSequence": first - 1}), "events").await;
        assert_eq!(there.len(), 1);
        let of_time = root.list(LIST, json!({"streamId": id, "sinceTime": then}), "events").await;
        assert_eq!(of_time, there);
        let of_all = root.list(LIST, json!({"afterPosition": number(&last["position"])}), "events").await;
        assert_eq!(of_all.last(), there.last());
        assert_eq!(skipping(json!({"streamId": id})).await, there);
        assert_eq!(skipping(json!({"streamId": id, "afterSequence": 2, "pageSize": 1})).await, there);
        assert_eq!(skipping(merged(json!({"streamId": id}), time.clone())).await, there);
        assert_eq!(skipping(json!({"pageSize": 1})).await, of_all);
        assert_eq!(skipping(time).await, of_all);
        let audited = root.list("AuditService/ListAuditEvents", json!({"streamId": id}), "events").await;
        assert_eq!(audited, there);
        let mut all = root.list("AuditService/ListAuditEvents", json!({}), "events").await;
        all.reverse();
        assert_eq!(all, of_all);
        root.call("AuditService/GetCheckpoint", json!({"streamId": id})).await;

        // The state is what it was, what happened since included.
        assert_eq!(states(root, json!({"organizationId": id})).await.unwrap(), before);
        assert_eq!(states(root, json!({"organizationId": id, "time": then})).await.unwrap().len(), before.len() - 1);
        let of_then = async || serde_json::to_string(&states(root, json!({"organizationId": id, "time": then})).await.unwrap()).unwrap();
        assert!(of_then().await.contains("Z 7"));
        root.call("UserService/EraseUser", json!({"userId": user})).await;
        assert!(!of_then().await.contains("Z 7"), "what is left of hidden events is erased too");
    }

    async fn what_is_held_is_kept_and_so_is_who_is_in_it(server) {
        let root = &server.root;
        let ((held, user), (other, _)) = (organization(root, "held").await, organization(root, "other").await);
        let hold = json!({"organizationId": held, "reason": "case 7"});
        let placed = root.call("OrganizationService/PlaceLegalHold", hold.clone()).await;
        assert_eq!(placed["organization"]["legalHold"], true);
        let again = root.call("OrganizationService/PlaceLegalHold", hold.clone()).await;
        assert_eq!(again["organization"], placed["organization"], "holding it again changes nothing");
        let last = root.events(&held).await.pop().unwrap();
        assert_eq!((text(&last["type"]), text(&last["reason"])), ("organization.legal_hold_placed".into(), "case 7".into()));
        assert_eq!(last["changedFields"], json!(["legal_hold"]));
        let status = root.try_call("UserService/EraseUser", json!({"userId": user})).await.unwrap_err();
        assert_eq!((reason(&status), &metadata(&status)["organization_id"]), ("LEGAL_HOLD".to_owned(), &held));

        root.call("OrganizationService/DeleteOrganization", json!({"organizationId": held})).await;
        root.call("OrganizationService/DeleteOrganization", json!({"organizationId": other})).await;
        settled(root, &held).await;
        let events = root.events(&held).await;
        server.clock.advance(DAY * 40);
        keep(&server, 30).await;
        hidden(&server, &other).await;
        assert_eq!(root.events(&held).await, events, "everything of it, and it was not purged");
        let audited = root.list("AuditService/ListAuditEvents", json!({}), "events").await;
        let of_held = audited.iter().filter(|event| event["organizationId"] == json!(held));
        assert_eq!(of_held.count(), events.len(), "and of the whole tenant it is listed too");
        let mut of_other = audited.iter().filter(|event| event["organizationId"] == json!(other));
        assert!(of_other.all(|event| event["type"] == "organization.purged"), "the other's is hidden");
        let behind = json!({"skipDropped": true});
        let listed = root.list(LIST, behind, "events").await;
        assert!(listed.iter().all(|event| number(&event["position"]) > number(&events.last().unwrap()["position"])));
        let tenant = text(&events[0]["tenantId"]);
        assert_eq!(root.events(&tenant).await[0]["type"], "tenant.created", "who they are stands there");
        assert!(!states(root, json!({"organizationId": held, "sequence": 1})).await.unwrap().is_empty());

        let released = root.call("OrganizationService/ReleaseLegalHold", json!({"organizationId": held})).await;
        assert_eq!(released["organization"]["legalHold"], false);
        hidden(&server, &held).await;
        let begin = Instant::now();
        let get = json!({"organizationId": held});
        while root.call("OrganizationService/GetOrganization", get.clone()).await["organization"]["status"]
            != "ORGANIZATION_STATUS_PURGED"
        {
            assert!(begin.elapsed() < Duration::from_secs(30), "not purged");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        root.refused("OrganizationService/PlaceLegalHold", get, "ILLEGAL_TRANSITION").await;
        root.call("UserService/EraseUser", json!({"userId": user})).await;
    }

    async fn only_a_platform_key_holds_and_retention_has_bounds(server) {
        let (id, _) = organization(&server.root, "acme").await;
        let narrow = server.caller(&["*"]).await;
        for name in ["PlaceLegalHold", "ReleaseLegalHold"] {
            let name = format!("OrganizationService/{name}");
            narrow.refused(&name, json!({"organizationId": id}), "MISSING_PERMISSION").await;
        }
        let tenant = server.root.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
        for days in [-1, 36_501] {
            let update = json!({"tenant": {"tenantId": tenant, "logRetentionDays": days}, "updateMask": "logRetentionDays"});
            let status = server.root.try_call("TenantService/UpdateTenant", update).await.unwrap_err();
            assert_eq!(bad_fields(&status), ["tenant.log_retention_days"]);
        }
    }

    async fn other_tenants_keep_theirs(server) {
        let stranger = server.stranger().await;
        let (theirs, _) = organization(&stranger, "theirs").await;
        let (ours, _) = organization(&server.root, "ours").await;
        settled(&stranger, &theirs).await;
        let events = stranger.events(&theirs).await;
        server.clock.advance(DAY * 40);
        keep(&server, 30).await;
        hidden(&server, &ours).await;
        assert_eq!(stranger.events(&theirs).await, events);
        let all = stranger.events("").await;
        assert_eq!(all[0]["type"], "tenant.created");
    }
}

/// The months that the log of a database has.
async fn months(database: &Database) -> Vec<String> {
    let db = Db::open(&database.location()).await.unwrap();
    let sql = "SELECT c.relname::TEXT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass ORDER BY 1";
    let rows: Vec<(String,)> = db.snapshot().await.unwrap().fetch_all(sql, vec![]).await.unwrap();
    db.close().await;
    rows.into_iter().map(|(name,)| name).collect()
}

/// Lets the leader look often enough for whatever it may drop, and drops it.
async fn drops(server: &TestServer) -> bool {
    server.clock.advance(Duration::from_mins(2));
    let db = Db::open(&server.location()).await.unwrap();
    let dropped = db.drop_month(server.clock.clock().now(), 0).await.unwrap();
    db.close().await;
    dropped
}

#[tokio::test]
async fn a_month_that_nobody_needs_is_dropped_whole() {
    let mut server = TestServer::start(Engine::Postgres).await;
    let (id, user) = organization(&server.root, "acme").await;
    put(&server.root, &id, "old").await;
    let (kept, _) = organization(&server.root, "kept").await;
    let old = settled(&server.root, &kept).await;
    server.clock.advance(DAY * 70);
    put(&server.root, &id, "new").await;
    let there = months(&server.database).await;
    assert!(!drops(&server).await, "for good is for good");

    server.root.call("OrganizationService/PlaceLegalHold", json!({"organizationId": kept})).await;
    keep(&server, 30).await;
    let first = hidden(&server, &id).await;
    assert!(!drops(&server).await, "one that is held needs it");
    server.root.call("OrganizationService/ReleaseLegalHold", json!({"organizationId": kept})).await;
    hidden(&server, &kept).await;
    hidden(&server, &text(&old[0]["tenantId"])).await;

    // A topic that has not got everything needs it.
    let db = Db::open(&server.location()).await.unwrap();
    let last = number(&old.last().unwrap()["position"]);
    let (hidden_at,): (i64,) =
        db.snapshot().await.unwrap().fetch_one("SELECT hidden_at FROM log_retention", vec![]).await.unwrap();
    let now = Timestamp(hidden_at).plus(Duration::from_mins(2));
    assert!(!db.drop_month(now, 1).await.unwrap(), "one has no mark yet");
    let behind = async move |tx: &mut roster::db::Tx| {
        let sql = "INSERT INTO relay_cursors (sink, position, leader_epoch) VALUES ('s', $1, 0)";
        tx.execute(sql, vec![(last - 1).into()]).await
    };
    db.write(behind).await.unwrap();
    assert!(!db.drop_month(now, 1).await.unwrap(), "and lacks one event");
    let even = async move |tx: &mut roster::db::Tx| {
        tx.execute("UPDATE relay_cursors SET position = $1", vec![last.into()]).await
    };
    db.write(even).await.unwrap();
    assert!(
        !db.drop_month(Timestamp(hidden_at).plus(Duration::from_secs(59)), 1).await.unwrap(),
        "somebody may still read it"
    );
    assert!(db.drop_month(now, 1).await.unwrap());
    db.close().await;
    assert_eq!(months(&server.database).await, there[1..].to_vec(), "the first one is gone, and no other");

    // Nothing of the state is: neither now, nor for a service that starts on what is left.
    let before = states(&server.root, json!({"organizationId": id})).await.unwrap();
    server.restart(|_| {}).await;
    assert_eq!(states(&server.root, json!({"organizationId": id})).await.unwrap(), before);
    let there = server.root.list(LIST, json!({"streamId": id, "afterSequence": first - 1}), "events").await;
    assert_eq!(there.len(), 1);
    let names = before.iter().map(|state| text(&state["id"])).collect::<Vec<_>>();
    assert!(names.iter().any(|name| name == "doc/old") && names.iter().any(|name| name == "doc/new"), "{names:?}");
    let at = json!({"organizationId": id, "sequence": first - 1});
    let status = states(&server.root, at).await.unwrap_err();
    assert_eq!((reason(&status), bad_fields(&status)), ("RANGE_DROPPED".to_owned(), vec!["sequence".to_owned()]));
    let first_time = metadata(&status)["first_time"].clone();
    states(&server.root, json!({"organizationId": id, "time": first_time})).await.unwrap();
    // Whoever goes on from a revision, of which the part that was quiet is gone, misses nothing.
    let seen = json!({"organizationId": id, "resource": {"type": "doc", "id": "seen"}});
    let revision = server.root.call("GrantService/PutResource", seen).await["revision"].clone();
    put(&server.root, &id, "newest").await;
    let newest = number(&settled(&server.root, &id).await.pop().unwrap()["position"]);
    let mut watcher = Watcher::open(&server.root, json!({"afterRevision": revision})).await;
    let names =
        watcher.events_until(newest).await.iter().map(|event| text(&event["subject"]["id"])).collect::<Vec<_>>();
    assert_eq!(names, ["doc/newest"]);
    server.root.call("UserService/EraseUser", json!({"userId": user})).await;
}

/// Hides everything that there is, at once, whatever the service does.
async fn hide_everything(server: &TestServer) {
    let later = server.clock.clock().now().plus(DAY * 3);
    let retention = Retention { db: Db::open(&server.location()).await.unwrap(), clock: Clock::from_fn(move || later) };
    let stop = CancellationToken::new();
    let db = retention.db.clone();
    let running = async { retention.run(0, &stop).await };
    let until = async {
        let sql = "SELECT COUNT(*) FROM log_chains WHERE hidden_sequence < sequence";
        loop {
            let (left,): (i64,) = db.snapshot().await.unwrap().fetch_one(sql, vec![]).await.unwrap();
            if left == 0 {
                return stop.cancel();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(running, until) }).await.expect("it ends");
    db.close().await;
}

on_both_engines! {
    async fn whoever_is_overtaken_is_told_and_misses_nothing_unseen(server) {
        let (id, _) = organization(&server.root, "acme").await;
        keep(&server, 1).await;
        for batch in 0..6 {
            let members: Vec<_> = (0..100)
                .map(|n| json!({"email": format!("m{batch}-{n}@acme.example"), "metadata": {"note": "x".repeat(400)}}))
                .collect();
            server.root.call("MembershipService/BatchAddMembers", json!({"organizationId": id, "members": members})).await;
        }
        let all = settled(&server.root, &id).await;
        let slow = server.root.with_little_room();
        let mut watcher = Watcher::open(&slow, json!({"afterPosition": 0})).await;
        let mut seen = number(&watcher.next().await.event().map_or(json!("0"), |event| event["position"].clone()));
        let mut export = slow.stream("AuditService/ExportEvents", json!({"streamId": id})).await.unwrap();
        export.next().await.unwrap().unwrap();
        hide_everything(&server).await;

        let ended = loop {
            match watcher.try_next().await {
                Ok(item) => {
                    if let Some(event) = item.event() {
                        assert_eq!(number(&event["position"]), seen + 1, "without a gap");
                        seen += 1;
                    }
                }
                Err(status) => break status,
            }
            assert!(seen < number(&all.last().unwrap()["position"]), "it was not overtaken");
        };
        assert_eq!(reason(&ended), "RANGE_DROPPED");
        assert_eq!(metadata(&ended)["resume_position"], seen.to_string());
        let ended = loop {
            match export.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => break status,
                None => panic!("the export was not overtaken"),
            }
        };
        assert_eq!(reason(&ended), "CONFLICT");
    }
}

on_both_engines! {
    async fn what_a_topic_has_not_got_is_not_hidden(server) {
        let (id, _) = organization(&server.root, "acme").await;
        let old = settled(&server.root, &id).await;
        let db = Db::open(&server.location()).await.unwrap();
        let marked = async |position: i64| {
            let set = async move |tx: &mut roster::db::Tx| {
                tx.execute("DELETE FROM relay_cursors", vec![]).await?;
                let sql = "INSERT INTO relay_cursors (sink, position, leader_epoch) VALUES ('s', $1, 0)";
                tx.execute(sql, vec![position.into()]).await
            };
            db.write(set).await.unwrap();
        };
        // All but the last event of the organization.
        marked(number(&old.last().unwrap()["position"]) - 1).await;
        server.clock.advance(DAY * 40);
        keep(&server, 30).await;
        assert_eq!(hidden(&server, &id).await, number(&old.last().unwrap()["sequence"]));
        marked(i64::MAX).await;
        server.clock.advance(Duration::from_hours(2));
        let begin = Instant::now();
        let first = json!({"streamId": id, "afterSequence": number(&old.last().unwrap()["sequence"]) - 1});
        while server.root.try_call(LIST, first.clone()).await.is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the last one is not hidden");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        db.close().await;
    }

    async fn one_clock_that_is_behind_hides_nothing_that_is_new(server) {
        let (id, _) = organization(&server.root, "acme").await;
        server.clock.advance(DAY * 40);
        put(&server.root, &id, "new").await;
        let new = server.root.events(&id).await.pop().unwrap();
        server.clock.set_back(DAY * 40);
        put(&server.root, &id, "by a clock that is behind").await;
        settled(&server.root, &id).await;
        server.clock.advance(DAY * 40);
        keep(&server, 30).await;
        assert_eq!(hidden(&server, &id).await, number(&new["sequence"]));
    }
}

/// A month into which somebody writes while it is about to be dropped is not dropped.
#[tokio::test]
async fn whoever_still_writes_into_a_month_keeps_it() {
    let mut server = TestServer::start(Engine::Postgres).await;
    server.meddled_with = true;
    let (id, _) = organization(&server.root, "acme").await;
    let old = settled(&server.root, &id).await;
    server.clock.advance(DAY * 70);
    keep(&server, 30).await;
    hidden(&server, &id).await;
    hidden(&server, &text(&old[0]["tenantId"])).await;
    let there = months(&server.database).await;
    let db = Db::open(&server.location()).await.unwrap();
    let late = async move |tx: &mut roster::db::Tx| {
        let sql = "INSERT INTO events (tenant_id, stream_id, sequence, id, type, occurred_at, subject_kind, subject_id,
                actor_kind, actor_id, ended, payload, leaf, subject_seal, actor_seal)
            SELECT tenant_id, stream_id, 1000000, gen_random_uuid(), type, occurred_at, subject_kind, subject_id,
                actor_kind, actor_id, ended, payload, leaf, subject_seal, actor_seal
            FROM events ORDER BY row_id LIMIT 1";
        tx.execute(sql, vec![]).await?;
        tokio::time::sleep(Duration::from_millis(60)).await;
        Ok(())
    };
    let now = server.clock.clock().now().plus(Duration::from_mins(2));
    let (dropped, written) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            db.drop_month(now, 0).await
        },
        db.write(late)
    );
    written.unwrap();
    assert!(!matches!(dropped, Ok(true)));
    assert_eq!(months(&server.database).await, there);
    db.close().await;
}
