//! Decisions, against a model of SPEC section 5 that is as naive as can be: random histories go through the service, and
//! then everybody is asked for everything.
//!
//! Ordinarily 100,000 decisions are compared, half of them on each engine. `ROSTER_DECISIONS=1000000` says how many
//! instead. A history depends on its seed alone, which is named where one fails; `ROSTER_DECISIONS_SEED` runs it again.

mod agreeing;
mod asker;
mod changes;
mod cold;
mod history;
mod model;
mod new_enemy;
mod own_writes;
mod policies;

use std::collections::BTreeMap;

use asker::Asker;
use history::History;
use model::{Context, Question};

use crate::{
    on_both_engines,
    support::{Engine, TestServer, replica::Replica},
};

/// How many decisions both engines together compare at least.
const DECISIONS: usize = 100_000;
/// How many histories each engine goes through at least.
const HISTORIES: usize = 4;
/// How many operations go before anything is compared: until there is something to decide.
const BEFORE: usize = 30;
/// How long one history is after that, in operations.
const OPERATIONS: usize = 120;
/// How many operations go before everything is compared again.
const STEPS: usize = 3;
/// How many single questions a server is asked at once that knows nothing yet.
const COLD: usize = 24;

/// Different circumstances.
fn contexts() -> Vec<Context> {
    let attributes = BTreeMap::from([("frozen".to_owned(), "yes".to_owned())]);
    vec![
        Context::default(),
        Context { mfa: Some(true), ..Context::default() },
        Context { mfa: Some(false), risk: Some(80), ..Context::default() },
        Context { mfa: Some(true), risk: Some(70), attributes },
    ]
}

/// Every user, every permission, every resource, and none, and unknown ones.
fn questions(history: &History, context: &Context) -> Vec<Question> {
    let mut resources: Vec<_> = history::resources().into_iter().map(Some).collect();
    resources.extend([None, Some(("doc".to_owned(), "unknown".to_owned()))]);
    let mut questions = Vec::new();
    for user in history.users() {
        for permission in history.permissions() {
            for resource in &resources {
                let (user, permission) = (user.clone(), permission.clone());
                questions.push(Question { user, permission, resource: resource.clone(), context: context.clone() });
            }
        }
    }
    questions
}

/// What was compared.
#[derive(Default)]
struct Compared {
    decisions: usize,
    reasons: BTreeMap<&'static str, usize>,
}

impl Compared {
    fn one(&mut self, history: &History, index: usize, question: &Question, answer: &str, what: &str) {
        let expected = model::check(&history.state, index, question);
        if answer != expected {
            let (id, told) = (&history.state.organizations[index].id, history.told.join("\n"));
            panic!("{told}\n{what}: {answer}, but {expected} by the model, in {id}, {question:?}");
        }
        self.decisions += 1;
        *self.reasons.entry(expected).or_default() += 1;
    }

    /// Every question about both organizations.
    async fn all(&mut self, history: &mut History, asker: &Asker, what: &str) {
        let context = history.chance.one_of(&contexts());
        let questions = questions(history, &context);
        for index in 0..2 {
            let organization = &history.state.organizations[index].id;
            let answers = asker.check_all(organization, &questions, &history.revisions[index]).await;
            for (question, answer) in questions.iter().zip(&answers) {
                self.one(history, index, question, answer, what);
            }
        }
    }

    /// Some single questions at once, of a server that knows nothing yet: the first ones are answered from the database.
    async fn cold(&mut self, history: &mut History, asker: &Asker) {
        let context = history.chance.one_of(&contexts());
        let questions = questions(history, &context);
        let mut asking = Vec::new();
        for round in 0..COLD {
            let (index, question) = (round % 2, history.chance.one_of(&questions));
            let (organization, asker) = (history.state.organizations[index].id.clone(), asker.clone());
            let revision = history.revisions[index].clone();
            asking.push(tokio::spawn(async move {
                let answer = asker.check(&organization, &question, &revision).await;
                (index, question, answer)
            }));
        }
        for asked in asking {
            let (index, question, answer) = asked.await.unwrap();
            self.one(history, index, &question, &answer, "cold");
        }
    }
}

