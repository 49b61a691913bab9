//! `roster key …`: keys, straight in the database, for an operator without one.

use std::time::Duration;

use super::Failure;
use crate::{
    api_keys::{self, ApiKey, Create},
    auth::scopes::{PLATFORM, Scopes},
    bootstrap,
    clock::Clock,
    config::Config,
    context::{Actor, Ctx},
    db::{Db, page::Page},
    error::{Error, Reason},
    fields::Fields,
    ids::ApiKeyId,
    tenants::{self, Tenant},
    upgrade,
};

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a key, and show it once.
    Create {
        /// What it is for.
        #[arg(long, default_value = "made by an operator")]
        name: String,
        /// What its holder may do: `members:write`, `members:*`, `*`, `platform`. Repeat for several.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// After how many days it ends by itself. Never, where absent.
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
        /// The slug of the tenant.
        #[arg(long, default_value = tenants::DEFAULT)]
        tenant: String,
    },
    /// List the keys of a tenant, without their secrets.
    List {
        /// The slug of the tenant.
        #[arg(long, default_value = tenants::DEFAULT)]
        tenant: String,
    },
    /// End a key at once.
    Revoke {
        /// `key_…`.
        id: String,
        /// The slug of the tenant.
        #[arg(long, default_value = tenants::DEFAULT)]
        tenant: String,
    },
}

pub async fn run(config: &Config, verb: Verb) -> Result<u8, Failure> {
    let db = Db::open(&config.location).await?;
    upgrade::run(&db).await?;
    let clock = Clock::system();
    if let Some(first) = bootstrap::run(&db, &clock).await? {
        println!("This was a fresh installation. Its first key, shown once: {}", first.reveal());
    }
    match verb {
        Verb::Create { name, scopes, expires_in_days, tenant } => {
            let now = clock.now();
            let days = |days: u32| now.plus(Duration::from_hours(u64::from(days) * 24));
            let mut fields = Fields::new();
            fields.text("name", &name, 1..=200);
            let scopes = api_keys::read_scopes(&mut fields, scopes);
            fields.done()?;
            let input = Create { name, scopes, expires_at: expires_in_days.map(days) };
            create(&db, &clock, &tenant, input).await?;
        }
        Verb::List { tenant } => list(&db, &tenant).await?,
        Verb::Revoke { id, tenant } => revoke(&db, &clock, &tenant, &id).await?,
    }
    db.close().await;
    Ok(0)
}

async fn create(db: &Db, clock: &Clock, tenant: &str, input: Create) -> Result<(), Failure> {
    let ctx = context(db, clock, tenant).await?;
    let operator = Scopes::new(vec!["*".to_owned(), PLATFORM.to_owned()]);
    let ((key, secret), _) = db.write(async move |tx| api_keys::create(&ctx, tx, &operator, &input).await).await?;
    println!("{}  {}\n\n    {}\n\nThe key is shown once and never again.", key.id, key.name, secret.reveal());
    Ok(())
}

async fn list(db: &Db, tenant: &str) -> Result<(), Failure> {
    let tenant = find(db, tenant).await?;
    let mut tx = db.snapshot().await?;
    let mut token = String::new();
    loop {
        let page = api_keys::list(&mut tx, tenant.id, &Page::parse(1000, &token, "")?).await?;
        for key in page.items {
            println!("{}  {:<8} {}  {}", key.id, state(&key), key.scopes.join(" "), key.name);
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(());
        }
    }
}

fn state(key: &ApiKey) -> &'static str {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(_)) => "expiring",
        (None, None) => "active",
    }
}

async fn revoke(db: &Db, clock: &Clock, tenant: &str, id: &str) -> Result<(), Failure> {
    let ctx = context(db, clock, tenant).await?;
    let id: ApiKeyId = id.parse().map_err(|()| format!("{id:?} is not of the form key_…"))?;
    db.write(async move |tx| api_keys::revoke(&ctx, tx, id).await).await?;
    println!("{id} is revoked.");
    Ok(())
}

async fn context(db: &Db, clock: &Clock, tenant: &str) -> Result<Ctx, Failure> {
    Ok(Ctx::local(find(db, tenant).await?.id, Actor::operator(), clock.now()))
}

async fn find(db: &Db, slug: &str) -> Result<Tenant, Failure> {
    let tenant = tenants::find(&mut db.snapshot().await?, slug).await?;
    Ok(tenant.ok_or_else(|| Error::new(Reason::TenantNotFound, format!("there is no tenant {slug}")))?)
}
