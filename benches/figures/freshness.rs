//! How late a change on one replica is seen by a Check without a revision on another, on one PostgreSQL, while others
//! write.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    service::Service,
    table::Table,
    writes::{Caller, fresh_postgres},
};

const ROUNDS: usize = 500;
const OTHERS: usize = 10;
const WRITES_PER_SECOND: u32 = 200;

pub async fn run(table: &mut Table) {
    let arguments = ["--database-url".to_owned(), fresh_postgres().await];
    let first = Service::start(&arguments);
    let mut second = Service::start_again(&arguments);
    second.key.clone_from(&first.key);
    let (a, b) = (Caller::connect(&first).await, Caller::connect(&second).await);
    let others = tokio::spawn(write_without_end(a.clone()));
    let mut delays = Vec::with_capacity(ROUNDS);
    a.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    let organization = organization(&a, "acme").await;
    let member = json!({"organizationId": organization, "member": {"email": "ada@example.com"}});
    let membership = a.call("MembershipService/AddMember", member).await["membership"].clone();
    for round in 0..ROUNDS {
        let resource = json!({"type": "doc", "id": round.to_string()});
        let grant = json!({"organizationId": organization, "principal": {"membershipId": membership["membershipId"]},
            "resource": resource, "permission": "docs:read"});
        let check = json!({"organizationId": organization, "userId": membership["userId"], "permission": "docs:read",
            "resource": resource});
        a.call("GrantService/SetGrant", grant).await;
        let begin = Instant::now();
        while b.call("AuthorizationService/Check", check.clone()).await["allowed"] != true {}
        delays.push(begin.elapsed());
    }
    others.abort();
    delays.sort();
    let at = |share: f64| format!("{:.1} ms", delays[(share * (ROUNDS - 1) as f64) as usize].as_secs_f64() * 1e3);
    let what = "freshness: a change on one replica, seen on the other";
    let of = format!("p50 {}, {ROUNDS} changes beside {WRITES_PER_SECOND} writes/s", at(0.5));
    table.row(&format!("{what}: p99"), at(0.99), of, at(0.99), "≤ 100 ms");
}

async fn organization(caller: &Caller, slug: &str) -> Value {
    let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    made["organization"]["organizationId"].clone()
}

async fn write_without_end(caller: Caller) {
    let mut organizations = Vec::new();
    for number in 0..OTHERS {
        organizations.push(organization(&caller, &format!("other-{number}")).await);
    }
    let mut clock = tokio::time::interval(Duration::from_secs(1) / WRITES_PER_SECOND);
    // They end with this task, which is ended before the service.
    let mut writes = tokio::task::JoinSet::new();
    for number in 0.. {
        clock.tick().await;
        while writes.try_join_next().is_some() {}
        let resource = json!({"type": "doc", "id": number.to_string()});
        let request = json!({"organizationId": organizations[number % OTHERS], "resource": resource});
        let caller = caller.clone();
        writes.spawn(async move { caller.call("GrantService/PutResource", request).await });
    }
}
