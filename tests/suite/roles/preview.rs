//! What a change of a role would mean, over gRPC.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{catalogue, create, events, organization};
use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

/// Who gains what and loses what.
type Effects = BTreeMap<String, (Vec<String>, Vec<String>)>;

fn strings(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(text).collect()
}

async fn preview(caller: &Caller, request: Value) -> Effects {
    let effects = caller.list("RoleService/PreviewRoleChange", request, "effects").await;
    let named: Effects =
        effects.iter().map(|it| (text(&it["membershipId"]), (strings(&it["gained"]), strings(&it["lost"])))).collect();
    assert_eq!(named.len(), effects.len(), "nobody is named twice");
    named
}

/// Two organizations with members who hold roles in every way.
struct House {
    organizations: [String; 2],
    /// By name: organization, membership, user.
    members: BTreeMap<&'static str, [String; 3]>,
}

const CATALOGUE: [&str; 4] = ["docs:read", "docs:write", "docs:burn", "bills:read"];

impl House {
    async fn build(caller: &Caller) -> Self {
        catalogue(caller, &CATALOGUE).await;
        create(caller, json!({"slug": "reader", "permissions": ["docs:read"]})).await;
        create(caller, json!({"slug": "writer", "permissions": ["docs:*"]})).await;
        create(caller, json!({"slug": "empty"})).await;
        let organizations = [organization(caller, "acme").await, organization(caller, "beta").await];
        let [acme, beta] = &organizations;
        create(caller, json!({"organizationId": acme, "slug": "org-x", "permissions": ["bills:read"]})).await;
        let mut teams = BTreeMap::new();
        for (name, parent, role) in
            [("top", None, Some("reader")), ("low", Some("top"), None), ("own", None, Some("org-x"))]
        {
            let mut request = json!({"organizationId": acme, "name": name});
            if let Some(parent) = parent {
                request["parentTeamId"] = json!(teams[parent]);
            }
            let id = text(&caller.call("TeamService/CreateTeam", request).await["team"]["teamId"]);
            if let Some(role) = role {
                let assign = json!({"organizationId": acme, "teamId": id, "role": role});
                caller.call("TeamService/AssignTeamRole", assign).await;
            }
            teams.insert(name, id);
        }
        let mut members = BTreeMap::new();
        let all: [(&str, &String, &[&str], &[&str]); 8] = [
            ("direct", acme, &["reader"], &[]),
            ("both", acme, &["reader", "writer"], &[]),
            ("through", acme, &["empty"], &["low"]),
            ("twice", acme, &["reader"], &["top"]),
            ("none", acme, &["writer"], &[]),
            ("own", acme, &["org-x", "reader"], &[]),
            ("through-own", acme, &["empty"], &["own"]),
            ("there", beta, &["reader", "empty"], &[]),
        ];
        for (name, organization, roles, places) in all {
            let places: Vec<_> = places.iter().map(|team| teams[team].clone()).collect();
            let member = json!({"email": format!("{name}@example.com"), "roles": roles, "teamIds": places});
            let add = json!({"organizationId": organization, "member": member});
            let added = caller.call("MembershipService/AddMember", add).await["membership"].clone();
            members.insert(name, [organization.clone(), text(&added["membershipId"]), text(&added["userId"])]);
        }
        Self { organizations, members }
    }

    /// Effects as they should be, by name.
    fn effects(&self, effects: &[(&str, &[&str], &[&str])]) -> Effects {
        let strings = |slugs: &[&str]| slugs.iter().map(|slug| (*slug).to_owned()).collect();
        effects
            .iter()
            .map(|(name, gained, lost)| (self.members[name][1].clone(), (strings(gained), strings(lost))))
            .collect()
    }

