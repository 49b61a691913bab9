//! One request that comes many times has one effect.

use serde_json::{Value, json};

use super::{crowd::Crowd, organization, races, rounds};
use crate::support::{Engine, text};

/// A write: what it makes, and the types of its events in its organization, and in the tenant.
struct Write {
    method: &'static str,
    /// With the name of somebody or something new.
    request: fn(&str, &str) -> Value,
    here: &'static [&'static str],
    in_tenant: &'static [&'static str],
}

const WRITES: [Write; 5] = [
    Write {
        method: "MembershipService/AddMember",
        request: |acme, name| json!({"organizationId": acme, "member": {"email": format!("{name}@example.com")}}),
        here: &["membership.created"],
        in_tenant: &["user.created"],
    },
    Write {
        method: "InvitationService/CreateInvitation",
        request: |acme, name| json!({"organizationId": acme, "invitation": invitation(name)}),
        here: &["invitation.created", "membership.created"],
        in_tenant: &["user.created"],
    },
    Write {
        method: "InvitationService/BulkCreateInvitations",
        request: |acme, name| {
            let both = ["x", "y"].map(|more| invitation(&format!("{name}{more}")));
            json!({"organizationId": acme, "invitations": both})
        },
        here: &["invitation.created", "membership.created", "invitation.created", "membership.created"],
        in_tenant: &["user.created", "user.created"],
    },
    Write {
        method: "ApiKeyService/CreateApiKey",
        request: |_, name| json!({"name": name, "scopes": ["users:read"]}),
        here: &[],
        in_tenant: &["api_key.created"],
    },
    Write {
        method: "OrganizationService/CreateOrganization",
        request: |_, name| json!({"slug": name, "initialOwners": [{"email": format!("{name}@example.com")}]}),
        here: &["organization.created", "membership.created"],
        in_tenant: &["user.created"],
    },
];

fn invitation(name: &str) -> Value {
    json!({"email": format!("{name}@example.com"), "skipMail": true})
}

races! {
    /// Turn about, everybody asks for the same, or half of them for something else under the same id.
    async fn a_request_that_comes_many_times_is_done_once(crowd) {
        let acme = organization(crowd.root(), "acme").await;
        let mut log = crowd.log(&[&acme]).await;
        for round in 0..rounds() {
            let (write, wishes) = (&WRITES[round % WRITES.len()], 1 + round % 2);
            let outcomes = crowd.call(|number| {
                let mut request = (write.request)(&acme, &format!("n{round}-{}", number % wishes));
                request["requestId"] = json!(format!("request-{round}"));
                (write.method, request)
            }).await;

            let done = outcomes.0.iter().position(Result::is_ok).expect("it is done");
            let same = outcomes.of(|number| number % wishes == done % wishes);
            assert!(same.0.iter().all(|outcome| *outcome == outcomes.0[done]), "{same:?}");
            let other = outcomes.of(|number| number % wishes != done % wishes);
            assert!(other.0.iter().all(|outcome| *outcome == Err("IDEMPOTENCY_KEY_REUSED".to_owned())), "{other:?}");
            let mut news = Vec::new();
            if let Some(id) = outcomes.answers()[0]["organization"]["organizationId"].as_str() {
                news = crowd.root().events(id).await;
            }
            news.extend(log.news().await);
            let types: Vec<_> = news.iter().map(|event| text(&event["type"])).collect();
            assert_eq!(types, [write.here, write.in_tenant].concat());
            assert!(news.iter().all(|event| event["requestId"] == format!("request-{round}")));
        }
    }
}
