//! Users as callers: in each organization they may do what their own membership says, and give nothing that they lack.

mod escalation;
mod table;

use std::{sync::Arc, time::Duration};

use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};
use roster::{
    auth::scopes::PLATFORM,
    authority::{self, Authority, UserAuthority},
    context::{Actor, Ctx},
    db::Db,
    dynamic, organizations,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    in_a_house,
    support::{Caller, Engine, assert_code, metadata, reason, text},
    tokens::{AUDIENCE, House, USERS},
};

/// What a manager may do: much, but not everything.
const MANAGER: [&str; 7] =
    ["members:*", "teams:*", "roles:*", "grants:*", "organizations:*", "events:read", "invoices:read"];

/// An organization, with somebody in each place.
struct Acme {
    house: House,
    id: String,
    /// May do everything.
    owner: Person,
    /// Has the role of [`MANAGER`].
    manager: Person,
    /// Is a member who may do nothing.
    member: Person,
    /// Is a user of the tenant, and no member.
    stranger: Person,
}

struct Person {
    caller: Caller,
    user_id: String,
    membership_id: String,
}

impl Acme {
    async fn build(house: House) -> Self {
        let root = house.server.root.clone();
        let org = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let id = text(&org["organization"]["organizationId"]);
        for slug in [
            "members:read",
            "members:write",
            "teams:read",
            "teams:write",
            "roles:read",
            "roles:write",
            "grants:read",
            "grants:write",
            "organizations:read",
            "organizations:write",
            "events:read",
            "users:write",
            "invoices:read",
            "invoices:pay",
            "docs:read",
            "docs:write",
        ] {
            permit(&root, slug).await;
        }
        let role =
            |slug: &str, permissions: &[&str]| json!({"organizationId": id, "slug": slug, "permissions": permissions});
        root.call("RoleService/CreateRole", role("org-manager", &MANAGER)).await;
        root.call("RoleService/CreateRole", role("org-nothing", &[])).await;
        root.call("RoleService/CreateRole", role("org-payer", &["invoices:pay"])).await;
        let owner = join(&house, &id, "owner", "owner").await;
        let manager = join(&house, &id, "manager", "org-manager").await;
        let member = join(&house, &id, "member", "org-nothing").await;
        let stranger = root.call("UserService/CreateUser", json!({"email": "stranger@example.com"})).await;
        let user_id = text(&stranger["user"]["userId"]);
        let caller = link(&house, &user_id, "stranger").await;
        let stranger = Person { caller, user_id, membership_id: String::new() };
        Self { house, id, owner, manager, member, stranger }
    }

    fn root(&self) -> &Caller {
        &self.house.server.root
    }

    /// A request about this organization.
    fn request(&self, mut fields: Value) -> Value {
        fields["organizationId"] = json!(self.id);
        fields
    }

    async fn team(&self, name: &str, role: Option<&str>) -> String {
        let team = self.root().call("TeamService/CreateTeam", self.request(json!({"name": name}))).await;
        let id = text(&team["team"]["teamId"]);
        if let Some(role) = role {
            self.root().call("TeamService/AssignTeamRole", self.request(json!({"teamId": id, "role": role}))).await;
        }
        id
    }
}

/// Puts a permission into the catalogue, where it is not there already.
async fn permit(root: &Caller, slug: &str) {
    if let Err(status) = root.try_call("RoleService/CreatePermission", json!({"slug": slug})).await {
        assert_eq!(reason(&status), "SLUG_TAKEN");
    }
}

/// A new member, who calls by a token.
async fn join(house: &House, organization: &str, name: &str, role: &str) -> Person {
    let member = json!({"email": format!("{name}@example.com"), "roles": [role]});
    let request = json!({"organizationId": organization, "member": member});
    let added = house.server.root.call("MembershipService/AddMember", request).await;
    let user_id = text(&added["membership"]["userId"]);
    let membership_id = text(&added["membership"]["membershipId"]);
    Person { caller: link(house, &user_id, name).await, user_id, membership_id }
}

