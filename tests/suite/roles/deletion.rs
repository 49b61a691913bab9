//! Deleting roles that are in use, over gRPC.

use std::collections::BTreeSet;

use roster::{
    db::{Db, Value as Sql},
    ids::{MembershipId, OrganizationId, TenantId},
};
use serde_json::{Value, json};

use super::{catalogue, create, events, organization};
use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, bad_fields, text},
};

/// Adds a member; answers the membership's id.
async fn add(caller: &Caller, organization: &str, name: &str, roles: &[&str]) -> String {
    let member = json!({"email": format!("{name}@example.com"), "roles": roles});
    let added = caller.call("MembershipService/AddMember", json!({"organizationId": organization, "member": member}));
    text(&added.await["membership"]["membershipId"])
}

async fn team(caller: &Caller, organization: &str, name: &str, roles: &[&str]) -> String {
    let team = caller.call("TeamService/CreateTeam", json!({"organizationId": organization, "name": name})).await;
    let id = text(&team["team"]["teamId"]);
    for role in roles {
        let assign = json!({"organizationId": organization, "teamId": id, "role": role});
        caller.call("TeamService/AssignTeamRole", assign).await;
    }
    id
}

async fn grant(caller: &Caller, organization: &str, principal: Value, right: &str, end: Option<&str>) -> String {
    let set = json!({"organizationId": organization, "principal": principal, "role": right,
        "resource": {"type": "doc", "id": "1"}, "endTime": end});
    let mut set = set;
    set.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    text(&caller.call("GrantService/SetGrant", set).await["grant"]["grantId"])
}

/// The roles of a membership: `role SOURCE reference`.
async fn roles(caller: &Caller, organization: &str, membership: &str) -> Vec<String> {
    let get = json!({"organizationId": organization, "membershipId": membership});
    let held = caller.call("MembershipService/GetMembership", get).await;
    let one = |held: &Value| {
        let source = text(&held["source"]).replace("MEMBERSHIP_SOURCE_", "");
        format!("{} {source} {}", text(&held["role"]), text(&held["sourceReference"])).trim_end().to_owned()
    };
    held["membership"]["roles"].as_array().unwrap().iter().map(one).collect()
}

async fn team_roles(caller: &Caller, organization: &str, id: &str) -> Value {
    caller.call("TeamService/GetTeam", json!({"organizationId": organization, "teamId": id})).await["team"].clone()
}

async fn grants(caller: &Caller, organization: &str) -> Vec<Value> {
    caller.list("GrantService/ListGrants", json!({"organizationId": organization}), "grants").await
}

async fn default_of(caller: &Caller, id: &str) -> Value {
    caller.call("OrganizationService/GetOrganization", json!({"organizationId": id})).await["organization"]
        ["defaultRole"]
        .clone()
}

fn types(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["type"])).collect()
}

/// The last state that events say of everything must be the one that is read.
async fn assert_log_agrees(caller: &Caller, organization: &str) {
    let log = caller.events(organization).await;
    let of = |kind: &str, id: &Value| {
        let last = log.iter().rfind(|event| event["subject"]["kind"] == kind && event["subject"]["id"] == *id).unwrap();
        let data = last.as_object().unwrap().values().find(|data| data["after"].is_object()).cloned();
        data.map(|data| data["after"].clone())
    };
    let list = json!({"organizationId": organization});
    for membership in caller.list("MembershipService/ListMemberships", list.clone(), "memberships").await {
        assert_eq!(of("membership", &membership["membershipId"]), Some(membership));
    }
    for team in caller.list("TeamService/ListTeams", list.clone(), "teams").await {
        assert_eq!(of("team", &team["teamId"]), Some(team));
    }
    for grant in grants(caller, organization).await {
        assert_eq!(of("grant", &grant["grantId"]), Some(grant));
    }
    let held = caller.call("OrganizationService/GetOrganization", list).await["organization"].clone();
    assert_eq!(of("organization", &json!(organization)), Some(held));
}

