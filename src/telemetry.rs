//! Logs: ids and reasons, never names, addresses or secrets.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::Config;

/// Begins to log, to standard error.
pub fn begin(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    // PostgreSQL's notices ("already exists, skipping") are not news.
    let filter = filter.add_directive("sqlx::postgres::notice=warn".parse().expect("a directive"));
    let registry = tracing_subscriber::registry().with(filter);
    if config.log_json {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).init();
    } else {
        registry
            .with(
                fmt::layer().with_target(false).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr),
            )
            .init();
    }
}