    /// What everybody may do now, by Check.
    async fn allowed(&self, caller: &Caller) -> BTreeMap<String, BTreeSet<String>> {
        let mut allowed = BTreeMap::new();
        let catalogue = caller.list("RoleService/ListPermissions", json!({}), "permissions").await;
        for [organization, membership, user] in self.members.values() {
            let entries: Vec<_> =
                catalogue.iter().map(|it| json!({"userId": user, "permission": it["slug"]})).collect();
            let check = json!({"organizationId": organization, "entries": entries,
                "consistency": {"fullyConsistent": true}});
            let answer = caller.call("AuthorizationService/BatchCheck", check).await;
            let results = answer["results"].as_array().unwrap();
            let held = catalogue.iter().zip(results).filter(|(_, result)| result["allowed"] == true);
            allowed.insert(membership.clone(), held.map(|(it, _)| text(&it["slug"])).collect());
        }
        allowed
    }

    /// How what everybody may do has changed.
    async fn changed(&self, caller: &Caller, before: &BTreeMap<String, BTreeSet<String>>) -> Effects {
        let after = self.allowed(caller).await;
        let less = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        let change =
            |(id, had): (&String, &BTreeSet<String>)| (id.clone(), (less(&after[id], had), less(had, &after[id])));
        before.iter().map(change).filter(|(_, (gained, lost))| !gained.is_empty() || !lost.is_empty()).collect()
    }
}

