//! The engine alone, as criterion measured it just before: `--bench engine` comes first.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::table::Table;

/// What was measured, under which name, and its bar in nanoseconds.
const DECISIONS: [(&str, &str, f64); 2] = [
    ("decision by role", "the engine alone: a decision by role", 300.0),
    ("decision by grant", "the engine alone: by a grant three resources and three teams up", 600.0),
];

pub fn run(table: &mut Table) {
    for (name, what, bar) in DECISIONS {
        let Some(nanoseconds) = median(name) else {
            println!("{what}: not measured here yet: `make bench ARGS=\"--bench engine\"`");
            continue;
        };
        let figure = format!("{nanoseconds:.0} ns");
        let ratio = format!("{:.2}", nanoseconds / bar);
        table.row(what, figure, format!("{bar:.0} ns, the bar"), ratio, &format!("≤ {bar:.0} ns"));
    }
}

/// Beside the build, in criterion's folder (its user guide, "Criterion.rs Output").
fn median(name: &str) -> Option<f64> {
    let target: PathBuf = std::env::current_exe().ok()?.ancestors().nth(3)?.join("criterion");
    let estimates = fs::read_to_string(target.join(name).join("new/estimates.json")).ok()?;
    serde_json::from_str::<Value>(&estimates).ok()?["median"]["point_estimate"].as_f64()
}
