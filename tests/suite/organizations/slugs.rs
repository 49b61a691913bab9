//! Slugs and their history, and what an organization is looked up by.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Acme;
use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, reason},
};

const CREATE: &str = "OrganizationService/CreateOrganization";
const UPDATE: &str = "OrganizationService/UpdateOrganization";
const LOOKUP: &str = "OrganizationService/LookupOrganization";
/// As the tests' servers are configured.
pub const HOLD: Duration = Duration::from_hours(24 * 30);

fn rename(acme: &Acme, slug: &str) -> Value {
    json!({"organization": {"organizationId": acme.id, "slug": slug}, "updateMask": "slug"})
}

/// Whom a slug leads to, and whether by a former one.
async fn found(root: &Caller, slug: &str) -> Option<(String, bool)> {
    match root.try_call(LOOKUP, json!({"slug": slug})).await {
        Ok(found) => {
            let id = found["organization"]["organizationId"].as_str().unwrap().to_owned();
            Some((id, found["formerSlug"].as_bool().unwrap()))
        }
        Err(status) => {
            assert_eq!(reason(&status), "ORGANIZATION_NOT_FOUND");
            None
        }
    }
}

on_both_engines! {
    async fn a_slug_that_was_given_up_is_held_back_for_thirty_days(server) {
        let root = &server.root;
        let acme = Acme::new(root, "acme").await;
        let other = Acme::new(root, "other").await;
        root.call(UPDATE, rename(&acme, "acme-inc")).await;
        assert_eq!(found(root, "acme-inc").await, Some((acme.id.clone(), false)));
        assert_eq!(found(root, "acme").await, Some((acme.id.clone(), true)), "its former slug leads there, too");
        let held = |slug: &str| json!({"slug": slug});
        root.refused(CREATE, held("acme"), "SLUG_TAKEN").await;
        root.refused(UPDATE, rename(&other, "acme"), "SLUG_TAKEN").await;
        assert_eq!(other.events().await.len(), 2, "nothing was written");
        server.stranger().await.call(CREATE, held("acme")).await;
        server.clock.advance(HOLD.checked_sub(Duration::from_secs(5)).unwrap());
        root.refused(CREATE, held("acme"), "SLUG_TAKEN").await;
        server.clock.advance(Duration::from_secs(5));
        assert_eq!(found(root, "acme").await, None);
        root.call(UPDATE, rename(&other, "acme")).await;
        assert_eq!(found(root, "acme").await, Some((other.id.clone(), false)));
        assert_eq!(found(root, "other").await, Some((other.id.clone(), true)));
    }

    async fn the_organization_itself_goes_back_to_a_slug_of_its_own(server) {
        let root = &server.root;
        let acme = Acme::new(root, "acme").await;
        for slug in ["beta", "acme", "beta", "gamma", "acme"] {
            root.call(UPDATE, rename(&acme, slug)).await;
            assert_eq!(found(root, slug).await, Some((acme.id.clone(), false)), "{slug}");
        }
        assert_eq!(found(root, "beta").await, Some((acme.id.clone(), true)));
        let before = acme.events().await.len();
        root.call(UPDATE, rename(&acme, "acme")).await;
        assert_eq!(acme.events().await.len(), before, "no change, no event");
        // What is in use again is not held back for anybody else later.
        server.clock.advance(HOLD);
        root.refused(CREATE, json!({"slug": "acme"}), "SLUG_TAKEN").await;
        root.call(CREATE, json!({"slug": "beta"})).await;
    }

    async fn nobody_passes_through_the_names_of_others(server) {
        let root = &server.root;
        let acme = Acme::new(root, "acme").await;
        for number in 0..20 {
            root.call(UPDATE, rename(&acme, &format!("name-{number}"))).await;
        }
        root.refused(UPDATE, rename(&acme, "name-20"), "LIMIT_REACHED").await;
        assert_eq!(found(root, "name-20").await, None);
        server.clock.advance(HOLD);
        root.call(UPDATE, rename(&acme, "name-20")).await;
    }

    async fn however_many_want_a_slug_one_has_it(server) {
        let root = &server.root;
        let acme = Acme::new(root, "acme").await;
        for round in 0..6 {
            // It is given up, and others want it at once.
            let giving = root.try_call(UPDATE, rename(&acme, &format!("acme-{round}")));
            let (given, taken) = tokio::join!(giving, join_all((0..16).map(|_| root.try_call(CREATE, json!({"slug": "acme"})))));
            given.unwrap();
            assert!(taken.iter().all(|answer| answer.as_ref().is_err_and(|why| reason(why) == "SLUG_TAKEN")), "{taken:?}");
            let slug = format!("new-{round}");
            let made = join_all((0..16).map(|_| root.try_call(CREATE, json!({"slug": slug})))).await;
            assert_eq!(made.iter().filter(|answer| answer.is_ok()).count(), 1);
            root.call(UPDATE, rename(&acme, "acme")).await;
        }
    }

    async fn an_organization_is_looked_up_by_what_it_is_known_by(server) {
        let root = &server.root;
        let made = root.call(CREATE, json!({"slug": "acme", "externalId": "crm-7"})).await["organization"].clone();
        let by_id = root.call(LOOKUP, json!({"externalId": "crm-7"})).await;
        assert_eq!((&by_id["organization"], &by_id["formerSlug"]), (&made, &json!(false)));
        root.refused(LOOKUP, json!({"externalId": "crm-8"}), "ORGANIZATION_NOT_FOUND").await;
        root.refused(LOOKUP, json!({"slug": "beta"}), "ORGANIZATION_NOT_FOUND").await;
        root.refused(LOOKUP, json!({}), "INVALID_REQUEST").await;
        server.stranger().await.refused(LOOKUP, json!({"externalId": "crm-7"}), "ORGANIZATION_NOT_FOUND").await;
        let other = Acme::new(root, "other").await;
        let external = json!({"organization": {"organizationId": other.id, "externalId": "crm-7"},
            "updateMask": "externalId"});
        root.refused(UPDATE, external.clone(), "EXTERNAL_ID_TAKEN").await;
        let none = json!({"organization": {"organizationId": made["organizationId"]}, "updateMask": "externalId"});
        root.call(UPDATE, none).await;
        root.call(UPDATE, external).await;
        let by_id = root.call(LOOKUP, json!({"externalId": "crm-7"})).await;
        assert_eq!(by_id["organization"]["organizationId"], other.id, "an external id is not held back");
    }
}