fn account(user_id: &str, subject: &str) -> Value {
    json!({"userId": user_id, "identity": {"issuer": USERS, "subject": subject}})
}

/// Links a user to an account, and calls by its token.
pub async fn link(house: &House, user_id: &str, subject: &str) -> Caller {
    let linked = house.server.root.call("UserService/LinkIdentity", account(user_id, subject)).await;
    house.caller(&token(house, subject, &linked["user"]["email"])).await
}

/// A token that says that the user's address is theirs.
fn token(house: &House, subject: &str, email: &Value) -> String {
    // A user has no scopes, whatever the token says.
    let claims = json!({"iss": USERS, "sub": subject, "aud": AUDIENCE, "exp": house.now() + 3000, "email": email,
        "email_verified": true, "scope": "* platform"});
    house.key.token(&claims)
}

/// Every method of the contract that takes one request.
fn methods() -> Vec<MethodDescriptor> {
    let services: Vec<_> = dynamic::contract().unwrap().services().collect();
    let methods = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter(|method| !method.is_client_streaming()).collect()
}

fn needed(method: &MethodDescriptor) -> String {
    let pool = dynamic::contract().unwrap();
    let option = pool.get_extension_by_name("roster.v1.required_permission").unwrap();
    let method = dynamic::find(&pool, &name(method)).unwrap();
    method.options().get_extension(&option).as_str().unwrap().to_owned()
}

/// Whether a user may call a method about themself, whatever their membership allows: see `memberships`.
pub fn is_self_service(method: &MethodDescriptor) -> bool {
    let pool = dynamic::contract().unwrap();
    let option = pool.get_extension_by_name("roster.v1.self_service").unwrap();
    let method = dynamic::find(&pool, &name(method)).unwrap();
    method.options().get_extension(&option).as_bool().unwrap()
}

fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

/// A request that names an organization and nothing else; none where a request cannot.
fn about(request: &MessageDescriptor, organization: &str) -> Option<Value> {
    if request.get_field_by_name("organization_id").is_some() {
        return Some(json!({"organizationId": organization}));
    }
    if request.get_field_by_name("stream_id").is_some() {
        return Some(json!({"streamId": organization}));
    }
    request.fields().filter(|field| !field.is_list() && !field.is_map()).find_map(|field| match field.kind() {
        Kind::Message(record) if record.get_field_by_name("organization_id").is_some() => {
            Some(json!({field.json_name(): {"organizationId": organization}}))
        }
        _ => None,
    })
}

async fn attempt(caller: &Caller, method: &MethodDescriptor, request: Value) -> Result<(), Status> {
    if method.is_server_streaming() {
        caller.stream(&name(method), request).await.map(drop)
    } else {
        caller.try_call(&name(method), request).await.map(drop)
    }
}

/// Refused, by the name of what is lacked.
fn assert_lacks(status: &Status, permission: &str, what: &str) {
    assert_eq!(reason(status), "MISSING_PERMISSION", "{what}: {}", status.message());
    assert_code(status, Code::PermissionDenied);
    assert_eq!(metadata(status)["permission"], permission, "{what}");
}

