//! Two replicas on one PostgreSQL: what one writes, the other answers by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Caller, Database, Engine,
    process::{Process, free_port},
    text,
};

const ROUNDS: usize = 200;

/// The bar of how late a write may be seen on another replica.
const VISIBLE_P99_MAX: Duration = Duration::from_millis(100);

/// How often that is measured before it counts as missed: one stall of a shared machine is not ours.
const MEASURED: usize = 3;

/// How often others write meanwhile, and in how many organizations.
const WRITES_PER_SECOND: u32 = 200;
const OTHERS: usize = 10;

/// Others who write without end, all the time at the same rate.
struct Writers {
    begin: Instant,
    written: Arc<AtomicUsize>,
    writing: tokio::task::JoinHandle<()>,
}

impl Writers {
    async fn begin(caller: &Caller) -> Self {
        let mut organizations = Vec::with_capacity(OTHERS);
        for other in 0..OTHERS {
            let slug = format!("other-{other}");
            let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
            organizations.push(text(&made["organization"]["organizationId"]));
        }
        let (written, caller) = (Arc::<AtomicUsize>::default(), caller.clone());
        let begin = Instant::now();
        let writing = tokio::spawn(write_without_end(caller, organizations, written.clone()));
        Self { begin, written, writing }
    }

    /// Ends them; answers how many writes there were in a second.
    fn end(self) -> f64 {
        self.writing.abort();
        self.written.load(Ordering::Relaxed) as f64 / self.begin.elapsed().as_secs_f64()
    }
}

async fn write_without_end(caller: Caller, organizations: Vec<String>, written: Arc<AtomicUsize>) {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / WRITES_PER_SECOND);
    for number in 0.. {
        clock.tick().await;
        let (caller, written) = (caller.clone(), written.clone());
        let request = json!({"organizationId": organizations[number % OTHERS],
            "resource": {"type": "doc", "id": format!("{number}")}});
        tokio::spawn(async move {
            caller.call("GrantService/PutResource", request).await;
            written.fetch_add(1, Ordering::Relaxed);
        });
    }
}

/// An organization with one member, whose grant comes and goes.
struct House {
    organization: String,
    user: String,
    membership: String,
}

impl House {
    async fn build(caller: &Caller) -> Self {
        caller.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let organization = text(&created["organization"]["organizationId"]);
        let member = json!({"organizationId": organization, "member": {"email": "ada@example.com"}});
        let added = caller.call("MembershipService/AddMember", member).await;
        let membership = &added["membership"];
        Self { organization, user: text(&membership["userId"]), membership: text(&membership["membershipId"]) }
    }

    /// Grants a document; answers the revision.
    async fn grant(&self, caller: &Caller, document: &str) -> Value {
        let grant = json!({"organizationId": self.organization, "principal": {"membershipId": self.membership},
            "resource": {"type": "doc", "id": document}, "permission": "docs:read"});
        caller.call("GrantService/SetGrant", grant).await["revision"].clone()
    }

    async fn check(&self, caller: &Caller, document: &str, consistency: Value) -> bool {
        let check = json!({"organizationId": self.organization, "userId": self.user, "permission": "docs:read",
            "resource": {"type": "doc", "id": document}, "consistency": consistency});
        caller.call("AuthorizationService/Check", check).await["allowed"].as_bool().unwrap()
    }

    /// A write on one replica is soon seen on the other without a revision.
    async fn ensure_visible_on_the_other(&self, a: &Caller, b: &Caller) {
        let mut p99 = Vec::with_capacity(MEASURED);
        while p99.last().is_none_or(|p99| *p99 > VISIBLE_P99_MAX) {
            assert!(p99.len() < MEASURED, "p99 {p99:?}");
            p99.push(self.visible_on_the_other(a, b).await);
        }
    }

    /// The p99 of the time until a write on one replica is seen on the other without a revision.
    async fn visible_on_the_other(&self, a: &Caller, b: &Caller) -> Duration {
        let mut delays = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let document = format!("without-{}", uuid::Uuid::now_v7().simple());
            self.grant(a, &document).await;
            let begin = Instant::now();
            while !self.check(b, &document, json!({})).await {
                assert!(begin.elapsed() < Duration::from_secs(5), "round {round}");
            }
            delays.push(begin.elapsed());
        }
        delays.sort();
        let at = |share: f64| delays[(share * (ROUNDS - 1) as f64) as usize];
        println!("visible on the other replica without a revision: p50 {:?}, p99 {:?}", at(0.5), at(0.99));
        at(0.99)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_on_one_is_seen_on_the_other() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    let first = Process::start(free_port(), &database.arguments());
    let second = Process::start(free_port(), &database.arguments());
    let a = Caller::connect(&first.address, first.first_key.clone()).await;
    let b = Caller::connect(&second.address, first.first_key.clone()).await;
    let house = House::build(&a).await;
    assert!(!house.check(&b, "warm", json!({})).await);

    for round in 0..ROUNDS {
        let document = format!("with-{round}");
        let revision = house.grant(&a, &document).await;
        assert!(house.check(&b, &document, json!({"atLeastAsFresh": revision})).await, "round {round}");
        let document = format!("full-{round}");
        house.grant(&a, &document).await;
        assert!(house.check(&b, &document, json!({"fullyConsistent": true})).await, "round {round}");
        let document = format!("own-{round}");
        house.grant(&b, &document).await;
        assert!(house.check(&b, &document, json!({})).await, "a write's own replica includes it, round {round}");
    }

    house.ensure_visible_on_the_other(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_seen_on_the_other_while_others_write() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    let first = Process::start(free_port(), &database.arguments());
    let second = Process::start(free_port(), &database.arguments());
    let a = Caller::connect(&first.address, first.first_key.clone()).await;
    let b = Caller::connect(&second.address, first.first_key.clone()).await;
    let house = House::build(&a).await;
    assert!(!house.check(&b, "warm", json!({})).await);
    let writers = Writers::begin(&a).await;
    house.ensure_visible_on_the_other(&a, &b).await;
    let rate = writers.end();
    println!("while others wrote {rate:.0} times per second");
    let wanted = f64::from(WRITES_PER_SECOND);
    assert!(rate >= 0.9 * wanted, "only {rate:.0} of {wanted} writes per second: this machine is too slow to tell");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_dies_the_other_one_numbers_on() {
    let _alone = crate::alone().await;
    let database = Database::fresh(Engine::Postgres).await;
    let mut first = Process::start(free_port(), &database.arguments());
    let second = Process::start(free_port(), &database.arguments());
    let b = Caller::connect(&second.address, first.first_key.clone()).await;
    b.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    first.kill();
    b.call("OrganizationService/CreateOrganization", json!({"slug": "beta"})).await;
    let begin = Instant::now();
    loop {
        let events = b.events("").await;
        let last = events.last().map(|event| text(&event["position"]).parse::<usize>().unwrap());
        // The tenant, its permissions and roles, the first key, and two organizations.
        let all = 1 + roster::permissions::OWN.len() + 6 + 1 + 2;
        if events.len() == all {
            assert_eq!(last, Some(all), "without a gap");
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{} events are numbered", events.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
