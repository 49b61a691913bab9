//! Assignments by source, over gRPC.

use serde_json::{Value, json};

use super::organization;
use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

const SOURCES: [&str; 7] = ["API", "MANUAL", "INVITATION", "DOMAIN", "DIRECTORY", "SSO", "IMPORT"];

/// One member, and calls about them.
struct Member<'c> {
    caller: &'c Caller,
    organization: String,
    membership: String,
}

impl<'c> Member<'c> {
    async fn new(caller: &'c Caller, email: &str, roles: &[&str]) -> Self {
        let organization = organization(caller, email.split('@').next().unwrap()).await;
        Self::of(caller, &organization, email, roles).await
    }

    async fn of(caller: &'c Caller, organization: &str, email: &str, roles: &[&str]) -> Self {
        let add = json!({"organizationId": organization, "member": {"email": email, "roles": roles}});
        let added = caller.call("MembershipService/AddMember", add).await;
        let membership = text(&added["membership"]["membershipId"]);
        Self { caller, organization: organization.to_owned(), membership }
    }

    fn request(&self, mut request: Value) -> Value {
        request["organizationId"] = json!(self.organization);
        request["membershipId"] = json!(self.membership);
        if let Some(source) = request["source"].as_str() {
            request["source"] = json!(format!("MEMBERSHIP_SOURCE_{source}"));
        } else {
            request.as_object_mut().unwrap().remove("source");
        }
        request
    }

    async fn call(&self, method: &str, request: Value) -> Vec<String> {
        let answer = self.caller.call(&format!("MembershipService/{method}"), self.request(request)).await;
        held(&answer["membership"])
    }

    async fn refused(&self, method: &str, request: Value, reason: &str) {
        self.caller.refused(&format!("MembershipService/{method}"), self.request(request), reason).await;
    }

    async fn log(&self) -> usize {
        self.caller.events(&self.organization).await.len()
    }
}

/// The roles of a membership: `role SOURCE reference`.
fn held(membership: &Value) -> Vec<String> {
    let one = |held: &Value| {
        let source = text(&held["source"]).replace("MEMBERSHIP_SOURCE_", "");
        format!("{} {source} {}", text(&held["role"]), text(&held["sourceReference"])).trim_end().to_owned()
    };
    membership["roles"].as_array().unwrap().iter().map(one).collect()
}

