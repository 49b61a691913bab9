//! Whatever is wrong with a request, every method says so, writes nothing, and shows nothing of another tenant.
//!
//! [`METHODS`] has an entry for each method of the contract, or these tests fail.

mod methods;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use roster::{dynamic, ids};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use self::methods::METHODS;
pub use self::methods::Method;
use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, assert_code, bad_fields, reason, text},
};

/// Strings that are not named when they are bad: they have a reason of their own, or are not read.
const NOT_NAMED: [&str; 21] = [
    "after_revision",
    "domain.name",
    "domain.record_name",
    "domain.record_value",
    "page_token",
    "etag",
    ".at_least_as_fresh",
    "team.parent_team_id",
    "team.roles[0]",
    "user.identities[0].issuer",
    "user.identities[0].subject",
    ".default_role",
    ".role_priority[0]",
    "membership.user_id",
    "membership.roles[0].role",
    "membership.roles[0].source_reference",
    "membership.status_reason",
    "membership.source_reference",
    "membership.authenticated_via",
    "policy.text",
    ".put.text",
];

/// Whatever it is given is answered: its strings are bad in themselves only where they are too long or have bytes that
/// no text has.
const VALIDATES: &str = "PolicyService/ValidatePolicy";

/// How much metadata an answer may carry: what grpc-java takes where nobody configured it otherwise.
const METADATA_BYTES_MAX: usize = 8_192;

/// The method that asks a name server.
const CONFIRM: &str = "DomainService/ConfirmDomain";

/// Every method of the contract, with its entry.
pub fn methods() -> Vec<(MethodDescriptor, Method)> {
    let services: Vec<_> = dynamic::contract().unwrap().services().collect();
    let methods = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
    // CheckStream takes a stream of what Check takes, and tells in its answers what is wrong with them: see authorization.rs.
    let methods = methods.filter(|method| !method.is_client_streaming());
    let entry = |method: MethodDescriptor| {
        let name = name(&method);
        let entry = METHODS.iter().find(|entry| entry.0 == name);
        (method, *entry.unwrap_or_else(|| panic!("{name} has no entry in METHODS")))
    };
    let methods: Vec<_> = methods.map(entry).collect();
    assert_eq!(methods.len(), METHODS.len(), "an entry of METHODS is of no method");
    methods
}

pub fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

/// The permission that a method needs.
pub fn needed(method: &MethodDescriptor) -> String {
    let pool = dynamic::contract().unwrap();
    let option = pool.get_extension_by_name("roster.v1.required_permission").unwrap();
    let method = dynamic::find(&pool, &name(method)).unwrap();
    method.options().get_extension(&option).as_str().unwrap().to_owned()
}

