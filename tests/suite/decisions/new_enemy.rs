//! The new enemy: a right is taken back, then something new is put where the right was, and then somebody is asked who has
//! not heard that the right was taken back. Whoever hands the revision on is safe; whoever does not, is not.

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::{
    asker::Asker,
    model::{Context, Question},
};
use crate::support::{Caller, Database, Engine, TestServer, replica::Replica, text};

/// Rounds in which the other replica hears as fast as it can.
const ROUNDS: usize = 200;
/// Rounds in which it hears nothing until it was asked.
const DEAF_ROUNDS: usize = 20;

/// Two servers, and a person who may read what is in a folder.
struct House {
    first: TestServer,
    second: Replica,
    asker: Asker,
    organization: String,
    user: String,
    membership: String,
}

impl House {
    async fn build() -> Self {
        let first = TestServer::start(Engine::Postgres).await;
        let root = &first.root;
        root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let made = root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let organization = text(&made["organization"]["organizationId"]);
        let member = json!({"organizationId": organization, "member": {"email": "bob@example.com"}});
        let added = root.call("MembershipService/AddMember", member).await["membership"].clone();
        let second = first.replica(|_| ()).await;
        let asker = Asker::of(&second.root);
        let (user, membership) = (text(&added["userId"]), text(&added["membershipId"]));
        Self { first, second, asker, organization, user, membership }
    }

    fn root(&self) -> &Caller {
        &self.first.root
    }

    async fn write(&self, method: &str, mut request: serde_json::Value) -> serde_json::Value {
        request["organizationId"] = json!(self.organization);
        self.root().call(method, request).await
    }

    fn question(&self, document: &str) -> Question {
        let resource = Some(("doc".to_owned(), document.to_owned()));
        let (user, permission) = (self.user.clone(), "docs:read".to_owned());
        Question { user, permission, resource, context: Context::default() }
    }

    /// What the second one says, without a revision.
    async fn ask_carelessly(&self, document: &str) -> String {
        self.asker.check_as_it_is(&self.organization, &self.question(document)).await
    }

    /// A folder with a document that the person may read, and the second one knows it; the grant's id.
    async fn open(&self, round: usize) -> String {
        let [folder, document] = [format!("folder {round}"), format!("document {round}")];
        self.write("GrantService/PutResource", json!({"resource": doc(&folder)})).await;
        let below = json!({"resource": doc(&document), "parent": doc(&folder)});
        self.write("GrantService/PutResource", below).await;
        let grant = json!({"principal": {"membershipId": self.membership}, "resource": doc(&folder),
            "permission": "docs:read"});
        let granted = self.write("GrantService/SetGrant", grant).await;
        let known = self.asker.check(&self.organization, &self.question(&document), &text(&granted["revision"])).await;
        assert_eq!(known, "GRANT");
        text(&granted["grant"]["grantId"])
    }

    /// The grant is taken back, then a secret is put into the document (and registered below it); then the second one
    /// is asked: its answer without the revision. With the revision it must deny.
    async fn betray(&self, round: usize, grant: &str) -> String {
        self.write("GrantService/RevokeGrant", json!({"grantId": grant})).await;
        let (document, secret) = (format!("document {round}"), format!("secret {round}"));
        let below = json!({"resource": doc(&secret), "parent": doc(&document)});
        let written = self.write("GrantService/PutResource", below).await;
        let ignored = self.ask_carelessly(&document).await;
        let revision = text(&written["revision"]);
        for resource in [&document, &secret] {
            let used = self.asker.check(&self.organization, &self.question(resource), &revision).await;
            assert_eq!(used, "NO_PERMISSION", "round {round}: the revision was not honoured for {resource}");
        }
        ignored
    }

    /// Holds back what all replicas hear of the log, until the connection is let go: events are written, but not numbered.
    async fn deafen(&self) -> PgConnection {
        let Database::Postgres { url } = &self.first.database else { panic!("only PostgreSQL has replicas") };
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
        sqlx::query("LOCK TABLE log_chains IN SHARE MODE").execute(&mut connection).await.unwrap();
        connection
    }
}

