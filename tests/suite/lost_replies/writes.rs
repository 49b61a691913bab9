//! Every write there is, its answer lost in each way.

use serde_json::{Value, json};

use super::{House, assert_good};
use crate::{
    support::{Caller, name_server::At, text, wire_tap::Moment},
    tenants::{LIFE, Words, state},
};

/// The writes that [`LIFE`] has not: of many things at once, and those that take a name server.
const MORE: &[(&str, &str, &str)] = &[
    ("TenantService/CreateTenant", r#"{"slug": "beside-$run"}"#, "tenant.created"),
    (
        "OrganizationService/CreateOrganization",
        r#"{"slug": "gamma", "initialOwners": [{"email": "cy@example.com"}]}"#,
        "organization.created",
    ),
    ("DomainService/AddDomain", r#"{"organizationId": "$organization", "name": "$run.example.net"}"#, "domain.added"),
    ("DomainService/ConfirmDomain", r#"{"organizationId": "$organization", "domainId": "$domain"}"#, "domain.verified"),
    (
        "DomainService/UpdateDomain",
        r#"{"domain": {"organizationId": "$organization", "domainId": "$domain",
            "autoJoin": {"mode": "AUTO_JOIN_MODE_SUGGEST"}}, "updateMask": "autoJoin"}"#,
        "domain.updated",
    ),
    (
        "MembershipService/BatchAddMembers",
        r#"{"organizationId": "$organization", "members": [{"email": "b1@example.com"}, {"email": "b2@example.com"},
            {"email": "cy@example.com"}]}"#,
        "membership.created",
    ),
    (
        "InvitationService/BulkCreateInvitations",
        r#"{"organizationId": "$organization", "invitations": [{"email": "b3@example.com", "skipMail": true},
            {"email": "b4@example.com", "skipMail": true}, {"email": "cy@example.com", "skipMail": true}]}"#,
        "invitation.created",
    ),
    (
        "MembershipService/AddMember",
        r#"{"organizationId": "$organization", "member": {"email": "b5@example.com"}}"#,
        "membership.created",
    ),
    (
        "MembershipService/Leave",
        r#"{"organizationId": "$organization", "membershipId": "$membership"}"#,
        "membership.removed",
    ),
    ("RoleService/CreateRole", r#"{"organizationId": "$organization", "slug": "org-first"}"#, "role.created"),
    ("RoleService/CreateRole", r#"{"organizationId": "$organization", "slug": "org-second"}"#, "role.created"),
    (
        "RoleService/SetDefaultRole",
        r#"{"organizationId": "$organization", "role": "org-second"}"#,
        "organization.updated",
    ),
    (
        "RoleService/SetRolePriority",
        r#"{"organizationId": "$organization", "roles": ["org-second", "org-first"]}"#,
        "organization.updated",
    ),
];

/// What a caller is given: everything in a tenant of its own, and a way to call a method.
struct Run<'h> {
    house: &'h House,
    caller: Caller,
    tenant: String,
    /// How answers are lost; none are where it is not said.
    lost: Option<Moment>,
}

impl<'h> Run<'h> {
    async fn begin(house: &'h House, slug: &str, lost: Option<Moment>) -> Self {
        let root = &house.server.root;
        let tenant = root.call("TenantService/CreateTenant", json!({"slug": slug})).await;
        let (mut caller, tenant) = (root.clone(), text(&tenant["tenant"]["tenantId"]));
        caller.client.tenant = Some(tenant.clone());
        Self { house, caller, tenant, lost }
    }

    /// Everything, one after the other; answers the types of the events of each.
    async fn run(&self) -> Vec<(String, Vec<String>)> {
        let (mut all, mut words) = (Vec::new(), Words::of(&self.tenant));
        words.say("run", &self.tenant[self.tenant.len() - 20..]);
        let life = LIFE.iter().map(|(method, template, name, _)| (*method, *template, *name));
        for (number, (method, template, name)) in life.chain(MORE.iter().copied()).enumerate() {
            let mut request = words.fill(template);
            request["requestId"] = json!(format!("request-{number}"));
            let (answer, types) = self.ask(method, &request).await;
            words.hear(&answer);
            let events = self.events(&words, &request["requestId"]).await;
            assert_told(method, &answer, &events);
            self.assert_secrets_good(method, &answer).await;
            assert!(types.iter().any(|found| found == name), "{method}: {types:?}");
            if let Some(event) = events.iter().find(|event| event["type"] == name) {
                words.see(event);
            }
            let domain = &answer["domain"];
            if let (Some(name), Some(value)) = (domain["recordName"].as_str(), domain["recordValue"].as_str()) {
                self.house.dns.say(name, At::txt(value));
            }
            all.push((method.to_owned(), types));
        }
        all
    }

    async fn ask(&self, method: &str, request: &Value) -> (Value, Vec<String>) {
        if let Some(moment) = self.lost {
            return self.house.lost(&self.caller, method, request, moment).await;
        }
        let before = self.house.log().await.len();
        let answer = self.caller.call(method, request.clone()).await;
        (answer, self.house.log().await.split_off(before))
    }

    /// What the log has of a request.
    async fn events(&self, words: &Words, request_id: &Value) -> Vec<Value> {
        let mut events = self.caller.events(&self.tenant).await;
        if let Some(id) = words.of_kind("organization") {
            events.extend(self.caller.events(id).await);
        }
        events.retain(|event| event["requestId"] == *request_id);
        events
    }

    /// Keys open, and tokens are good for what was promised.
    async fn assert_secrets_good(&self, method: &str, answer: &Value) {
        if answer["secret"].is_string() {
            assert_good(self.house, &answer["secret"]).await;
        }
        let one = std::iter::once(answer);
        let many = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        for made in one.chain(many).filter(|made| made["token"].as_str().is_some_and(|token| !token.is_empty())) {
            let preview = json!({"token": made["token"]});
            let shown = self.caller.call("InvitationService/PreviewInvitation", preview).await;
            assert_eq!(shown["invitation"]["invitationId"], made["invitation"]["invitationId"], "{method}");
        }
    }
}

/// Whatever an answer says of a thing is what the log says of it.
fn assert_told(method: &str, answer: &Value, events: &[Value]) {
    let results = answer["results"].as_array().into_iter().flatten();
    let results = results.flat_map(|result| [&result["membership"], &result["invitation"]]);
    let things = answer.as_object().unwrap().values().filter(|thing| thing.is_object());
    for thing in things.chain(results).filter(|thing| !thing.is_null()) {
        let is_told = |event: &Value| state(event, event["type"].as_str().unwrap(), "after") == thing;
        assert!(
            method == "TenantService/CreateTenant" || events.iter().any(is_told),
            "{method}: {thing} in {events:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_for_again_is_done_once() {
    let house = House::build().await;
    let undisturbed = Run::begin(&house, "undisturbed", None).await.run().await;
    for (slug, moment) in [("before", Moment::Before), ("after", Moment::After)] {
        let lost = Run::begin(&house, slug, Some(moment)).await.run().await;
        assert_eq!(lost, undisturbed, "cut {moment:?} the COMMIT");
    }
    house.assert_whole().await;
}
