//! `roster call`: any method of a running service, in JSON.

use std::io::Write as _;

use tonic::Status;

use super::{
    Failure,
    connection::{self, Connection},
};
use crate::{
    config::Config,
    dynamic::{self, Client},
};

#[derive(Debug, clap::Args)]
pub struct Call {
    /// `Service/Method`, such as `OrganizationService/CreateOrganization`. Without it, all methods are listed.
    method: Option<String>,
    /// The request as JSON; fields are named as in the proto, or in lowerCamelCase.
    #[arg(default_value = "{}")]
    request: String,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(config: &Config, call: Call) -> Result<u8, Failure> {
    let pool = dynamic::contract()?;
    let Some(name) = &call.method else {
        pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).for_each(|method| {
            say(&format!("{}/{}", method.parent_service().name(), method.name()));
        });
        return Ok(0);
    };
    let method =
        dynamic::find(&pool, name).ok_or_else(|| format!("there is no method {name:?}: `roster call` lists all"))?;
    let message = dynamic::parse(&method, &call.request)
        .map_err(|error| format!("the request is not a {}: {error}", method.input().name()))?;
    let client = call.connection.client(config).await?;
    let called = if method.is_server_streaming() {
        stream(&client, &method, message).await
    } else {
        client.unary(&method, message).await.and_then(|answer| print(&answer, true))
    };
    match called {
        Ok(()) => Ok(0),
        Err(status) => Ok(connection::report(&status)),
    }
}

async fn stream(
    client: &Client,
    method: &prost_reflect::MethodDescriptor,
    message: prost_reflect::DynamicMessage,
) -> Result<(), Status> {
    let mut answers = client.stream(method, message).await?;
    while let Some(answer) = answers.message().await? {
        print(&answer, false)?;
    }
    Ok(())
}

fn print(answer: &prost_reflect::DynamicMessage, pretty: bool) -> Result<(), Status> {
    let json = dynamic::to_json(answer).map_err(|error| Status::internal(error.to_string()))?;
    say(&if pretty { format!("{json:#}") } else { json.to_string() });
    Ok(())
}

/// Prints a line. Whoever reads may have read enough, as in `roster call … | head`: then all is said.
fn say(line: &str) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}
