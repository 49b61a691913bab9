//! Many write at once, to one tenant and few organizations: whoever has written asks the same server, without a revision,
//! and hears of it. Whatever order the events come in, and also while the organization is being loaded.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Caller, Database, Engine, TestServer, text};

const WRITERS: usize = 12;
const ROUNDS: usize = 12;
const ORGANIZATIONS: usize = 3;
/// So little that an organization is dropped as soon as another one is asked for.
const CROWDED_BYTES: usize = 1;
const ROOMY_BYTES: usize = 64 << 20;

/// Somebody who writes to one organization, and asks about what was written.
struct Writer {
    caller: Caller,
    organization: String,
    name: String,
}

impl Writer {
    async fn reason(&self, user: &str, document: &str) -> String {
        let check = json!({"organizationId": self.organization, "userId": user, "permission": "docs:read",
            "resource": {"type": "doc", "id": document}});
        text(&self.caller.call("AuthorizationService/Check", check).await["reason"]).replace("CHECK_REASON_", "")
    }

    /// A batch of so many questions needs all of the organization: it loads what was dropped, while others write.
    async fn load(&self) {
        let nobody = roster::ids::UserId::generate().to_string();
        let entries = vec![json!({"userId": nobody, "permission": "docs:read"}); 9];
        let batch = json!({"organizationId": self.organization, "entries": entries});
        self.caller.call("AuthorizationService/BatchCheck", batch).await;
    }

    async fn round(&self, round: usize) {
        let (document, email) = (format!("{}-{round}", self.name), format!("{}-{round}@example.com", self.name));
        let member = json!({"organizationId": self.organization, "member": {"email": email}});
        let (added, ()) = tokio::join!(self.caller.call("MembershipService/AddMember", member), self.load());
        let added = added["membership"].clone();
        let user = text(&added["userId"]);
        assert_eq!(self.reason(&user, &document).await, "NO_PERMISSION", "{document}: a new member");
        let grant = json!({"organizationId": self.organization, "principal": {"membershipId": added["membershipId"]},
            "resource": {"type": "doc", "id": document}, "permission": "docs:read"});
        tokio::join!(self.caller.call("GrantService/SetGrant", grant), self.load());
        assert_eq!(self.reason(&user, &document).await, "GRANT", "{document}: a new grant");
        self.caller.call("UserService/SuspendUser", json!({"userId": user})).await;
        assert_eq!(self.reason(&user, &document).await, "USER_SUSPENDED", "{document}: a suspended user");
    }
}

async fn hears_of_own_writes(engine: Engine, memory_bytes: usize) {
    let server = TestServer::with_index(engine, |index| index.memory_bytes = memory_bytes).await;
    server.root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    let mut organizations = Vec::new();
    for number in 0..ORGANIZATIONS {
        let made = server.root.call("OrganizationService/CreateOrganization", json!({"slug": format!("o{number}")}));
        organizations.push(text(&made.await["organization"]["organizationId"]));
    }
    // On PostgreSQL half of them write to another server, so that a server hears of those from the log alone.
    let second = match &server.database {
        Database::Postgres { .. } => Some(server.replica(|config| config.index.memory_bytes = memory_bytes).await),
        Database::Sqlite(_) => None,
    };
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        let at_second = second.as_ref().filter(|_| number % 2 == 1);
        let caller = at_second.map_or(&server.root, |second| &second.root).clone();
        let organization = organizations[number / 2 % ORGANIZATIONS].clone();
        let writer = Arc::new(Writer { caller, organization, name: format!("writer-{number}") });
        writers.spawn(async move {
            for round in 0..ROUNDS {
                writer.round(round).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_hears_of_it_on_postgres() {
    hears_of_own_writes(Engine::Postgres, ROOMY_BYTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_hears_of_it_on_sqlite() {
    hears_of_own_writes(Engine::Sqlite, ROOMY_BYTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_hears_of_it_while_organizations_come_and_go_on_postgres() {
    hears_of_own_writes(Engine::Postgres, CROWDED_BYTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_hears_of_it_while_organizations_come_and_go_on_sqlite() {
    hears_of_own_writes(Engine::Sqlite, CROWDED_BYTES).await;
}
