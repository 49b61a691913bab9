//! CheckStream, by the client that other services have.

mod users;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roster::proto::v1::{
    CheckRequest, CheckStreamRequest, CheckStreamResponse,
    authorization_service_client::AuthorizationServiceClient as Client, check_stream_response::Outcome,
};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, transport::Endpoint};

use super::House;
use crate::{
    on_both_engines,
    support::{Caller, Database, Engine, TestServer, reason, text},
};

/// How long an answer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many calls at once are many for one connection.
const BURST: usize = 20_000;

/// A stream, from the caller's side.
struct Talk {
    questions: mpsc::Sender<CheckStreamRequest>,
    answers: Streaming<CheckStreamResponse>,
}

/// An answer in short: `ROLE`, `NO_PERMISSION`, or why there is none: `! UNKNOWN_PERMISSION`.
fn short(outcome: Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) => {
            assert!(!answer.revision.is_empty());
            answer.reason().as_str_name().trim_start_matches("CHECK_REASON_").to_owned()
        }
        Outcome::Error(error) => format!("! {}", error.reason),
    }
}

impl Talk {
    async fn open(caller: &Caller) -> Result<Self, Status> {
        let (questions, receiver) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(receiver));
        if let Some(key) = &caller.client.key {
            request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        let answers = Client::new(caller.client.channel.clone()).check_stream(request).await?.into_inner();
        Ok(Self { questions, answers })
    }

    async fn ask(&self, tag: u64, check: CheckRequest) {
        self.questions.send(CheckStreamRequest { tag, check: Some(check) }).await.expect("the stream goes on");
    }

    async fn next(&mut self) -> Result<Option<(u64, String)>, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")?;
        Ok(answer.map(|answer| (answer.tag, short(answer.outcome.expect("an outcome")))))
    }

    /// The next so many answers, by their tags.
    async fn answers(&mut self, count: usize) -> BTreeMap<u64, String> {
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            let (tag, answer) = self.next().await.unwrap().expect("another answer");
            assert_eq!(answers.insert(tag, answer), None, "{tag} is answered once");
        }
        answers
    }

    /// How the stream ends.
    async fn end(mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a reason"),
                Err(status) => return status,
            }
        }
    }
}

fn question(organization: &str, user: &str, permission: &str) -> CheckRequest {
    let [organization_id, user_id, permission] = [organization, user, permission].map(str::to_owned);
    CheckRequest { organization_id, user_id, permission, ..CheckRequest::default() }
}

/// Another organization, where the user of the house may read.
async fn another(house: &House, slug: &str) -> String {
    let made = house.caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    let id = text(&made["organization"]["organizationId"]);
    let member = json!({"organizationId": id, "member": {"userId": house.user, "roles": ["reader"]}});
    house.caller.call("MembershipService/AddMember", member).await;
    id
}

