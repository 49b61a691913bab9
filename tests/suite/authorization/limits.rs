//! How much one request may ask.

use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::House;
use crate::{
    on_both_engines,
    support::{Engine, TestServer, assert_code, bad_fields},
};

fn batch(house: &House, permissions: &[&str]) -> Value {
    let entry = |permission: &&str| json!({"userId": house.user, "permission": permission});
    let entries: Vec<Value> = permissions.iter().map(entry).collect();
    json!({"entries": entries})
}

/// Five policies about reading: a question about it costs 51, any other one 1.
async fn with_policies(house: &House) {
    for name in ["a", "b", "c", "d", "e"] {
        let text = r#"permit (principal, action == Roster::Action::"docs:read", resource) when { context has mfa };"#;
        house.put_policy(&house.organization, name, text).await;
    }
}

async fn few(engine: Engine) {
    let server = TestServer::with_index(engine, |settings| settings.work_max = 1_100).await;
    let house = House::build(&server).await;
    with_policies(&house).await;
    let check = "AuthorizationService/BatchCheck";
    let questions_max = async |permissions: &[&str]| {
        let status = house.refused(check, batch(&house, permissions), "WORK_LIMIT_EXCEEDED").await;
        assert_code(&status, Code::ResourceExhausted);
        let metadata = status.get_error_details().error_info().unwrap().metadata.clone();
        assert_eq!(metadata["limit"], "1100");
        let fit: usize = metadata["questions_max"].parse().unwrap();
        assert!(status.message().contains(&format!("at most {fit} at once")), "{}", status.message());
        fit
    };
    // Whichever questions are sent then, as many fit.
    let costly = [["docs:read"; 50], ["docs:write"; 50]].concat();
    for asked in [&costly[..], &["docs:read"; 22], &["docs:read"; 200]] {
        let fit = questions_max(asked).await;
        assert!((1..asked.len()).contains(&fit), "{fit}");
        for part in asked.chunks(fit) {
            let answer = house.call(check, batch(&house, part)).await;
            assert_eq!(answer["results"].as_array().unwrap().len(), part.len());
        }
    }
    house.call(check, batch(&house, &["docs:write"; 1_100])).await;
    assert_eq!(questions_max(&["docs:write"; 1_101]).await, 1_100);
    // One question is never too much, whatever it costs.
    let frugal = TestServer::with_index(engine, |settings| settings.work_max = 10).await;
    let house = House::build(&frugal).await;
    with_policies(&house).await;
    let answer = house.call(check, batch(&house, &["docs:read"])).await;
    assert_eq!(answer["results"][0]["reason"], "CHECK_REASON_NO_PERMISSION");
    house.refused(check, batch(&house, &["docs:read"; 2]), "WORK_LIMIT_EXCEEDED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_more_work_than_there_may_be_says_how_many_fit_on_sqlite() {
    few(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_more_work_than_there_may_be_says_how_many_fit_on_postgres() {
    few(Engine::Postgres).await;
}

on_both_engines! {
    async fn a_batch_has_1_to_10_000_entries(server) {
        let house = House::build(&server).await;
        let check = "AuthorizationService/BatchCheck";
        for count in [0, 10_001] {
            let status = house.refused(check, batch(&house, &vec!["docs:read"; count]), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["entries"]);
        }
        let mixed: Vec<&str> = (0..10_000).map(|at| ["docs:read", "docs:burn", ""][at % 3]).collect();
        let answer = house.call(check, batch(&house, &mixed)).await;
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 10_000);
        for (at, result) in results.iter().enumerate() {
            let error = result["error"]["reason"].as_str().unwrap_or("none");
            assert_eq!(error, ["none", "UNKNOWN_PERMISSION", "INVALID_REQUEST"][at % 3], "{at}");
        }
    }
}
