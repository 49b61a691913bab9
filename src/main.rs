//! The binary: everything it does is in the library, by the name of its command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(roster::cli::run().await)
}