fn doc(id: &str) -> serde_json::Value {
    json!({"type": "doc", "id": id})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_enemy_gets_in_where_revisions_are_ignored_and_never_where_they_are_used() {
    let house = House::build().await;
    let mut got_in = 0;
    for round in 0..ROUNDS {
        let grant = house.open(round).await;
        got_in += usize::from(house.betray(round, &grant).await == "GRANT");
    }
    println!("the new enemy got in {got_in} times of {ROUNDS} without a revision");
    for round in ROUNDS..ROUNDS + DEAF_ROUNDS {
        let grant = house.open(round).await;
        let deaf = house.deafen().await;
        got_in += usize::from(house.betray(round, &grant).await == "GRANT");
        drop(deaf);
    }
    let rounds = ROUNDS + DEAF_ROUNDS;
    assert!(got_in > 0, "in {rounds} rounds no replica was late to hear of a grant's end: this test shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_revision_of_a_change_of_the_tenant_includes_what_follows_in_organizations() {
    let house = House::build().await;
    house.root().call("RoleService/CreatePermission", json!({"slug": "docs:write"})).await;
    for (slug, permission) in [("old", "docs:read"), ("new", "docs:write")] {
        house.root().call("RoleService/CreateRole", json!({"slug": slug, "permissions": [permission]})).await;
    }
    let assign = json!({"membershipId": house.membership, "role": "old"});
    let assigned = house.write("MembershipService/AssignRole", assign).await;
    let read = Question { resource: None, ..house.question("") };
    let write = Question { permission: "docs:write".to_owned(), ..read.clone() };
    let ask = async |question: &Question, revision: &serde_json::Value| {
        house.asker.check(&house.organization, question, &text(revision)).await
    };
    assert_eq!(ask(&read, &assigned["revision"]).await, "ROLE");
    let deaf = house.deafen().await;
    let delete = json!({"slug": "old", "replacementRole": "new"});
    let deleted = house.root().call("RoleService/DeleteRole", delete).await;
    let write = ask(&write, &deleted["revision"]).await;
    assert_eq!(write, "ROLE", "the replica does not know that the member has another role");
    assert_eq!(ask(&read, &deleted["revision"]).await, "NO_PERMISSION");
    drop(deaf);
}

/// Who writes to a replica has seen what was committed elsewhere, also where the write changes nothing more: so has the
/// replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_is_not_answered_from_before_what_the_write_saw() {
    let house = House::build().await;
    let second = &house.second.root;
    house.root().call("RoleService/CreateRole", json!({"slug": "reader", "permissions": ["docs:read"]})).await;
    let assign = json!({"organizationId": house.organization, "membershipId": house.membership, "role": "reader"});
    let question = Question { resource: None, ..house.question("") };
    let before = house.asker.check_as_it_is(&house.organization, &question).await;
    assert_eq!(before, "NO_PERMISSION");

    let deaf = house.deafen().await;
    let role = json!({"role": {"slug": "reader", "permissions": []}, "updateMask": "permissions"});
    house.root().call("RoleService/UpdateRole", role).await;
    second.call("MembershipService/AssignRole", assign).await;
    let assigned = house.asker.check_as_it_is(&house.organization, &question).await;
    assert_eq!(assigned, "NO_PERMISSION", "the role had lost the permission before it was assigned");
    let suspend = json!({"organizationId": house.organization, "membershipId": house.membership});
    house.root().call("MembershipService/SuspendMembership", suspend.clone()).await;
    second.call("MembershipService/SuspendMembership", suspend).await;
    let suspended = house.asker.check_as_it_is(&house.organization, &question).await;
    assert_eq!(suspended, "MEMBERSHIP_SUSPENDED", "suspended already, says the answer");
    drop(deaf);
}

/// The roles of a tenant and their assignments are in different streams: a replica may have heard that a role is gone,
/// and not yet what members have in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_role_is_gone_first_no_lower_one_counts_in_its_place() {
    let house = House::build().await;
    let root = house.root();
    for (slug, permissions) in [("low", json!(["docs:read"])), ("new", json!([])), ("old", json!([]))] {
        root.call("RoleService/CreateRole", json!({"slug": slug, "permissions": permissions})).await;
    }
    let tenant = root.call("TenantService/GetTenant", json!({})).await["tenant"].clone();
    let mut order = super::history::strings(&tenant["rolePriority"]);
    order.retain(|role| !["old", "new", "low"].contains(&role.as_str()));
    order.splice(1..1, ["old", "new", "low"].map(str::to_owned));
    root.call("RoleService/SetRolePriority", json!({"roles": order})).await;
    let highest = json!({"tenantId": tenant["tenantId"], "roleMode": "ROLE_MODE_HIGHEST_PRIORITY"});
    root.call("TenantService/UpdateTenant", json!({"tenant": highest, "updateMask": "roleMode"})).await;
    let roles = json!({"membershipId": house.membership, "roles": ["old", "low"]});
    let set = house.write("MembershipService/SetRoles", roles).await;
    let question = Question { resource: None, ..house.question("") };
    let before = house.asker.check(&house.organization, &question, &text(&set["revision"])).await;
    assert_eq!(before, "NO_PERMISSION");

    let other = root.call("OrganizationService/CreateOrganization", json!({"slug": "other"})).await;
    let deaf = house.deafen().await;
    let delete = json!({"slug": "old", "replacementRole": "new"});
    let deleted = root.call("RoleService/DeleteRole", delete).await;
    // A question elsewhere brings the tenant's state forward, and nothing else.
    let elsewhere = text(&other["organization"]["organizationId"]);
    assert_eq!(house.asker.check(&elsewhere, &question, &text(&deleted["revision"])).await, "NOT_A_MEMBER");
    let between = house.asker.check_as_it_is(&house.organization, &question).await;
    drop(deaf);
    let after = house.asker.check(&house.organization, &question, &text(&deleted["revision"])).await;
    assert_eq!((between.as_str(), after.as_str()), ("NO_PERMISSION", "NO_PERMISSION"));
}
