//! Commands that ask a running service.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use super::Failure;
use crate::{config::Config, dynamic::Client};

/// Where the service is, and who asks.
#[derive(Debug, clap::Args)]
pub struct Connection {
    /// The API key.
    #[arg(long, env = "ROSTER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Where the service is: `http://host:port`. Where absent, at the address of the setting `listen`.
    #[arg(long, env = "ROSTER_ADDRESS", value_name = "URL")]
    address: Option<String>,
    /// The tenant that the call is about, for a key with the platform scope: `tenant_…`.
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
}

impl Connection {
    /// Connects.
    pub async fn open(&self, config: &Config) -> Result<Channel, Failure> {
        let address = self.address.clone().unwrap_or_else(|| format!("http://{}", config.listen));
        let connecting = Endpoint::new(address.clone())?.connect().await;
        Ok(connecting.map_err(|error| format!("there is no service at {address}: {error}"))?)
    }

    /// A caller of any method.
    pub async fn client(&self, config: &Config) -> Result<Client, Failure> {
        Ok(Client { channel: self.open(config).await?, key: self.key.clone(), tenant: self.tenant.clone() })
    }

    /// A request with the credential.
    pub fn sign<T>(&self, mut request: Request<T>) -> Result<Request<T>, Failure> {
        if let Some(key) = &self.key {
            let mut value: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(tenant) = &self.tenant {
            request.metadata_mut().insert("roster-tenant", tenant.parse()?);
        }
        Ok(request)
    }
}

/// Tells an error with all its details; answers the exit code.
pub fn report(status: &Status) -> u8 {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str()).unwrap_or_default();
    eprintln!("{:?} {reason}: {}", status.code(), status.message());
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        eprintln!("  {}: {}", violation.field, violation.description);
    }
    for (key, value) in details.error_info().iter().flat_map(|info| &info.metadata) {
        eprintln!("  {key}: {value}");
    }
    1
}
