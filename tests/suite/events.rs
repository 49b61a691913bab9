//! The log: list, get, watch.

mod batches;
mod bounds;
mod filters;
mod guarantees;
mod requests;
mod starts;

use serde_json::json;
use tokio_stream::StreamExt as _;

use crate::{
    on_both_engines,
    support::{Engine, TestServer, text},
};

on_both_engines! {
    async fn positions_have_no_gap_and_pages_no_seam(server) {
        for index in 0..30 {
            let create = json!({"slug": format!("org-{index}"), "initialOwners": [{"email": format!("u{index}@example.com")}]});
            server.root.call("OrganizationService/CreateOrganization", create).await;
        }
        let all = 1 + roster::permissions::OWN.len() + 6 + 1 + 30 * 3; // the tenant, its permissions, its roles, the first key
        let mut events = Vec::new();
        for _ in 0..100 {
            events = server.root.list("EventService/ListEvents", json!({"pageSize": 7}), "events").await;
            if events.len() == all {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let positions: Vec<_> = events.iter().map(|event| text(&event["position"]).parse::<usize>().unwrap()).collect();
        assert_eq!(positions, (1..=all).collect::<Vec<_>>());
        let one = server.root.call("EventService/GetEvent", json!({"eventId": events[20]["eventId"]})).await;
        assert_eq!(one["event"], events[20]);
        let stranger = server.stranger().await;
        stranger.refused("EventService/GetEvent", json!({"eventId": events[20]["eventId"]}), "EVENT_NOT_FOUND").await;
    }

    async fn a_watch_brings_everything_once_and_what_is_new(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&created["organization"]["organizationId"]);
        let request = json!({"afterPosition": "0", "streamId": id});
        let mut watch = server.root.stream("EventService/WatchEvents", request).await.unwrap();
        let mut types = Vec::new();
        let mut added = false;
        while types.len() < 4 {
            let answer = watch.next().await.unwrap().unwrap();
            let answer = roster::dynamic::to_json(&answer).unwrap();
            if answer["event"].is_object() {
                types.push(text(&answer["event"]["type"]));
            }
            if types.len() == 1 && !added {
                added = true;
                let suspend = json!({"organizationId": id});
                server.root.call("OrganizationService/SuspendOrganization", suspend.clone()).await;
                server.root.call("OrganizationService/CreateOrganization", json!({"slug": "other"})).await;
                server.root.call("OrganizationService/ReactivateOrganization", suspend.clone()).await;
                server.root.call("OrganizationService/DeleteOrganization", suspend).await;
            }
        }
        assert_eq!(types, ["organization.created", "organization.suspended", "organization.reactivated",
            "organization.deleted"]);
    }

    async fn a_stopping_service_ends_its_watches(server) {
        let mut watch = server.root.stream("EventService/WatchEvents", json!({})).await.unwrap();
        watch.next().await.unwrap().unwrap();
        server.stop().await;
        let mut ended = watch.next().await.unwrap();
        while ended.is_ok() {
            ended = watch.next().await.unwrap(); // what a fresh installation begins with
        }
        assert_eq!(crate::support::reason(&ended.unwrap_err()), "SHUTTING_DOWN");
    }
}
