//! Server CPU per Check, warm and authenticated, against a unary method of the same server that does nothing: the health
//! service's.

use std::time::{Duration, Instant};

use roster::proto::v1::{self as pb, authorization_service_client::AuthorizationServiceClient};
use serde_json::json;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::service::Service;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;
/// Members of the organization that is asked about.
const MEMBERS: usize = 1_000;

pub async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&["--data-dir".into(), folder.path().display().to_string()]);
    let check = prepare(&service).await;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::new(service.address.clone()).unwrap().connect().await.unwrap());
    }
    load(&service, &channels, Duration::from_secs(1), |channel| ask(channel, check.clone(), &service.key)).await;
    let (mut checks, mut nothings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nothings.push(load(&service, &channels, ROUND, do_nothing).await);
        checks.push(load(&service, &channels, ROUND, |channel| ask(channel, check.clone(), &service.key)).await);
    }
    let (check, nothing) = (median(&checks, |load| load.cpu_micros), median(&nothings, |load| load.cpu_micros));
    println!(
        "Check, warm, authenticated: {check:.1} µs of server CPU; a unary method that does nothing: {nothing:.1} µs"
    );
    println!("  ratio of CPU per request: {:.2}", check / nothing);
    let (check, nothing) = (median(&checks, |load| load.per_second), median(&nothings, |load| load.per_second));
    println!("  ratio of throughput: {:.2} ({check:.0}/s, {nothing:.0}/s)", check / nothing);
    batch(&service, &channels[0]).await;
}

/// One kind of call, for a while.
struct Load {
    per_second: f64,
    cpu_micros: f64,
}

async fn load<F: Future<Output = ()> + Send + 'static>(
    service: &Service,
    channels: &[Channel],
    duration: Duration,
    call: impl Fn(Channel) -> F,
) -> Load {
    let (begin, cpu) = (Instant::now(), service.cpu_seconds());
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..IN_FLIGHT {
        calls.spawn(call(channels[index % channels.len()].clone()));
    }
    let mut done = 0u32;
    while begin.elapsed() < duration {
        calls.join_next().await.unwrap().unwrap();
        done += 1;
        calls.spawn(call(channels[done as usize % channels.len()].clone()));
    }
    while calls.join_next().await.is_some() {
        done += 1;
    }
    let cpu = service.cpu_seconds() - cpu;
    Load { per_second: f64::from(done) / begin.elapsed().as_secs_f64(), cpu_micros: cpu * 1e6 / f64::from(done) }
}

fn median(loads: &[Load], figure: impl Fn(&Load) -> f64) -> f64 {
    let mut figures: Vec<f64> = loads.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn ask(channel: Channel, check: pb::CheckRequest, key: &str) -> impl Future<Output = ()> + Send + use<> {
    let mut request = Request::new(check);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    async move {
        let answer = AuthorizationServiceClient::new(channel).check(request).await.unwrap();
        assert!(answer.get_ref().allowed);
    }
}

async fn do_nothing(channel: Channel) {
    HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.unwrap();
}

/// An organization with members, and a question about one of them.
async fn prepare(service: &Service) -> pb::CheckRequest {
    let caller = crate::writes::Caller::connect(service).await;
    caller.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
    caller.call("RoleService/CreateRole", json!({"slug": "reader", "permissions": ["docs:read"]})).await;
    let created = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let organization_id = created["organization"]["organizationId"].as_str().unwrap().to_owned();
    let member = |index| json!({"email": format!("u{index}@example.com"), "roles": ["member", "reader"]});
    let members: Vec<_> = (0..MEMBERS).map(member).collect();
    let batch = json!({"organizationId": organization_id, "members": members});
    let added = caller.call("MembershipService/BatchAddMembers", batch).await;
    let user_id = added["results"][MEMBERS / 2]["membership"]["userId"].as_str().unwrap().to_owned();
    pb::CheckRequest { organization_id, user_id, permission: "docs:read".into(), resource: None, consistency: None }
}

async fn batch(service: &Service, channel: &Channel) {
    const ENTRIES: usize = 1_000;
    const CALLS: usize = 200;
    let check = prepare_batch(service).await;
    let request = || {
        let mut request = Request::new(check(ENTRIES));
        request.metadata_mut().insert("authorization", format!("Bearer {}", service.key).parse().unwrap());
        request
    };
    let mut client = AuthorizationServiceClient::new(channel.clone());
    client.batch_check(request()).await.unwrap();
    let (begin, cpu) = (Instant::now(), service.cpu_seconds());
    for _ in 0..CALLS {
        client.batch_check(request()).await.unwrap();
    }
    let decisions = (CALLS * ENTRIES) as f64;
    println!(
        "BatchCheck, {ENTRIES} entries: {:.0} decisions/s on one connection, {:.2} µs of server CPU each\n",
        decisions / begin.elapsed().as_secs_f64(),
        (service.cpu_seconds() - cpu) * 1e6 / decisions
    );
}

async fn prepare_batch(service: &Service) -> impl Fn(usize) -> pb::BatchCheckRequest {
    let caller = crate::writes::Caller::connect(service).await;
    let found = caller.call("OrganizationService/LookupOrganization", json!({"slug": "acme"})).await;
    let organization_id = found["organization"]["organizationId"].as_str().unwrap().to_owned();
    let list = json!({"organizationId": organization_id, "pageSize": 1000});
    let listed = caller.call("MembershipService/ListMemberships", list).await;
    let users: Vec<String> = listed["memberships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|membership| membership["userId"].as_str().unwrap().to_owned())
        .collect();
    move |count| {
        let entry = |index: usize| pb::CheckEntry {
            user_id: users[index % users.len()].clone(),
            permission: "docs:read".into(),
            resource: None,
        };
        pb::BatchCheckRequest {
            organization_id: organization_id.clone(),
            entries: (0..count).map(entry).collect(),
            consistency: None,
        }
    }
}
