//! Memberships and the owner floor, over gRPC.

mod ends;
mod leaving;
mod moves;
mod standing;

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

/// An organization with one owner, who counts.
struct Acme<'a> {
    root: &'a Caller,
    tenant: Value,
    id: String,
    /// The owner's membership.
    owner: String,
}

impl<'a> Acme<'a> {
    async fn build(root: &'a Caller) -> Self {
        let (id, owner) = organization(root).await;
        let tenant = root.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
        Self { root, tenant, id, owner }
    }

    /// The same.
    fn of(other: &Self) -> Self {
        Self { root: other.root, tenant: other.tenant.clone(), id: other.id.clone(), owner: other.owner.clone() }
    }

    /// A method about this organization.
    async fn call_whole(&self, method: &str, mut request: Value) -> Value {
        request["organizationId"] = json!(self.id);
        self.root.call(&format!("MembershipService/{method}"), request).await
    }

    /// The membership that a method about this organization answers.
    async fn call(&self, method: &str, request: Value) -> Value {
        self.call_whole(method, request).await["membership"].clone()
    }

    async fn add(&self, member: Value) -> Value {
        self.call("AddMember", json!({"member": member})).await
    }

    async fn get(&self, id: &Value) -> Value {
        self.call("GetMembership", json!({"membershipId": id})).await
    }

    /// The events of the organization, but of invitations, whose mails go out by themselves.
    async fn events(&self) -> Vec<Value> {
        let mut events = self.root.events(&self.id).await;
        events.retain(|event| event["subject"]["kind"] != "invitation");
        events
    }

    /// The reason of an answer.
    async fn check(&self, user_id: &Value, permission: &str, document: Option<&str>) -> String {
        let mut question = json!({"organizationId": self.id, "userId": user_id, "permission": permission});
        if let Some(id) = document {
            question["resource"] = json!({"type": "doc", "id": id});
        }
        let answer = self.root.call("AuthorizationService/Check", question).await;
        text(&answer["reason"]).trim_start_matches("CHECK_REASON_").to_owned()
    }

    /// What tasks answer.
    async fn joined<T>(&self, tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    }
}

/// The status of a membership.
fn status(membership: &Value) -> String {
    text(&membership["status"]).trim_start_matches("MEMBERSHIP_STATUS_").to_owned()
}

/// An organization with one owner: its id, and the owner's membership.
async fn organization(caller: &Caller) -> (String, String) {
    let created = caller
        .call(
            "OrganizationService/CreateOrganization",
            json!({
                "slug": "acme", "initialOwners": [{"email": "ada@example.com"}],
            }),
        )
        .await;
    (text(&created["organization"]["organizationId"]), text(&created["ownerMembershipIds"][0]))
}

async fn add(caller: &Caller, organization: &str, email: &str, roles: Value) -> Value {
    let member = json!({"email": email, "roles": roles});
    caller.call("MembershipService/AddMember", json!({"organizationId": organization, "member": member})).await
}

