//! A real run that makes one of every event: by the calls of [`LIFE`], and by letting time pass.

use std::time::{Duration, Instant};

use prost_reflect::{DynamicMessage, Value as Field};
use serde_json::{Value, json};

use crate::{
    support::{
        Caller, Database, Engine, TestServer, config,
        name_server::{At, NameServer},
        smtp::MailServer,
        text,
    },
    tenants::{LIFE, Words},
};

const DAY: Duration = Duration::from_hours(24);
/// How long what happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the tenant has as well as an organization, and [`LIFE`] shows in an organization alone.
const TENANT_WIDE: [(&str, &str); 7] = [
    ("RoleService/CreateRole", r#"{"slug": "x"}"#),
    ("RoleService/UpdateRole", r#"{"role": {"slug": "x", "description": "D"}, "updateMask": "description"}"#),
    ("RoleService/UpdateRole", r#"{"role": {"slug": "x", "permissions": ["*"]}, "updateMask": "permissions"}"#),
    ("RoleService/DeleteRole", r#"{"slug": "x"}"#),
    ("PolicyService/PutPolicy", r#"{"policy": {"name": "q", "text": "permit (principal, action, resource);"}}"#),
    ("PolicyService/PutPolicy", r#"{"policy": {"name": "q", "text": "forbid (principal, action, resource);"}}"#),
    ("PolicyService/DeletePolicy", r#"{"name": "q"}"#),
];

/// The whole log of a tenant in which everything happened, by position.
pub async fn events(engine: Engine) -> Vec<DynamicMessage> {
    let house = House::lived(engine).await;
    let log = house.log().await;
    house.server.stop().await;
    log
}

/// A server, and what it asks and tells.
pub struct House {
    pub server: TestServer,
    dns: NameServer,
    mail: MailServer,
}

impl House {
    /// One in which everything happened.
    pub async fn lived(engine: Engine) -> Self {
        let (dns, mail) = (NameServer::start().await, MailServer::start().await);
        let database = Database::fresh(engine).await;
        let mut config = config(&database);
        config.domains.dns_servers = vec![dns.address];
        config.mail.smtp_url = Some(mail.url());
        config.audit.checkpoint_after = DAY * 60; // none comes before the end
        config.mail.from = "Acme <hello@acme.example>".parse().unwrap();
        let house = Self { server: TestServer::configured(database, config).await, dns, mail };
        house.live().await;
        for (method, request) in TENANT_WIDE {
            house.root().call(method, serde_json::from_str(request).unwrap()).await;
        }
        house.let_time_pass().await;
        house
    }

    fn root(&self) -> &Caller {
        &self.server.root
    }

    async fn live(&self) {
        let own = self.root().call("TenantService/GetTenant", json!({})).await;
        let tenant = text(&own["tenant"]["tenantId"]);
        let mut words = Words::of(&tenant);
        for (index, (method, template, name, _)) in LIFE.iter().enumerate() {
            let mut request = words.fill(template);
            let request_id = format!("request-{index}");
            request["requestId"] = json!(request_id);
            words.hear(&self.root().call(method, request).await);
            let stream = words.of_kind("organization").unwrap_or(&tenant);
            let mut events = self.of_type(stream, name).await;
            events.extend(self.of_type(&tenant, name).await);
            words.see(events.iter().find(|event| event["requestId"] == request_id.as_str()).expect(method));
        }
    }

    async fn of_type(&self, stream: &str, name: &str) -> Vec<Value> {
        let request = json!({"streamId": stream, "types": [name], "pageSize": 1000});
        self.root().call("EventService/ListEvents", request).await["events"].as_array().unwrap().clone()
    }

    /// What happens by itself: mails, and what the sweeper and the checker of domains do in their time.
    async fn let_time_pass(&self) {
        let made = self.root().call("OrganizationService/CreateOrganization", json!({"slug": "crew"})).await;
        let organization = text(&made["organization"]["organizationId"]);
        let call = async |method: &str, mut request: Value| {
            request["organizationId"] = json!(organization);
            self.root().call(method, request).await
        };
        let invite = |email: &str| json!({"invitation": {"email": email}});
        call("InvitationService/CreateInvitation", invite("dan@example.com")).await;
        self.until(&organization, "invitation.mail_sent", 1).await;
        self.mail.refuse(550, "no such mailbox");
        call("InvitationService/CreateInvitation", invite("eve@example.com")).await;
        self.until(&organization, "invitation.mail_failed", 1).await;
        call("DomainService/AddDomain", json!({"name": "other.example"})).await;
        let domain = call("DomainService/AddDomain", json!({"name": "crew.example"})).await["domain"].clone();
        self.dns.say(&text(&domain["recordName"]), At::txt(&text(&domain["recordValue"])));
        call("DomainService/ConfirmDomain", json!({"domainId": domain["domainId"]})).await;
        let join = json!({"organizationId": organization, "domainId": domain["domainId"],
            "autoJoin": {"mode": "AUTO_JOIN_MODE_JOIN"}});
        self.root().call("DomainService/UpdateDomain", json!({"domain": join, "updateMask": "autoJoin"})).await;
        self.pass(7);
        self.until(&organization, "domain.checked", 1).await;
        // Before the clock moves on: what is due now happens now, in every run.
        self.until(&organization, "invitation.expired", 2).await;
        self.dns.forget(&text(&domain["recordName"]));
        self.pass(7);
        self.until(&organization, "domain.checked", 2).await;
        self.pass(7);
        self.until(&organization, "domain.lost", 1).await;
        self.pass(30);
        self.until(&organization, "domain.failed", 1).await;
        self.until("", "organization.purged", 1).await;
        self.pass(30);
        self.until(&organization, "checkpoint.signed", 1).await;
    }

    fn pass(&self, days: u32) {
        self.server.clock.advance(DAY * days);
    }

    async fn until(&self, stream: &str, name: &str, count: usize) {
        let begin = Instant::now();
        while self.of_type(stream, name).await.len() < count {
            assert!(begin.elapsed() < PATIENCE, "no {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The events as they are, not as JSON; all that have a position when the last one has.
    async fn log(&self) -> Vec<DynamicMessage> {
        let pool = roster::dynamic::contract().unwrap();
        let method = roster::dynamic::find(&pool, "EventService/ListEvents").unwrap();
        let (mut log, mut token) = (Vec::new(), String::new());
        loop {
            let request = json!({"pageSize": 1000, "pageToken": token}).to_string();
            let request = roster::dynamic::parse(&method, &request).unwrap();
            let answer = self.root().client.unary(&method, request).await.unwrap();
            let events = answer.get_field_by_name("events").unwrap().into_owned();
            let Field::List(events) = events else { unreachable!("a list") };
            log.extend(events.into_iter().map(|event| event.as_message().unwrap().clone()));
            token = answer.get_field_by_name("next_page_token").unwrap().as_str().unwrap().to_owned();
            if token.is_empty() {
                return log;
            }
        }
    }
}
