//! Lives of users, memberships, invitations and organizations, against a model of SPEC section 4 that is as naive as can be:
//! random calls by random callers, and after each the same answer, the same state, the same events.
//!
//! Ordinarily each engine makes 1,000 calls. `ROSTER_LIFECYCLES=100000` says how many instead. A history depends on its
//! seed alone, which is named where one fails; `ROSTER_LIFECYCLES_SEED` runs it again.

mod calls;
mod contract;
mod days;
mod history;
mod house;
mod log;
mod look;
mod model;
mod names;

use contract::needed;
use history::{History, Outcomes};
use house::House;

use crate::support::Engine;

/// How many calls each engine takes at least.
const CALLS: usize = 1_000;
/// How long one history is, in steps.
const STEPS: usize = 150;
/// After how many steps everything is looked at.
const LOOK: usize = 25;

/// What is refused in the ordinary histories already: whoever may not, and the rules of the table.
const REASONS: [&str; 18] = [
    "ADDRESS_NOT_VERIFIED",
    "ALREADY_MEMBER",
    "EMAIL_TAKEN",
    "ILLEGAL_TRANSITION",
    "INVALID_CREDENTIALS",
    "INVITATION_ADDRESS_MISMATCH",
    "INVITATION_PENDING",
    "INVITATION_TOKEN_REPLACED",
    "LAST_OWNER",
    "LAST_ROLE",
    "MEMBER_NOT_ACTIVE",
    "MEMBERSHIP_ENDED",
    "MISSING_PERMISSION",
    "NOT_AN_OWNER",
    "ORGANIZATION_DELETING",
    "ORGANIZATION_NOT_FOUND",
    "ORGANIZATION_SUSPENDED",
    "SLUG_TAKEN",
];

fn number(variable: &str) -> Option<usize> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Says which history it was where one fails, and how it came to that.
struct Teller<'h>(History<'h>, u64);

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let story = &self.0.story;
            eprintln!("{}", story[story.len().saturating_sub(80)..].join("\n"));
            eprintln!("the history of ROSTER_LIFECYCLES_SEED={} failed", self.1);
        }
    }
}

/// One history, in a tenant of its own.
async fn live_through(house: &House, seed: u64) -> Outcomes {
    let mut teller = Teller(History::begin(house, seed).await, seed);
    let history = &mut teller.0;
    history.people().await;
    for step in 1..=STEPS {
        history.step().await;
        if step % LOOK == 0 {
            history.look().await;
        }
    }
    std::mem::take(&mut history.outcomes)
}

async fn run(engine: Engine) {
    let house = House::start(engine).await;
    let wanted = number("ROSTER_LIFECYCLES").unwrap_or(CALLS);
    let (first, begin) = (number("ROSTER_LIFECYCLES_SEED").unwrap_or(1), std::time::Instant::now());
    let (mut calls, mut outcomes) = (0, Outcomes::new());
    for seed in first.. {
        for (outcome, count) in live_through(&house, seed as u64).await {
            calls += count;
            *outcomes.entry(outcome).or_default() += count;
        }
        if calls >= wanted {
            break;
        }
    }
    println!("{calls} calls in {:?}", begin.elapsed());
    for ((method, caller, outcome), count) in &outcomes {
        println!("{method} by {caller}: {outcome}, {count} times");
    }
    for method in contract::changing() {
        let by_users = needed(&method).1;
        let done = outcomes
            .keys()
            .any(|(of, caller, outcome)| *of == method && outcome == "done" && (!by_users || *caller == "a user"));
        assert!(done, "{method} was never done: the histories show too little");
    }
    for reason in REASONS {
        let seen = outcomes.keys().any(|(_, _, outcome)| outcome == reason);
        assert!(seen, "nothing was refused with {reason}: the histories show too little");
    }
}

mod every_life_is_as_the_model_says {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_sqlite() {
        run(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        run(Engine::Postgres).await;
    }
}
