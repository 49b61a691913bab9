//! Organizations, over gRPC.

mod lifecycle;
mod ownership;
mod purge;
mod settings;
mod slugs;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

/// An organization and who is there.
pub struct Acme {
    pub root: Caller,
    pub id: String,
    /// The membership of its owner.
    pub owner: String,
}

impl Acme {
    pub async fn new(root: &Caller, slug: &str) -> Self {
        let owner = json!({"email": format!("owner-{slug}@example.com")});
        let create = json!({"slug": slug, "initialOwners": [owner]});
        let created = root.call("OrganizationService/CreateOrganization", create).await;
        let (id, owner) = (text(&created["organization"]["organizationId"]), text(&created["ownerMembershipIds"][0]));
        Self { root: root.clone(), id, owner }
    }

    /// A request about this organization.
    pub fn request(&self, mut fields: Value) -> Value {
        fields["organizationId"] = json!(self.id);
        fields
    }

    pub async fn call(&self, method: &str, fields: Value) -> Value {
        self.root.call(&full(method), self.request(fields)).await
    }

    pub async fn refused(&self, method: &str, fields: Value, reason: &str) {
        self.root.refused(&full(method), self.request(fields), reason).await;
    }

    pub async fn get(&self) -> Value {
        self.call("GetOrganization", json!({})).await["organization"].clone()
    }

    /// A new member.
    pub async fn add(&self, email: &str, roles: &[&str]) -> Value {
        let member = json!({"email": email, "roles": roles});
        self.call("MembershipService/AddMember", json!({"member": member})).await["membership"].clone()
    }

    pub async fn membership(&self, id: &str) -> Value {
        self.call("MembershipService/GetMembership", json!({"membershipId": id})).await["membership"].clone()
    }

    /// Its present members.
    pub async fn members(&self) -> Vec<Value> {
        self.root.list("MembershipService/ListMemberships", self.request(json!({})), "memberships").await
    }

    /// The memberships of its active owners.
    pub async fn owners(&self) -> Vec<String> {
        let active =
            |member: &&Value| member["status"] == "MEMBERSHIP_STATUS_ACTIVE" && roles(member).contains(&"owner".into());
        self.members().await.iter().filter(active).map(|member| text(&member["membershipId"])).collect()
    }

    pub async fn events(&self) -> Vec<Value> {
        self.root.events(&self.id).await
    }

    pub async fn types(&self) -> Vec<String> {
        self.events().await.iter().map(|event| text(&event["type"])).collect()
    }
}

fn full(method: &str) -> String {
    if method.contains('/') { method.to_owned() } else { format!("OrganizationService/{method}") }
}

/// The slugs of a membership's roles.
pub fn roles(membership: &Value) -> Vec<String> {
    membership["roles"].as_array().unwrap().iter().map(|assignment| text(&assignment["role"])).collect()
}

on_both_engines! {
    async fn an_organization_is_created_with_its_owners(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({
            "slug": "acme", "externalId": "42", "metadata": {"plan": "gold"},
            "initialOwners": [{"email": "ada@example.com"}, {"email": "bob@example.com"}],
        })).await;
        let organization = &created["organization"];
        assert_eq!(organization["displayName"], "acme");
        assert_eq!(organization["status"], "ORGANIZATION_STATUS_ACTIVE");
        assert_eq!(created["ownerMembershipIds"].as_array().unwrap().len(), 2);
        let id = text(&organization["organizationId"]);
        for key in [json!({"slug": "acme"}), json!({"externalId": "42"})] {
            let found = server.root.call("OrganizationService/LookupOrganization", key).await;
            assert_eq!(&found["organization"], organization);
        }
        let types: Vec<_> = server.root.events(&id).await.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types, ["organization.created", "membership.created", "membership.created"]);
    }

    async fn a_slug_and_an_external_id_are_unique_in_the_tenant(server) {
        let create = |slug: &str, external_id: &str| json!({"slug": slug, "externalId": external_id});
        server.root.call("OrganizationService/CreateOrganization", create("acme", "1")).await;
        server.root.refused("OrganizationService/CreateOrganization", create("acme", "2"), "SLUG_TAKEN").await;
        server.root.refused("OrganizationService/CreateOrganization", create("beta", "1"), "EXTERNAL_ID_TAKEN").await;
        server.stranger().await.call("OrganizationService/CreateOrganization", create("acme", "1")).await;
    }

    async fn an_update_changes_what_the_mask_names_and_minds_the_etag(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let mut organization = created["organization"].clone();
        let id = text(&organization["organizationId"]);
        organization["slug"] = json!("beta");
        organization["displayName"] = json!("ignored");
        let update = json!({"organization": organization, "updateMask": "slug"});
        let updated = server.root.call("OrganizationService/UpdateOrganization", update.clone()).await;
        assert_eq!(updated["organization"]["slug"], "beta");
        assert_eq!(updated["organization"]["displayName"], "acme");
        server.root.refused("OrganizationService/UpdateOrganization", update, "ETAG_MISMATCH").await;
        let events = server.root.events(&id).await;
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["type"], "organization.updated");
        assert_eq!(events[1]["changedFields"], json!(["slug"]));
        let unknown = json!({"organization": {"organizationId": id}, "updateMask": "status,slug"});
        let status = server.root.refused("OrganizationService/UpdateOrganization", unknown, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["update_mask", "organization.slug"]);
    }

    async fn what_changes_nothing_succeeds_and_says_nothing(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&created["organization"]["organizationId"]);
        let request = json!({"organizationId": id});
        let suspended = server.root.call("OrganizationService/SuspendOrganization", request.clone()).await;
        let again = server.root.call("OrganizationService/SuspendOrganization", request.clone()).await;
        assert_eq!(suspended["organization"], again["organization"]);
        assert_eq!(suspended["revision"], again["revision"]);
        assert_eq!(server.root.events(&id).await.len(), 2);
        server.root.call("OrganizationService/ReactivateOrganization", request.clone()).await;
        server.root.call("OrganizationService/ReactivateOrganization", request).await;
        assert_eq!(server.root.events(&id).await.len(), 3);
    }

    async fn deleting_removes_every_membership_in_one_cascade(server) {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({
            "slug": "acme", "initialOwners": [{"email": "ada@example.com"}],
        })).await;
        let id = text(&created["organization"]["organizationId"]);
        let deleted = server.root.call("OrganizationService/DeleteOrganization", json!({"organizationId": id})).await;
        assert_eq!(deleted["organization"]["status"], "ORGANIZATION_STATUS_DELETING");
        let events = server.root.events(&id).await;
        let (first, removed) = (&events[2], &events[3]);
        assert_eq!(first["type"], "organization.deleted");
        assert_eq!(removed["type"], "membership.removed");
        assert_eq!(removed["correlationId"], first["eventId"]);
        assert_eq!(removed["causationId"], first["eventId"]);
        let add = json!({"organizationId": id, "member": {"email": "eve@example.com"}});
        server.root.refused("MembershipService/AddMember", add, "ORGANIZATION_DELETING").await;
        let reactivate = json!({"organizationId": id});
        server.root.refused("OrganizationService/ReactivateOrganization", reactivate, "ILLEGAL_TRANSITION").await;
    }
}
