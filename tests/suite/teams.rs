//! Teams, over gRPC.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

/// An organization, whose id goes with every call.
struct Acme {
    caller: Caller,
    id: String,
}

impl Acme {
    async fn new(server: &TestServer) -> Self {
        Self::called(server, "acme").await
    }

    async fn called(server: &TestServer, slug: &str) -> Self {
        let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
        Self { caller: server.root.clone(), id: text(&created["organization"]["organizationId"]) }
    }

    fn here(&self, mut request: Value) -> Value {
        request["organizationId"] = json!(self.id);
        request
    }

    async fn call(&self, method: &str, request: Value) -> Value {
        self.caller.call(method, self.here(request)).await
    }

    async fn refused(&self, method: &str, request: Value, reason: &str) -> tonic::Status {
        self.caller.refused(method, self.here(request), reason).await
    }

    async fn team(&self, name: &str, parent: &str) -> String {
        let made = self.call("TeamService/CreateTeam", json!({"name": name, "parentTeamId": parent})).await;
        text(&made["team"]["teamId"])
    }

    /// Teams one below the other, the first at the top.
    async fn chain(&self, name: &str, length: usize) -> Vec<String> {
        let mut teams: Vec<String> = Vec::new();
        for index in 0..length {
            let parent = teams.last().cloned().unwrap_or_default();
            teams.push(self.team(&format!("{name} {index}"), &parent).await);
        }
        teams
    }

    async fn member(&self, name: &str) -> String {
        let member = json!({"email": format!("{name}@example.com")});
        let added = self.call("MembershipService/AddMember", json!({"member": member})).await;
        text(&added["membership"]["membershipId"])
    }

    async fn list(&self, method: &str, request: Value, field: &str) -> Vec<Value> {
        self.caller.list(method, self.here(request), field).await
    }

    async fn events(&self) -> Vec<Value> {
        self.caller.events(&self.id).await
    }

    fn update(&self, team: &str, mut change: Value, mask: &str) -> Value {
        change["teamId"] = json!(team);
        json!({"team": self.here(change), "updateMask": mask})
    }
}

/// The ids in a field of these.
fn ids(entries: &[Value], field: &str) -> Vec<String> {
    entries.iter().map(|entry| text(&entry[field])).collect()
}

