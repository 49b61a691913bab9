//! Deleting and restoring an organization, over gRPC: every move from every state, and what comes back.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Acme, full, purge::purged, roles, slugs::HOLD};
use crate::{
    on_both_engines,
    support::{Engine, TestServer, reason, text},
};

const DELETE: &str = "DeleteOrganization";
const RESTORE: &str = "RestoreOrganization";
/// As the tests' servers are configured.
pub const WINDOW: Duration = Duration::from_hours(24 * 30);
const METHODS: [&str; 4] = ["SuspendOrganization", "ReactivateOrganization", DELETE, RESTORE];

impl Acme {
    async fn status(&self) -> String {
        text(&self.get().await["status"]).replace("ORGANIZATION_STATUS_", "")
    }

    /// What each member is there, by user, without what is new in a new membership.
    async fn standing(&self) -> BTreeMap<String, Value> {
        let mut standing = BTreeMap::new();
        for member in self.members().await {
            let id = &member["membershipId"];
            let held = json!({"principal": {"membershipId": id}});
            let grants = self.root.list("GrantService/ListGrants", self.request(held), "grants").await;
            let grants: Vec<_> = grants
                .iter()
                .map(|grant| json!([grant["resource"], grant["role"], grant["permission"], grant["endTime"]]))
                .collect();
            let mut places = Vec::new();
            for team in self.root.list("TeamService/ListTeams", self.request(json!({})), "teams").await {
                let of = self.request(json!({"teamId": team["teamId"]}));
                let members = self.root.list("TeamService/ListTeamMembers", of, "teamMembers").await;
                let mine = members.iter().filter(|place| place["membershipId"] == *id);
                places.extend(mine.map(|place| json!([team["teamId"], place["role"]])));
            }
            let one = json!({"status": member["status"], "roles": member["roles"], "source": member["source"],
                "places": places, "grants": grants});
            standing.insert(text(&member["userId"]), one);
        }
        standing
    }

    async fn check(&self, user: &str, permission: &str, resource: Option<Value>) -> String {
        let question = json!({"userId": user, "permission": permission, "resource": resource});
        let answer = self.call("AuthorizationService/Check", question).await;
        text(&answer["reason"]).replace("CHECK_REASON_", "")
    }
}

/// An organization with something of everything that a member can have.
async fn peopled(server: &TestServer) -> (Acme, String, String) {
    let acme = Acme::new(&server.root, "acme").await;
    server.root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    acme.call("RoleService/CreateRole", json!({"slug": "org-reader", "permissions": ["docs:read"]})).await;
    let team = text(&acme.call("TeamService/CreateTeam", json!({"name": "core"})).await["team"]["teamId"]);
    let bob = acme.add("bob@example.com", &["org-reader", "developer"]).await;
    let cy = acme.add("cy@example.com", &["guest"]).await;
    let (id, user) = (text(&bob["membershipId"]), text(&bob["userId"]));
    let assign = json!({"membershipId": id, "role": "developer", "source": "MEMBERSHIP_SOURCE_DIRECTORY",
        "sourceReference": "g1"});
    acme.call("MembershipService/AssignRole", assign).await;
    let place = json!({"teamId": team, "membershipId": id, "role": "TEAM_MEMBER_ROLE_MAINTAINER"});
    acme.call("TeamService/AddTeamMember", place).await;
    let grant = |end: Option<String>, resource: &str| {
        json!({"principal": {"membershipId": cy["membershipId"]},
        "resource": {"type": "doc", "id": resource}, "permission": "docs:read", "endTime": end})
    };
    acme.call("GrantService/SetGrant", grant(None, "1")).await;
    acme.call("GrantService/SetGrant", grant(Some(server.clock.in_future(WINDOW * 2)), "2")).await;
    let dan = acme.add("dan@example.com", &[]).await;
    acme.call("MembershipService/SuspendMembership", json!({"membershipId": dan["membershipId"]})).await;
    acme.call(
        "MembershipService/RemoveMember",
        json!({"membershipId": acme.add("eve@example.com", &[]).await["membershipId"]}),
    )
    .await;
    (acme, user, text(&cy["userId"]))
}

