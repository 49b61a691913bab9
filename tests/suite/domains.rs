//! Domains: claimed, proven by a real name server, held by one, looked up again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    support::{
        Caller, Engine, TestServer, bad_fields,
        name_server::{At, NameServer},
        text,
    },
    tenants::state,
};

const DAY: Duration = Duration::from_hours(24);
/// How long what happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and the name server that it asks.
struct House {
    server: TestServer,
    dns: NameServer,
}

impl House {
    async fn start(engine: Engine) -> Self {
        let dns = NameServer::start().await;
        let server = TestServer::with(engine, |config| config.domains.dns_servers = vec![dns.address]).await;
        Self { server, dns }
    }

    fn root(&self) -> &Caller {
        &self.server.root
    }

    async fn organization(&self, slug: &str) -> Value {
        let made = self.root().call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
        made["organization"]["organizationId"].clone()
    }

    async fn add(&self, organization: &Value, name: &str) -> Value {
        let add = json!({"organizationId": organization, "name": name});
        self.root().call("DomainService/AddDomain", add).await["domain"].clone()
    }

    fn publish(&self, domain: &Value) {
        self.dns.say(&text(&domain["recordName"]), At::txt(&text(&domain["recordValue"])));
    }

    async fn confirm(&self, domain: &Value) -> Value {
        self.root().call("DomainService/ConfirmDomain", which(domain)).await["domain"].clone()
    }

    async fn verified(&self, organization: &Value, name: &str) -> Value {
        let domain = self.add(organization, name).await;
        self.publish(&domain);
        self.confirm(&domain).await
    }

    async fn get(&self, domain: &Value) -> Value {
        self.root().call("DomainService/GetDomain", which(domain)).await["domain"].clone()
    }

