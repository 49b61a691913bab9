//! One of everything that there is, through Kafka: what the topic amounts to is what the database has.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    alone,
    history::{assert_stream_proven, topic, with_kafka},
    support::{
        Caller, Database, Engine,
        name_server::{At, NameServer},
        process::{Process, free_port, kafka},
        text,
    },
};

/// Makes one of everything in an organization, and changes and takes some of it away.
struct Organization<'c> {
    root: &'c Caller,
    dns: &'c NameServer,
    id: Value,
}

impl<'c> Organization<'c> {
    async fn make(root: &'c Caller, dns: &'c NameServer, slug: &str) -> Self {
        let create = json!({"slug": slug, "initialOwners": [{"email": format!("ada@{slug}.example")}]});
        let made = root.call("OrganizationService/CreateOrganization", create).await;
        let organization = Self { root, dns, id: made["organization"]["organizationId"].clone() };
        organization.furnish(slug).await;
        organization
    }

    async fn call(&self, method: &str, mut request: Value) -> Value {
        request["organizationId"] = self.id.clone();
        self.root.call(method, request).await
    }

    async fn add(&self, email: String) -> Value {
        self.call("MembershipService/AddMember", json!({"member": {"email": email}})).await["membership"].clone()
    }

    async fn furnish(&self, slug: &str) {
        let role = json!({"slug": "org-crew", "permissions": ["docs:read"]});
        self.call("RoleService/CreateRole", role).await;
        let members = [self.add(format!("bo@{slug}.example")).await, self.add(format!("cy@{slug}.example")).await];
        let [bo, cy] = &members;
        let team = self.call("TeamService/CreateTeam", json!({"name": "crew"})).await["team"]["teamId"].clone();
        for member in &members {
            let place = json!({"teamId": team, "membershipId": member["membershipId"]});
            self.call("TeamService/AddTeamMember", place).await;
        }
        let resource = json!({"type": "folder", "id": "plans"});
        self.call("GrantService/PutResource", json!({"resource": resource})).await;
        let grant =
            json!({"resource": resource, "principal": {"membershipId": bo["membershipId"]}, "permission": "docs:read"});
        self.call("GrantService/SetGrant", grant).await;
        let text = "permit (principal, action, resource);";
        let policy = json!({"organizationId": self.id, "name": "open", "text": text});
        self.root.call("PolicyService/PutPolicy", json!({"policy": policy})).await;
        self.domains(slug).await;
        let invite = |name: &str| json!({"email": format!("{name}@{slug}.example"), "skipMail": true});
        let invitations = json!({"invitations": [invite("dan"), invite("eve")]});
        let invited = self.call("InvitationService/BulkCreateInvitations", invitations).await;
        let accept = json!({"token": invited["results"][0]["token"], "email": format!("dan@{slug}.example"),
            "emailVerified": true});
        self.root.call("InvitationService/AcceptInvitation", accept).await;
        self.call("MembershipService/SuspendMembership", json!({"membershipId": bo["membershipId"]})).await;
        self.call("MembershipService/RemoveMember", json!({"membershipId": cy["membershipId"]})).await;
        self.root.call("UserService/EraseUser", json!({"userId": cy["userId"]})).await;
    }

    /// One that is proven and by which somebody joins, and one that is only claimed.
    async fn domains(&self, slug: &str) {
        let name = format!("{slug}.example");
        self.call("DomainService/AddDomain", json!({"name": format!("other-{name}")})).await;
        let domain = self.call("DomainService/AddDomain", json!({"name": name})).await["domain"].clone();
        self.dns.say(&text(&domain["recordName"]), At::txt(&text(&domain["recordValue"])));
        self.call("DomainService/ConfirmDomain", json!({"domainId": domain["domainId"]})).await;
        let join = json!({"organizationId": self.id, "domainId": domain["domainId"],
            "autoJoin": {"mode": "AUTO_JOIN_MODE_JOIN"}});
        self.root.call("DomainService/UpdateDomain", json!({"domain": join, "updateMask": "autoJoin"})).await;
        let arrival = json!({"email": format!("joe@{name}"), "emailVerified": true});
        let joined = self.root.call("DomainService/JoinByEmail", arrival).await;
        assert_eq!(joined["membership"]["status"], "MEMBERSHIP_STATUS_ACTIVE", "{joined}");
    }

    async fn delete(&self) {
        self.call("OrganizationService/DeleteOrganization", json!({})).await;
        let begin = Instant::now();
        while self.call("OrganizationService/GetOrganization", json!({})).await["organization"]["status"]
            != "ORGANIZATION_STATUS_PURGED"
        {
            assert!(begin.elapsed() < Duration::from_secs(30), "it is not purged");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn run(engine: Engine) {
    let _alone = alone().await;
    let (database, dns, topic) = (Database::fresh(engine).await, NameServer::start().await, topic());
    let arguments = with_kafka(&database, &kafka(), &topic);
    let more = ["--restore-days", "0", "--dns-servers", &dns.address.to_string()].map(str::to_owned);
    let service = Process::start(free_port(), &[&arguments[..], &more].concat());
    let root = Caller::connect(&service.address, service.first_key.clone()).await;
    root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    Organization::make(&root, &dns, "acme").await;
    Organization::make(&root, &dns, "beta").await.delete().await;
    assert_stream_proven(&database.arguments(), &kafka(), &topic);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_everything_is_the_same_in_topic_and_database_on_sqlite() {
    run(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_everything_is_the_same_in_topic_and_database_on_postgres() {
    run(Engine::Postgres).await;
}
