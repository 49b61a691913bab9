//! More organizations than there is room for: they come and go, and every answer is right.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Caller, Engine, TestServer, text};

/// Far less than all of them take.
const BYTES: usize = 64 << 10;
const ORGANIZATIONS: usize = 240;
/// Who walk about, each in organizations of their own.
const WALKERS: usize = 4;
const STEPS: usize = 400;

/// The users: the first one may read everywhere and always, the last one is a member nowhere.
const USERS: usize = 6;
const STEADY: usize = 0;
const NOBODY: usize = USERS - 1;

/// An organization, as it should be.
struct Place {
    id: String,
    memberships: Vec<String>,
    readers: [bool; USERS],
}

/// A random walk that is the same every time.
struct Walk(u64);

impl Walk {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

struct Town {
    caller: Caller,
    users: Vec<String>,
}

impl Town {
    async fn found(caller: Caller) -> Self {
        caller.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        caller.call("RoleService/CreateRole", json!({"slug": "reader", "permissions": ["docs:read"]})).await;
        let mut users = Vec::new();
        for index in 0..USERS {
            let user = json!({"email": format!("user-{index}@example.com")});
            users.push(text(&caller.call("UserService/CreateUser", user).await["user"]["userId"]));
        }
        Self { caller, users }
    }

    async fn build(&self, slug: &str, walk: &mut Walk) -> Place {
        let made = self.caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
        let id = text(&made["organization"]["organizationId"]);
        let mut readers = std::array::from_fn(|_| walk.below(2) == 0);
        (readers[STEADY], readers[NOBODY]) = (true, false);
        let member = |(user, reads): (&String, &bool)| json!({"userId": user, "roles": [role(*reads)]});
        let members: Vec<Value> = self.users[..NOBODY].iter().zip(&readers).map(member).collect();
        let add = json!({"organizationId": id, "members": members});
        let added = self.caller.call("MembershipService/BatchAddMembers", add).await;
        let results = added["results"].as_array().unwrap();
        let memberships = results.iter().map(|result| text(&result["membership"]["membershipId"])).collect();
        Place { id, memberships, readers }
    }

    fn question(&self, id: &str, user: usize) -> Value {
        json!({"organizationId": id, "userId": self.users[user], "permission": "docs:read"})
    }

    async fn check(&self, id: &str, user: usize) -> String {
        text(&self.caller.call("AuthorizationService/Check", self.question(id, user)).await["reason"])
    }

    /// One of the things that somebody does in an organization.
    async fn step(&self, place: &mut Place, walk: &mut Walk) {
        let user = walk.below(USERS);
        match walk.below(20) {
            0..=2 if user != STEADY && user != NOBODY => {
                place.readers[user] = !place.readers[user];
                let roles = json!({"organizationId": place.id, "membershipId": place.memberships[user],
                    "roles": [role(place.readers[user])]});
                self.caller.call("MembershipService/SetRoles", roles).await;
            }
            3 => {
                let entries: Vec<Value> =
                    self.users.iter().map(|user| json!({"userId": user, "permission": "docs:read"})).collect();
                let batch = json!({"organizationId": place.id, "entries": entries});
                let answer = self.caller.call("AuthorizationService/BatchCheck", batch).await;
                for (result, user) in answer["results"].as_array().unwrap().iter().zip(0..) {
                    assert_eq!(result["reason"], expected(place, user), "{} in {}", user, place.id);
                }
            }
            4 => {
                let list = json!({"organizationId": place.id, "permission": "docs:read"});
                let listed = self.caller.list("AuthorizationService/ListSubjects", list, "subjects").await;
                let mut listed: Vec<String> = listed.iter().map(|subject| text(&subject["userId"])).collect();
                listed.sort();
                let may = (0..USERS).filter(|user| place.readers[*user]).map(|user| self.users[user].clone());
                assert_eq!(listed, may.collect::<Vec<_>>(), "in {}", place.id);
            }
            _ => assert_eq!(self.check(&place.id, user).await, expected(place, user), "{user} in {}", place.id),
        }
    }
}

fn role(reads: bool) -> &'static str {
    if reads { "reader" } else { "member" }
}

fn expected(place: &Place, user: usize) -> &'static str {
    match (user, place.readers[user]) {
        (NOBODY, _) => "CHECK_REASON_NOT_A_MEMBER",
        (_, true) => "CHECK_REASON_ROLE",
        (_, false) => "CHECK_REASON_NO_PERMISSION",
    }
}

async fn crowded(engine: Engine) {
    let server = TestServer::with_index(engine, |settings| settings.memory_bytes = BYTES).await;
    let town = Arc::new(Town::found(server.root.clone()).await);
    let mut walk = Walk(0x9e37_79b9_7f4a_7c15);
    let mut places = Vec::new();
    for index in 0..ORGANIZATIONS {
        places.push(town.build(&format!("place-{index}"), &mut walk).await);
    }
    let ids: Arc<Vec<String>> = Arc::new(places.iter().map(|place| place.id.clone()).collect());
    let mut walkers = tokio::task::JoinSet::new();
    for walker in 0..WALKERS {
        let mut own = places.split_off(places.len() - ORGANIZATIONS / WALKERS);
        let (town, ids, mut walk) = (town.clone(), ids.clone(), Walk(walk.0 + walker as u64 + 1));
        walkers.spawn(async move {
            for _ in 0..STEPS {
                // Some places are asked about all the time, most now and then.
                let bound = if walk.below(3) == 0 { own.len() } else { 4 };
                let place = walk.below(bound);
                town.step(&mut own[place], &mut walk).await;
                // Elsewhere, where somebody else changes other things at this moment.
                let id = &ids[walk.below(ids.len())];
                assert_eq!(town.check(id, STEADY).await, "CHECK_REASON_ROLE", "in {id}");
            }
            own
        });
    }
    let own = walkers.join_all().await.into_iter().flatten();
    for place in own {
        for user in 0..USERS {
            assert_eq!(town.check(&place.id, user).await, expected(&place, user), "{user} in {}", place.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organizations_come_and_go_and_every_answer_is_right_on_sqlite() {
    crowded(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organizations_come_and_go_and_every_answer_is_right_on_postgres() {
    crowded(Engine::Postgres).await;
}