/// One of everything, in one organization of one tenant: the words of [`METHODS`], and what they stand for.
pub struct House(BTreeMap<&'static str, String>);

impl House {
    pub async fn build(caller: &Caller, slug: &str) -> Self {
        let mail = format!("{slug}@example.com");
        let owner = json!({"email": format!("owner-{slug}@example.com")});
        let create = json!({"slug": slug, "initialOwners": [owner]});
        let org = caller.call("OrganizationService/CreateOrganization", create).await;
        let id = &org["organization"]["organizationId"];
        let (role, perm) = (format!("org-{slug}"), format!("{slug}:read"));
        caller.call("RoleService/CreatePermission", json!({"slug": perm})).await;
        caller.call("RoleService/CreateRole", json!({"organizationId": id, "slug": role})).await;
        let above = caller.call("TeamService/CreateTeam", json!({"organizationId": id, "name": "above"})).await;
        let team = caller.call("TeamService/CreateTeam", json!({"organizationId": id, "name": "team"})).await;
        let team = &team["team"]["teamId"];
        let member = json!({"email": mail, "roles": ["member", "developer"], "teamIds": [team]});
        let mem = caller.call("MembershipService/AddMember", json!({"organizationId": id, "member": member})).await;
        let account = json!({"issuer": "https://idp.example", "subject": format!("account-{slug}")});
        let link = json!({"userId": mem["membership"]["userId"], "identity": account});
        caller.call("UserService/LinkIdentity", link).await;
        let loner = caller.call("UserService/CreateUser", json!({"email": format!("loner-{mail}")})).await;
        let grant = json!({"organizationId": id, "principal": {"teamId": team},
            "resource": {"type": "doc", "id": "1"}, "role": "member"});
        let grant = caller.call("GrantService/SetGrant", grant).await;
        let thing = format!("thing-{slug}");
        let put = json!({"organizationId": id, "resource": {"type": "doc", "id": thing}});
        caller.call("GrantService/PutResource", put).await;
        let policy = format!("rule-{slug}");
        let rule = "forbid (principal, action, resource) when { context has risk && context.risk > 90 };";
        let put = json!({"policy": {"organizationId": id, "name": policy, "text": rule}});
        caller.call("PolicyService/PutPolicy", put).await;
        let key = json!({"name": "k", "scopes": ["users:read"]});
        let key = caller.call("ApiKeyService/CreateApiKey", key).await;
        let guest = format!("guest-{mail}");
        let invite = json!({"organizationId": id, "invitation": {"email": guest, "skipMail": true}});
        let invited = caller.call("InvitationService/CreateInvitation", invite).await;
        let add = json!({"organizationId": id, "name": format!("{slug}.example")});
        let domain = caller.call("DomainService/AddDomain", add).await["domain"].clone();
        let events = caller.events(&text(id)).await;
        let (mem, user) = (text(&mem["membership"]["membershipId"]), text(&mem["membership"]["userId"]));
        Self(BTreeMap::from([
            ("$tenant", text(&events[0]["tenantId"])),
            ("$org", text(id)),
            ("$slug", slug.to_owned()),
            ("$user", user.clone()),
            ("$anybody", user),
            ("$mail", mail),
            ("$loner", text(&loner["user"]["userId"])),
            ("$owner", text(&org["ownerMembershipIds"][0])),
            ("$mem", mem.clone()),
            ("$place", mem),
            ("$team", text(team)),
            ("$above", text(&above["team"]["teamId"])),
            ("$role", role.clone()),
            ("$all-roles", role),
            ("$perm", perm.clone()),
            ("$known", perm),
            ("$grant", text(&grant["grant"]["grantId"])),
            ("$thing", thing),
            ("$policy", policy),
            ("$key", text(&key["apiKey"]["apiKeyId"])),
            ("$event", text(&events[0]["eventId"])),
            ("$new", format!("{slug}-new")),
            ("$account", format!("account-{slug}")),
            ("$invitation", text(&invited["invitation"]["invitationId"])),
            ("$token", text(&invited["token"])),
            ("$domain", text(&domain["domainId"])),
            ("$guest", guest),
        ]))
    }

    /// Well-formed words of nobody.
    fn of_nobody() -> Self {
        let org = ids::OrganizationId::generate().to_string();
        let (mem, team) = (ids::MembershipId::generate().to_string(), ids::TeamId::generate().to_string());
        let user = ids::UserId::generate().to_string();
        Self(BTreeMap::from([
            ("$tenant", ids::TenantId::generate().to_string()),
            ("$org", org),
            ("$slug", "nobody".to_owned()),
            ("$user", user.clone()),
            ("$mail", "nobody@example.com".to_owned()),
            ("$loner", user),
            ("$owner", mem.clone()),
            ("$mem", mem.clone()),
            ("$place", mem),
            ("$team", team.clone()),
            ("$above", team),
            ("$role", "org-nobody".to_owned()),
            ("$all-roles", "org-nobody".to_owned()),
            ("$perm", "nobody:read".to_owned()),
            ("$known", "nobody:read".to_owned()),
            ("$grant", ids::GrantId::generate().to_string()),
            ("$thing", "thing-nobody".to_owned()),
            ("$policy", "nobody".to_owned()),
            ("$key", ids::ApiKeyId::generate().to_string()),
            ("$event", ids::EventId::generate().to_string()),
            ("$invitation", ids::InvitationId::generate().to_string()),
            ("$token", "rinv_nobody".to_owned()),
            ("$domain", ids::DomainId::generate().to_string()),
        ]))
    }

    /// A request, with every word in place; where `strangers` is given, with one of its words.
    pub fn request(&self, template: &str, strangers: Option<(&str, &str)>) -> Value {
        let words = self.0.iter().map(|(word, id)| match strangers {
            Some((strange, id)) if strange == *word => (word, id),
            _ => (word, id.as_str()),
        });
        let text = words.fold(template.to_owned(), |text, (word, id)| text.replace(word, id));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// Everything that was ever written to the streams of this tenant and organization.
    pub async fn history(&self, caller: &Caller) -> [Vec<String>; 2] {
        [history(caller, &self.0["$tenant"]).await, history(caller, &self.0["$org"]).await]
    }
}

/// The ids of everything that was ever written to a stream.
async fn history(caller: &Caller, stream: &str) -> Vec<String> {
    caller.events(stream).await.iter().map(|event| text(&event["eventId"])).collect()
}

/// Why a method refuses a word that it does not know; none for words that are no ids.
fn not_found(word: &str) -> Option<&'static str> {
    Some(match word {
        "$tenant" => "TENANT_NOT_FOUND",
        "$org" | "$slug" => "ORGANIZATION_NOT_FOUND",
        "$user" | "$mail" | "$loner" => "USER_NOT_FOUND",
        "$owner" | "$mem" => "MEMBERSHIP_NOT_FOUND",
        "$place" => "TEAM_MEMBER_NOT_FOUND",
        "$team" | "$above" => "TEAM_NOT_FOUND",
        "$role" => "ROLE_NOT_FOUND",
        "$perm" => "PERMISSION_NOT_FOUND",
        "$known" => "UNKNOWN_PERMISSION",
        "$grant" => "GRANT_NOT_FOUND",
        "$thing" => "RESOURCE_NOT_FOUND",
        "$policy" => "POLICY_NOT_FOUND",
        "$key" => "API_KEY_NOT_FOUND",
        "$event" => "EVENT_NOT_FOUND",
        "$invitation" | "$token" => "INVITATION_NOT_FOUND",
        "$domain" => "DOMAIN_NOT_FOUND",
        _ => return None,
    })
}

/// Calls every method that names things with one thing of somebody else's: it is not found, whatever it is.
async fn assert_not_found(caller: &Caller, own: &House, others: &House) {
    for (method, (name, _, template)) in methods() {
        if caller.client.tenant.is_none() && needed(&method) == "platform" && others.0.contains_key("$new") {
            continue; // tenants see each other only through keys with the platform scope
        }
        for (word, reason) in own.0.keys().filter_map(|word| not_found(word).map(|reason| (*word, reason))) {
            if template.contains(word) {
                let request = own.request(template, Some((word, &others.0[word])));
                let status = refused(caller, &method, request.clone(), reason).await;
                let code = if word == "$known" { Code::InvalidArgument } else { Code::NotFound };
                assert_eq!(status.code(), code, "{name} {request}");
            }
        }
    }
}

/// Calls a method, also one whose answer is a stream.
pub async fn attempt(caller: &Caller, method: &MethodDescriptor, request: Value) -> Result<(), Status> {
    if method.is_server_streaming() {
        caller.stream(&name(method), request).await.map(drop)
    } else {
        caller.try_call(&name(method), request).await.map(drop)
    }
}

async fn refused(caller: &Caller, method: &MethodDescriptor, request: Value, why: &str) -> Status {
    match attempt(caller, method, request.clone()).await {
        Ok(()) => panic!("{} {request} succeeded", name(method)),
        Err(status) => {
            let mut shown = request.to_string();
            shown.truncate(300);
            assert_eq!(reason(&status), why, "{} {shown}: {status:.300?}", name(method));
            status
        }
    }
}

/// What to put into a string; nothing where it stays as it is.
type Spoil<'s> = &'s dyn Fn(&FieldDescriptor) -> Option<String>;

/// Requests with this text in every string that takes it, and the paths of those strings; one for each arm of a oneof.
fn spoiled(request: &MessageDescriptor, spoil: Spoil) -> Vec<(Value, Vec<String>)> {
    (0..4)
        .map(|arm| {
            let mut paths = Vec::new();
            let request = spoil_message(request, arm, "", spoil, &mut paths);
            (request, paths)
        })
        .collect()
}

fn spoil_message(
    message: &MessageDescriptor,
    arm: usize,
    prefix: &str,
    spoil: Spoil,
    paths: &mut Vec<String>,
) -> Value {
    let mut object = Map::new();
    for field in message.fields() {
        if let Some(oneof) = field.containing_oneof().filter(|oneof| oneof.fields().len() > 1) {
            let arms: Vec<_> = oneof.fields().collect();
            if arms[arm % arms.len()] != field {
                continue;
            }
        }
        let path = format!("{prefix}{}", field.name());
        let place = if field.is_list() { format!("{path}[0]") } else { path.clone() };
        let value = match field.kind() {
            Kind::String => spoil(&field).inspect(|_| paths.push(place)).map(Value::from),
            Kind::Message(entry) if entry.is_map_entry() && entry.map_entry_value_field().kind() == Kind::Bool => {
                spoil(&field).map(|text| {
                    paths.push(format!("{path}[{text}] (the key)"));
                    json!({text: true})
                })
            }
            Kind::Message(_) if field.is_map() => spoil(&field).map(|text| {
                paths.extend([format!("{path}[{text}] (the key)"), format!("{path}[{text}]")]);
                json!({text.clone(): text})
            }),
            Kind::Message(kind) if kind.full_name() == "google.protobuf.FieldMask" => {
                paths.push(path);
                Some(mask_of(message))
            }
            Kind::Message(kind) if kind.full_name().starts_with("roster.") => {
                Some(spoil_message(&kind, arm, &format!("{place}."), spoil, paths))
            }
            _ => None,
        };
        if let Some(value) = value {
            let value = if field.is_list() { json!([value]) } else { value };
            object.insert(field.json_name().to_owned(), value);
        }
    }
    Value::Object(object)
}

/// A mask that names every field of the record that an Update changes, also those that it does not change.
fn mask_of(update: &MessageDescriptor) -> Value {
    let kind = update.fields().next().unwrap().kind();
    let fields: Vec<_> = kind.as_message().unwrap().fields().map(|field| field.json_name().to_owned()).collect();
    json!(fields.join(","))
}

/// A field as a refusal names it: as far as its headers hold it.
fn shortened(path: &str) -> String {
    if path.len() > 96 { format!("{}…", &path[..96]) } else { path.to_owned() }
}

/// Whether a string is refused by the name of its field, rather than for a reason of its own or in its own result.
fn is_named(path: &str) -> bool {
    let in_batch = ["members[", "entries[", "invitations["].iter().any(|list| path.starts_with(list));
    !in_batch && !NOT_NAMED.iter().any(|exempt| path.ends_with(exempt))
}

/// Calls every method with spoiled strings: each is named, and nothing is written.
async fn assert_all_named(server: &TestServer, spoil: Spoil<'_>) {
    let tenant = server.root.call("TenantService/GetTenant", json!({})).await;
    let tenant = text(&tenant["tenant"]["tenantId"]);
    let before = history(&server.root, &tenant).await;
    for (method, (name, ..)) in methods().into_iter().filter(|(_, entry)| entry.0 != VALIDATES) {
        for (request, paths) in spoiled(&method.input(), spoil) {
            let expected: BTreeSet<_> =
                paths.iter().filter(|path| is_named(path)).map(|path| shortened(path)).collect();
            if paths.is_empty() {
                continue;
            }
            if expected.is_empty() {
                refused(&server.root, &method, request, "INVALID_PAGE_TOKEN").await;
                continue;
            }
            let status = refused(&server.root, &method, request, "INVALID_REQUEST").await;
            assert_code(&status, Code::InvalidArgument);
            let named: BTreeSet<_> = bad_fields(&status).into_iter().collect();
            let forgotten: Vec<_> = expected.difference(&named).collect();
            assert!(forgotten.is_empty(), "{name} forgot {forgotten:.300?}");
        }
    }
    assert_eq!(history(&server.root, &tenant).await, before);
}

/// Whether a field holds the id of a record.
fn is_id(field: &FieldDescriptor) -> bool {
    (field.name().ends_with("_id") || field.name().ends_with("_ids"))
        && !["external_id", "request_id"].contains(&field.name())
}

on_both_engines! {
    async fn every_method_accepts_its_example(server) {
        for (index, (method, (name, _, template))) in methods().into_iter().enumerate() {
            let house = House::build(&server.root, &format!("house-{index}")).await;
            let answer = attempt(&server.root, &method, house.request(template, None)).await;
            if name == CONFIRM {
                assert_eq!(reason(&answer.unwrap_err()), "DNS_FAILURE", "no name server is here: see domains.rs");
                continue;
            }
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }

    async fn every_required_field_is_named_at_once(server) {
        let house = House::build(&server.root, "acme").await;
        let before = house.history(&server.root).await;
        for (method, (name, required, _)) in methods() {
            if required.is_empty() {
                let answer = attempt(&server.root, &method, json!({})).await;
                assert!(answer.is_ok(), "{name}: {answer:?}");
                continue;
            }
            let status = refused(&server.root, &method, json!({}), "INVALID_REQUEST").await;
            assert_code(&status, Code::InvalidArgument);
            let named: BTreeSet<_> = bad_fields(&status).into_iter().collect();
            assert_eq!(named, required.iter().map(|field| (*field).to_owned()).collect(), "{name}");
        }
        assert_eq!(house.history(&server.root).await, before);
    }

    async fn every_string_has_an_end(server) {
        // The key of an entry of a map is part of the name of the field: a longer one would not fit the answer.
        assert_all_named(&server, &|field| Some("x".repeat(if field.is_map() { 513 } else { 10_000 }))).await;
    }

    async fn no_string_takes_control_characters(server) {
        for bad in ["a\u{0}b", "a\nb", "\u{7f}"] {
            assert_all_named(&server, &|_| Some(bad.to_owned())).await;
        }
    }

    async fn no_id_is_read_that_is_malformed(server) {
        let short = "org_01h455vb4pex5vsknk084sn02";
        let [strange, upper] = ["nobody_01h455vb4pex5vsknk084sn02q", "ORG_01H455VB4PEX5VSKNK084SN02Q"];
        for bad in [short, strange, upper, "' OR 1=1 --", "☃"] {
            assert_all_named(&server, &|field| is_id(field).then(|| bad.to_owned())).await;
        }
    }

    async fn what_is_not_there_is_not_found(server) {
        let house = House::build(&server.root, "acme").await;
        let before = house.history(&server.root).await;
        assert_not_found(&server.root, &house, &House::of_nobody()).await;
        assert_eq!(house.history(&server.root).await, before);
    }

    async fn what_is_of_another_tenant_is_not_found_and_not_touched(server) {
        let theirs = House::build(&server.root, "acme").await;
        let stranger = server.stranger().await;
        let own = House::build(&stranger, "evil").await;
        let before = [theirs.history(&server.root).await, own.history(&stranger).await];
        assert_not_found(&stranger, &own, &theirs).await;
        // All of it at once, as somebody would who has learned the ids.
        for (method, (.., template)) in methods() {
            let names = |word: &str| template.contains(word) && not_found(word).is_some();
            if theirs.0.keys().any(|word| names(word)) {
                let platform = needed(&method) == "platform";
                let status = attempt(&stranger, &method, theirs.request(template, None)).await.unwrap_err();
                let code = if platform { Code::PermissionDenied } else { Code::NotFound };
                assert_eq!(status.code(), code, "{} {}", name(&method), status.message());
            }
        }
        assert_eq!([theirs.history(&server.root).await, own.history(&stranger).await], before);
    }

    async fn a_batch_knows_nothing_of_another_tenant(server) {
        let theirs = House::build(&server.root, "acme").await;
        let stranger = server.stranger().await;
        let own = House::build(&stranger, "evil").await;
        let check = r#"{"organizationId": "$org", "entries": [{"userId": "$anybody", "permission": "$known"}]}"#;
        let request = own.request(check, Some(("$anybody", &theirs.0["$user"])));
        let answer = stranger.call("AuthorizationService/BatchCheck", request).await;
        assert_eq!(answer["results"][0]["reason"], "CHECK_REASON_NOT_A_MEMBER");
        let request = own.request(check, Some(("$known", &theirs.0["$known"])));
        let answer = stranger.call("AuthorizationService/BatchCheck", request).await;
        assert_eq!(answer["results"][0]["error"]["reason"], "UNKNOWN_PERMISSION");
        let add = r#"{"organizationId": "$org", "members": [
            {"userId": "$user"}, {"userId": "$loner", "teamIds": ["$team"]},
            {"userId": "$loner", "roles": ["$role"]}]}"#;
        for (word, place) in [("$user", 0), ("$team", 1), ("$role", 2)] {
            let request = own.request(add, Some((word, &theirs.0[word])));
            let answer = stranger.call("MembershipService/BatchAddMembers", request).await;
            assert_eq!(answer["results"][place]["error"]["reason"], not_found(word).unwrap());
        }
    }

    async fn nobody_calls_without_the_permission_that_the_contract_names(server) {
        let methods: Vec<_> = methods().into_iter().map(|(method, _)| (needed(&method), method)).collect();
        let all: BTreeSet<_> = methods.iter().map(|(needed, _)| needed.as_str()).collect();
        for lacked in &all {
            let scopes: Vec<_> = all.iter().copied().filter(|scope| scope != lacked).collect();
            let caller = server.caller(&scopes).await;
            for (needed, method) in &methods {
                if needed == lacked {
                    let status = refused(&caller, method, json!({}), "MISSING_PERMISSION").await;
                    assert_code(&status, Code::PermissionDenied);
                    let named = status.get_error_details().error_info().unwrap().metadata["permission"].clone();
                    assert_eq!(&named, needed, "{}", name(method));
                } else if let Err(status) = attempt(&caller, method, json!({})).await {
                    assert_eq!(reason(&status), "INVALID_REQUEST", "{}", name(method));
                }
            }
        }
    }

    async fn nobody_calls_without_a_key(server) {
        let anonymous = server.anonymous().await;
        for (method, _) in methods() {
            let status = refused(&anonymous, &method, json!({}), "MISSING_CREDENTIALS").await;
            assert_code(&status, Code::Unauthenticated);
        }
    }

    async fn an_enum_has_the_values_that_it_has(server) {
        let requests = [
            ("OrganizationService/ListOrganizations", "status", json!({"status": 99})),
            ("UserService/ListUsers", "status", json!({"status": -1})),
            ("MembershipService/ListMemberships", "status", json!({"status": 99})),
            ("TeamService/AddTeamMember", "role", json!({"role": 99})),
            ("TeamService/UpdateTeamMember", "role", json!({"role": 99})),
            ("MembershipService/AssignRole", "source", json!({"source": 99})),
            ("MembershipService/RevokeRole", "source", json!({"source": 99})),
            ("MembershipService/SetRoles", "source", json!({"source": -1})),
            ("MembershipService/AddMember", "member.source", json!({"member": {"source": 99}})),
            ("MembershipService/AddMember", "member.kind", json!({"member": {"kind": 99}})),
            ("MembershipService/ListMemberships", "kind", json!({"kind": -1})),
            ("MembershipService/UpdateMembership", "membership.kind",
                json!({"membership": {"kind": 99}, "updateMask": "kind"})),
            ("TenantService/UpdateTenant", "tenant.role_mode",
                json!({"tenant": {"roleMode": 99}, "updateMask": "roleMode"})),
        ];
        for (method, field, request) in requests {
            let status = server.root.refused(method, request, "INVALID_REQUEST").await;
            assert!(bad_fields(&status).contains(&field.to_owned()), "{method}: {}", status.message());
        }
    }

    async fn a_page_has_1_to_1000_entries(server) {
        let house = House::build(&server.root, "acme").await;
        for (method, (name, _, template)) in methods() {
            if method.input().get_field_by_name("page_size").is_some() {
                for size in [-1, 0, 1, 1000, 1001, i32::MAX] {
                    let mut request = house.request(template, None);
                    request["pageSize"] = json!(size);
                    let answer = attempt(&server.root, &method, request.clone()).await;
                    let named = answer.err().map(|status| bad_fields(&status)).unwrap_or_default();
                    let expected: &[&str] = if (0..=1000).contains(&size) { &[] } else { &["page_size"] };
                    assert_eq!(named, expected, "{name} {request}");
                }
            }
        }
    }

    async fn a_page_token_belongs_to_its_list(server) {
        let house = House::build(&server.root, "acme").await;
        let tokens = ["?", "x", "AAAA", "AAAAAAAAAAAAAAAA", "%00"];
        for (method, (_, _, template)) in methods() {
            if method.input().get_field_by_name("page_token").is_some() {
                for token in tokens {
                    let mut request = house.request(template, None);
                    request["pageToken"] = json!(token);
                    refused(&server.root, &method, request, "INVALID_PAGE_TOKEN").await;
                }
            }
        }
    }
}