on_both_engines! {
    async fn one_source_never_takes_what_another_gave(server) {
        let bob = Member::new(&server.root, "bob@example.com", &["member"]).await;
        let group = |role: &str, reference: &str| json!({"role": role, "source": "DIRECTORY", "sourceReference": reference});
        bob.call("AssignRole", group("admin", "g1")).await;
        bob.call("AssignRole", group("admin", "g2")).await;
        let all = bob.call("AssignRole", json!({"role": "admin"})).await;
        assert_eq!(all, ["admin API", "admin DIRECTORY g1", "admin DIRECTORY g2", "member API"]);
        let before = bob.log().await;
        assert_eq!(bob.call("AssignRole", group("admin", "g1")).await, all);
        assert_eq!(bob.call("RevokeRole", group("admin", "g3")).await, all);
        assert_eq!(bob.call("RevokeRole", json!({"role": "admin", "source": "SSO"})).await, all);
        assert_eq!(bob.log().await, before, "nothing was changed, nothing is said");
        let rest = bob.call("RevokeRole", group("admin", "g1")).await;
        assert_eq!(rest, ["admin API", "admin DIRECTORY g2", "member API"]);
        assert_eq!(bob.call("RevokeRole", json!({"role": "admin"})).await, ["admin DIRECTORY g2", "member API"]);
        let events = server.root.events(&bob.organization).await;
        let last = events.last().unwrap();
        assert_eq!(last["type"], "membership.role_revoked");
        assert_eq!(held(&last["membershipRoleRevoked"]["after"]), ["admin DIRECTORY g2", "member API"]);
    }

    async fn roles_are_set_for_one_source_alone(server) {
        let bob = Member::new(&server.root, "bob@example.com", &["member"]).await;
        let set = |roles: &[&str], source: Option<&str>, reference: &str| {
            json!({"roles": roles, "source": source, "sourceReference": reference})
        };
        let both = bob.call("SetRoles", set(&["admin", "guest"], Some("DIRECTORY"), "g1")).await;
        assert_eq!(both, ["admin DIRECTORY g1", "guest DIRECTORY g1", "member API"]);
        let changed = bob.call("SetRoles", set(&["developer"], None, "")).await;
        assert_eq!(changed, ["admin DIRECTORY g1", "developer API", "guest DIRECTORY g1"]);
        assert_eq!(bob.call("SetRoles", set(&[], Some("API"), "")).await, ["admin DIRECTORY g1", "guest DIRECTORY g1"]);
        let last = json!({"roles": [], "source": "DIRECTORY", "sourceReference": "g1"});
        bob.refused("SetRoles", last, "LAST_ROLE").await;
        bob.refused("SetRoles", json!({"roles": []}), "INVALID_REQUEST").await;
        let before = bob.log().await;
        bob.call("SetRoles", set(&["guest", "admin"], Some("DIRECTORY"), "g1")).await;
        assert_eq!(bob.log().await, before);
    }

    async fn the_last_role_and_the_last_owner_count_over_all_sources(server) {
        let ada = Member::new(&server.root, "ada@example.com", &["owner"]).await;
        ada.call("AssignRole", json!({"role": "owner", "source": "DIRECTORY", "sourceReference": "admins"})).await;
        assert_eq!(ada.call("RevokeRole", json!({"role": "owner"})).await, ["owner DIRECTORY admins"]);
        let last = json!({"role": "owner", "source": "DIRECTORY", "sourceReference": "admins"});
        ada.refused("RevokeRole", last.clone(), "LAST_OWNER").await;
        let none = json!({"roles": [], "source": "DIRECTORY", "sourceReference": "admins"});
        ada.refused("SetRoles", none, "LAST_OWNER").await;
        Member::of(&server.root, &ada.organization, "eve@example.com", &["owner"]).await;
        ada.refused("RevokeRole", last.clone(), "LAST_ROLE").await;
        ada.call("AssignRole", json!({"role": "guest", "source": "SSO"})).await;
        assert_eq!(ada.call("RevokeRole", last).await, ["guest SSO"]);
    }

    async fn every_source_and_reference_is_kept_as_it_was_given(server) {
        let bob = Member::new(&server.root, "bob@example.com", &["guest"]).await;
        let longest = "x".repeat(128);
        let references = ["", "a,b", "a b", " a", "ä/☃", "member api ", &longest];
        let mut expected = Vec::new();
        for source in SOURCES {
            for reference in references {
                let assign = json!({"role": "admin", "source": source, "sourceReference": reference});
                let answer = server.root.call("MembershipService/AssignRole", bob.request(assign)).await;
                expected.push((format!("MEMBERSHIP_SOURCE_{source}"), reference.to_owned()));
                let roles = answer["membership"]["roles"].as_array().unwrap();
                let mut found: Vec<_> = roles.iter().filter(|held| held["role"] == "admin")
                    .map(|held| (text(&held["source"]), text(&held["sourceReference"]))).collect();
                let mut expected = expected.clone();
                found.sort();
                expected.sort();
                assert_eq!(found, expected);
            }
        }
        let add = json!({"organizationId": bob.organization, "member": {"email": "eve@example.com",
            "source": "MEMBERSHIP_SOURCE_IMPORT", "sourceReference": "run 7"}});
        let added = server.root.call("MembershipService/AddMember", add).await["membership"].clone();
        assert_eq!((held(&added), &added["source"]), (vec!["member IMPORT run 7".into()], &json!("MEMBERSHIP_SOURCE_IMPORT")));
    }

    async fn a_source_is_well_formed(server) {
        let bob = Member::new(&server.root, "bob@example.com", &["guest"]).await;
        for bad in ["x".repeat(129), "a\u{1f}b".to_owned()] {
            for method in ["AssignRole", "RevokeRole", "SetRoles"] {
                let mut request = bob.request(json!({"sourceReference": bad}));
                if method == "SetRoles" { request["roles"] = json!(["admin"]) } else { request["role"] = json!("admin") }
                let method = format!("MembershipService/{method}");
                let status = server.root.refused(&method, request, "INVALID_REQUEST").await;
                assert_eq!(bad_fields(&status), ["source_reference"], "{method}");
            }
        }
    }
}