on_both_engines! {
    async fn a_replacement_takes_every_place_of_the_role(server) {
        let root = &server.root;
        let [acme, beta, none] = [organization(root, "acme").await, organization(root, "beta").await,
            organization(root, "none").await];
        catalogue(root, &["docs:read"]).await;
        create(root, json!({"slug": "old"})).await;
        create(root, json!({"slug": "new", "permissions": ["docs:read"]})).await;
        let both = add(root, &acme, "both", &["old", "new"]).await;
        let assign = json!({"organizationId": acme, "membershipId": both, "role": "old",
            "source": "MEMBERSHIP_SOURCE_DIRECTORY", "sourceReference": "g1"});
        root.call("MembershipService/AssignRole", assign).await;
        let suspended = add(root, &acme, "suspended", &["old"]).await;
        let suspend = json!({"organizationId": acme, "membershipId": suspended});
        root.call("MembershipService/SuspendMembership", suspend).await;
        let untouched = add(root, &acme, "untouched", &["member"]).await;
        let other = add(root, &beta, "other", &["old", "guest"]).await;
        let [one, two] = [team(root, &acme, "one", &["old", "guest"]).await, team(root, &acme, "two", &["old", "new"]).await];
        let right = grant(root, &acme, json!({"teamId": one}), "old", None).await;
        let principal = grant(root, &beta, json!({"role": "old"}), "old", Some("9000-01-01T00:00:00Z")).await;
        // Granted twice over when it is replaced: the longer one stays.
        grant(root, &acme, json!({"teamId": two}), "old", Some("9000-01-01T00:00:00Z")).await;
        let short = grant(root, &acme, json!({"teamId": two}), "new", Some("8000-01-01T00:00:00Z")).await;
        root.call("RoleService/SetDefaultRole", json!({"organizationId": none, "role": "old"})).await;
        root.call("RoleService/SetDefaultRole", json!({"role": "old"})).await;

        let (before, streams) = (events(root).await.len(), [&acme, &beta, &none]);
        let mut counts = Vec::new();
        for id in streams {
            counts.push(root.events(id).await.len());
        }
        server.clock.advance(std::time::Duration::from_secs(1));
        root.call("RoleService/DeleteRole", json!({"slug": "old", "replacementRole": "new", "requestId": "r"})).await;

        assert_eq!(roles(root, &acme, &both).await, ["new API", "new DIRECTORY g1"]);
        assert_eq!(roles(root, &acme, &suspended).await, ["new API"]);
        assert_eq!(roles(root, &acme, &untouched).await, ["member API"]);
        assert_eq!(roles(root, &beta, &other).await, ["guest API", "new API"]);
        assert_eq!(team_roles(root, &acme, &one).await["roles"], json!(["guest", "new"]));
        assert_eq!(team_roles(root, &acme, &two).await["roles"], json!(["new"]));
        let [of_acme, of_beta] = [grants(root, &acme).await, grants(root, &beta).await];
        assert_eq!(of_acme.iter().map(|it| (text(&it["grantId"]), text(&it["role"]))).collect::<Vec<_>>(),
            [(right, "new".to_owned()), (short, "new".to_owned())]);
        assert_eq!(of_acme[1]["endTime"], "9000-01-01T00:00:00Z");
        assert_eq!((&of_beta[0]["grantId"], &of_beta[0]["role"], &of_beta[0]["principal"]["role"]),
            (&json!(principal), &json!("new"), &json!("new")));
        assert_eq!(default_of(root, &none).await, "new");
        let tenant = root.call("TenantService/GetTenant", json!({})).await["tenant"].clone();
        assert_eq!(tenant["defaultRole"], "new");
        assert!(!tenant["rolePriority"].as_array().unwrap().contains(&json!("old")));

        let own = events(root).await.split_off(before);
        assert_eq!(types(&own), ["role.deleted", "tenant.updated"]);
        let expected: [&[&str]; 3] = [
            &["membership.roles_changed", "membership.roles_changed", "team.role_revoked", "team.role_assigned",
                "team.role_revoked", "grant.updated", "grant.revoked", "grant.updated"],
            &["membership.roles_changed", "grant.updated"],
            &["organization.updated"],
        ];
        let cause = own[0]["eventId"].clone();
        for ((id, count), expected) in streams.into_iter().zip(counts).zip(expected) {
            let log = root.events(id).await.split_off(count);
            assert_eq!(types(&log), expected);
            assert!(log.iter().chain(&own[1..]).all(|event| event["causationId"] == cause
                && event["correlationId"] == cause && event["requestId"] == "r"), "{log:?}");
            assert_log_agrees(root, id).await;
        }
        let get = json!({"organizationId": beta, "membershipId": other});
        let user = root.call("MembershipService/GetMembership", get).await["membership"]["userId"].clone();
        let check = json!({"organizationId": beta, "userId": user, "permission": "docs:read",
            "consistency": {"fullyConsistent": true}});
        assert_eq!(root.call("AuthorizationService/Check", check).await["allowed"], true);
    }

    async fn the_default_takes_the_place_of_the_role_in_memberships_alone(server) {
        let root = &server.root;
        let [acme, beta, gone] = [organization(root, "acme").await, organization(root, "beta").await,
            organization(root, "gone").await];
        create(root, json!({"slug": "old"})).await;
        root.call("RoleService/SetDefaultRole", json!({"organizationId": beta, "role": "guest"})).await;
        root.call("RoleService/SetDefaultRole", json!({"organizationId": acme, "role": "old"})).await;
        let here = add(root, &acme, "here", &["old"]).await;
        let there = add(root, &beta, "there", &["old", "guest"]).await;
        let one = team(root, &acme, "one", &["old", "guest"]).await;
        grant(root, &acme, json!({"teamId": one}), "old", None).await;
        grant(root, &beta, json!({"role": "old"}), "guest", None).await;
        // What is being deleted does not stand in the way.
        team(root, &gone, "one", &["old"]).await;
        root.call("OrganizationService/DeleteOrganization", json!({"organizationId": gone})).await;

        root.refused("RoleService/DeleteRole", json!({"slug": "old", "useDefaultRole": false}), "ROLE_IN_USE").await;
        root.call("RoleService/DeleteRole", json!({"slug": "old", "useDefaultRole": true})).await;
        assert_eq!(roles(root, &acme, &here).await, ["member API"]);
        assert_eq!(roles(root, &beta, &there).await, ["guest API"]);
        assert_eq!(team_roles(root, &acme, &one).await["roles"], json!(["guest"]));
        assert!(grants(root, &acme).await.is_empty() && grants(root, &beta).await.is_empty());
        assert_eq!(default_of(root, &acme).await, "member", "the tenant's, and still its own");
        for id in [&acme, &beta, &gone] {
            assert_log_agrees(root, id).await;
        }
    }

    async fn a_default_is_not_deleted_without_another(server) {
        let root = &server.root;
        let acme = organization(root, "acme").await;
        let bob = add(root, &acme, "bob", &["guest"]).await;
        for slug in ["old", "new"] {
            create(root, json!({"slug": slug})).await;
        }
        let tenant = events(root).await.len();
        root.call("RoleService/SetDefaultRole", json!({"role": "old"})).await;
        for how in [json!({}), json!({"useDefaultRole": true}), json!({"replacementRole": "admin"})] {
            let mut delete = how;
            delete["slug"] = json!("old");
            root.refused("RoleService/DeleteRole", delete, "ROLE_IS_DEFAULT").await;
        }
        assert_eq!(events(root).await.len(), tenant + 1);
        root.call("RoleService/SetDefaultRole", json!({"role": "member"})).await;
        root.call("RoleService/SetDefaultRole", json!({"organizationId": acme, "role": "old"})).await;
        root.refused("RoleService/DeleteRole", json!({"slug": "old"}), "ROLE_IS_DEFAULT").await;
        // Nobody gets an admin's role as a default: the organization follows with the tenant's.
        root.call("RoleService/DeleteRole", json!({"slug": "old", "replacementRole": "admin"})).await;
        assert_eq!(default_of(root, &acme).await, "member");

        create(root, json!({"organizationId": acme, "slug": "org-a"})).await;
        create(root, json!({"organizationId": acme, "slug": "org-b"})).await;
        root.call("RoleService/SetDefaultRole", json!({"organizationId": acme, "role": "org-a"})).await;
        let own = |how: Value| {
            let mut delete = how;
            delete["organizationId"] = json!(acme);
            delete
        };
        root.refused("RoleService/DeleteRole", own(json!({"slug": "org-a"})), "ROLE_IS_DEFAULT").await;
        root.call("RoleService/DeleteRole", own(json!({"slug": "org-a", "replacementRole": "org-b"}))).await;
        assert_eq!(default_of(root, &acme).await, "org-b");
        let assign = own(json!({"membershipId": bob, "role": "org-b"}));
        root.call("MembershipService/SetRoles", own(json!({"membershipId": bob, "roles": ["org-b"]}))).await;
        root.call("MembershipService/AssignRole", assign).await;
        root.call("RoleService/DeleteRole", own(json!({"slug": "org-b", "useDefaultRole": true}))).await;
        assert_eq!((default_of(root, &acme).await, roles(root, &acme, &bob).await), (json!("member"), vec!["member API".into()]));
        assert_log_agrees(root, &acme).await;
    }

    async fn a_replacement_must_be_able_to_take_the_place(server) {
        let root = &server.root;
        let [acme, beta] = [organization(root, "acme").await, organization(root, "beta").await];
        create(root, json!({"slug": "old"})).await;
        let bob = add(root, &acme, "bob", &["old"]).await;
        create(root, json!({"organizationId": acme, "slug": "org-old"})).await;
        create(root, json!({"organizationId": beta, "slug": "org-new"})).await;
        root.call("MembershipService/AssignRole",
            json!({"organizationId": acme, "membershipId": bob, "role": "org-old"})).await;
        let counts = (events(root).await.len(), root.events(&acme).await.len());
        let cases = [
            ("", "old", "old", "INVALID_REQUEST"),
            ("", "old", "owner", "INVALID_REQUEST"),
            ("", "old", "", "INVALID_REQUEST"),
            ("", "old", "N", "INVALID_REQUEST"),
            ("", "old", "nobody", "ROLE_NOT_FOUND"),
            ("", "old", "org-old", "ROLE_NOT_FOUND"),
            ("", "nobody", "guest", "ROLE_NOT_FOUND"),
            ("", "guest", "member", "ROLE_NOT_EDITABLE"),
            (&acme, "org-old", "org-new", "ROLE_NOT_FOUND"),
            (&acme, "org-old", "org-old", "INVALID_REQUEST"),
            (&acme, "org-nobody", "guest", "ROLE_NOT_FOUND"),
        ];
        for (scope, slug, replacement, reason) in cases {
            let delete = json!({"organizationId": scope, "slug": slug, "replacementRole": replacement});
            let status = root.refused("RoleService/DeleteRole", delete, reason).await;
            if reason == "INVALID_REQUEST" {
                assert_eq!(bad_fields(&status), ["replacement_role"], "{replacement}");
            }
        }
        assert_eq!((events(root).await.len(), root.events(&acme).await.len()), counts);
        let delete = json!({"organizationId": acme, "slug": "org-old", "replacementRole": "developer"});
        root.call("RoleService/DeleteRole", delete).await;
        assert_eq!(roles(root, &acme, &bob).await, ["developer API", "old API"]);
        assert_log_agrees(root, &acme).await;
    }
}