in_a_house! {
    async fn a_user_does_what_their_membership_says(house) {
        let acme = Acme::build(house).await;
        let get = acme.request(json!({}));
        for person in [&acme.owner, &acme.manager] {
            person.caller.call("OrganizationService/GetOrganization", get.clone()).await;
            let member = json!({"email": format!("by-{}@example.com", person.user_id), "roles": ["org-nothing"]});
            let request = acme.request(json!({"member": member}));
            let added = person.caller.call("MembershipService/AddMember", request).await;
            let events = acme.root().events(&acme.id).await;
            let event = events.last().unwrap();
            assert_eq!(event["membershipCreated"]["after"], added["membership"]);
            assert_eq!(event["actor"]["kind"], "EVENT_ACTOR_KIND_USER");
            assert_eq!(event["actor"]["id"], person.user_id.as_str());
        }
        let rename = json!({"organization": acme.request(json!({"displayName": "A"})), "updateMask": "displayName"});
        acme.manager.caller.call("OrganizationService/UpdateOrganization", rename.clone()).await;
        let status =
            acme.member.caller.refused("OrganizationService/UpdateOrganization", rename, "MISSING_PERMISSION").await;
        assert_lacks(&status, "organizations:write", "UpdateOrganization");
        // Through a team: what the team's parent has.
        let (above, below) = (acme.team("above", Some("org-manager")).await, acme.team("below", None).await);
        let request = acme.request(json!({"teamId": below, "parentTeamId": above}));
        acme.root().call("TeamService/MoveTeam", request).await;
        let place = acme.request(json!({"teamId": below, "membershipId": acme.member.membership_id}));
        acme.root().call("TeamService/AddTeamMember", place).await;
        acme.member.caller.call("TeamService/CreateTeam", acme.request(json!({"name": "mine"}))).await;
    }

    async fn a_user_calls_nothing_that_is_about_no_one_organization(house) {
        let acme = Acme::build(house).await;
        for method in methods() {
            let status = attempt(&acme.owner.caller, &method, json!({})).await.expect_err(&name(&method));
            if is_self_service(&method) {
                assert_eq!(reason(&status), "INVALID_REQUEST", "{}", name(&method));
                continue;
            }
            assert_lacks(&status, &needed(&method), &name(&method));
        }
        let tenant = acme.root().call("TenantService/GetTenant", json!({})).await;
        let stream = json!({"streamId": tenant["tenant"]["tenantId"]});
        for method in [
            "EventService/ListEvents",
            "EventService/WatchEvents",
            "AuditService/ListAuditEvents",
            "AuditService/ExportEvents",
            "AuditService/GetCheckpoint",
        ] {
            let method = dynamic::find(&dynamic::contract().unwrap(), method).unwrap();
            let status = attempt(&acme.owner.caller, &method, stream.clone()).await.unwrap_err();
            assert_lacks(&status, "events:read", "the tenant's own stream");
        }
    }

    async fn no_method_forgets_to_ask(house) {
        let acme = Acme::build(house).await;
        let nobody = roster::ids::OrganizationId::generate().to_string();
        let mut asked = 0;
        for method in methods() {
            let Some(request) = about(&method.input(), &acme.id) else { continue };
            asked += 1;
            if needed(&method) == PLATFORM {
                // Whatever there is, and whoever asks.
                for caller in [&acme.owner.caller, &acme.stranger.caller] {
                    for id in [&acme.id, &nobody] {
                        let request = about(&method.input(), id).unwrap();
                        let status = attempt(caller, &method, request).await.expect_err(&name(&method));
                        assert_lacks(&status, PLATFORM, &name(&method));
                    }
                }
                continue;
            }
            if !is_self_service(&method) {
                let status = attempt(&acme.member.caller, &method, request.clone()).await.expect_err(&name(&method));
                assert_lacks(&status, &needed(&method), &name(&method));
            }
            let theirs = attempt(&acme.stranger.caller, &method, request).await.expect_err(&name(&method));
            assert_eq!(reason(&theirs), "ORGANIZATION_NOT_FOUND", "{}", name(&method));
            let missing = about(&method.input(), &nobody).unwrap();
            let missing = attempt(&acme.owner.caller, &method, missing).await.expect_err(&name(&method));
            assert_eq!((missing.code(), missing.message()), (theirs.code(), theirs.message()));
        }
        assert!(asked > 30, "{asked} methods are about an organization");
    }

    async fn whoever_is_suspended_does_nothing(house) {
        let acme = Acme::build(house).await;
        let get = acme.request(json!({}));
        let method = "OrganizationService/GetOrganization";
        let which = acme.request(json!({"membershipId": acme.manager.membership_id}));
        acme.root().call("MembershipService/SuspendMembership", which.clone()).await;
        acme.manager.caller.refused(method, get.clone(), "MISSING_PERMISSION").await;
        acme.root().call("MembershipService/ReactivateMembership", which).await;
        acme.manager.caller.call(method, get.clone()).await;
        let user = json!({"userId": acme.manager.user_id});
        acme.root().call("UserService/SuspendUser", user.clone()).await;
        acme.manager.caller.refused(method, get.clone(), "MISSING_PERMISSION").await;
        acme.root().call("UserService/ReactivateUser", user).await;
        acme.root().call("OrganizationService/SuspendOrganization", get.clone()).await;
        acme.owner.caller.refused(method, get.clone(), "MISSING_PERMISSION").await;
        acme.stranger.caller.refused(method, get.clone(), "ORGANIZATION_NOT_FOUND").await;
        acme.root().call("OrganizationService/ReactivateOrganization", get.clone()).await;
        acme.owner.caller.call(method, get.clone()).await;
        acme.root().call("OrganizationService/DeleteOrganization", get.clone()).await;
        acme.owner.caller.refused(method, get, "ORGANIZATION_NOT_FOUND").await;
    }

    async fn a_user_of_one_tenant_is_nobody_in_another(house) {
        let acme = Acme::build(house).await;
        let other = acme.house.server.stranger().await;
        let org = other.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let get = json!({"organizationId": org["organization"]["organizationId"]});
        acme.owner.caller.refused("OrganizationService/GetOrganization", get, "ORGANIZATION_NOT_FOUND").await;
        let events = acme.root().events("").await;
        let mut elsewhere = acme.owner.caller.clone();
        elsewhere.client.tenant = Some(roster::ids::TenantId::generate().to_string());
        let get = acme.request(json!({}));
        elsewhere.refused("OrganizationService/GetOrganization", get.clone(), "TENANT_NOT_FOUND").await;
        elsewhere.client.tenant = Some(text(&events[0]["tenantId"]));
        elsewhere.call("OrganizationService/GetOrganization", get).await;
    }

    async fn a_user_is_whom_the_account_is_linked_to_now(house) {
        let acme = Acme::build(house).await;
        let get = acme.request(json!({}));
        let method = "OrganizationService/GetOrganization";
        let caller = acme.house.caller(&token(&acme.house, "floating", &json!("floating@example.com"))).await;
        let status = caller.refused(method, get.clone(), "INVALID_CREDENTIALS").await;
        assert!(status.message().contains("linked to no user"), "{}", status.message());
        acme.root().call("UserService/LinkIdentity", account(&acme.manager.user_id, "floating")).await;
        caller.call(method, get.clone()).await;
        acme.root().call("UserService/UnlinkIdentity", account(&acme.manager.user_id, "floating")).await;
        caller.refused(method, get.clone(), "INVALID_CREDENTIALS").await;
        acme.root().call("UserService/LinkIdentity", account(&acme.stranger.user_id, "floating")).await;
        caller.refused(method, get.clone(), "ORGANIZATION_NOT_FOUND").await;
        acme.root().call("UserService/DeleteUser", json!({"userId": acme.stranger.user_id})).await;
        caller.refused(method, get, "INVALID_CREDENTIALS").await;
    }

    async fn nobody_gives_what_they_lack(house) {
        let acme = Acme::build(house).await;
        let (payers, plain) = (acme.team("payers", Some("org-payer")).await, acme.team("plain", None).await);
        let below = json!({"name": "below", "parentTeamId": payers});
        let below = acme.root().call("TeamService/CreateTeam", acme.request(below)).await;
        let below = text(&below["team"]["teamId"]);
        let role = json!({"slug": "org-mine", "permissions": ["invoices:read"]});
        acme.manager.caller.call("RoleService/CreateRole", acme.request(role)).await;
        let before = acme.root().events(&acme.id).await.len();
        let mem = &acme.member.membership_id;
        let update = |permissions: Value| json!({"role": acme.request(json!({"slug": "org-mine",
            "permissions": permissions})), "updateMask": "permissions"});
        let resource = json!({"type": "doc", "id": "1"});
        let new = json!({"email": "new@example.com"});
        let with = |name: &str, value: Value| {
            let mut new = new.clone();
            new[name] = value;
            json!({"member": new})
        };
        let escalations = [
            ("MembershipService/AssignRole", json!({"membershipId": mem, "role": "owner"}), "*"),
            ("MembershipService/AssignRole", json!({"membershipId": mem, "role": "org-payer"}), "invoices:pay"),
            ("MembershipService/AssignRole",
                json!({"membershipId": acme.manager.membership_id, "role": "owner"}), "*"),
            ("MembershipService/SetRoles", json!({"membershipId": mem, "roles": ["org-nothing", "owner"]}), "*"),
            ("MembershipService/AddMember", with("roles", json!(["owner"])), "*"),
            ("MembershipService/AddMember", with("roles", json!(["org-nothing", "org-payer"])), "invoices:pay"),
            ("MembershipService/AddMember", with("teamIds", json!([payers])), "invoices:pay"),
            ("MembershipService/AddMember", with("teamIds", json!([below])), "invoices:pay"),
            ("RoleService/CreateRole", json!({"slug": "org-x", "permissions": ["*"]}), "*"),
            ("RoleService/CreateRole", json!({"slug": "org-x", "permissions": ["invoices:pay"]}), "invoices:pay"),
            ("RoleService/CreateRole", json!({"slug": "org-x", "permissions": ["invoices:*"]}), "invoices:*"),
            ("RoleService/CreateRole", json!({"slug": "org-x", "permissions": ["nothing:*"]}), "nothing:*"),
            ("RoleService/CreateRole", json!({"slug": "org-x", "permissions": ["users:*"]}), "users:*"),
            ("RoleService/UpdateRole", update(json!(["invoices:pay", "invoices:read"])), "invoices:pay"),
            ("RoleService/UpdateRole", update(json!(["*"])), "*"),
            ("TeamService/AssignTeamRole", json!({"teamId": plain, "role": "org-payer"}), "invoices:pay"),
            ("TeamService/AddTeamMember", json!({"teamId": payers, "membershipId": mem}), "invoices:pay"),
            ("TeamService/AddTeamMember", json!({"teamId": below, "membershipId": mem}), "invoices:pay"),
            ("TeamService/MoveTeam", json!({"teamId": plain, "parentTeamId": below}), "invoices:pay"),
            ("GrantService/SetGrant",
                json!({"principal": {"membershipId": mem}, "resource": resource, "role": "owner"}), "*"),
            ("GrantService/SetGrant", json!({"principal": {"membershipId": mem}, "resource": resource,
                "permission": "invoices:pay"}), "invoices:pay"),
        ];
        for (method, fields, lacked) in escalations {
            let request = if method == "RoleService/UpdateRole" { fields } else { acme.request(fields) };
            let status = acme.manager.caller.refused(method, request.clone(), "MISSING_PERMISSION").await;
            let found = metadata(&status)["permission"].clone();
            let fits = found == lacked || lacked == "users:write" && found.starts_with("users:");
            assert!(fits, "{method} {request}: lacks {found}");
            let role = request.to_string().contains("\"owner\"").then_some("owner");
            assert_eq!(metadata(&status).get("role").map(String::as_str).filter(|role| *role == "owner"), role);
        }
        let members = acme.request(json!({"members": [{"email": "a@example.com", "roles": ["owner"]},
            {"email": "b@example.com", "roles": ["org-nothing"]}]}));
        assert_eq!(acme.root().events(&acme.id).await.len(), before, "nothing was written");
        let batch = acme.manager.caller.call("MembershipService/BatchAddMembers", members).await;
        assert_eq!(batch["results"][0]["error"]["reason"], "MISSING_PERMISSION");
        assert!(batch["results"][1]["membership"].is_object());
    }

    async fn everybody_gives_what_they_have(house) {
        let acme = Acme::build(house).await;
        let plain = acme.team("plain", None).await;
        let mem = &acme.member.membership_id;
        let resource = json!({"type": "doc", "id": "1"});
        let docs = json!({"slug": "org-docs", "permissions": ["docs:read", "docs:write"]});
        acme.root().call("RoleService/CreateRole", acme.request(docs)).await;
        let roles = json!({"membershipId": acme.manager.membership_id, "role": "org-docs"});
        acme.root().call("MembershipService/AssignRole", acme.request(roles)).await;
        let gifts = [
            ("MembershipService/AssignRole", json!({"membershipId": mem, "role": "org-manager"})),
            ("MembershipService/SetRoles", json!({"membershipId": mem, "roles": ["org-manager", "org-docs"]})),
            ("RoleService/CreateRole", json!({"slug": "org-a", "permissions": ["members:*", "teams:read"]})),
            ("TeamService/AssignTeamRole", json!({"teamId": plain, "role": "org-docs"})),
            ("TeamService/AddTeamMember", json!({"teamId": plain, "membershipId": mem})),
            ("GrantService/SetGrant", json!({"principal": {"teamId": plain}, "resource": resource, "role": "org-docs"})),
        ];
        for (method, fields) in gifts {
            acme.manager.caller.call(method, acme.request(fields)).await;
        }
        // All that the pattern means today is held, but not what it will mean.
        let pattern = acme.request(json!({"slug": "org-b", "permissions": ["docs:*"]}));
        acme.manager.caller.refused("RoleService/CreateRole", pattern, "MISSING_PERMISSION").await;
        // Who has everything gives everything; and what somebody has already is not given.
        let make = acme.request(json!({"membershipId": mem, "role": "owner"}));
        acme.owner.caller.call("MembershipService/AssignRole", make.clone()).await;
        acme.manager.caller.call("MembershipService/AssignRole", make).await;
        let keep = acme.request(json!({"membershipId": mem, "roles": ["owner", "org-nothing"]}));
        acme.manager.caller.call("MembershipService/SetRoles", keep).await;
    }

    async fn a_service_gives_of_rosters_own_what_its_scopes_have(house) {
        let acme = Acme::build(house).await;
        let service = acme.house.server.caller(&["members:write", "roles:write", "teams:read"]).await;
        let role = |slug: &str, permissions: &[&str]| acme.request(json!({"slug": slug, "permissions": permissions}));
        service.call("RoleService/CreateRole", role("org-a", &["invoices:pay", "invoices:*", "teams:read"])).await;
        for (entry, lacked) in [("teams:write", "teams:write"), ("teams:*", "teams:write"), ("*", "*")] {
            let status = service.refused("RoleService/CreateRole", role("org-b", &[entry]), "MISSING_PERMISSION").await;
            assert_lacks(&status, lacked, entry);
        }
        let tenant_role = json!({"slug": "all", "permissions": ["*"]});
        service.refused("RoleService/CreateRole", tenant_role, "MISSING_PERMISSION").await;
        let add = |email: &str, roles: &[&str]| acme.request(json!({"member": {"email": email, "roles": roles}}));
        service.call("MembershipService/AddMember", add("a@example.com", &[])).await;
        service.call("MembershipService/AddMember", add("b@example.com", &["org-a"])).await;
        for role in ["owner", "org-manager"] {
            let request = add("c@example.com", &[role]);
            let status = service.refused("MembershipService/AddMember", request, "MISSING_PERMISSION").await;
            assert_eq!(metadata(&status)["role"], role);
        }
    }

    /// The decision in memory may be a moment old: what the transaction sees under the lock is what counts.
    async fn a_right_that_has_just_ended_writes_nothing(house) {
        let acme = Acme::build(house).await;
        let db = Db::open(&acme.house.server.location()).await.unwrap();
        let events = acme.root().events(&acme.id).await;
        let organization_id = acme.id.parse().unwrap();
        let now = acme.house.server.clock.clock().now();
        let mut ctx = Ctx::local(events[0]["tenantId"].as_str().unwrap().parse().unwrap(), Actor::system(), now);
        let user_id = acme.manager.user_id.parse().unwrap();
        let mut user = UserAuthority { user_id, permission: Arc::from("members:write"), by_role: true };
        ctx.authority = Authority::User(user.clone());
        let change = async |ctx: &Ctx| {
            let ctx = ctx.clone();
            let changed = db.write(async move |tx| organizations::lock_for_change(&ctx, tx, organization_id).await);
            changed.await.map(drop).map_err(|error| error.reason_name())
        };
        assert_eq!(change(&ctx).await, Ok(()));
        let demote = acme.request(json!({"membershipId": acme.manager.membership_id, "roles": ["org-nothing"]}));
        acme.root().call("MembershipService/SetRoles", demote).await;
        assert_eq!(change(&ctx).await, Err("MISSING_PERMISSION"));
        let given = authority::ensure_may_grant(&ctx, &mut db.snapshot().await.unwrap(), Some(organization_id),
            &["org-nothing"], &["invoices:read"]).await;
        assert_eq!(given.unwrap_err().reason_name(), "MISSING_PERMISSION");
        // Whoever may by something else than a role must still be an active member.
        user.by_role = false;
        ctx.authority = Authority::User(user);
        assert_eq!(change(&ctx).await, Ok(()));
        let which = acme.request(json!({"membershipId": acme.manager.membership_id}));
        acme.root().call("MembershipService/SuspendMembership", which.clone()).await;
        assert_eq!(change(&ctx).await, Err("MISSING_PERMISSION"));
        acme.root().call("MembershipService/RemoveMember", which).await;
        assert_eq!(change(&ctx).await, Err("ORGANIZATION_NOT_FOUND"));
        db.close().await;
    }

    async fn an_administrator_audits_their_own_organization_and_no_other(house) {
        let acme = Acme::build(house).await;
        let (manager, own) = (&acme.manager.caller, json!({"streamId": acme.id}));
        let listed = manager.call("AuditService/ListAuditEvents", own.clone()).await;
        let events = listed["events"].as_array().unwrap();
        assert!(!events.is_empty() && events.iter().all(|event| event["organizationId"] == acme.id.as_str()));
        assert_eq!(manager.call("AuditService/GetCheckpoint", own.clone()).await["checkpoint"]["streamId"], acme.id.as_str());
        let of_organization = json!({"organizationId": acme.id});
        let export = |stream: &Value, format: &str| json!({"streamId": stream["streamId"], "format": format});
        for (method, request) in [
            ("AuditService/ExportEvents", own.clone()),
            ("AuditService/ExportEvents", export(&own, "EXPORT_FORMAT_CSV")),
            ("AuditService/ExportEvents", export(&own, "EXPORT_FORMAT_OCSF")),
            ("AuditService/ReadStateAsOf", of_organization),
        ] {
            let mut answers = manager.stream(method, request).await.unwrap();
            assert!(answers.message().await.unwrap().is_some(), "{method}");
        }
        let other = acme.root().call("OrganizationService/CreateOrganization", json!({"slug": "no-business-of-acme"})).await;
        let other = json!({"streamId": other["organization"]["organizationId"]});
        for method in ["AuditService/ListAuditEvents", "AuditService/GetCheckpoint", "AuditService/ExportEvents"] {
            manager.refused(method, other.clone(), "ORGANIZATION_NOT_FOUND").await;
        }
        for format in ["EXPORT_FORMAT_CSV", "EXPORT_FORMAT_OCSF"] {
            manager.refused("AuditService/ExportEvents", export(&other, format), "ORGANIZATION_NOT_FOUND").await;
        }
    }

    async fn a_user_watches_for_as_long_as_they_may(house) {
        let acme = Acme::build(house).await;
        let watch = json!({"streamId": acme.id, "afterPosition": "0"});
        let mut stream = acme.manager.caller.stream("EventService/WatchEvents", watch).await.unwrap();
        let demote = acme.request(json!({"membershipId": acme.manager.membership_id, "roles": ["org-nothing"]}));
        acme.root().call("MembershipService/SetRoles", demote).await;
        let ended = tokio::time::timeout(Duration::from_secs(15), async {
            loop {
                if let Err(status) = stream.message().await {
                    return status;
                }
            }
        });
        assert_lacks(&ended.await.expect("the stream ends"), "events:read", "WatchEvents");
    }
}
