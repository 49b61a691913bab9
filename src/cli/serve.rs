//! `roster serve`, `roster migrate`.

use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::{clock::Clock, config::Config, db::Db, server, shutdown, telemetry, upgrade};

pub async fn run(config: &Config) -> Result<u8, Failure> {
    telemetry::begin(config);
    let stop = CancellationToken::new();
    shutdown::on_signal(stop.clone())?;

    let mut running = server::start(config, Clock::system(), stop).await?;
    if let Some(key) = running.first_key.take() {
        println!("The first API key, shown once and never again:\n\n    {}\n", key.reveal());
        println!("Try it:  ROSTER_KEY=<the key> roster call OrganizationService/ListOrganizations '{{}}'\n");
    }
    tracing::info!(address = %running.address, "ready");

    running.stopped().await?;
    tracing::info!("stopped");
    Ok(0)
}

pub async fn migrate(config: &Config) -> Result<u8, Failure> {
    telemetry::begin(config);
    let db = Db::open(&config.location).await?;
    upgrade::run(&db).await?;
    db.close().await;
    println!("The schema is up to date.");
    Ok(0)
}
