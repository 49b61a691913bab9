//! Branding, feature flags and metadata of an organization, over gRPC.

use serde_json::{Value, json};

use super::Acme;
use crate::{
    on_both_engines,
    support::{Engine, TestServer, bad_fields, text},
};

fn branding() -> Value {
    json!({"logoUrl": "https://cdn.example/logo.svg", "primaryColor": "#0a7f5c", "backgroundColor": "#FFFFFF",
        "textColor": "#101010", "supportEmail": "help@acme.example"})
}

fn update(acme: &Acme, fields: Value, mask: &str) -> Value {
    let mut organization = fields;
    organization["organizationId"] = json!(acme.id);
    json!({"organization": organization, "updateMask": mask})
}

on_both_engines! {
    async fn branding_and_features_are_kept_from_the_beginning_and_changed_by_the_mask(server) {
        let flags = json!({"beta.search": true, "exports": false});
        let create = json!({"slug": "acme", "branding": branding(), "featureFlags": flags});
        let created = server.root.call("OrganizationService/CreateOrganization", create).await["organization"].clone();
        assert_eq!((&created["branding"], &created["featureFlags"]), (&branding(), &flags));
        let id = text(&created["organizationId"]);
        let acme = Acme { root: server.root.clone(), id, owner: String::new() };
        assert_eq!(acme.get().await, created);

        let method = "OrganizationService/UpdateOrganization";
        let change = json!({"branding": {"primaryColor": "#000000"}, "featureFlags": {"exports": true}});
        let changed = acme.root.call(method, update(&acme, change, "branding")).await["organization"].clone();
        assert_eq!(changed["branding"]["primaryColor"], "#000000");
        assert_eq!(changed["branding"]["logoUrl"], "", "replaced as a whole");
        assert_eq!(changed["featureFlags"], flags, "not named by the mask");
        let change = json!({"featureFlags": {"exports": true}});
        let changed = acme.root.call(method, update(&acme, change.clone(), "featureFlags,branding")).await;
        assert_eq!(changed["organization"]["branding"], Value::Null);
        assert_eq!(changed["organization"]["featureFlags"], json!({"exports": true}));
        let again = acme.root.call(method, update(&acme, change, "featureFlags,branding")).await;
        assert_eq!(again["organization"], changed["organization"], "what changes nothing moves nothing");

        let events = acme.events().await;
        let fields: Vec<_> = events.iter().map(|event| event["changedFields"].clone()).collect();
        assert_eq!(fields, [json!([]), json!(["branding"]), json!(["branding", "feature_flags"])]);
        assert_eq!(events[0]["organizationCreated"]["after"], created);
        assert_eq!(events[2]["organizationUpdated"]["after"], changed["organization"]);
    }

    async fn whatever_is_wrong_with_them_is_named_at_once(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let bad = json!({
            "branding": {"logoUrl": "http://cdn.example/logo.svg", "primaryColor": "green", "backgroundColor": "#12345",
                "textColor": "123456", "supportEmail": "help"},
            "featureFlags": {"Beta": true, "good": false},
            "metadata": {"k".repeat(41): "v", "key": "v".repeat(501)},
        });
        let request = update(&acme, bad.clone(), "branding,featureFlags,metadata");
        let method = "OrganizationService/UpdateOrganization";
        let fields = bad_fields(&acme.root.refused(method, request, "INVALID_REQUEST").await);
        let named = |name: &str| fields.iter().any(|field| field == &format!("organization.{name}"));
        for name in ["branding.logo_url", "branding.primary_color", "branding.background_color", "branding.text_color",
            "branding.support_email", "feature_flags[Beta] (the key)", "metadata[key]"] {
            assert!(named(name), "{name} is not among {fields:?}");
        }
        assert_eq!(fields.len(), 8, "{fields:?}");
        let flags: serde_json::Map<_, _> = (0..101).map(|number| (format!("f{number}"), json!(true))).collect();
        let many: serde_json::Map<_, _> = (0..51).map(|number| (format!("k{number}"), json!("v"))).collect();
        let request = update(&acme, json!({"featureFlags": flags, "metadata": many}), "featureFlags,metadata");
        let fields = bad_fields(&acme.root.refused(method, request, "INVALID_REQUEST").await);
        assert_eq!(fields, ["organization.metadata", "organization.feature_flags"]);
        let mut create = bad;
        create["slug"] = json!("beta");
        let status = acme.root.refused("OrganizationService/CreateOrganization", create, "INVALID_REQUEST").await;
        assert!(bad_fields(&status).contains(&"branding.logo_url".to_owned()));
        assert_eq!(acme.events().await.len(), 2, "nothing was written");
    }
}