on_both_engines! {
    async fn a_preview_says_who_gains_and_loses_what(server) {
        let house = House::build(&server.root).await;
        let [acme, _] = &house.organizations;
        let counts = (events(&server.root).await.len(), server.root.events(acme).await.len());
        let change = |permissions: Value| json!({"role": "reader", "permissions": {"permissions": permissions}});
        let same = preview(&server.root, change(json!(["docs:read"]))).await;
        assert_eq!(same, Effects::new());
        let other = preview(&server.root, change(json!(["bills:*"]))).await;
        let [gained, lost]: [&[&str]; 2] = [&["bills:read"], &["docs:read"]];
        assert_eq!(other, house.effects(&[("direct", gained, lost), ("both", gained, &[]), ("through", gained, lost),
            ("twice", gained, lost), ("own", &[], lost), ("there", gained, lost)]));
        for size in 1..=7 {
            let mut request = change(json!(["bills:*"]));
            request["pageSize"] = json!(size);
            assert_eq!(preview(&server.root, request).await, other, "pages of {size}");
        }
        let own = json!({"organizationId": house.organizations[0], "role": "org-x", "permissions": {}});
        assert_eq!(preview(&server.root, own).await, house.effects(&[("own", &[], gained), ("through-own", &[], gained)]));
        assert_eq!((events(&server.root).await.len(), server.root.events(acme).await.len()), counts);
    }

    async fn what_was_previewed_comes_true(server) {
        let house = House::build(&server.root).await;
        let [acme, beta] = &house.organizations;
        server.root.call("RoleService/SetDefaultRole", json!({"organizationId": beta, "role": "writer"})).await;
        let everything = json!(["docs:*", "members:*", "bills:read"]);
        let before = house.allowed(&server.root).await;
        let expected = preview(&server.root, json!({"role": "reader", "permissions": {"permissions": everything}})).await;
        let update = json!({"role": {"slug": "reader", "permissions": everything}, "updateMask": "permissions"});
        server.root.call("RoleService/UpdateRole", update).await;
        assert!(!expected.is_empty());
        assert_eq!(house.changed(&server.root, &before).await, expected);
        let deletions = [("", "reader", json!({"useDefaultRole": true})),
            (acme.as_str(), "org-x", json!({"replacementRole": "developer"})),
            ("", "writer", json!({"replacementRole": "empty"}))];
        for (scope, role, how) in deletions {
            let before = house.allowed(&server.root).await;
            let request = json!({"organizationId": scope, "role": role, "deletion": how});
            let expected = preview(&server.root, request).await;
            let mut delete = how;
            (delete["organizationId"], delete["slug"]) = (json!(scope), json!(role));
            server.root.call("RoleService/DeleteRole", delete).await;
            assert!(!expected.is_empty(), "{role}");
            assert_eq!(house.changed(&server.root, &before).await, expected, "{role}");
        }
    }

    async fn in_the_other_mode_the_highest_role_counts_alone(server) {
        let house = House::build(&server.root).await;
        let tenant = server.root.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
        let mode = json!({"tenant": {"tenantId": tenant, "roleMode": "ROLE_MODE_HIGHEST_PRIORITY"}, "updateMask": "roleMode"});
        server.root.call("TenantService/UpdateTenant", mode).await;
        let request = || json!({"role": "reader", "permissions": {"permissions": ["bills:read"]}});
        let [gained, lost]: [&[&str]; 2] = [&["bills:read"], &["docs:read"]];
        // reader is above writer and empty, and below what an organization has of its own.
        let expected = house.effects(&[("direct", gained, lost), ("both", gained, lost), ("through", gained, lost),
            ("twice", gained, lost), ("there", gained, lost)]);
        assert_eq!(preview(&server.root, request()).await, expected);
        let order = ["owner", "admin", "developer", "billing-admin", "member", "guest", "writer", "empty", "reader"];
        server.root.call("RoleService/SetRolePriority", json!({"roles": order})).await;
        let expected = house.effects(&[("direct", gained, lost), ("twice", gained, lost)]);
        assert_eq!(preview(&server.root, request()).await, expected);
        let deletion = json!({"role": "reader", "deletion": {"replacementRole": "writer"}});
        let more: &[&str] = &["docs:burn", "docs:write"];
        let expected = house.effects(&[("direct", more, &[]), ("through", &["docs:burn", "docs:read", "docs:write"], &[]),
            ("twice", more, &[]), ("there", &["docs:burn", "docs:read", "docs:write"], &[])]);
        assert_eq!(preview(&server.root, deletion).await, expected);
    }

    async fn a_preview_is_refused_where_the_change_would_be(server) {
        let house = House::build(&server.root).await;
        let permissions = |slugs: Value| json!({"permissions": slugs});
        let cases = [
            (json!({"role": "nobody", "permissions": {}}), "ROLE_NOT_FOUND"),
            (json!({"role": "owner", "permissions": {}}), "ROLE_NOT_EDITABLE"),
            (json!({"role": "guest", "deletion": {"useDefaultRole": true}}), "ROLE_NOT_EDITABLE"),
            (json!({"role": "reader", "deletion": {"replacementRole": "nobody"}}), "ROLE_NOT_FOUND"),
            (json!({"role": "reader", "deletion": {"replacementRole": "org-x"}}), "ROLE_NOT_FOUND"),
            (json!({"role": "reader", "permissions": permissions(json!(["docs:sing"]))}), "UNKNOWN_PERMISSION"),
        ];
        for (request, reason) in cases {
            server.root.refused("RoleService/PreviewRoleChange", request, reason).await;
        }
        let bad = [
            (json!({"role": "reader"}), "change"),
            (json!({"role": "reader", "deletion": {}}), "deletion.on_assigned"),
            (json!({"role": "reader", "deletion": {"useDefaultRole": false}}), "deletion.on_assigned"),
            (json!({"role": "reader", "deletion": {"replacementRole": "reader"}}), "deletion.replacement_role"),
            (json!({"role": "reader", "deletion": {"replacementRole": "owner"}}), "deletion.replacement_role"),
            (json!({"role": "reader", "permissions": permissions(json!(["docs*"]))}), "permissions.permissions[0]"),
            (json!({"role": "reader", "permissions": {}, "organizationId": "x"}), "organization_id"),
        ];
        for (request, field) in bad {
            let status = server.root.refused("RoleService/PreviewRoleChange", request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field]);
        }
        server.root.call("RoleService/SetDefaultRole", json!({"role": "reader"})).await;
        let deletion = json!({"role": "reader", "deletion": {"useDefaultRole": true}});
        server.root.refused("RoleService/PreviewRoleChange", deletion, "ROLE_IS_DEFAULT").await;
        let request = |permissions: Value| json!({"role": "reader", "pageSize": 1, "permissions": {"permissions": permissions}});
        let page = server.root.call("RoleService/PreviewRoleChange", request(json!([]))).await;
        let mut other = request(json!(["bills:*"]));
        other["pageToken"] = page["nextPageToken"].clone();
        server.root.refused("RoleService/PreviewRoleChange", other, "INVALID_PAGE_TOKEN").await;
        let _ = house;
    }
}