/// A number that the environment says.
pub fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// The seeds of as many histories as it takes.
fn seeds() -> impl Iterator<Item = u64> {
    let first = number("ROSTER_DECISIONS_SEED").unwrap_or(1);
    first..
}

/// Says which history it was where one fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history of ROSTER_DECISIONS_SEED={} failed", self.0);
        }
    }
}

/// One history, compared after every few steps: with its own server, in turns with another replica that heard of
/// everything, and with one that knows nothing.
async fn live_through(server: &mut TestServer, seed: u64, compared: &mut Compared) -> History {
    let _seed = Seed(seed);
    let mut history = History::begin(&server.root, &server.clock, seed).await;
    let beside: Option<Replica> = match &server.database {
        crate::support::Database::Postgres { .. } => Some(server.replica(|_| ()).await),
        crate::support::Database::Sqlite(_) => None,
    };
    for _ in 0..BEFORE {
        history.step().await;
    }
    for round in 0..OPERATIONS / STEPS {
        for _ in 0..STEPS {
            history.step().await;
        }
        let asker = match &beside {
            Some(beside) if round % 2 == 1 => Asker::of(&beside.caller(&history.caller).await),
            _ => Asker::of(&history.caller),
        };
        compared.all(&mut history, &asker, "warm").await;
        if round % 10 == 9 {
            ask_cold(server, &mut history, compared).await;
        }
    }
    history.delete_organization(1).await;
    let asker = Asker::of(&history.caller);
    compared.all(&mut history, &asker, "deleted").await;
    if let Some(beside) = beside {
        let asker = Asker::of(&beside.caller(&history.caller).await);
        compared.all(&mut history, &asker, "deleted").await;
        history.restore_organization(1).await;
        compared.all(&mut history, &asker, "restored, beside").await;
        beside.stop().await;
    } else {
        history.restore_organization(1).await;
    }
    compared.all(&mut history, &asker, "restored").await;
    ask_cold(server, &mut history, compared).await;
    history
}

async fn ask_cold(server: &mut TestServer, history: &mut History, compared: &mut Compared) {
    if let crate::support::Database::Postgres { .. } = server.database {
        let fresh = server.replica(|_| ()).await;
        let asker = Asker::of(&fresh.caller(&history.caller).await);
        compared.cold(history, &asker).await;
        return fresh.stop().await;
    }
    server.restart(|_| ()).await;
    history.caller = history.caller.at(&server.address).await;
    compared.cold(history, &Asker::of(&history.caller)).await;
}

on_both_engines! {
    async fn every_decision_is_as_the_model_says(server) {
        let mut server = server;
        let wanted = number("ROSTER_DECISIONS").map_or(DECISIONS, |wanted| usize::try_from(wanted).unwrap()) / 2;
        let (mut compared, mut outcomes) = (Compared::default(), BTreeMap::<String, usize>::new());
        let begin = std::time::Instant::now();
        for (lived, seed) in (1..).zip(seeds()) {
            let history = live_through(&mut server, seed, &mut compared).await;
            for (outcome, count) in history.outcomes {
                *outcomes.entry(outcome).or_default() += count;
            }
            if lived >= HISTORIES && compared.decisions >= wanted {
                break;
            }
        }
        println!("{} decisions in {:?}: {:?}; {outcomes:?}", compared.decisions, begin.elapsed(), compared.reasons);
        for reason in ["ROLE", "GRANT", "POLICY_PERMIT", "POLICY_FORBID", "NO_PERMISSION", "NOT_A_MEMBER",
            "USER_SUSPENDED", "MEMBERSHIP_SUSPENDED", "MEMBERSHIP_PENDING", "ORGANIZATION_SUSPENDED", "ORGANIZATION_DELETING",
            "UNKNOWN_PERMISSION"] {
            assert!(compared.reasons.contains_key(reason), "no decision was {reason}: the histories show too little");
        }
    }
}