    async fn until(&self, domain: &Value, what: impl Fn(&Value) -> bool) -> Value {
        let begin = std::time::Instant::now();
        loop {
            let now = self.get(domain).await;
            if what(&now) {
                return now;
            }
            assert!(begin.elapsed() < PATIENCE, "{now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether a domain is to be looked at by now.
    async fn is_due(&self) -> bool {
        let now = self.server.clock.clock().now();
        let db = roster::db::Db::open(&self.server.location()).await.unwrap();
        let sql = "SELECT COUNT(*) FROM domains WHERE next_check_at <= $1";
        let (count,): (i64,) = db.snapshot().await.unwrap().fetch_one(sql, vec![now.into()]).await.unwrap();
        db.close().await;
        count > 0
    }

    /// A domain as the last event of its organization leaves it.
    async fn last_told(&self, organization: &Value) -> Value {
        let events = self.root().events(&text(organization)).await;
        let last = events.last().unwrap();
        state(last, last["type"].as_str().unwrap(), "after").clone()
    }

    async fn types(&self, organization: &Value) -> Vec<String> {
        let events = self.root().events(&text(organization)).await;
        let types = events.iter().map(|event| text(&event["type"]));
        types.filter(|name| name.starts_with("domain.")).collect()
    }
}

fn which(domain: &Value) -> Value {
    json!({"organizationId": domain["organizationId"], "domainId": domain["domainId"]})
}

fn status(name: &str) -> impl Fn(&Value) -> bool {
    let name = format!("DOMAIN_STATUS_{name}");
    move |domain| domain["status"] == name.as_str()
}

/// A test on both engines, with a name server.
macro_rules! with_names {
    ($($(#[$doc:meta])* async fn $name:ident($house:ident) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn run($house: House) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                run(House::start(Engine::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                run(House::start(Engine::Postgres).await).await;
            }
        }
    )*};
}

mod joining;

with_names! {
    async fn a_domain_is_proven_by_its_record(house) {
        let acme = house.organization("acme").await;
        let domain = house.add(&acme, " B\u{fc}cher.Example.COM. ").await;
        assert_eq!(domain["name"], "xn--bcher-kva.example.com");
        assert_eq!(domain["recordName"], "_roster-challenge.xn--bcher-kva.example.com");
        assert!(text(&domain["recordValue"]).contains(&text(&acme)), "bound to the organization");
        assert!(status("PENDING")(&domain));
        house.publish(&domain);
        let verified = house.confirm(&domain).await;
        assert!(status("VERIFIED")(&verified) && verified["verifyTime"].is_string());
        assert_eq!(house.confirm(&domain).await, verified, "confirming again changes nothing");
        let mut repeated = which(&domain);
        repeated["requestId"] = json!("one");
        let first = house.root().call("DomainService/ConfirmDomain", repeated.clone()).await;
        assert_eq!(house.get(&domain).await, verified);
        let listed = house.root().list("DomainService/ListDomains", json!({"organizationId": acme}), "domains").await;
        assert_eq!(listed, [verified]);
        house.root().call("DomainService/RemoveDomain", which(&domain)).await;
        house.root().refused("DomainService/GetDomain", which(&domain), "DOMAIN_NOT_FOUND").await;
        assert_eq!(house.root().call("DomainService/ConfirmDomain", repeated).await, first, "as it was answered before");
        house.root().refused("DomainService/ConfirmDomain", which(&domain), "DOMAIN_NOT_FOUND").await;
        assert_eq!(house.types(&acme).await, ["domain.added", "domain.verified", "domain.removed"]);
    }

    async fn a_refusal_says_why(house) {
        let acme = house.organization("acme").await;
        let domain = house.add(&acme, "example.com").await;
        let (name, value) = (text(&domain["recordName"]), text(&domain["recordValue"]));
        let refused = async |reason: &str| {
            house.root().refused("DomainService/ConfirmDomain", which(&domain), reason).await;
        };
        refused("DNS_NO_NAME").await;
        house.dns.say(&name, At::Nothing);
        refused("DNS_NO_RECORD").await;
        house.dns.say(&name, At::txt("v=spf1 -all"));
        refused("DNS_OTHER_VALUE").await;
        house.dns.say(&name, At::txt(&value[..value.len() - 1]));
        refused("DNS_OTHER_VALUE").await;
        house.dns.say(&name, At::ServFail);
        refused("DNS_FAILURE").await;
        house.dns.say(&name, At::Cname("nowhere.example.net".to_owned()));
        refused("DNS_NO_NAME").await;
        assert!(status("PENDING")(&house.get(&domain).await));
        assert_eq!(house.types(&acme).await, ["domain.added"]);
        // Among others, in chunks, and by way of another name.
        let (left, right) = value.split_at(7);
        let chunks = vec![vec!["other".to_owned()], vec![left.to_owned(), right.to_owned()]];
        house.dns.say("proof.example.net", At::Txt(chunks));
        house.dns.say(&name, At::Cname("proof.example.net".to_owned()));
        assert!(status("VERIFIED")(&house.confirm(&domain).await));
    }

    async fn what_belongs_to_everybody_is_refused(house) {
        let acme = house.organization("acme").await;
        let add = |name: &str| json!({"organizationId": acme, "name": name});
        for name in ["co.uk", "github.io", "gmail.com", "GMAIL.com", "mail.gmail.com", "mailinator.com"] {
            house.root().refused("DomainService/AddDomain", add(name), "DOMAIN_NOT_ALLOWED").await;
        }
        for name in ["", "127.0.0.1", "[::1]", "localhost", "com", "a b.com", "*.example.com", "https://example.com"] {
            let status = house.root().refused("DomainService/AddDomain", add(name), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["name"], "{name}");
        }
        assert_eq!(house.types(&acme).await, [""; 0]);
        for name in ["acme.github.io", "example.co.uk"] {
            house.add(&acme, name).await;
        }
        house.root().refused("DomainService/AddDomain", add("EXAMPLE.co.uk"), "ALREADY_CLAIMED").await;
    }

    async fn whoever_waits_for_a_silent_server_keeps_nobody_else_waiting(house) {
        let acme = house.organization("acme").await;
        let mut domains = Vec::new();
        for number in 0..24 {
            let domain = house.add(&acme, &format!("silent{number}.com")).await;
            house.dns.say(&text(&domain["recordName"]), At::Silence);
            domains.push(domain);
        }
        let waiting: Vec<_> = domains.iter().map(|domain| {
            let (caller, request) = (house.root().clone(), which(domain));
            tokio::spawn(async move { caller.try_call("DomainService/ConfirmDomain", request).await })
        }).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begin = std::time::Instant::now();
        assert!(waiting.iter().all(|call| !call.is_finished()), "they do not wait");
        house.organization("beta").await;
        house.get(&domains[0]).await;
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        for call in waiting {
            assert_eq!(crate::support::reason(&call.await.unwrap().unwrap_err()), "DNS_FAILURE");
        }
    }

    async fn several_claim_a_domain_and_one_holds_it(house) {
        let [acme, beta] = [house.organization("acme").await, house.organization("beta").await];
        let [of_acme, of_beta] = [house.add(&acme, "example.com").await, house.add(&beta, "example.com").await];
        assert_ne!(of_acme["recordValue"], of_beta["recordValue"]);
        let both = [&of_acme, &of_beta].map(|domain| vec![text(&domain["recordValue"])]);
        house.dns.say("_roster-challenge.example.com", At::Txt(both.to_vec()));
        house.confirm(&of_acme).await;
        house.root().refused("DomainService/ConfirmDomain", which(&of_beta), "DOMAIN_TAKEN").await;
        house.root().call("DomainService/RemoveDomain", which(&of_acme)).await;
        assert!(status("VERIFIED")(&house.confirm(&of_beta).await));
        let other = json!({"organizationId": acme, "domainId": of_beta["domainId"]});
        house.root().refused("DomainService/GetDomain", other, "DOMAIN_NOT_FOUND").await;
    }

    async fn a_claim_fails_after_30_days_and_is_begun_anew(house) {
        let acme = house.organization("acme").await;
        let domain = house.add(&acme, "example.com").await;
        house.publish(&domain);
        house.server.clock.advance(DAY * 30);
        let failed = house.until(&domain, status("FAILED")).await;
        assert_eq!(failed["recordValue"], domain["recordValue"]);
        house.root().refused("DomainService/ConfirmDomain", which(&domain), "ILLEGAL_TRANSITION").await;
        let begun = house.root().call("DomainService/StartVerification", which(&domain)).await["domain"].clone();
        assert!(status("PENDING")(&begun) && begun["recordValue"] != domain["recordValue"]);
        house.root().refused("DomainService/ConfirmDomain", which(&domain), "DNS_OTHER_VALUE").await;
        house.publish(&begun);
        house.confirm(&domain).await;
        house.root().refused("DomainService/StartVerification", which(&domain), "ILLEGAL_TRANSITION").await;
        let all = ["domain.added", "domain.failed", "domain.verification_started", "domain.verified"];
        assert_eq!(house.types(&acme).await, all, "each once");
    }

    async fn a_domain_is_lost_only_when_its_record_is_denied_for_7_days(house) {
        let acme = house.organization("acme").await;
        let domain = house.verified(&acme, "example.com").await;
        let name = text(&domain["recordName"]);
        let pass = async |days: u32, at: At| {
            house.dns.say(&name, at);
            let asked = house.dns.asked();
            house.server.clock.advance(DAY * days);
            let begin = std::time::Instant::now();
            while house.dns.asked() == asked && begin.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(house.dns.asked() > asked, "nobody looked");
            // What they said is settled before the clock moves on.
            while house.is_due().await && begin.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(!house.is_due().await, "what they said was not settled");
            assert_eq!(house.last_told(&acme).await, house.get(&domain).await, "the log has what the service has");
        };
        // What nobody can say is no denial, however long.
        pass(7, At::ServFail).await;
        pass(7, At::ServFail).await;
        assert!(status("VERIFIED")(&house.until(&domain, |now| now["missingSinceTime"].is_null()).await));
        pass(7, At::Nothing).await;
        let missing = house.until(&domain, |now| now["missingSinceTime"].is_string()).await;
        assert!(status("VERIFIED")(&missing));
        pass(6, At::txt(&text(&domain["recordValue"]))).await;
        house.until(&domain, |now| now["missingSinceTime"].is_null()).await;
        pass(7, At::txt("something else")).await;
        house.until(&domain, |now| now["missingSinceTime"].is_string()).await;
        pass(3, At::Nothing).await;
        assert!(status("VERIFIED")(&house.get(&domain).await));
        pass(4, At::Nothing).await;
        house.until(&domain, status("LOST")).await;
        let told = house.types(&acme).await;
        assert_eq!(told, [&["domain.added", "domain.verified"][..], &["domain.checked"; 4], &["domain.lost"]].concat());
    }

    async fn who_joins_is_said_for_a_verified_domain(house) {
        let acme = house.organization("acme").await;
        let domain = house.add(&acme, "example.com").await;
        let update = |auto_join: Value| {
            let mut changed = which(&domain);
            changed["autoJoin"] = auto_join;
            json!({"domain": changed, "updateMask": "autoJoin"})
        };
        let join = json!({"mode": "AUTO_JOIN_MODE_JOIN", "excluded": ["Bot-*"], "membersMax": 5});
        house.root().refused("DomainService/UpdateDomain", update(join.clone()), "DOMAIN_NOT_VERIFIED").await;
        house.publish(&domain);
        house.confirm(&domain).await;
        for (role, reason) in [("owner", "INVALID_REQUEST"), ("admin", "INVALID_REQUEST"), ("nobody", "ROLE_NOT_FOUND")] {
            let with_role = json!({"mode": "AUTO_JOIN_MODE_JOIN", "role": role});
            house.root().refused("DomainService/UpdateDomain", update(with_role), reason).await;
        }
        let bad = json!({"mode": "AUTO_JOIN_MODE_JOIN", "excluded": ["a@b", ""], "membersMax": -1});
        let refusal = house.root().refused("DomainService/UpdateDomain", update(bad), "INVALID_REQUEST").await;
        let fields = ["excluded[0]", "excluded[1]", "members_max"].map(|field| format!("domain.auto_join.{field}"));
        assert_eq!(bad_fields(&refusal), fields);
        let updated = house.root().call("DomainService/UpdateDomain", update(join.clone())).await["domain"].clone();
        assert_eq!(updated["autoJoin"]["excluded"], json!(["bot-*"]));
        assert_eq!(house.root().call("DomainService/UpdateDomain", update(join)).await["domain"], updated);
        assert_eq!(house.types(&acme).await, ["domain.added", "domain.verified", "domain.updated"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_is_silent_is_a_failure_and_the_next_one_is_asked() {
    let (silent, other) = (NameServer::start().await, NameServer::start().await);
    let servers = vec![silent.address, other.address];
    let server = TestServer::with(Engine::Sqlite, |config| config.domains.dns_servers = servers).await;
    let house = House { server, dns: other };
    let acme = house.organization("acme").await;
    let domain = house.add(&acme, "example.com").await;
    silent.say(&text(&domain["recordName"]), At::Silence);
    house.publish(&domain);
    assert!(status("VERIFIED")(&house.confirm(&domain).await));

    let alone = TestServer::with(Engine::Sqlite, |config| config.domains.dns_servers = vec![silent.address]).await;
    let house = House { server: alone, dns: silent.clone() };
    let acme = house.organization("acme").await;
    let domain = house.add(&acme, "example.com").await;
    silent.say(&text(&domain["recordName"]), At::Silence);
    house.root().refused("DomainService/ConfirmDomain", which(&domain), "DNS_FAILURE").await;
}
