//! Check and its kin, over gRPC.

mod budget;
mod explain;
mod freshness;
mod inheritance;
mod limits;
mod policies;
mod stream;
mod subjects;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, text},
};

/// An organization with a member, a permission and a role that has it.
struct House {
    caller: Caller,
    organization: String,
    user: String,
    membership: String,
}

impl House {
    async fn build(server: &TestServer) -> Self {
        let caller = server.root.clone();
        let created = caller
            .call(
                "OrganizationService/CreateOrganization",
                json!({
                    "slug": "acme", "initialOwners": [{"email": "ada@example.com"}],
                }),
            )
            .await;
        let organization = text(&created["organization"]["organizationId"]);
        for slug in ["docs:read", "docs:write"] {
            caller.call("RoleService/CreatePermission", json!({"slug": slug})).await;
        }
        caller.call("RoleService/CreateRole", json!({"slug": "reader", "permissions": ["docs:read"]})).await;
        let member = json!({"organizationId": organization, "member": {"email": "bob@example.com"}});
        let added = caller.call("MembershipService/AddMember", member).await;
        let (user, membership) = (text(&added["membership"]["userId"]), text(&added["membership"]["membershipId"]));
        Self { caller, organization, user, membership }
    }

    async fn call(&self, method: &str, mut request: Value) -> Value {
        request["organizationId"] = json!(self.organization);
        self.caller.call(method, request).await
    }

    /// The reason of Check's answer.
    async fn check(&self, permission: &str, resource: Option<&str>) -> String {
        let mut request = json!({"permission": permission});
        if let Some(id) = resource {
            request["resource"] = doc(id);
        }
        self.ask(request).await
    }

    /// The reason of Check's answer to this question, which is about the member where it does not say about whom.
    async fn ask(&self, mut request: Value) -> String {
        if request["identity"].is_null() && request["userId"].is_null() {
            request["userId"] = json!(self.user);
        }
        let answer = self.call("AuthorizationService/Check", request).await;
        let reason = text(&answer["reason"]);
        let allowing = ["CHECK_REASON_ROLE", "CHECK_REASON_GRANT", "CHECK_REASON_POLICY_PERMIT"];
        assert_eq!(answer["allowed"], allowing.contains(&reason.as_str()));
        reason.strip_prefix("CHECK_REASON_").unwrap().to_owned()
    }

    /// A request about this organization that is refused.
    async fn refused(&self, method: &str, mut request: Value, reason: &str) -> tonic::Status {
        request["organizationId"] = json!(self.organization);
        self.caller.refused(method, request, reason).await
    }

    async fn assign(&self, role: &str) {
        let assign = json!({"membershipId": self.membership, "role": role});
        self.call("MembershipService/AssignRole", assign).await;
    }

    async fn team(&self, name: &str, parent: Option<&str>) -> String {
        let team = json!({"name": name, "parentTeamId": parent.unwrap_or_default()});
        text(&self.call("TeamService/CreateTeam", team).await["team"]["teamId"])
    }

    /// Teams in each other, the top one first, with the member in the last one.
    async fn tower(&self, depth: usize) -> Vec<String> {
        let mut tower: Vec<String> = Vec::new();
        for level in 0..depth {
            tower.push(self.team(&format!("level {level}"), tower.last().map(String::as_str)).await);
        }
        let place = json!({"teamId": tower[depth - 1], "membershipId": self.membership});
        self.call("TeamService/AddTeamMember", place).await;
        tower
    }

    /// Documents in each other, the top one first: `{name} 0`, `{name} 1`, …
    async fn chain(&self, name: &str, depth: usize) -> Vec<String> {
        let ids: Vec<String> = (0..depth).map(|level| format!("{name} {level}")).collect();
        for (level, id) in ids.iter().enumerate() {
            let mut put = json!({"resource": doc(id)});
            if level > 0 {
                put["parent"] = doc(&ids[level - 1]);
            }
            self.call("GrantService/PutResource", put).await;
        }
        ids
    }

    async fn grant(&self, principal: Value, id: &str, mut right: Value) -> Value {
        right["principal"] = principal;
        right["resource"] = doc(id);
        self.call("GrantService/SetGrant", right).await["grant"].clone()
    }

    /// Puts a policy of this organization, or of the tenant where the scope is empty.
    async fn put_policy(&self, scope: &str, name: &str, text: &str) {
        let policy = json!({"organizationId": scope, "name": name, "text": text});
        self.caller.call("PolicyService/PutPolicy", json!({"policy": policy})).await;
    }