// Findings: refusals that callers cannot read.
on_both_engines! {
    async fn a_refusal_arrives_however_much_is_wrong(server) {
        let long = "x".repeat(10_000);
        let many = |count: usize| vec![long.as_str(); count];
        let few = |count: usize| vec!["A"; count];
        let requests = [
            ("UserService/CreateUser", json!({"email": "ada@example.com", "metadata": {long.as_str(): "x"}})),
            ("UserService/CreateUser", json!({"email": long})),
            ("UserService/UpdateUser", json!({"updateMask": many(3).join(",")})),
            ("EventService/ListEvents", json!({"types": many(50)})),
            ("EventService/ListEvents", json!({"types": few(10_000)})),
            ("RoleService/CreateRole", json!({"slug": "writer", "permissions": few(1_000)})),
            ("ApiKeyService/CreateApiKey", json!({"name": "k", "scopes": few(100)})),
            ("ApiKeyService/CreateApiKey", json!({"name": "k", "scopes": few(10_000)})),
        ];
        let mut lost = Vec::new();
        for (method, request) in requests {
            let status = server.root.try_call(method, request.clone()).await.unwrap_err();
            let weight = status.details().len() * 4 / 3 + status.message().len();
            if reason(&status) != "INVALID_REQUEST" || weight > METADATA_BYTES_MAX {
                let request: String = request.to_string().chars().take(60).collect();
                lost.push(format!("{method} {request}: {:?}, {weight} bytes", status.code()));
            }
        }
        assert_eq!(lost, [""; 0]);
    }

    async fn bytes_that_are_no_request_are_an_invalid_request(server) {
        // A number where GetUser has a string.
        let pool = dynamic::contract().unwrap();
        let page = dynamic::find(&pool, "UserService/ListUsers").unwrap();
        let number = dynamic::parse(&page, r#"{"status": "USER_STATUS_ACTIVE"}"#).unwrap();
        let method = dynamic::find(&pool, "UserService/GetUser").unwrap();
        let status = server.root.client.unary(&method, number).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"),
            "{}", status.message());
    }
}
