//! Which events a list and a watch let through.

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{
        Engine, TestServer, text,
        watcher::{Watcher, ids, number},
    },
};

/// Asks for the same by a list and by a watch; both must bring exactly what is wanted of the log, in its order.
async fn assert_brings(server: &TestServer, log: &[Value], filter: Value, wanted: impl Fn(&Value) -> bool) -> usize {
    let wanted: Vec<_> = log.iter().filter(|event| wanted(event)).cloned().collect();
    let mut listed = filter.clone();
    listed["pageSize"] = json!(3);
    let listed = server.root.list("EventService/ListEvents", listed, "events").await;
    assert_eq!(ids(&listed), ids(&wanted), "listed: {filter}");
    let mut watched = filter.clone();
    watched["afterPosition"] = json!("0");
    let mut watcher = Watcher::open(&server.root, watched).await;
    let mut events = Vec::new();
    while events.len() < wanted.len() {
        events.extend(watcher.next().await.event());
    }
    assert_eq!(events, wanted, "watched: {filter}");
    wanted.len()
}

on_both_engines! {
    async fn a_filter_lets_exactly_what_it_says_through(server) {
        let root = &server.root;
        let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let acme = text(&created["organization"]["organizationId"]);
        root.call("OrganizationService/CreateOrganization", json!({"slug": "beta"})).await;
        // Texts that a pattern would take for one another.
        for slug in ["a_b", "a-b", "a.b"] {
            root.call("RoleService/CreatePermission", json!({"slug": slug})).await;
        }
        for id in ["x%", "xy", "X%", "a,b", "a", "b"] {
            root.call("GrantService/PutResource", json!({"organizationId": acme, "resource": {"type": "doc", "id": id}})).await;
        }
        let other = server.caller(&["resources:write", "users:write"]).await;
        let made = other.call("UserService/CreateUser", json!({"email": "ada@example.com"})).await;
        let user = text(&made["user"]["userId"]);
        // The tenant, its permissions, its roles, the first key; and those above.
        let log = root.log_with(1 + roster::permissions::OWN.len() + 6 + 1 + 2 + 3 + 6 + 1 + 1).await;
        let key = text(&log.last().unwrap()["actor"]["id"]);
        let subject = |event: &Value| (text(&event["subject"]["kind"]), text(&event["subject"]["id"]));

        let is = |kind: &'static str, id: &'static str| move |event: &Value| subject(event) == (kind.to_owned(), id.to_owned());
        let of = |kind: &str, id: &str| json!({"subjects": [{"kind": kind, "id": id}]});
        for id in ["a_b", "a-b"] {
            assert_eq!(assert_brings(&server, &log, of("permission", id), is("permission", id)).await, 1);
        }
        for id in ["doc/x%", "doc/X%", "doc/a,b", "doc/a"] {
            assert_eq!(assert_brings(&server, &log, of("resource", id), is("resource", id)).await, 1);
        }
        assert_eq!(assert_brings(&server, &log, of("resource", "doc/A"), |_| false).await, 0);
        let two = json!({"subjects": [{"kind": "organization"}, {"kind": "user", "id": user}]});
        let count = assert_brings(&server, &log, two, |event| {
            subject(event).0 == "organization" || subject(event).1 == user
        }).await;
        assert_eq!(count, 3);
        let in_acme = json!({"streamId": acme, "types": ["resource.created", "organization.created"]});
        assert_eq!(assert_brings(&server, &log, in_acme, |event| event["organizationId"] == acme).await, 7);

        let by = |actors: Value| json!({"actors": actors});
        let by_other = |event: &Value| event["actor"]["id"] == key;
        assert_eq!(assert_brings(&server, &log, by(json!([{"id": key}])), by_other).await, 1);
        let exactly = by(json!([{"kind": "EVENT_ACTOR_KIND_API_KEY", "id": key}]));
        assert_eq!(assert_brings(&server, &log, exactly, by_other).await, 1);
        let kind = by(json!([{"kind": "EVENT_ACTOR_KIND_SYSTEM"}]));
        let system = |event: &Value| event["actor"]["kind"] == "EVENT_ACTOR_KIND_SYSTEM";
        assert!(assert_brings(&server, &log, kind, system).await > 10);
        let both = by(json!([{"kind": "EVENT_ACTOR_KIND_SYSTEM"}, {"id": key}]));
        assert_brings(&server, &log, both, |event| system(event) || by_other(event)).await;
        let nobody = by(json!([{"kind": "EVENT_ACTOR_KIND_USER", "id": user}]));
        assert_eq!(assert_brings(&server, &log, nobody, |_| false).await, 0);
        let all = json!({"types": ["user.created"], "subjects": [{"kind": "user"}], "actors": [{"id": key}]});
        assert_eq!(assert_brings(&server, &log, all, |event| subject(event).1 == user).await, 1);
        let never = json!({"types": ["user.created"], "subjects": [{"kind": "role"}]});
        assert_eq!(assert_brings(&server, &log, never, |_| false).await, 0);

        // Another tenant's ids let nothing through, and tell nothing.
        let stranger = server.stranger().await;
        let theirs = stranger.list("EventService/ListEvents", of("user", &user), "events").await;
        assert_eq!(theirs, [Value::Null; 0]);
        let mut watcher = Watcher::open(&stranger, json!({"afterPosition": "0", "subjects": [{"kind": "user", "id": user}]})).await;
        let end = number(&log.last().unwrap()["position"]);
        assert_eq!(watcher.events_until(end).await, [Value::Null; 0]);
    }
}
