//! Whose tokens are accepted, and how their keys are had.

use std::time::Duration;

use super::{
    Faults, Issuer, Settings,
    file::Tables,
    issuers,
    read::{read, seconds},
};

/// Whose tokens are accepted, and how their keys are had.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The issuers.
    pub issuers: Vec<Issuer>,
    /// Whether URLs at private addresses may be asked.
    pub allow_private_addresses: bool,
    /// How often keys are read again.
    pub refresh: Duration,
    /// How long keys are used that cannot be read again.
    pub stale: Duration,
}

impl Default for Tokens {
    /// Nobody's.
    fn default() -> Self {
        let (refresh, stale) = (Duration::from_mins(5), Duration::from_hours(24));
        Self { issuers: Vec::new(), allow_private_addresses: false, refresh, stale }
    }
}

/// Checks the settings of tokens, and the issuers.
pub fn check(faults: &mut Faults, settings: &Settings, tables: Tables) -> Tokens {
    let expected = "true or false";
    let allow = read(faults, "allow_private_addresses", &settings.allow_private_addresses, expected).unwrap_or(false);
    let refresh = seconds(faults, "jwks_refresh_seconds", &settings.jwks_refresh_seconds);
    if refresh.is_zero() {
        faults.push("jwks_refresh_seconds: 0 is too small".to_owned());
    }
    Tokens {
        issuers: issuers::read(tables.issuers, allow, faults),
        allow_private_addresses: allow,
        refresh,
        stale: seconds(faults, "jwks_stale_seconds", &settings.jwks_stale_seconds),
    }
}