on_both_engines! {
    async fn an_answer_carries_the_tag_of_its_question(server) {
        let house = House::build(&server).await;
        let others = [another(&house, "beta").await, another(&house, "gamma").await];
        let mut talk = Talk::open(&house.caller).await.unwrap();
        talk.ask(7, question(&house.organization, &house.user, "docs:read")).await;
        talk.ask(u64::MAX, question(&others[0], &house.user, "docs:read")).await;
        talk.ask(0, question(&others[1], &house.user, "docs:write")).await;
        let answers = talk.answers(3).await;
        let expected = [(0, "NO_PERMISSION"), (7, "NO_PERMISSION"), (u64::MAX, "ROLE")];
        assert_eq!(answers, expected.map(|(tag, answer)| (tag, answer.to_owned())).into());
        // What was changed in between, the same stream knows.
        let assign = json!({"membershipId": house.membership, "role": "reader"});
        house.call("MembershipService/AssignRole", assign).await;
        talk.ask(7, question(&house.organization, &house.user, "docs:read")).await;
        assert_eq!(talk.next().await.unwrap(), Some((7, "ROLE".to_owned())));
        drop(talk.questions);
        assert!(talk.answers.message().await.unwrap().is_none(), "whoever has no more questions gets no more answers");
    }

    async fn a_wrong_question_has_its_own_error_and_ends_nothing(server) {
        let house = House::build(&server).await;
        let stranger = server.stranger().await;
        let theirs = stranger.call("OrganizationService/CreateOrganization", json!({"slug": "theirs"})).await;
        let revision = text(&theirs["revision"]);
        let theirs = text(&theirs["organization"]["organizationId"]);
        let nobody = roster::ids::OrganizationId::generate().to_string();
        let good = || question(&house.organization, &house.user, "docs:read");
        let fresh = |token: &str| {
            let consistency = roster::proto::v1::consistency::Requirement::AtLeastAsFresh(token.to_owned());
            let consistency = roster::proto::v1::Consistency { requirement: Some(consistency) };
            CheckRequest { consistency: Some(consistency), ..good() }
        };
        let wrong = [
            (CheckRequest::default(), "INVALID_REQUEST"),
            (question("org_x", &house.user, "docs:read"), "INVALID_REQUEST"),
            (question(&house.organization, "' OR 1=1 --", "docs:read"), "INVALID_REQUEST"),
            (question(&house.organization, &house.user, "docs:burn"), "UNKNOWN_PERMISSION"),
            (question(&house.organization, &house.user, ""), "INVALID_REQUEST"),
            (question(&theirs, &house.user, "docs:read"), "ORGANIZATION_NOT_FOUND"),
            (question(&nobody, &house.user, "docs:read"), "ORGANIZATION_NOT_FOUND"),
            (fresh("nonsense"), "INVALID_REVISION"),
            (fresh(&revision), "INVALID_REVISION"),
        ];
        let mut talk = Talk::open(&house.caller).await.unwrap();
        for (wrong, reason) in wrong {
            talk.ask(1, wrong).await;
            talk.ask(2, good()).await;
            let expected = [(1, format!("! {reason}")), (2, "NO_PERMISSION".to_owned())];
            assert_eq!(talk.answers(2).await, expected.into());
        }
        talk.questions.send(CheckStreamRequest { tag: 3, check: None }).await.unwrap();
        assert_eq!(talk.next().await.unwrap(), Some((3, "! INVALID_REQUEST".to_owned())));
    }

    async fn ten_thousand_questions_are_answered_each_once(server) {
        let house = House::build(&server).await;
        let beta = another(&house, "beta").await;
        let Talk { questions, answers } = Talk::open(&house.caller).await.unwrap();
        let (organizations, user) = ([house.organization.clone(), beta], house.user.clone());
        // Both at once: neither side may wait for the other.
        let asking = tokio::spawn(async move {
            for tag in 0..10_000 {
                let check = question(&organizations[tag % 2], &user, ["docs:read", "docs:burn"][tag / 2 % 2]);
                questions.send(CheckStreamRequest { tag: tag as u64, check: Some(check) }).await.unwrap();
            }
        });
        let mut talk = Talk { questions: mpsc::channel(1).0, answers };
        for (tag, answer) in talk.answers(10_000).await {
            let expected = match tag % 4 {
                0 => "NO_PERMISSION",
                1 => "ROLE",
                _ => "! UNKNOWN_PERMISSION",
            };
            assert_eq!(answer, expected, "{tag}");
        }
        asking.await.unwrap();
        assert_eq!(talk.next().await.unwrap(), None);
    }

    async fn who_does_not_read_their_answers_takes_nothing_from_others(server) {
        let house = House::build(&server).await;
        let mut deaf = house.caller.clone();
        let endpoint = Endpoint::new(server.address.clone()).unwrap().initial_stream_window_size(1_024);
        deaf.client.channel = endpoint.connect_lazy();
        let talk = Talk::open(&deaf).await.unwrap();
        // Each of these asks the database; the answers fill the stream, and then nobody takes them any more.
        let mut asked = 0;
        let full = loop {
            let nowhere = roster::ids::OrganizationId::generate().to_string();
            let check = question(&nowhere, &house.user, "docs:read");
            let ask = talk.questions.send(CheckStreamRequest { tag: 1, check: Some(check) });
            asked += 1;
            match tokio::time::timeout(Duration::from_secs(1), ask).await {
                Ok(sent) => sent.unwrap(),
                Err(_) => break true,
            }
            if asked == 20_000 {
                break false;
            }
        };
        assert!(full, "the stream takes no more questions while it is not rid of their answers");
        let other = Caller::connect(&server.address, house.caller.client.key.clone()).await;
        let get = json!({"organizationId": house.organization});
        let reads = (0..20).map(|_| other.call("OrganizationService/GetOrganization", get.clone()));
        let all = tokio::time::timeout(Duration::from_secs(10), futures_util::future::join_all(reads)).await;
        assert_eq!(all.expect("the database is there for others").len(), 20);
    }

    async fn a_burst_on_one_connection_is_answered_whole(server) {
        let house = House::build(&server).await;
        let request = json!({"organizationId": house.organization, "userId": house.user, "permission": "docs:read"});
        let calls = (0..BURST).map(|_| house.caller.call("AuthorizationService/Check", request.clone()));
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| answer["reason"] == "CHECK_REASON_NO_PERMISSION"));
    }

    async fn whoever_may_not_check_opens_no_stream(server) {
        let refused = |talk: Result<Talk, Status>| reason(&talk.err().expect("refused"));
        assert_eq!(refused(Talk::open(&server.anonymous().await).await), "MISSING_CREDENTIALS");
        let wrong = Caller::connect(&server.address, Some("rk_nonsense".to_owned())).await;
        assert_eq!(refused(Talk::open(&wrong).await), "INVALID_CREDENTIALS");
        let reader = server.caller(&["organizations:read", "members:*"]).await;
        assert_eq!(refused(Talk::open(&reader).await), "MISSING_PERMISSION");
        Talk::open(&server.caller(&["authz:check"]).await).await.unwrap();
    }

    async fn a_stream_ends_with_its_key(server) {
        let house = House::build(&server).await;
        let request = json!({"name": "test", "scopes": ["authz:check"]});
        let made = house.caller.call("ApiKeyService/CreateApiKey", request).await;
        let caller = Caller::connect(&server.address, Some(text(&made["secret"]))).await;
        let mut talk = Talk::open(&caller).await.unwrap();
        talk.ask(1, question(&house.organization, &house.user, "docs:read")).await;
        talk.answers(1).await;
        let revoke = json!({"apiKeyId": made["apiKey"]["apiKeyId"]});
        house.caller.call("ApiKeyService/RevokeApiKey", revoke).await;
        assert_eq!(reason(&talk.end().await), "INVALID_CREDENTIALS");
    }

    async fn a_stream_ends_with_the_service(server) {
        let house = House::build(&server).await;
        let mut talk = Talk::open(&house.caller).await.unwrap();
        talk.ask(1, question(&house.organization, &house.user, "docs:read")).await;
        talk.answers(1).await;
        let (ended, ()) = tokio::join!(talk.end(), server.stop());
        assert_eq!(reason(&ended), "SHUTTING_DOWN");
    }
}