on_both_engines! {
    async fn what_was_deleted_comes_back_as_it_was(server) {
        let (acme, bob, cy) = peopled(&server).await;
        let (before, organization, members) = (acme.standing().await, acme.get().await, acme.members().await);
        assert_eq!(acme.check(&bob, "docs:read", None).await, "ROLE");
        let deleted = acme.call(DELETE, json!({"reason": "R"})).await["organization"].clone();
        assert_eq!(deleted["status"], "ORGANIZATION_STATUS_DELETING");
        let time = |field: &str| text(&deleted[field]).parse::<prost_types::Timestamp>().unwrap().seconds;
        assert_eq!(time("purgeTime") - time("deleteTime"), i64::try_from(WINDOW.as_secs()).unwrap());
        assert!(acme.members().await.is_empty());
        assert_eq!(acme.check(&bob, "docs:read", None).await, "ORGANIZATION_DELETING");

        let past = acme.events().await.len();
        server.clock.advance(WINDOW.checked_sub(Duration::from_secs(60)).unwrap());
        let restored = acme.call(RESTORE, json!({"reason": "R"})).await["organization"].clone();
        for field in ["status", "slug", "deleteTime", "purgeTime", "createTime"] {
            assert_eq!(restored[field], organization[field], "{field}");
        }
        assert_eq!(acme.standing().await, before);
        assert_eq!(acme.owners().await.len(), 1);
        assert_eq!(acme.check(&bob, "docs:read", None).await, "ROLE");
        assert_eq!(acme.check(&cy, "docs:read", Some(json!({"type": "doc", "id": "1"}))).await, "GRANT");
        for former in &members {
            let id = text(&former["membershipId"]);
            assert_eq!(acme.membership(&id).await["status"], "MEMBERSHIP_STATUS_REMOVED", "removals are final");
            assert!(acme.members().await.iter().all(|member| member["membershipId"] != former["membershipId"]));
        }

        let events = acme.events().await.split_off(past);
        let types: Vec<_> = events.iter().map(|event| text(&event["type"])).collect();
        let count = |name: &str| types.iter().filter(|found| *found == name).count();
        assert_eq!(types[0], "organization.restored");
        assert_eq!((count("membership.created"), count("team.member_added"), count("grant.created")), (4, 1, 2));
        assert_eq!(events.len(), 8);
        assert_eq!(events[0]["changedFields"], json!(["status", "delete_time", "purge_time"]));
        assert!(events[1..].iter().all(|event| event["causationId"] == events[0]["eventId"]));
        assert_eq!(acme.call(RESTORE, json!({})).await["organization"], restored, "restoring it again changes nothing");
        assert_eq!(acme.events().await.len(), past + 8);
        // It goes on as any other, and can be deleted again.
        acme.add("fay@example.com", &["org-reader"]).await;
        let before = acme.standing().await;
        acme.call(DELETE, json!({})).await;
        acme.call(RESTORE, json!({})).await;
        assert_eq!(acme.standing().await, before);
    }

    async fn every_move_from_every_state(server) {
        let moves: [(&str, [&str; 4]); 4] = [
            ("ACTIVE", ["SUSPENDED", "ACTIVE", "DELETING", "ACTIVE"]),
            ("SUSPENDED", ["SUSPENDED", "ACTIVE", "DELETING", "SUSPENDED"]),
            ("DELETING", ["ILLEGAL_TRANSITION", "ILLEGAL_TRANSITION", "DELETING", "ACTIVE"]),
            ("PURGED", ["ILLEGAL_TRANSITION", "ILLEGAL_TRANSITION", "PURGED", "RESTORE_WINDOW_OVER"]),
        ];
        let mut all = Vec::new();
        for (from, outcomes) in moves {
            for (method, outcome) in METHODS.into_iter().zip(outcomes) {
                let acme = Acme::new(&server.root, &format!("o{}", all.len())).await;
                match from {
                    "SUSPENDED" => drop(acme.call("SuspendOrganization", json!({})).await),
                    "DELETING" | "PURGED" => drop(acme.call(DELETE, json!({})).await),
                    _ => {}
                }
                all.push((acme, from, method, outcome));
            }
        }
        for last in [false, true] {
            if last {
                server.clock.advance(WINDOW);
            }
            for (acme, from, method, outcome) in all.iter().filter(|one| (one.1 == "PURGED") == last) {
                if last {
                    purged(acme).await;
                }
                let past = acme.events().await.len();
                assert_eq!(acme.status().await, *from);
                match acme.root.try_call(&full(method), acme.request(json!({}))).await {
                    Ok(answer) => {
                        assert_eq!(answer["organization"]["status"], format!("ORGANIZATION_STATUS_{outcome}"));
                        assert_eq!(acme.status().await, *outcome, "{method} from {from}");
                        assert_eq!(acme.events().await.len() == past, from == outcome, "{method} from {from}");
                    }
                    Err(status) => {
                        assert_eq!(reason(&status), *outcome, "{method} from {from}");
                        assert_eq!((acme.status().await.as_str(), acme.events().await.len()), (*from, past));
                    }
                }
            }
        }
    }

    async fn who_was_suspended_is_restored_as_suspended(server) {
        let acme = Acme::new(&server.root, "acme").await;
        acme.call("SuspendOrganization", json!({})).await;
        acme.call(DELETE, json!({})).await;
        acme.call(RESTORE, json!({})).await;
        assert_eq!(acme.status().await, "SUSPENDED");
        let owner = acme.members().await[0].clone();
        let asked = acme.check(&text(&owner["userId"]), "members:read", None).await;
        assert_eq!(asked, "ORGANIZATION_SUSPENDED");
    }

    async fn what_was_deleted_meanwhile_does_not_come_back(server) {
        let (acme, bob, cy) = peopled(&server).await;
        let root = &server.root;
        root.call("RoleService/CreateRole", json!({"slug": "passing"})).await;
        root.call("RoleService/CreatePermission", json!({"slug": "docs:passing"})).await;
        let fay = acme.add("fay@example.com", &["passing"]).await;
        let grant = json!({"principal": {"membershipId": fay["membershipId"]},
            "resource": {"type": "doc", "id": "1"}, "permission": "docs:passing"});
        acme.call("GrantService/SetGrant", grant.clone()).await;
        let mut by_role = grant;
        by_role.as_object_mut().unwrap().remove("permission");
        by_role["role"] = json!("passing");
        acme.call("GrantService/SetGrant", by_role).await;
        acme.call(DELETE, json!({})).await;
        root.call("UserService/DeleteUser", json!({"userId": bob})).await;
        root.call("RoleService/DeleteRole", json!({"slug": "passing"})).await;
        root.call("RoleService/DeletePermission", json!({"slug": "docs:passing"})).await;
        acme.call(RESTORE, json!({})).await;
        let standing = acme.standing().await;
        assert!(standing.contains_key(&cy) && !standing.contains_key(&bob), "{standing:?}");
        let fay = &standing[&text(&fay["userId"])];
        assert_eq!((roles(fay), &fay["grants"]), (vec!["member".to_owned()], &json!([])));
    }

    async fn an_organization_that_had_an_owner_comes_back_with_one(server) {
        let acme = Acme::new(&server.root, "acme").await;
        let owner = acme.membership(&acme.owner).await["userId"].clone();
        let bob = acme.add("bob@example.com", &["developer"]).await["userId"].clone();
        acme.call(DELETE, json!({})).await;
        server.root.call("UserService/SuspendUser", json!({"userId": owner})).await;
        let past = acme.events().await.len();
        acme.refused(RESTORE, json!({}), "OWNER_NEEDED").await;
        let named = |user: &Value| json!({"ownerUserId": user});
        acme.refused(RESTORE, named(&owner), "MEMBER_NOT_ACTIVE").await;
        let nobody = json!(roster::ids::UserId::generate().to_string());
        acme.refused(RESTORE, named(&nobody), "USER_NOT_FOUND").await;
        let lesser = server.caller(&["organizations:delete"]).await;
        let status = lesser.refused("OrganizationService/RestoreOrganization", acme.request(named(&bob)),
            "MISSING_PERMISSION").await;
        assert!(status.message().contains('*'), "{}", status.message());
        assert_eq!((acme.events().await.len(), acme.members().await.len()), (past, 0), "what is refused changes nothing");
        acme.call(RESTORE, named(&bob)).await;
        let standing = acme.standing().await;
        assert_eq!(roles(&standing[&text(&bob)]), ["developer", "owner"]);
        assert_eq!(acme.owners().await.len(), 2, "the membership of a suspended user is there, too");
        acme.call(DELETE, json!({})).await;
        server.root.call("UserService/DeleteUser", json!({"userId": bob})).await;
        let stranger = server.root.call("UserService/CreateUser", json!({"email": "new@example.com"})).await;
        acme.call(RESTORE, named(&stranger["user"]["userId"])).await;
        assert_eq!(roles(&acme.standing().await[&text(&stranger["user"]["userId"])]), ["owner"]);
    }

    async fn an_organization_that_had_no_active_owner_comes_back_without_one(server) {
        let absent = json!({"email": "absent@example.com", "status": "USER_STATUS_PRE_PROVISIONED"});
        let absent = server.root.call("UserService/CreateUser", absent).await["user"]["userId"].clone();
        for (slug, owners) in [("ownerless", json!([])), ("waiting", json!([{"userId": absent}]))] {
            let create = json!({"slug": slug, "initialOwners": owners});
            let made = server.root.call("OrganizationService/CreateOrganization", create).await;
            let which = json!({"organizationId": made["organization"]["organizationId"]});
            server.root.call("OrganizationService/DeleteOrganization", which.clone()).await;
            let lesser = server.caller(&["organizations:delete"]).await;
            lesser.call("OrganizationService/RestoreOrganization", which).await;
        }
    }

    async fn the_slug_of_a_deleted_organization_is_its_own(server) {
        let acme = Acme::new(&server.root, "acme").await;
        acme.call(DELETE, json!({})).await;
        server.clock.advance(HOLD.checked_sub(Duration::from_secs(60)).unwrap());
        let create = json!({"slug": "acme"});
        server.root.refused("OrganizationService/CreateOrganization", create, "SLUG_TAKEN").await;
        let found = server.root.call("OrganizationService/LookupOrganization", json!({"slug": "acme"})).await;
        assert_eq!(found["organization"]["status"], "ORGANIZATION_STATUS_DELETING");
        acme.call(RESTORE, json!({})).await;
        assert_eq!(acme.get().await["slug"], "acme");
    }

    async fn nobody_is_added_to_an_organization_while_it_is_deleted(server) {
        for round in 0..8 {
            let acme = Acme::new(&server.root, &format!("o{round}")).await;
            let add = |number: usize| {
                let member = json!({"member": {"email": format!("p{number}@example.com")}});
                acme.root.try_call("MembershipService/AddMember", acme.request(member))
            };
            let (added, _) = tokio::join!(join_all((0..16).map(add)), acme.call(DELETE, json!({})));
            let refused = added.iter().filter_map(|answer| answer.as_ref().err());
            assert!(refused.clone().all(|why| reason(why) == "ORGANIZATION_DELETING"), "{added:?}");
            let added = added.len() - refused.count();
            assert!(acme.members().await.is_empty());
            let types = acme.types().await;
            let count = |name: &str| types.iter().filter(|found| *found == name).count();
            assert_eq!((count("membership.created"), count("membership.removed")), (added + 1, added + 1));
            acme.call(RESTORE, json!({})).await;
            assert_eq!(acme.members().await.len(), added + 1, "everybody whose addition was answered is there");
        }
    }

    async fn deleted_and_restored_at_once_it_is_one_or_the_other(server) {
        let (acme, ..) = peopled(&server).await;
        let before = acme.standing().await;
        for _ in 0..4 {
            let calls = (0..32).map(async |call| {
                let method = full(if call % 2 == 0 { DELETE } else { RESTORE });
                acme.root.try_call(&method, acme.request(json!({}))).await
            });
            let answers = join_all(calls).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            let types = acme.types().await;
            let moves: Vec<_> = types.iter().filter(|name| name.starts_with("organization.")).skip(1).collect();
            assert!(moves.windows(2).all(|two| two[0] != two[1]), "{moves:?}");
            acme.call(RESTORE, json!({})).await;
            assert_eq!(acme.standing().await, before);
        }
    }
}
