//! `roster doctor`: what endangers the promises, seen from outside. Nothing is changed.
//!
//! A check is a function that adds findings; a new subject is a file of its own, and a line in [`examine`].

mod database;
mod kafka;

use serde::Serialize;

use super::Failure;
use crate::config::Config;

/// What `roster doctor` is asked for.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// What was looked at.
    examined: Vec<String>,
    /// What endangers a promise.
    findings: Vec<Finding>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// A promise is not kept, or will not be when something fails.
    Error,
    /// It is kept as long as nothing else goes wrong.
    Warning,
}

/// Something that endangers a promise.
#[derive(Debug, Serialize)]
struct Finding {
    /// Which check: for machines.
    check: &'static str,
    severity: Severity,
    /// What was seen.
    what: String,
    /// Which promise it endangers, and how.
    why: &'static str,
    /// What to do.
    remedy: String,
}

impl Report {
    fn error(&mut self, check: &'static str, what: String, why: &'static str, remedy: impl Into<String>) {
        self.findings.push(Finding { check, severity: Severity::Error, what, why, remedy: remedy.into() });
    }

    fn warning(&mut self, check: &'static str, what: String, why: &'static str, remedy: impl Into<String>) {
        self.findings.push(Finding { check, severity: Severity::Warning, what, why, remedy: remedy.into() });
    }
}

/// Examines everything that is configured; answers 0 where nothing was found, 1 where something was, 2 where nothing could
/// be examined.
pub async fn run(config: &Config, doctor: Doctor) -> Result<u8, Failure> {
    let mut report = Report::default();
    examine(config, &mut report).await;
    if doctor.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(match (report.examined.is_empty(), report.findings.is_empty()) {
        (true, _) => 2,
        (false, false) => 1,
        (false, true) => 0,
    })
}

async fn examine(config: &Config, report: &mut Report) {
    let db = database::open(config, report).await;
    kafka::examine(config, db.as_ref(), report).await;
    if let Some(db) = db {
        database::examine(config, &db, report).await;
        db.close().await;
    }
}

fn print(report: &Report) {
    for examined in &report.examined {
        println!("examined   {examined}");
    }
    for Finding { severity, check, what, why, remedy } in &report.findings {
        let severity = match severity {
            Severity::Error => "ERROR",
            Severity::Warning => "warning",
        };
        println!("\n{severity:<10} {what}  [{check}]\n{:<10} {why}\n{:<10} {remedy}", "why", "what to do");
    }
    match report.findings.len() {
        0 if report.examined.is_empty() => {
            println!("nothing was examined: neither brokers (kafka_brokers) nor a database (database_url, data_dir)");
        }
        0 => println!("nothing found that endangers the promises"),
        count => println!("\n{count} found"),
    }
}