/// On PostgreSQL alone: nobody who reads SQLite can be made to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_organization_holds_no_warm_one_up() {
    let database = Database::fresh(Engine::Postgres).await;
    let Database::Postgres { url } = &database else { unreachable!() };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let server = TestServer::on(database).await;
    let house = House::build(&server).await;
    let cold = another(&house, "cold").await;
    let mut talk = Talk::open(&house.caller).await.unwrap();
    // A batch of more than a few waits until the organization is loaded.
    let entries = vec![json!({"userId": house.user, "permission": "docs:read"}); 9];
    house.call("AuthorizationService/BatchCheck", json!({"entries": entries})).await;
    let mut lock = connection.begin().await.unwrap();
    lock.execute("LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE").await.unwrap();
    talk.ask(0, question(&cold, &house.user, "docs:read")).await;
    for _ in 0..10 {
        for tag in 1..=100 {
            talk.ask(tag, question(&house.organization, &house.user, "docs:read")).await;
            assert_eq!(talk.next().await.unwrap(), Some((tag, "NO_PERMISSION".to_owned())));
        }
    }
    lock.rollback().await.unwrap();
    assert_eq!(talk.answers(1).await, [(0, "ROLE".to_owned())].into());
    let tags: BTreeSet<u64> = (1..=9).collect();
    for tag in &tags {
        talk.ask(*tag, question(&cold, &house.user, "docs:read")).await;
    }
    assert_eq!(talk.answers(9).await.into_keys().collect::<BTreeSet<_>>(), tags);
}