    /// The tenant's mode: `UNION`, `HIGHEST_PRIORITY`.
    async fn set_mode(&self, mode: &str) {
        let tenant = self.caller.call("TenantService/GetTenant", json!({})).await;
        let tenant = json!({"tenantId": tenant["tenant"]["tenantId"], "roleMode": format!("ROLE_MODE_{mode}")});
        self.caller.call("TenantService/UpdateTenant", json!({"tenant": tenant, "updateMask": "roleMode"})).await;
    }
}

fn doc(id: &str) -> Value {
    json!({"type": "doc", "id": id})
}

on_both_engines! {
    async fn a_role_allows_what_it_contains(server) {
        let house = House::build(&server).await;
        assert_eq!(house.check("docs:read", None).await, "NO_PERMISSION");
        let assign = json!({"membershipId": house.membership, "role": "reader"});
        house.call("MembershipService/AssignRole", assign).await;
        assert_eq!(house.check("docs:read", None).await, "ROLE");
        assert_eq!(house.check("docs:write", None).await, "NO_PERMISSION");
        let role = json!({"slug": "reader", "permissions": ["docs:*"]});
        house.caller.call("RoleService/UpdateRole", json!({"role": role, "updateMask": "permissions"})).await;
        assert_eq!(house.check("docs:write", None).await, "ROLE");
        let set = json!({"membershipId": house.membership, "roles": ["owner"]});
        house.call("MembershipService/SetRoles", set).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "ROLE");
        let unknown = json!({"organizationId": house.organization, "userId": house.user, "permission": "docs:burn"});
        house.caller.refused("AuthorizationService/Check", unknown, "UNKNOWN_PERMISSION").await;
    }

    async fn a_team_passes_on_what_it_and_its_ancestors_hold(server) {
        let house = House::build(&server).await;
        let top = house.call("TeamService/CreateTeam", json!({"name": "top"})).await;
        let top = text(&top["team"]["teamId"]);
        let team = house.call("TeamService/CreateTeam", json!({"name": "team", "parentTeamId": top})).await;
        let team = text(&team["team"]["teamId"]);
        let place = json!({"teamId": team, "membershipId": house.membership});
        house.call("TeamService/AddTeamMember", place.clone()).await;
        house.call("TeamService/AssignTeamRole", json!({"teamId": top, "role": "reader"})).await;
        assert_eq!(house.check("docs:read", None).await, "ROLE");
        house.call("TeamService/RevokeTeamRole", json!({"teamId": top, "role": "reader"})).await;
        assert_eq!(house.check("docs:read", None).await, "NO_PERMISSION");
        let grant = json!({"principal": {"teamId": top}, "resource": {"type": "doc", "id": "1"},
            "permission": "docs:write"});
        house.call("GrantService/SetGrant", grant).await;
        assert_eq!(house.check("docs:write", Some("1")).await, "GRANT");
        assert_eq!(house.check("docs:write", Some("2")).await, "NO_PERMISSION");
        assert_eq!(house.check("docs:write", None).await, "NO_PERMISSION");
        house.call("TeamService/MoveTeam", json!({"teamId": team})).await;
        assert_eq!(house.check("docs:write", Some("1")).await, "NO_PERMISSION");
        house.call("TeamService/MoveTeam", json!({"teamId": team, "parentTeamId": top})).await;
        assert_eq!(house.check("docs:write", Some("1")).await, "GRANT");
        house.call("TeamService/RemoveTeamMember", place).await;
        assert_eq!(house.check("docs:write", Some("1")).await, "NO_PERMISSION");
    }

    async fn a_grant_holds_for_its_principal_its_resource_and_its_time(server) {
        let house = House::build(&server).await;
        let end = server.clock.in_future(Duration::from_secs(60));
        let grant = |principal: Value, end: Option<&str>| {
            let mut grant =
                json!({"principal": principal, "resource": {"type": "doc", "id": "1"}, "role": "reader"});
            if let Some(end) = end {
                grant["endTime"] = json!(end);
            }
            grant
        };
        let mine = json!({"membershipId": house.membership});
        let granted = house.call("GrantService/SetGrant", grant(mine.clone(), Some(&end))).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
        server.clock.advance(Duration::from_secs(61));
        assert_eq!(house.check("docs:read", Some("1")).await, "NO_PERMISSION");
        let again = house.call("GrantService/SetGrant", grant(mine, None)).await;
        assert_eq!(again["grant"]["grantId"], granted["grant"]["grantId"]);
        assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
        house.call("GrantService/RevokeGrant", json!({"grantId": granted["grant"]["grantId"]})).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "NO_PERMISSION");
        house.call("GrantService/SetGrant", grant(json!({"role": "member"}), None)).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
    }

    async fn replacing_a_grant_leaves_no_moment_without_one(server) {
        let house = House::build(&server).await;
        house.caller.call("RoleService/CreateRole", json!({"slug": "writer", "permissions": ["docs:write"]})).await;
        let grant = |role: &str| json!({"principal": {"membershipId": house.membership},
            "resource": {"type": "doc", "id": "1"}, "role": role, "replace": true});
        house.call("GrantService/SetGrant", grant("reader")).await;
        house.call("GrantService/SetGrant", grant("writer")).await;
        let grants =
            house.caller.list("GrantService/ListGrants", json!({"organizationId": house.organization}), "grants").await;
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0]["role"], "writer");
        let events = house.caller.events(&house.organization).await;
        let last: Vec<_> = events[events.len() - 2..].iter().map(|event| text(&event["type"])).collect();
        assert_eq!(last, ["grant.created", "grant.revoked"]);
    }

    async fn without_standing_nothing_is_allowed(server) {
        let house = House::build(&server).await;
        let assign = json!({"membershipId": house.membership, "role": "reader"});
        house.call("MembershipService/AssignRole", assign).await;
        let membership = json!({"membershipId": house.membership});
        house.call("MembershipService/SuspendMembership", membership.clone()).await;
        assert_eq!(house.check("docs:read", None).await, "MEMBERSHIP_SUSPENDED");
        house.call("MembershipService/ReactivateMembership", membership.clone()).await;
        assert_eq!(house.check("docs:read", None).await, "ROLE");
        let user = json!({"userId": house.user});
        house.caller.call("UserService/SuspendUser", user.clone()).await;
        assert_eq!(house.check("docs:read", None).await, "USER_SUSPENDED");
        house.caller.call("UserService/ReactivateUser", user.clone()).await;
        assert_eq!(house.check("docs:read", None).await, "ROLE");
        house.call("OrganizationService/SuspendOrganization", json!({})).await;
        assert_eq!(house.check("docs:read", None).await, "ORGANIZATION_SUSPENDED");
        house.call("OrganizationService/ReactivateOrganization", json!({})).await;
        house.call("MembershipService/RemoveMember", membership).await;
        assert_eq!(house.check("docs:read", None).await, "NOT_A_MEMBER");
        house.call("OrganizationService/DeleteOrganization", json!({})).await;
        assert_eq!(house.check("docs:read", None).await, "ORGANIZATION_DELETING");
    }

    async fn a_batch_answers_each_question_in_its_place(server) {
        let house = House::build(&server).await;
        let assign = json!({"membershipId": house.membership, "role": "reader"});
        house.call("MembershipService/AssignRole", assign).await;
        let entries = json!([
            {"userId": house.user, "permission": "docs:read"}, {"userId": house.user, "permission": "docs:write"},
            {"userId": house.user, "permission": "docs:burn"}, {"userId": "nobody", "permission": ""},
        ]);
        let answer = house.call("AuthorizationService/BatchCheck", json!({"entries": entries})).await;
        let results: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| {
            (result["allowed"].as_bool().unwrap(), result["error"]["reason"].as_str().unwrap_or("").to_owned())
        }).collect();
        assert_eq!(results, [(true, String::new()), (false, String::new()),
            (false, "UNKNOWN_PERMISSION".into()), (false, "INVALID_REQUEST".into())]);
    }

    async fn a_revision_is_honoured_or_refused_and_never_ignored(server) {
        let house = House::build(&server).await;
        let assign = json!({"membershipId": house.membership, "role": "reader"});
        let assigned = house.call("MembershipService/AssignRole", assign).await;
        let check = |consistency: Value| json!({"organizationId": house.organization, "userId": house.user,
            "permission": "docs:read", "consistency": consistency});
        for consistency in [json!({"atLeastAsFresh": assigned["revision"]}), json!({"fullyConsistent": true})] {
            let answer = house.caller.call("AuthorizationService/Check", check(consistency)).await;
            assert_eq!(answer["allowed"], true);
        }
        let stranger = server.stranger().await;
        let foreign = stranger.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        for token in [text(&foreign["revision"]), "nonsense".to_owned(), String::new()] {
            let request = check(json!({"atLeastAsFresh": token}));
            house.caller.refused("AuthorizationService/Check", request, "INVALID_REVISION").await;
        }
        let theirs = check(json!({}));
        stranger.refused("AuthorizationService/Check", theirs, "ORGANIZATION_NOT_FOUND").await;
    }
}
