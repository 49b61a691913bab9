//! What a watch promises, each by a test of its name: under writers on every replica, watched on every replica.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{
        Caller, Engine, TestServer,
        chance::Chance,
        replica::Replica,
        text,
        watcher::{Item, Watcher, are_unique, ids, number},
    },
};

const ORGANIZATIONS: usize = 3;
const WRITERS: usize = 4;
const WRITES: usize = 25;

/// Servers on one database, and organizations that others write to.
struct Crowd {
    callers: Vec<Caller>,
    replica: Option<Replica>,
    organizations: Vec<String>,
    /// The position behind which it begins.
    begin: i64,
    /// How many events there are before.
    before: usize,
}

impl Crowd {
    async fn build(server: &TestServer) -> Self {
        let mut organizations = Vec::new();
        for index in 0..ORGANIZATIONS {
            let create = json!({"slug": format!("org-{index}")});
            let created = server.root.call("OrganizationService/CreateOrganization", create).await;
            organizations.push(text(&created["organization"]["organizationId"]));
        }
        let replica = match server.database {
            crate::support::Database::Postgres { .. } => Some(server.replica(|_| ()).await),
            crate::support::Database::Sqlite(_) => None,
        };
        let callers: Vec<_> = [Some(&server.root), replica.as_ref().map(|replica| &replica.root)]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        // The tenant, its permissions, its roles, the first key.
        let before = 1 + roster::permissions::OWN.len() + 6 + 1 + ORGANIZATIONS;
        let log = server.root.log_with(before).await;
        Self { callers, replica, organizations, begin: number(&log.last().unwrap()["position"]), before }
    }

