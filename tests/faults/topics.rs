//! What is in the topics, and the commands for whoever operates them.

mod claims;
mod cluster;
mod encodings;
mod epochs;
mod house;
mod replays;
mod retention;
mod secured;
mod transactions;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::support::process::ROSTER;

/// What a command answered.
#[derive(Debug)]
struct Answer {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary.
fn roster(arguments: &[&str], more: &[String]) -> Answer {
    let output = Command::new(ROSTER).args(arguments).args(more).env_remove("ROSTER_KEY").output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Answer { code: output.status.code().expect("ends by itself"), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command until it answers 0: what is written arrives a little later.
fn roster_until_well(arguments: &[&str], more: &[String]) -> Answer {
    let begin = Instant::now();
    loop {
        let answer = roster(arguments, more);
        if answer.code == 0 {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{arguments:?}: {answer:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Both topics have everything: the state that each amounts to is the database's, to the field.
pub fn assert_both_proven(settings: &[String]) {
    roster_until_well(&["verify", "--drained"], settings);
    roster_until_well(&["rebuild", "--from", "events", "--compare"], settings);
    roster_until_well(&["rebuild", "--from", "state", "--compare"], settings);
}