/// A role that is assigned more often than one deletion may change.
async fn a_deletion_has_its_limit(engine: Engine) {
    let database = Database::fresh(engine).await;
    let location = database.location();
    let server = TestServer::on(database).await;
    let acme = organization(&server.root, "acme").await;
    create(&server.root, json!({"slug": "old"})).await;
    let bob = add(&server.root, &acme, "bob", &["old"]).await;
    let tenant = server.root.call("TenantService/GetTenant", json!({})).await;
    let tenant: TenantId = text(&tenant["tenant"]["tenantId"]).parse().unwrap();
    let (organization, membership): (OrganizationId, MembershipId) = (acme.parse().unwrap(), bob.parse().unwrap());
    let row = |index: usize| {
        let ids = [tenant.uuid(), organization.uuid(), membership.uuid(), tenant.uuid()].map(Sql::from);
        ids.into_iter().chain(["old", "import", &index.to_string()].map(Sql::from)).collect::<Vec<_>>()
    };
    let db = Db::open(&location).await.unwrap();
    let insert = "INSERT INTO membership_roles
        (tenant_id, organization_id, membership_id, scope_id, role, source, source_reference)";
    db.write(async |tx| tx.insert_all(insert, (0..20_000).map(row).collect()).await).await.unwrap();
    let delete = || json!({"slug": "old", "replacementRole": "guest"});
    let status = server.root.refused("RoleService/DeleteRole", delete(), "LIMIT_REACHED").await;
    assert!(status.message().contains("20000"), "{}", status.message());
    let revoke = json!({"organizationId": acme, "membershipId": bob, "role": "old"});
    server.root.call("MembershipService/RevokeRole", revoke).await;
    server.root.call("RoleService/DeleteRole", delete()).await;
    assert_eq!(roles(&server.root, &acme, &bob).await.len(), 20_000);
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_has_its_limit_on_sqlite() {
    a_deletion_has_its_limit(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_has_its_limit_on_postgres() {
    a_deletion_has_its_limit(Engine::Postgres).await;
}

/// While a role is assigned everywhere, it is deleted: whoever was told that it was assigned has what took its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_deleted_while_it_is_being_assigned() {
    let server = TestServer::start(Engine::Postgres).await;
    let root = &server.root;
    let mut members = Vec::new();
    for name in ["a1", "b2", "c3", "d4", "e5", "f6"] {
        let organization = organization(root, name).await;
        for index in 0..4 {
            let id = add(root, &organization, &format!("{name}-{index}"), &["guest"]).await;
            members.push((organization.clone(), id));
        }
    }
    for round in 0..6 {
        let (old, how) = (format!("old{round}"), round % 2 == 0);
        create(root, json!({"slug": old})).await;
        let assigning = members.iter().map(|(organization, id)| {
            let assign = json!({"organizationId": organization, "membershipId": id, "role": old});
            let root = root.clone();
            tokio::spawn(async move { root.try_call("MembershipService/AssignRole", assign).await })
        });
        let assigning: Vec<_> = assigning.collect();
        let delete = match how {
            true => json!({"slug": old, "replacementRole": "developer"}),
            false => json!({"slug": old, "useDefaultRole": true}),
        };
        tokio::time::sleep(std::time::Duration::from_millis(5 * round)).await;
        let deleted = root.try_call("RoleService/DeleteRole", delete).await;
        deleted.unwrap_or_else(|status| panic!("round {round}: {status}"));
        let successor = if how { "developer API" } else { "member API" };
        for ((organization, id), outcome) in members.iter().zip(assigning) {
            let outcome = outcome.await.unwrap();
            let held = roles(root, organization, id).await;
            assert!(!held.iter().any(|role| role.starts_with("old")), "{held:?}");
            match outcome {
                Ok(_) => assert!(held.contains(&successor.to_owned()), "{held:?}"),
                Err(status) => assert_eq!(crate::support::reason(&status), "ROLE_NOT_FOUND"),
            }
            let reset = json!({"organizationId": organization, "membershipId": id, "roles": ["guest"]});
            root.call("MembershipService/SetRoles", reset).await;
        }
    }
    for organization in members.iter().map(|(organization, _)| organization).collect::<BTreeSet<_>>() {
        assert_log_agrees(root, organization).await;
    }
}

/// While the tenant's default is deleted, organizations take a copy of it: none keeps what is no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_is_deleted_while_organizations_make_it_their_own() {
    let server = TestServer::start(Engine::Postgres).await;
    let root = &server.root;
    create(root, json!({"slug": "new"})).await;
    for round in 0..4 {
        let old = format!("old{round}");
        create(root, json!({"slug": old})).await;
        root.call("RoleService/SetDefaultRole", json!({"role": old})).await;
        let mut organizations = Vec::new();
        for index in 0..6 {
            organizations.push(organization(root, &format!("o{round}-{index}")).await);
        }
        let making = organizations.iter().map(|id| {
            let own = json!({"organizationId": id, "slug": "org-own"});
            let root = root.clone();
            tokio::spawn(async move { root.call("RoleService/CreateRole", own).await })
        });
        let making: Vec<_> = making.collect();
        tokio::time::sleep(std::time::Duration::from_millis(4 * round)).await;
        root.call("RoleService/DeleteRole", json!({"slug": old, "replacementRole": "new"})).await;
        for (id, made) in organizations.iter().zip(making) {
            made.await.unwrap();
            assert_eq!(default_of(root, id).await, "new");
            let member = add(root, id, &format!("m-{id}"), &[]).await;
            assert_eq!(roles(root, id, &member).await, ["new API"]);
            assert_log_agrees(root, id).await;
        }
    }
}