    /// Writes from all sides at once.
    async fn write(&self) {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let caller = self.callers[writer % self.callers.len()].clone();
                let organizations = self.organizations.clone();
                tokio::spawn(async move {
                    for write in 0..WRITES {
                        let id = &organizations[(writer + write) % ORGANIZATIONS];
                        let resource = json!({"type": "doc", "id": format!("{writer}-{write}")});
                        let put = json!({"organizationId": id, "resource": resource});
                        caller.call("GrantService/PutResource", put).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    }

    /// What the log has behind the beginning, when everything is written.
    async fn log(&self) -> Vec<Value> {
        self.callers[0].log_with(self.before + WRITERS * WRITES).await.split_off(self.before)
    }

    /// What watchers of every replica saw while others wrote, and what the log has.
    async fn watched(self, filter: Value) -> (Vec<Vec<Value>>, Vec<Value>) {
        let mut watchers = Vec::new();
        for caller in &self.callers {
            let mut request = filter.clone();
            request["afterPosition"] = json!(self.begin);
            watchers.push(Watcher::open(caller, request).await);
        }
        self.write().await;
        let log = self.log().await;
        let end = number(&log.last().unwrap()["position"]);
        let mut seen = Vec::new();
        for mut watcher in watchers {
            seen.push(watcher.events_until(end).await);
        }
        self.end().await;
        (seen, log)
    }

    async fn end(self) {
        if let Some(replica) = self.replica {
            replica.stop().await;
        }
    }
}

on_both_engines! {
    async fn a_watch_is_ordered(server) {
        let (seen, log) = Crowd::build(&server).await.watched(json!({})).await;
        for events in seen {
            assert!(events.len() == log.len() && events.is_sorted_by_key(|event| number(&event["position"])));
            let mut last = BTreeMap::<String, i64>::new();
            for event in events {
                let before = last.insert(text(&event["organizationId"]), number(&event["sequence"]));
                assert_eq!(before.map_or(number(&event["sequence"]), |before| before + 1), number(&event["sequence"]));
            }
        }
    }

    async fn a_watch_is_unique(server) {
        let (seen, log) = Crowd::build(&server).await.watched(json!({})).await;
        for events in seen {
            assert!(events.len() == log.len() && are_unique(&events));
        }
    }

    async fn a_watch_is_reliable(server) {
        let (seen, log) = Crowd::build(&server).await.watched(json!({})).await;
        assert_eq!(log.len(), WRITERS * WRITES, "every write that was acknowledged");
        for events in seen {
            assert_eq!(events, log);
            let positions: Vec<_> = events.iter().map(|event| number(&event["position"])).collect();
            let first = positions[0];
            assert!(positions.iter().zip(first..).all(|(position, next)| *position == next), "without a gap");
        }
    }

    async fn a_filter_never_changes_the_order(server) {
        let crowd = Crowd::build(&server).await;
        let one = crowd.organizations[1].clone();
        let subjects: Vec<_> = (0..WRITES).map(|write| json!({"kind": "resource", "id": format!("doc/2-{write}")})).collect();
        let filter = json!({"streamId": one, "types": ["resource.created", "resource.moved"], "subjects": subjects,
            "actors": [{"kind": "EVENT_ACTOR_KIND_API_KEY"}]});
        let (seen, log) = crowd.watched(filter).await;
        let wanted = |event: &&Value| {
            event["organizationId"] == one && text(&event["subject"]["id"]).starts_with("doc/2-")
        };
        let wanted: Vec<_> = log.iter().filter(wanted).cloned().collect();
        assert!(wanted.len() > WRITES / ORGANIZATIONS - 1);
        for events in seen {
            assert_eq!(events, wanted);
        }
    }

    async fn a_watch_is_resumable_wherever_it_ended(server) {
        let crowd = Crowd::build(&server).await;
        let mut chance = Chance(7);
        let writing = async { crowd.write().await; crowd.log().await };
        let watching = async {
            let (mut position, mut events, mut breaks) = (crowd.begin, Vec::new(), 0);
            while events.len() < WRITERS * WRITES {
                let caller = chance.one_of(&crowd.callers);
                let mut watcher = Watcher::open(&caller, json!({"afterPosition": position})).await;
                for _ in 0..chance.below(12) {
                    if events.len() == WRITERS * WRITES {
                        break;
                    }
                    let item = watcher.next().await;
                    position = item.position();
                    events.extend(item.event());
                }
                breaks += 1;
            }
            (events, breaks)
        };
        let (log, (events, breaks)) = tokio::join!(writing, watching);
        assert_eq!(ids(&events), ids(&log));
        assert!(breaks > 5);
        crowd.end().await;
    }

    async fn a_heartbeat_keeps_its_promise(server) {
        let crowd = Crowd::build(&server).await;
        let deaf = json!({"afterPosition": crowd.begin, "types": ["tenant.created"]});
        let rare = json!({"afterPosition": crowd.begin, "streamId": crowd.organizations[0]});
        let mut deaf = Watcher::open(&crowd.callers[0], deaf).await;
        let mut rare = Watcher::open(crowd.callers.last().unwrap(), rare).await;
        let writing = async {
            for _ in 0..3 {
                // Spread over more than the time between two heartbeats.
                let put = json!({"organizationId": crowd.organizations[0], "resource": {"type": "slow", "id": "a"}});
                crowd.callers[0].call("GrantService/PutResource", put.clone()).await;
                crowd.callers[0].call("GrantService/DeleteResource", put).await;
                tokio::time::sleep(Duration::from_millis(2_500)).await;
            }
            crowd.write().await;
            crowd.callers[0].log_with(crowd.before + 6 + WRITERS * WRITES).await
        };
        let log = writing.await;
        let end = number(&log.last().unwrap()["position"]);
        let heard = deaf.until(end).await;
        assert_eq!(heard[0], Item::Heartbeat(crowd.begin), "one comes first");
        assert!(heard.len() >= 2 && heard.iter().all(|item| matches!(item, Item::Heartbeat(_))), "{heard:?}");
        assert!(heard.is_sorted_by_key(Item::position));
        let items = rare.until(end).await;
        let mut promised = 0;
        for item in &items {
            match item {
                Item::Heartbeat(position) => promised = promised.max(*position),
                Item::Event(event) => assert!(number(&event["position"]) > promised, "{promised}: {event}"),
            }
        }
        let events: Vec<_> = items.into_iter().filter_map(Item::event).collect();
        let of_one = log.iter().filter(|event| {
            event["organizationId"] == crowd.organizations[0] && number(&event["position"]) > crowd.begin
        });
        assert_eq!(events, of_one.cloned().collect::<Vec<_>>());
        crowd.end().await;
    }
}
