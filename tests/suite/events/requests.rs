//! Lists and watches that nobody can mean: every bad field is named at once.

use std::time::Duration;

use roster::dynamic;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    bad_input::attempt,
    on_both_engines,
    retention::{hidden, keep},
    support::{
        Caller, Engine, TestServer, bad_fields, metadata, reason, text,
        watcher::{Watcher, number},
    },
};

const BOTH: [&str; 2] = ["EventService/ListEvents", "EventService/WatchEvents"];
const LIST: &str = BOTH[0];
const WATCH: &str = BOTH[1];

async fn refusal(caller: &Caller, name: &str, request: Value) -> Status {
    let method = dynamic::find(&dynamic::contract().unwrap(), name).unwrap();
    match attempt(caller, &method, request.clone()).await {
        Ok(()) => panic!("{name} {request} succeeded"),
        Err(status) => status,
    }
}

/// Both methods refuse, and name these fields.
async fn assert_names(caller: &Caller, names: &[&str], request: Value, fields: &[&str]) {
    for name in names {
        let status = refusal(caller, name, request.clone()).await;
        assert_eq!(reason(&status), "INVALID_REQUEST", "{name} {request}");
        assert_eq!(bad_fields(&status), fields, "{name} {request}");
    }
}

on_both_engines! {
    async fn every_bad_part_of_a_filter_is_named_at_once(server) {
        let root = &server.root;
        let user = roster::ids::UserId::generate().to_string();
        let subjects = json!([{"kind": "user"}, {"kind": "users"}, {"id": user}, {"kind": "team", "id": user},
            {"kind": "role", "id": "\u{1e}"}]);
        let actors = json!([{"kind": "EVENT_ACTOR_KIND_USER", "id": user}, {}, {"kind": 77},
            {"kind": "EVENT_ACTOR_KIND_API_KEY", "id": user}, {"kind": "EVENT_ACTOR_KIND_SYSTEM", "id": "x"},
            {"id": "x".repeat(501)}]);
        let request = json!({"streamId": "x", "types": ["user.created", "user.made"], "subjects": subjects, "actors": actors});
        let fields = ["types[1]", "subjects[1].kind", "subjects[2].kind", "subjects[3].id", "subjects[4].id",
            "actors[1].kind", "actors[2].kind", "actors[3].id", "actors[4].id", "actors[5].id", "stream_id"];
        assert_names(root, &BOTH, request, &fields).await;

        let many = |entry: Value| vec![entry; 51];
        let request = json!({"types": many(json!("user.created")), "subjects": many(json!({"kind": "user"})),
            "actors": many(json!({"kind": "EVENT_ACTOR_KIND_USER"}))});
        assert_names(root, &BOTH, request, &["types", "subjects", "actors"]).await;
    }

    async fn a_start_is_one_and_is_there(server) {
        let root = &server.root;
        let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let (id, revision) = (&created["organization"]["organizationId"], &created["revision"]);
        let past = "2020-01-01T00:00:00Z";
        let all = json!({"streamId": id, "afterPosition": 1, "afterSequence": 1, "afterRevision": revision, "sinceTime": past});
        let four = ["after_position", "after_sequence", "after_revision", "since_time"];
        assert_names(root, &[WATCH], all, &four).await;
        let two = json!({"afterPosition": 0, "sinceTime": past});
        assert_names(root, &[WATCH], two, &["after_position", "since_time"]).await;
        let two = json!({"afterPosition": 1, "sinceTime": past});
        assert_names(root, &[LIST], two, &["after_position", "since_time"]).await;
        let two = json!({"streamId": id, "afterSequence": 1, "sinceTime": past});
        assert_names(root, &BOTH, two, &["after_sequence", "since_time"]).await;

        let position = json!({"afterPosition": 1_000_000});
        assert_names(root, &BOTH, position, &["after_position"]).await;
        assert_names(root, &BOTH, json!({"afterPosition": -1}), &["after_position"]).await;
        for long_ago in ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"] {
            let all = root.list(LIST, json!({"streamId": id, "sinceTime": long_ago}), "events").await;
            assert_eq!(all.len(), 1, "since the beginning: {long_ago}");
        }
        assert_names(root, &BOTH, json!({"afterPosition": i64::MAX}), &["after_position"]).await;
        for sequence in [2, i64::MAX] {
            let request = json!({"streamId": id, "afterSequence": sequence});
            assert_names(root, &BOTH, request, &["after_sequence"]).await;
        }
        assert_names(root, &BOTH, json!({"streamId": id, "afterSequence": -1}), &["after_sequence"]).await;
        assert_names(root, &BOTH, json!({"afterSequence": 1}), &["after_sequence"]).await;
        assert_names(root, &BOTH, json!({"sinceTime": "2999-01-01T00:00:00Z"}), &["since_time"]).await;

        for revision in ["x", "AAAA", "AQGh"] {
            let status = refusal(root, WATCH, json!({"afterRevision": revision})).await;
            assert_eq!(reason(&status), "INVALID_REVISION");
        }
        let stranger = server.stranger().await;
        let status = refusal(&stranger, WATCH, json!({"afterRevision": revision})).await;
        assert_eq!(reason(&status), "INVALID_REVISION");
        for name in BOTH {
            let status = refusal(&stranger, name, json!({"streamId": id})).await;
            assert_eq!(reason(&status), "ORGANIZATION_NOT_FOUND");
        }
    }

    async fn what_retention_has_dropped_is_refused_with_what_is_there(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let (id, revision) = (created["organization"]["organizationId"].clone(), created["revision"].clone());
        let put = async |document: &str| {
            let put = json!({"organizationId": id, "resource": {"type": "doc", "id": document}});
            server.root.call("GrantService/PutResource", put).await;
        };
        put("old").await;
        server.clock.advance(Duration::from_hours(24 * 3));
        keep(&server, 1).await;
        for document in ["1", "2", "3", "4"] {
            put(document).await;
        }
        let log = server.root.log_with(1 + roster::permissions::OWN.len() + 6 + 1 + 2 + 1 + 4).await;
        let dropped = number(&log[log.len() - 6]["position"]);
        assert_eq!(hidden(&server, &text(&id)).await, 3);
        hidden(&server, &text(&log[0]["tenantId"])).await;

        let root = &server.root;
        let refused = [
            (BOTH.as_slice(), json!({"afterPosition": 0}), "after_position"),
            (&BOTH, json!({"afterPosition": dropped - 1}), "after_position"),
            (&BOTH, json!({"streamId": id, "afterSequence": 0}), "after_sequence"),
            (&BOTH, json!({"streamId": id, "afterSequence": 1}), "after_sequence"),
            (&[WATCH], json!({"afterRevision": revision}), "after_revision"),
            (&BOTH, json!({"sinceTime": "2020-01-01T00:00:00Z"}), "since_time"),
        ];
        for (names, request, field) in refused {
            for name in names {
                let status = refusal(root, name, request.clone()).await;
                assert_eq!(reason(&status), "RANGE_DROPPED", "{name} {request}");
                assert_eq!((status.code(), bad_fields(&status)), (Code::OutOfRange, vec![field.to_owned()]), "{name}");
                let first = metadata(&status);
                match field {
                    "after_position" => assert_eq!(first["first_position"], (dropped + 1).to_string()),
                    "after_sequence" => assert_eq!(first["first_sequence"], "3"),
                    _ => {}
                }
            }
        }
        let rest: Vec<_> = log[log.len() - 5..].to_vec();
        let there = root.list(LIST, json!({"afterPosition": dropped}), "events").await;
        assert_eq!(there, rest);
        let there = root.list(LIST, json!({"streamId": id, "afterSequence": 2}), "events").await;
        assert_eq!(there, rest[1..]);
        let mut watcher = Watcher::open(root, json!({"afterPosition": dropped})).await;
        assert_eq!(watcher.events_until(number(&rest[4]["position"])).await, rest);
    }

    async fn a_page_token_belongs_to_its_filter_and_its_tenant(server) {
        let root = &server.root;
        let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = &created["organization"]["organizationId"];
        let ask = |extra: Value, token: &str| {
            let mut request = extra;
            request["pageSize"] = json!(1);
            request["pageToken"] = json!(token);
            request
        };
        let filters = [
            json!({}),
            json!({"types": ["permission.created"]}),
            json!({"types": ["permission.created", "permission.updated"]}),
            json!({"subjects": [{"kind": "permission"}]}),
            json!({"subjects": [{"kind": "permission"}, {"kind": "role"}]}),
            json!({"actors": [{"kind": "EVENT_ACTOR_KIND_SYSTEM"}]}),
            json!({"sinceTime": "2020-01-01T00:00:00Z"}),
            json!({"afterPosition": 1}),
        ];
        let stranger = server.stranger().await;
        for filter in &filters {
            let token = text(&root.call(LIST, ask(filter.clone(), "")).await["nextPageToken"]);
            assert_ne!(token, "", "{filter}");
            for other in filters.iter().chain([&json!({"streamId": id})]).filter(|other| *other != filter) {
                root.refused(LIST, ask(other.clone(), &token), "INVALID_PAGE_TOKEN").await;
            }
            stranger.refused(LIST, ask(filter.clone(), &token), "INVALID_PAGE_TOKEN").await;
            root.call(LIST, ask(filter.clone(), &token)).await;
        }
    }
}
