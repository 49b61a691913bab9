//! Figures, each a ratio against a reference measured in the same run, in turns, on this machine.
//!
//! `make bench` brings PostgreSQL and Kafka. The service runs as a process of its own, so that its CPU time and memory
//! are its own. `make bench ARGS="--bench figures -- check"` measures one part: `check`,
//! `engine`, `freshness`, `writes` or `relay`.

mod check;
mod engine;
mod freshness;
mod issuer;
mod load;
mod relay;
mod service;
mod table;
mod tenant;
mod writes;

#[tokio::main]
async fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut table = table::Table::begin();
    if wanted("check") {
        check::run(&mut table).await;
    }
    if wanted("engine") {
        engine::run(&mut table);
    }
    if wanted("freshness") {
        freshness::run(&mut table).await;
    }
    if wanted("writes") {
        writes::run(&mut table).await;
    }
    if wanted("relay") {
        relay::run(&mut table).await;
    }
    table.print();
}
