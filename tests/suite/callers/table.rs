//! The table of every method by every built-in role: whoever has a role may call what the contract says that the role's
//! permissions are for, in their own organization, and nothing else.

use prost_reflect::MethodDescriptor;
use roster::auth::scopes::PLATFORM;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{about, assert_lacks, attempt, is_self_service, link, metadata, name, needed};
use crate::{
    bad_input::{self, House as Things, Method},
    in_a_house,
    support::{Caller, Engine, assert_code, reason, text},
    tokens::House,
};

const ROLES: [&str; 6] = ["owner", "admin", "developer", "billing-admin", "member", "guest"];

/// Somebody who has one role, in every organization of the table.
struct Player {
    role: &'static str,
    caller: Caller,
    user_id: String,
    /// What the role contains, as the service says.
    permissions: Vec<String>,
}

impl Player {
    async fn new(house: &House, role: &'static str) -> Self {
        let root = &house.server.root;
        let user = root.call("UserService/CreateUser", json!({"email": format!("{role}@players.example")})).await;
        let user_id = text(&user["user"]["userId"]);
        let caller = link(house, &user_id, role).await;
        let got = root.call("RoleService/GetRole", json!({"slug": role})).await;
        let permissions = got["role"]["permissions"].as_array().unwrap().iter().map(text).collect();
        Self { role, caller, user_id, permissions }
    }

    async fn all(house: &House) -> Vec<Self> {
        let mut players = Vec::new();
        for role in ROLES {
            players.push(Self::new(house, role).await);
        }
        players
    }

    fn holds(&self, permission: &str) -> bool {
        self.permissions.iter().any(|entry| match entry.strip_suffix('*') {
            Some(prefix) => permission.starts_with(prefix),
            None => entry == permission,
        })
    }

    /// The call came through: the right to the method was there. What the example gives away beyond that, the role may
    /// lack, and then the refusal names that.
    fn assert_through(&self, answer: Result<(), Status>, method: &str) {
        let Err(status) = answer else { return };
        // The example is about the ownership of somebody else.
        if method == "OrganizationService/TransferOwnership" {
            return assert_eq!(reason(&status), "OWNERSHIP_OF_ANOTHER", "{method} by {}", self.role);
        }
        // No name server is here.
        if method == "DomainService/ConfirmDomain" {
            return assert_eq!(reason(&status), "DNS_FAILURE", "{method} by {}", self.role);
        }
        assert_eq!(reason(&status), "MISSING_PERMISSION", "{method} by {}: {}", self.role, status.message());
        let lacked = &metadata(&status)["permission"];
        assert!(!self.holds(lacked), "{method} by {}: {lacked} is not lacked", self.role);
        assert_ne!(self.role, "owner", "{method}: an owner lacks nothing");
    }
}

/// The methods of the contract, with what they need and whether they are about one organization.
fn table() -> Vec<(MethodDescriptor, Method, String, bool)> {
    let entry = |(method, entry): (MethodDescriptor, Method)| {
        let here = about(&method.input(), "anywhere").is_some();
        assert_eq!(here, entry.2.contains("$org"), "{}: its example names an organization where it can", entry.0);
        let needed = needed(&method);
        // No user may do what is for whoever runs the platform, in no organization.
        let here = here && needed != PLATFORM;
        (method, entry, needed, here)
    };
    // What users call about themselves, they call whatever their role.
    bad_input::methods().into_iter().filter(|(method, _)| !is_self_service(method)).map(entry).collect()
}

/// One of everything in an organization where each player has their role.
async fn stage(root: &Caller, slug: &str, players: &[Player]) -> Things {
    let things = Things::build(root, slug).await;
    let members: Vec<Value> =
        players.iter().map(|player| json!({"userId": player.user_id, "roles": [player.role]})).collect();
    let add = json!({"organizationId": things.request(r#""$org""#, None), "members": members});
    let added = root.call("MembershipService/BatchAddMembers", add).await;
    assert!(added["results"].as_array().unwrap().iter().all(|result| result["error"].is_null()), "{added}");
    things
}

in_a_house! {
    async fn every_role_may_call_what_it_contains_and_nothing_else(house) {
        let root = &house.server.root;
        let players = Player::all(&house).await;
        let (mut stages, mut through) = (0, 0);
        for (method, (called, _, template), needed, here) in table() {
            let (mut may, may_not): (Vec<_>, Vec<_>) = players.iter().partition(|player| here && player.holds(&needed));
            stages += 1;
            let mut things = stage(root, &format!("stage-{stages}"), &players).await;
            for player in may_not {
                let status = attempt(&player.caller, &method, things.request(template, None)).await;
                let status = status.expect_err(&format!("{called} by {}", player.role));
                assert_lacks(&status, &needed, &format!("{called} by {}", player.role));
            }
            // Whoever changes something gets it as it was before anybody else did.
            while let Some(player) = may.pop() {
                player.assert_through(attempt(&player.caller, &method, things.request(template, None)).await, called);
                through += 1;
                if !may.is_empty() && !needed.ends_with(":read") {
                    stages += 1;
                    things = stage(root, &format!("stage-{stages}"), &players).await;
                }
            }
        }
        assert!(through > 120, "{through} calls came through");
    }

    async fn no_role_is_of_use_in_another_organization(house) {
        let root = &house.server.root;
        let players = Player::all(&house).await;
        stage(root, "home", &players).await;
        let elsewhere = Things::build(root, "elsewhere").await;
        let stranger = house.server.stranger().await;
        let beyond = Things::build(&stranger, "beyond").await;
        let before = [elsewhere.history(root).await, beyond.history(&stranger).await];
        for (method, (called, _, template), ..) in table().into_iter().filter(|(.., here)| *here) {
            for (player, things) in players.iter().flat_map(|player| [(player, &elsewhere), (player, &beyond)]) {
                let status = attempt(&player.caller, &method, things.request(template, None)).await;
                let status = status.expect_err(&format!("{called} by {}", player.role));
                assert_eq!(reason(&status), "ORGANIZATION_NOT_FOUND", "{} by {}", name(&method), player.role);
                assert_code(&status, Code::NotFound);
            }
        }
        assert_eq!([elsewhere.history(root).await, beyond.history(&stranger).await], before);
    }
}
