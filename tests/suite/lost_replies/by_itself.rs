//! What the service does by itself loses its COMMIT too: it is not done twice, and it is done.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic_types::StatusExt as _;

use super::{House, PATIENCE};
use crate::support::{
    text,
    wire_tap::{Failure, Moment},
};

/// How often each is cut, in each way.
const TIMES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_once_without_an_id_is_not_tried_again() {
    let house = House::build().await;
    let root = &house.server.root;
    for (moment, keys) in [(Moment::Before, 0), (Moment::After, 1)] {
        let name = format!("{moment:?}");
        let mishap = house.tap.befall("INSERT INTO api_keys", moment, Failure::Cut);
        let create = json!({"name": name, "scopes": ["users:read"]});
        let told = root.refused("ApiKeyService/CreateApiKey", create, "OUTCOME_UNKNOWN").await;
        assert!(mishap.has_happened());
        assert!(told.get_error_details().retry_info().is_none(), "trying again may do it twice");
        let all = root.list("ApiKeyService/ListApiKeys", json!({}), "apiKeys").await;
        assert_eq!(all.iter().filter(|key| key["name"] == name).count(), keys);
    }
    house.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_numbered_once() {
    let house = House::build().await;
    for round in 0..TIMES {
        for moment in [Moment::Before, Moment::After] {
            let mishap = house.tap.befall("INSERT INTO events_positions", moment, Failure::Cut);
            let slug = format!("acme-{round}-{moment:?}").to_lowercase();
            house.server.root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
            mishap.happened().await;
            house.assert_whole().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_expires_once_and_its_mail_goes_out() {
    let house = House::build().await;
    let root = &house.server.root;
    let created = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let acme = text(&created["organization"]["organizationId"]);
    for round in 0..TIMES {
        for moment in [Moment::Before, Moment::After] {
            let email = format!("p{round}-{moment:?}@example.com");
            let sent = house.tap.befall("DELETE FROM invitation_mails", moment, Failure::Cut);
            let invitation = json!({"organizationId": acme, "invitation": {"email": email}});
            let made = root.call("InvitationService/CreateInvitation", invitation).await;
            sent.happened().await;
            let types = async || {
                let events = root.events(&acme).await;
                let mine = events.iter().filter(|event| event["subject"]["id"] == made["invitation"]["invitationId"]);
                mine.map(|event| text(&event["type"])).collect::<Vec<_>>()
            };
            let begin = Instant::now();
            while types().await != ["invitation.created", "invitation.mail_sent"] {
                // A mail whose dispatch is not known to be recorded is tried again later.
                house.server.clock.advance(Duration::from_secs(60));
                assert!(begin.elapsed() < PATIENCE, "{:?}", types().await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let expired = house.tap.befall("UPDATE invitations SET status", moment, Failure::Cut);
            house.server.clock.advance(Duration::from_hours(7 * 24));
            expired.happened().await;
            let begin = Instant::now();
            while types().await != ["invitation.created", "invitation.mail_sent", "invitation.expired"] {
                assert!(begin.elapsed() < PATIENCE, "{:?}", types().await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    house.assert_whole().await;
}