on_both_engines! {
    async fn a_team_is_created_and_got(server) {
        let acme = Acme::new(&server).await;
        let top = acme.team("Top", "").await;
        let request = json!({"name": "Core", "description": "D", "parentTeamId": top, "requestId": "req-1"});
        let team = acme.call("TeamService/CreateTeam", request).await["team"].clone();
        assert_eq!((&team["name"], &team["parentTeamId"], &team["roles"]), (&json!("Core"), &json!(top), &json!([])));
        let which = json!({"teamId": team["teamId"]});
        assert_eq!(acme.call("TeamService/GetTeam", which).await["team"], team);
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["requestId"]), (&json!("team.created"), &json!("req-1")));
        assert_eq!(event["teamCreated"]["after"], team);
        acme.refused("TeamService/CreateTeam", json!({"name": "Core"}), "TEAM_NAME_TAKEN").await;
        let [longest, longer] = [100, 101].map(|length| "ü".repeat(length));
        acme.team(&longest, "").await;
        let status = acme.refused("TeamService/CreateTeam", json!({"name": longer}), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["name"]);
        let beta = Acme::called(&server, "beta").await;
        beta.team("Core", "").await;
        beta.refused("TeamService/CreateTeam", json!({"name": "x", "parentTeamId": top}), "TEAM_NOT_FOUND").await;
    }

    async fn a_team_changes_by_mask_and_etag(server) {
        let acme = Acme::new(&server).await;
        let [team, other] = [acme.team("core", "").await, acme.team("other", "").await];
        let before = acme.call("TeamService/GetTeam", json!({"teamId": team})).await["team"].clone();
        let method = "TeamService/UpdateTeam";
        server.clock.advance(Duration::from_secs(1));
        let same = acme.caller.call(method, acme.update(&team, json!({"name": "core"}), "name,description")).await;
        assert_eq!(same["team"], before);
        let change = json!({"name": "Core", "description": "not named", "etag": before["etag"]});
        let after = acme.caller.call(method, acme.update(&team, change.clone(), "name")).await["team"].clone();
        assert_eq!((&after["name"], &after["description"]), (&json!("Core"), &json!("")));
        let event = acme.events().await.pop().unwrap();
        assert_eq!(event["changedFields"], json!(["name"]));
        assert_eq!(event["teamUpdated"], json!({"before": before, "after": after}));
        acme.caller.refused(method, acme.update(&team, change, "name"), "ETAG_MISMATCH").await;
        let taken = acme.update(&other, json!({"name": "Core"}), "name");
        acme.caller.refused(method, taken, "TEAM_NAME_TAKEN").await;
        for (mask, field) in [("", "update_mask"), ("parentTeamId", "update_mask"), ("name", "team.name")] {
            let status = acme.caller.refused(method, acme.update(&team, json!({}), mask), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field], "{mask:?}");
        }
    }

    async fn no_team_is_its_own_ancestor(server) {
        let acme = Acme::new(&server).await;
        let chain = acme.chain("team", 3).await;
        for parent in &chain {
            let request = json!({"teamId": chain[0], "parentTeamId": parent});
            acme.refused("TeamService/MoveTeam", request, "TEAM_CYCLE").await;
        }
        let before = acme.events().await.len();
        let stay = json!({"teamId": chain[2], "parentTeamId": chain[1]});
        let stayed = acme.call("TeamService/MoveTeam", stay).await;
        assert_eq!(stayed["team"]["createTime"], stayed["team"]["updateTime"]);
        assert_eq!(acme.events().await.len(), before);
        let moved = acme.call("TeamService/MoveTeam", json!({"teamId": chain[2]})).await;
        assert_eq!(moved["team"]["parentTeamId"], "");
        acme.call("TeamService/MoveTeam", json!({"teamId": chain[0], "parentTeamId": chain[2]})).await;
        let event = acme.events().await.pop().unwrap();
        assert_eq!((&event["type"], &event["changedFields"]), (&json!("team.moved"), &json!(["parent_team_id"])));
    }

    async fn the_tree_has_sixteen_levels(server) {
        let acme = Acme::new(&server).await;
        let deep = acme.chain("deep", 16).await;
        let below = json!({"name": "too deep", "parentTeamId": deep[15]});
        acme.refused("TeamService/CreateTeam", below, "TEAM_TOO_DEEP").await;
        let two = acme.chain("two", 2).await;
        let below = |parent: &str| json!({"teamId": two[0], "parentTeamId": parent});
        acme.refused("TeamService/MoveTeam", below(&deep[14]), "TEAM_TOO_DEEP").await;
        acme.call("TeamService/MoveTeam", below(&deep[13])).await;
        let below = json!({"name": "too deep", "parentTeamId": two[1]});
        acme.refused("TeamService/CreateTeam", below, "TEAM_TOO_DEEP").await;
    }

    async fn a_team_goes_with_all_below_it_in_one_cascade(server) {
        let acme = Acme::new(&server).await;
        let chain = acme.chain("team", 3).await;
        let bob = acme.member("bob").await;
        for team in &chain {
            acme.call("TeamService/AddTeamMember", json!({"teamId": team, "membershipId": bob})).await;
            acme.call("TeamService/AssignTeamRole", json!({"teamId": team, "role": "guest"})).await;
            acme.call("GrantService/SetGrant", json!({"principal": {"teamId": team}, "role": "guest",
                "resource": {"type": "doc", "id": "1"}})).await;
        }
        let before = acme.events().await.len();
        acme.refused("TeamService/DeleteTeam", json!({"teamId": chain[1]}), "TEAM_HAS_CHILDREN").await;
        let delete = json!({"teamId": chain[1], "cascade": true, "requestId": "req-1"});
        let deleted = acme.call("TeamService/DeleteTeam", delete).await;
        assert_eq!(deleted["deletedTeamIds"], json!([chain[2], chain[1]]));
        let events = acme.events().await.split_off(before);
        assert_eq!((&events[0]["type"], &events[0]["subject"]["id"]), (&json!("team.deleted"), &json!(chain[1])));
        assert_eq!(events[0]["causationId"], "");
        assert!(events.iter().all(|event| event["correlationId"] == events[0]["eventId"]));
        assert!(events.iter().all(|event| event["requestId"] == "req-1"));
        assert!(events[1..].iter().all(|event| event["causationId"] == events[0]["eventId"]));
        let mut types = ids(&events, "type");
        types.sort();
        assert_eq!(types, ["grant.revoked", "grant.revoked", "team.deleted", "team.deleted",
            "team.member_removed", "team.member_removed"]);
        for gone in &chain[1..] {
            acme.refused("TeamService/GetTeam", json!({"teamId": gone}), "TEAM_NOT_FOUND").await;
        }
        let grants = acme.list("GrantService/ListGrants", json!({}), "grants").await;
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0]["principal"]["teamId"], chain[0].as_str());
        acme.team("team 1", "").await;
    }

    async fn a_team_has_members_with_a_role_in_it(server) {
        let acme = Acme::new(&server).await;
        let team = acme.team("core", "").await;
        let bob = acme.member("bob").await;
        let place = json!({"teamId": team, "membershipId": bob});
        let with = |role: &str| {
            let mut request = place.clone();
            request["role"] = json!(format!("TEAM_MEMBER_ROLE_{role}"));
            request
        };
        acme.refused("TeamService/UpdateTeamMember", with("MEMBER"), "TEAM_MEMBER_NOT_FOUND").await;
        acme.refused("TeamService/RemoveTeamMember", place.clone(), "TEAM_MEMBER_NOT_FOUND").await;
        let added = acme.call("TeamService/AddTeamMember", place.clone()).await["teamMember"].clone();
        assert_eq!(added["role"], "TEAM_MEMBER_ROLE_MEMBER", "where the request names none");
        acme.refused("TeamService/AddTeamMember", with("MAINTAINER"), "ALREADY_TEAM_MEMBER").await;
        server.clock.advance(Duration::from_secs(1));
        let before = acme.events().await;
        let same = acme.call("TeamService/UpdateTeamMember", with("MEMBER")).await;
        assert_eq!(same["teamMember"], added);
        assert_eq!(acme.events().await.len(), before.len());
        let changed = acme.call("TeamService/UpdateTeamMember", with("MAINTAINER")).await["teamMember"].clone();
        assert_eq!(changed["createTime"], added["createTime"]);
        assert_ne!(changed["updateTime"], added["updateTime"]);
        acme.call("TeamService/RemoveTeamMember", place.clone()).await;
        let events = acme.events().await.split_off(before.len());
        assert_eq!(ids(&events, "type"), ["team.member_updated", "team.member_removed"]);
        assert_eq!(events[0]["teamMemberUpdated"], json!({"before": added, "after": changed}));
        assert_eq!(events[1]["teamMemberRemoved"], json!({"before": changed}));
        assert!(events.iter().all(|event| event["subject"]["id"] == format!("{team}/{bob}")));
        let maintainer = acme.call("TeamService/AddTeamMember", with("MAINTAINER")).await;
        assert_eq!(maintainer["teamMember"]["role"], "TEAM_MEMBER_ROLE_MAINTAINER");
        acme.call("MembershipService/RemoveMember", json!({"membershipId": bob})).await;
        acme.refused("TeamService/AddTeamMember", place, "ILLEGAL_TRANSITION").await;
    }

    async fn a_team_has_roles_but_never_owner(server) {
        let acme = Acme::new(&server).await;
        let team = acme.team("core", "").await;
        let with = |role: &str| json!({"teamId": team, "role": role});
        let status = acme.refused("TeamService/AssignTeamRole", with("owner"), "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["role"]);
        acme.refused("TeamService/AssignTeamRole", with("nobody"), "ROLE_NOT_FOUND").await;
        acme.call("TeamService/AssignTeamRole", with("guest")).await;
        let both = acme.call("TeamService/AssignTeamRole", with("admin")).await;
        assert_eq!(both["team"]["roles"], json!(["admin", "guest"]));
        let before = acme.events().await.len();
        server.clock.advance(Duration::from_secs(1));
        let again = acme.call("TeamService/AssignTeamRole", with("admin")).await;
        assert_eq!(again["team"], both["team"]);
        let same = acme.call("TeamService/RevokeTeamRole", with("developer")).await;
        assert_eq!(same["team"], both["team"]);
        assert_eq!(acme.events().await.len(), before);
        let one = acme.call("TeamService/RevokeTeamRole", with("guest")).await;
        assert_eq!(one["team"]["roles"], json!(["admin"]));
        let got = acme.call("TeamService/GetTeam", json!({"teamId": team})).await;
        assert_eq!(got["team"], one["team"]);
    }

    async fn teams_and_their_members_are_listed_once(server) {
        let acme = Acme::new(&server).await;
        let teams = acme.chain("team", 5).await;
        let mut members = Vec::new();
        for name in ["a", "b", "c", "d"] {
            members.push(acme.member(name).await);
            let place = json!({"teamId": teams[0], "membershipId": members.last()});
            acme.call("TeamService/AddTeamMember", place).await;
        }
        acme.call("TeamService/AddTeamMember", json!({"teamId": teams[1], "membershipId": members[0]})).await;
        for size in 1..=3 {
            let listed = acme.list("TeamService/ListTeams", json!({"pageSize": size}), "teams").await;
            assert_eq!(ids(&listed, "teamId"), teams, "pages of {size}");
            let request = json!({"teamId": teams[0], "pageSize": size});
            let listed = acme.list("TeamService/ListTeamMembers", request, "teamMembers").await;
            assert_eq!(ids(&listed, "membershipId"), members, "pages of {size}");
        }
        let page = acme.call("TeamService/ListTeamMembers", json!({"teamId": teams[0], "pageSize": 1})).await;
        let other = json!({"teamId": teams[1], "pageToken": page["nextPageToken"]});
        acme.refused("TeamService/ListTeamMembers", other, "INVALID_PAGE_TOKEN").await;
        let page = acme.call("TeamService/ListTeams", json!({"pageSize": 1})).await;
        let beta = Acme::called(&server, "beta").await;
        beta.refused("TeamService/ListTeams", json!({"pageToken": page["nextPageToken"]}), "INVALID_PAGE_TOKEN").await;
    }

    async fn an_organization_that_is_being_deleted_takes_no_changes(server) {
        let acme = Acme::new(&server).await;
        let team = acme.team("core", "").await;
        let bob = acme.member("bob").await;
        let place = || json!({"teamId": team, "membershipId": bob, "role": "TEAM_MEMBER_ROLE_MEMBER"});
        acme.call("OrganizationService/DeleteOrganization", json!({})).await;
        let before = acme.events().await.len();
        let update = acme.update(&team, json!({"name": "new"}), "name");
        acme.caller.refused("TeamService/UpdateTeam", update, "ORGANIZATION_DELETING").await;
        for (method, request) in [
            ("CreateTeam", json!({"name": "new"})), ("MoveTeam", json!({"teamId": team})),
            ("DeleteTeam", json!({"teamId": team})), ("AddTeamMember", place()), ("UpdateTeamMember", place()),
            ("RemoveTeamMember", json!({"teamId": team, "membershipId": bob})),
            ("AssignTeamRole", json!({"teamId": team, "role": "guest"})),
            ("RevokeTeamRole", json!({"teamId": team, "role": "guest"})),
        ] {
            acme.refused(&format!("TeamService/{method}"), request, "ORGANIZATION_DELETING").await;
        }
        assert_eq!(acme.events().await.len(), before);
        acme.call("TeamService/GetTeam", json!({"teamId": team})).await;
    }
}
