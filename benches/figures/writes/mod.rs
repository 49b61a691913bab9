//! Writes through everything, against the same statements sent raw to the same engine: the same number of writers, the same
//! tables, the same rows.

mod raw;

use std::time::Instant;

use futures_util::future::join_all;
use prost_reflect::DescriptorPool;
use roster::{
    db::{Db, Location},
    dynamic::{self, Client},
    ids::OrganizationId,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tonic::transport::Endpoint;
use uuid::Uuid;

use self::raw::Invited;
use crate::{service::Service, table::Table};

const WRITERS: usize = 8;
const ROUNDS: usize = 3;
/// How many a writer adds, how many it accepts, and how many times it invites so many, in a round.
const ADDED: usize = 400;
const ACCEPTED: usize = 200;
const BULKS: usize = 8;
const BULK: usize = 50;

/// Somebody who calls in JSON.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    pool: DescriptorPool,
}

impl Caller {
    pub async fn connect(service: &Service) -> Self {
        let channel = Endpoint::new(service.address.clone()).unwrap().connect().await.unwrap();
        Self {
            client: Client { channel, key: Some(service.key.clone()), tenant: None },
            pool: dynamic::contract().unwrap(),
        }
    }

    pub async fn call(&self, method: &str, request: Value) -> Value {
        let method = dynamic::find(&self.pool, method).unwrap();
        let message = dynamic::parse(&method, &request.to_string()).unwrap();
        dynamic::to_json(&self.client.unary(&method, message).await.unwrap()).unwrap()
    }
}

pub async fn run(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = ["--data-dir".to_owned(), folder.path().display().to_string()];
    compare(table, "SQLite", &sqlite, &Location::Folder(folder.path().to_owned())).await;
    let url = fresh_postgres().await;
    let postgres = ["--database-url".to_owned(), url.clone()];
    compare(table, "PostgreSQL", &postgres, &Location::Postgres { url, connections_max: 20 }).await;
}

/// A fresh database in the PostgreSQL of the run.
pub async fn fresh_postgres() -> String {
    let server = std::env::var("ROSTER_TEST_DATABASE_URL").expect("run it by `make bench`");
    let name = format!("bench_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.expect("created");
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

/// A service, its database, and an organization for each writer.
struct House {
    caller: Caller,
    db: Db,
    tenant: Uuid,
    organizations: Vec<String>,
}

async fn compare(table: &mut Table, engine: &str, arguments: &[String], location: &Location) {
    let service = Service::start(arguments);
    let caller = Caller::connect(&service).await;
    let mut organizations = Vec::new();
    for index in 0..WRITERS {
        let created =
            caller.call("OrganizationService/CreateOrganization", json!({"slug": format!("org-{index}")})).await;
        organizations.push(created["organization"]["organizationId"].as_str().unwrap().to_owned());
    }
    let db = Db::open(location).await.unwrap();
    let (tenant,): (Uuid,) =
        db.snapshot().await.unwrap().fetch_one("SELECT id FROM tenants", Vec::new()).await.unwrap();
    let house = House { caller, db, tenant, organizations };
    let mut rates = vec![Vec::new(); 6];
    for round in 0..ROUNDS {
        let of_round = [
            house.add(round).await,
            house.add_raw(round).await,
            house.accept(round, false).await,
            house.accept(round, true).await,
            house.bulk(round).await,
            house.bulk_raw(round).await,
        ];
        rates.iter_mut().zip(of_round).for_each(|(rates, rate)| rates.push(rate));
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    };
    let rates: Vec<f64> = rates.iter_mut().map(median).collect();
    let operations = ["AddMember of a new person", "AcceptInvitation", "BulkCreateInvitations of 50"];
    for (operation, pair) in operations.iter().zip(rates.chunks(2)) {
        let what = format!("{operation}, {WRITERS} writers, {engine}");
        table.ratio(&what, "/s", (pair[0], pair[1]), "the same statements raw", "≥ 0.5");
    }
}

impl House {
    /// How many of these there are in a second, by all writers at once.
    async fn rate<F: Future<Output = ()>>(&self, count: usize, write: impl Fn(usize, usize) -> F) -> f64 {
        let begin = Instant::now();
        let write = &write;
        join_all((0..WRITERS).map(|writer| async move {
            for number in 0..count {
                write(writer, number).await;
            }
        }))
        .await;
        (WRITERS * count) as f64 / begin.elapsed().as_secs_f64()
    }

    fn organization(&self, writer: usize) -> Uuid {
        self.organizations[writer].parse::<OrganizationId>().unwrap().uuid()
    }

    async fn add(&self, round: usize) -> f64 {
        self.rate(ADDED, async |writer, number| {
            let email = format!("g{round}-{writer}-{number}@example.com");
            let request = json!({"organizationId": self.organizations[writer], "member": {"email": email}});
            self.caller.call("MembershipService/AddMember", request).await;
        })
        .await
    }

    async fn add_raw(&self, round: usize) -> f64 {
        self.rate(ADDED, async |writer, number| {
            let email = format!("r{round}-{writer}-{number}@example.com");
            let organization = self.organization(writer);
            self.db.write(async |tx| raw::add_member(tx, self.tenant, organization, &email).await).await.unwrap();
        })
        .await
    }

    /// Invites, which is not measured, and accepts.
    async fn accept(&self, round: usize, raw: bool) -> f64 {
        let mut invited = Vec::new();
        for writer in 0..WRITERS {
            let mut of_writer = Vec::new();
            for bulk in 0..ACCEPTED / BULK {
                let made = self.invite(writer, &format!("a{round}-{raw}-{bulk}")).await;
                of_writer.extend(made["results"].as_array().unwrap().iter().map(Invited::read));
            }
            invited.push(of_writer);
        }
        let invited = &invited;
        self.rate(ACCEPTED, async |writer, number| {
            let one = &invited[writer][number];
            if raw {
                let organization = self.organization(writer);
                self.db.write(async |tx| raw::accept(tx, self.tenant, organization, one).await).await.unwrap();
            } else {
                let request = json!({"token": one.token, "email": one.email, "emailVerified": true});
                self.caller.call("InvitationService/AcceptInvitation", request).await;
            }
        })
        .await
    }

    async fn bulk(&self, round: usize) -> f64 {
        self.rate(BULKS, async |writer, number| {
            self.invite(writer, &format!("b{round}-{number}")).await;
        })
        .await
    }

    async fn bulk_raw(&self, round: usize) -> f64 {
        self.rate(BULKS, async |writer, number| {
            let organization = self.organization(writer);
            let emails = addresses(writer, &format!("c{round}-{number}"));
            self.db.write(async |tx| raw::invite(tx, self.tenant, organization, &emails).await).await.unwrap();
        })
        .await
    }

    async fn invite(&self, writer: usize, name: &str) -> Value {
        let invitation = |email| json!({"email": email, "skipMail": true});
        let invitations: Vec<_> = addresses(writer, name).into_iter().map(invitation).collect();
        let request = json!({"organizationId": self.organizations[writer], "invitations": invitations});
        self.caller.call("InvitationService/BulkCreateInvitations", request).await
    }
}

fn addresses(writer: usize, name: &str) -> Vec<String> {
    (0..BULK).map(|number| format!("{name}-{writer}-{number}@example.com")).collect()
}
