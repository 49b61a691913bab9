//! Check: what it costs warm, with a token, beside a million memberships; against a unary method of the same server that
//! does nothing, the health service's.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use roster::proto::v1::{self as pb, authorization_service_client::AuthorizationServiceClient};
use serde_json::json;
use tonic::{Request, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    issuer::Issuer,
    load::{self, median},
    service::Service,
    table::Table,
    tenant::{self, Member, SHAPES},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const BATCH: usize = 1_000;
/// So many questions at once need the whole organization: fewer are answered from the database while it is cold.
const WHOLE: usize = 16;
/// How long the service answers at half of what it can.
const HALF: Duration = Duration::from_secs(15);
/// One call of so many is a write.
const WRITE_EVERY: usize = 100;

pub async fn run(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(folder.path());
    println!("putting {} memberships into a database", memberships());
    let organizations = tenant::fill(folder.path()).await;
    let arguments = issuer.arguments(folder.path());
    let service = Service::start_again(&arguments);
    let token = issuer.token();
    memory(table, &service, &organizations, &token).await;
    let members: Vec<Member> = organizations.iter().flatten().step_by(7).cloned().collect();
    let per_second = warm(table, &service, &members, &token).await;
    batch(table, &service, &organizations, &token, per_second).await;
    drop(service);
    half(table, folder.path(), &issuer, &organizations).await;
}

fn memberships() -> usize {
    SHAPES.iter().map(|(organizations, members)| organizations * members).sum()
}

/// What the process grows by when all organizations are loaded.
async fn memory(table: &mut Table, service: &Service, organizations: &[Vec<Member>], token: &str) {
    let channels = load::channels(service).await;
    // Whatever the first question brings along is not the memberships'.
    ask_batch(channels[0].clone(), &organizations[1][..1], WHOLE, token).await;
    let before = service.resident_bytes();
    load_all(&channels[0], organizations, token).await;
    let grown = service.resident_bytes() - before;
    let each = grown as f64 / memberships() as f64;
    let of = format!("{} memberships, {} MiB", memberships(), grown >> 20);
    table.row("memory per resident membership", format!("{each:.0} bytes"), of, format!("{each:.0}"), "≤ 150 bytes");
}

async fn load_all(channel: &Channel, organizations: &[Vec<Member>], token: &str) {
    for members in organizations {
        ask_batch(channel.clone(), members, WHOLE, token).await;
    }
}

/// The first Check of the largest organization, beside the load that it sets off, which a batch waits for.
async fn cold(table: &mut Table, channel: &Channel, organizations: &[Vec<Member>], token: &str) {
    // The token and the tenant are known from the question before.
    ask(channel.clone(), &organizations[1][0], token).await;
    let begin = Instant::now();
    ask(channel.clone(), &organizations[0][0], token).await;
    let first = begin.elapsed().as_secs_f64() * 1e3;
    ask_batch(channel.clone(), &organizations[0], WHOLE, token).await;
    let load = begin.elapsed().as_secs_f64() * 1e3;
    let what = format!("cold: the first Check of {} members", SHAPES[0].1);
    table.ratio(&what, "ms", (first, load), "until they are loaded", "does not wait for it");
}

async fn warm(table: &mut Table, service: &Service, members: &[Member], token: &str) -> f64 {
    let channels = load::channels(service).await;
    let check = |channel, index: usize| ask(channel, &members[index * 7_919 % members.len()], token);
    load::saturate(service, &channels, Duration::from_secs(2), check).await;
    let (mut checks, mut nothings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nothings.push(load::saturate(service, &channels, ROUND, |channel, _| do_nothing(channel)).await);
        checks.push(load::saturate(service, &channels, ROUND, check).await);
    }
    let cpu = (median(&checks, |load| load.cpu_micros), median(&nothings, |load| load.cpu_micros));
    table.ratio("Check, warm, JWT, 1 M memberships: server CPU", "µs", cpu, "no-op of the same server", "≤ 1.5");
    let rate = (median(&checks, |load| load.per_second), median(&nothings, |load| load.per_second));
    table.ratio("Check, warm, JWT, 1 M memberships: throughput", "/s", rate, "no-op of the same server", "≥ 0.75");
    rate.0
}

async fn batch(table: &mut Table, service: &Service, organizations: &[Vec<Member>], token: &str, singles: f64) {
    let channels = load::channels(service).await;
    let of_thousand = &organizations[1];
    let call = |channel, _| ask_batch(channel, of_thousand, BATCH, token);
    let load = load::saturate(service, &channels, ROUND, call).await;
    let decisions = (load.per_second * BATCH as f64, singles);
    table.ratio("BatchCheck of 1,000", "decisions/s", decisions, "single Checks", "≥ 10");
}

/// Latency as the server's own meter has it, at half of the rate of the same calls that saturates it.
async fn half(table: &mut Table, folder: &Path, issuer: &Issuer, organizations: &[Vec<Member>]) {
    let service = Service::start_again(&issuer.arguments(folder));
    let token = issuer.token();
    let channels = load::channels(&service).await;
    cold(table, &channels[0], organizations, &token).await;
    load_all(&channels[0], organizations, &token).await;
    let members: Vec<Member> = organizations.iter().flatten().step_by(7).cloned().collect();
    let call = |channel, index: usize| {
        let member = members[index * 7_919 % members.len()].clone();
        let token = token.clone();
        async move {
            match index % WRITE_EVERY {
                0 => write(channel, &member, index, &token).await,
                _ => ask(channel, &member, &token).await,
            }
        }
    };
    let saturation = load::saturate(&service, &channels, ROUND, &call).await.per_second;
    drop(service);
    // The meter counts from its start: a service of its own for what is told.
    let mut service = Service::start_again(&issuer.arguments(folder));
    let channels = load::channels(&service).await;
    load_all(&channels[0], organizations, &token).await;
    load::pace(&channels, saturation / 2.0, HALF, call).await;
    let (p50, p99, calls) = service.stop_and_read("AuthorizationService/Check");
    let of = format!("{calls} calls, {:.0}/s, 1 % writes", saturation / 2.0);
    table.row(
        "latency in the server, half of saturation: p50",
        format!("{p50} µs"),
        of.clone(),
        format!("{p50} µs"),
        "≤ 800 µs",
    );
    table.row(
        "latency in the server, half of saturation: p99",
        format!("{p99} µs"),
        of,
        format!("{p99} µs"),
        "≤ 1,400 µs",
    );
}

fn request<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn ask(channel: Channel, member: &Member, token: &str) -> impl Future<Output = ()> + Send + use<> {
    let check = pb::CheckRequest {
        organization_id: member.organization_id.clone(),
        user_id: member.user_id.clone(),
        permission: "members:read".into(),
        ..Default::default()
    };
    let request = request(check, token);
    async move {
        let answer = AuthorizationServiceClient::new(channel).check(request).await.unwrap();
        assert!(answer.get_ref().allowed);
    }
}

fn ask_batch(
    channel: Channel,
    members: &[Member],
    count: usize,
    token: &str,
) -> impl Future<Output = ()> + Send + use<> {
    let entry = |member: &Member| pb::CheckEntry {
        user_id: member.user_id.clone(),
        permission: "members:read".into(),
        ..Default::default()
    };
    let batch = pb::BatchCheckRequest {
        organization_id: members[0].organization_id.clone(),
        entries: members.iter().cycle().take(count).map(entry).collect(),
        consistency: None,
    };
    let request = request(batch, token);
    async move {
        let answer = AuthorizationServiceClient::new(channel).batch_check(request).await.unwrap();
        assert!(answer.get_ref().results.iter().all(|result| result.allowed));
    }
}

async fn do_nothing(channel: Channel) {
    HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.unwrap();
}

async fn write(channel: Channel, member: &Member, index: usize, token: &str) {
    let service = roster::dynamic::Client { channel, key: Some(token.to_owned()), tenant: None };
    let method = roster::dynamic::find(&roster::dynamic::contract().unwrap(), "MembershipService/AddMember").unwrap();
    let email = format!("new-{index}-{}@example.com", uuid::Uuid::now_v7().simple());
    let add = json!({"organizationId": member.organization_id, "member": {"email": email}});
    service.unary(&method, roster::dynamic::parse(&method, &add.to_string()).unwrap()).await.unwrap();
}
