//! First figures: each a ratio against a reference measured in the same run, in turns, on this machine.
//!
//! `make bench` brings PostgreSQL and Kafka. The service runs as a process of its own, so that its CPU time is its own.

mod check;
mod relay;
mod service;
mod writes;

#[tokio::main]
async fn main() {
    println!("Absolute figures are of this machine, now; the ratios are what matters.\n");
    check::run().await;
    writes::run().await;
    relay::run().await;
}