on_both_engines! {
    async fn a_person_not_known_becomes_a_user_and_is_a_member_once(server) {
        let (id, _) = organization(&server.root).await;
        let added = add(&server.root, &id, " Bob@Example.com ", json!([])).await;
        assert_eq!(added["userCreated"], true);
        assert_eq!(added["membership"]["roles"][0]["role"], "member");
        let again = json!({"organizationId": id, "member": {"email": "bob@example.com"}});
        server.root.refused("MembershipService/AddMember", again, "ALREADY_MEMBER").await;
        let found = server.root.call("UserService/LookupUser", json!({"email": "BOB@example.com"})).await;
        assert_eq!(found["user"]["userId"], added["membership"]["userId"]);
        assert_eq!(found["user"]["email"], "Bob@Example.com");
    }

    async fn the_last_active_owner_stays_on_every_path(server) {
        let (id, owner) = organization(&server.root).await;
        let mine = json!({"organizationId": id, "membershipId": owner});
        let with = |key: &str, value: Value| {
            let mut request = mine.clone();
            request[key] = value;
            request
        };
        let user = server.root.call("MembershipService/GetMembership", mine.clone()).await;
        let user = json!({"userId": user["membership"]["userId"]});
        let before = server.root.events(&id).await.len();
        for attempt in 0..2 {
            server.root.refused("MembershipService/RemoveMember", mine.clone(), "LAST_OWNER").await;
            server.root.refused("MembershipService/SuspendMembership", mine.clone(), "LAST_OWNER").await;
            server.root.refused("MembershipService/SetRoles", with("roles", json!(["admin"])), "LAST_OWNER").await;
            server.root.refused("UserService/SuspendUser", user.clone(), "LAST_OWNER").await;
            server.root.refused("UserService/DeleteUser", user.clone(), "LAST_OWNER").await;
            if attempt == 0 {
                server.root.refused("MembershipService/RevokeRole", with("role", json!("owner")), "LAST_OWNER").await;
                server.root.call("MembershipService/AssignRole", with("role", json!("member"))).await;
                server.root.refused("MembershipService/RevokeRole", with("role", json!("owner")), "LAST_OWNER").await;
                // A suspended owner does not count.
                let other = add(&server.root, &id, "bob@example.com", json!(["owner"])).await;
                let other = json!({"organizationId": id, "membershipId": other["membership"]["membershipId"]});
                server.root.call("MembershipService/SuspendMembership", other).await;
            }
        }
        assert_eq!(server.root.events(&id).await.len(), before + 3, "what was refused says nothing");
        let second = add(&server.root, &id, "eve@example.com", json!(["owner"])).await;
        assert_eq!(second["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE");
        server.root.call("UserService/DeleteUser", user).await;
    }

    async fn an_owner_who_may_act_counts_whether_they_ever_came_or_not(server) {
        let create = json!({"email": "bo@example.com", "status": "USER_STATUS_PRE_PROVISIONED"});
        let bo = server.root.call("UserService/CreateUser", create).await["user"]["userId"].clone();
        let create = json!({"slug": "beta", "initialOwners": [{"userId": bo}]});
        let made = server.root.call("OrganizationService/CreateOrganization", create).await;
        let organization = made["organization"]["organizationId"].clone();
        let check = json!({"organizationId": organization, "userId": bo, "permission": "members:write"});
        assert_eq!(server.root.call("AuthorizationService/Check", check).await["allowed"], true);
        let owner = json!({"organizationId": organization, "membershipId": made["ownerMembershipIds"][0]});
        server.root.refused("MembershipService/RemoveMember", owner, "LAST_OWNER").await;
        server.root.refused("UserService/SuspendUser", json!({"userId": bo}), "LAST_OWNER").await;
    }

    async fn every_wrong_time_is_named(server) {
        let (id, owner) = organization(&server.root).await;
        let (review, end) = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
        let member = json!({"email": "bo@example.com", "reviewTime": review, "endTime": end});
        let add = json!({"organizationId": id, "member": member});
        let status = server.root.refused("MembershipService/AddMember", add, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["member.review_time", "member.end_time"]);
        let change = json!({"organizationId": id, "membershipId": owner, "reviewTime": review, "endTime": end});
        let update = json!({"membership": change, "updateMask": "reviewTime,endTime"});
        let status = server.root.refused("MembershipService/UpdateMembership", update, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["membership.review_time", "membership.end_time"]);
    }

    async fn batches_of_the_same_people_do_not_wait_for_each_other_in_circles(server) {
        let mut people = Vec::new();
        for number in 0..6 {
            let email = format!("p{number}@example.com");
            let user = server.root.call("UserService/CreateUser", json!({"email": email})).await;
            people.push((email, user["user"]["userId"].clone()));
        }
        let begin = std::time::Instant::now();
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..12 {
            let (root, mut people) = (server.root.clone(), people.clone());
            if number % 2 == 1 {
                people.reverse();
            }
            calls.spawn(async move {
                let named = |by_id: bool| {
                    let one = |(email, id): &(String, Value)| if by_id { json!({"userId": id}) } else { json!({"email": email}) };
                    people.iter().map(one).collect::<Vec<_>>()
                };
                let slug = format!("o{number}");
                let owners = if number % 3 == 0 { named(number % 2 == 0) } else { Vec::new() };
                let create = json!({"slug": slug, "initialOwners": owners});
                let made = root.call("OrganizationService/CreateOrganization", create).await;
                if number % 3 > 0 {
                    let add = json!({"organizationId": made["organization"]["organizationId"], "members": named(number % 3 == 1)});
                    let added = root.call("MembershipService/BatchAddMembers", add).await;
                    assert!(added["results"].as_array().unwrap().iter().all(|it| it["error"].is_null()), "{added}");
                }
            });
        }
        while let Some(done) = calls.join_next().await {
            done.unwrap();
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
    }

    async fn a_membership_keeps_its_last_role(server) {
        let (id, _) = organization(&server.root).await;
        let bob = add(&server.root, &id, "bob@example.com", json!([])).await;
        let revoke =
            json!({"organizationId": id, "membershipId": bob["membership"]["membershipId"], "role": "member"});
        server.root.refused("MembershipService/RevokeRole", revoke, "LAST_ROLE").await;
    }

    async fn a_removed_member_comes_back_as_somebody_new(server) {
        let (id, _) = organization(&server.root).await;
        let team = server.root.call("TeamService/CreateTeam", json!({"organizationId": id, "name": "core"})).await;
        let team = text(&team["team"]["teamId"]);
        let member = json!({"email": "bob@example.com", "roles": ["admin"], "teamIds": [team]});
        let request = json!({"organizationId": id, "member": member});
        let first = server.root.call("MembershipService/AddMember", request).await;
        let membership = text(&first["membership"]["membershipId"]);
        let which = json!({"organizationId": id, "membershipId": membership});
        let removed = server.root.call("MembershipService/RemoveMember", which.clone()).await;
        assert_eq!(removed["membership"]["status"], "MEMBERSHIP_STATUS_REMOVED");
        assert_eq!(removed["membership"]["roles"], json!([]));
        server.root.refused("MembershipService/ReactivateMembership", which.clone(), "ILLEGAL_TRANSITION").await;
        let types: Vec<_> = server.root.events(&id).await.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types[5..], ["membership.removed", "team.member_removed"]);
        let second = add(&server.root, &id, "bob@example.com", json!([])).await;
        assert_eq!(second["userCreated"], false);
        assert_ne!(second["membership"]["membershipId"], first["membership"]["membershipId"]);
        assert_eq!(second["membership"]["roles"].as_array().unwrap().len(), 1);
        let members = server.root.list("TeamService/ListTeamMembers", json!({"organizationId": id, "teamId": team}),
            "teamMembers").await;
        assert!(members.is_empty());
    }

    async fn a_batch_answers_each_entry_by_itself(server) {
        let (id, _) = organization(&server.root).await;
        let members = json!([
            {"email": "a@example.com"}, {"email": "not an address"}, {"email": "ada@example.com"},
            {"email": "b@example.com", "roles": ["nobody"]}, {"email": "a@example.com"},
            {"email": "c@example.com", "roles": ["developer"]},
        ]);
        let request = json!({"organizationId": id, "members": members});
        let answer = server.root.call("MembershipService/BatchAddMembers", request).await;
        let outcomes: Vec<_> = answer["results"].as_array().unwrap().iter()
            .map(|result| result["error"]["reason"].as_str().unwrap_or("added").to_owned()).collect();
        assert_eq!(outcomes,
            ["added", "INVALID_REQUEST", "ALREADY_MEMBER", "ROLE_NOT_FOUND", "ALREADY_MEMBER", "added"]);
        let lookup = json!({"email": "b@example.com"});
        server.root.refused("UserService/LookupUser", lookup, "USER_NOT_FOUND").await;
        let sequences: Vec<_> = server.root.events(&id).await.iter().map(|event| text(&event["sequence"])).collect();
        assert_eq!(sequences, ["1", "2", "3", "4"]);
    }

    async fn a_user_is_deleted_with_every_membership(server) {
        let (id, _) = organization(&server.root).await;
        let bob = add(&server.root, &id, "bob@example.com", json!([])).await;
        let user = json!({"userId": bob["membership"]["userId"]});
        let deleted = server.root.call("UserService/DeleteUser", user.clone()).await;
        assert_eq!(deleted["user"]["status"], "USER_STATUS_REMOVED");
        server.root.refused("UserService/ReactivateUser", user.clone(), "ILLEGAL_TRANSITION").await;
        let listed = server.root.list("MembershipService/ListMemberships",
            json!({"userId": user["userId"], "status": "MEMBERSHIP_STATUS_REMOVED"}), "memberships").await;
        assert_eq!(listed.len(), 1);
        let again = add(&server.root, &id, "bob@example.com", json!([])).await;
        assert_eq!(again["userCreated"], true, "the address is free again");
    }
}
