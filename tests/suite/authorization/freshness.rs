//! How fresh an answer is, and what happens where it cannot be as fresh as it must.

use std::time::Duration;

use roster::{db::Db, events::Revision};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::House;
use crate::{
    on_both_engines,
    support::{Engine, TestServer, assert_code, reason, text},
};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every method, asked whether (or what, or who) the member may read.
async fn everywhere(
    house: &House,
    organization: &str,
    consistency: &Value,
) -> Vec<(&'static str, Result<Value, Status>)> {
    let question = json!({"organizationId": organization, "userId": house.user, "permission": "docs:read",
        "consistency": consistency});
    let without = |name: &str| {
        let mut question = question.clone();
        question.as_object_mut().unwrap().remove(name);
        question
    };
    let entry = json!({"userId": house.user, "permission": "docs:read"});
    let batch = json!({"organizationId": organization, "entries": [entry], "consistency": consistency});
    let requests = [
        ("AuthorizationService/Check", question.clone()),
        ("AuthorizationService/BatchCheck", batch),
        ("AuthorizationService/Explain", json!({"check": question})),
        ("AuthorizationService/ListPermissions", without("permission")),
        ("AuthorizationService/ListAccessibleResources", question.clone()),
        ("AuthorizationService/ListSubjects", without("userId")),
    ];
    let mut answers = Vec::new();
    for (method, request) in requests {
        answers.push((method, house.caller.try_call(method, request).await));
    }
    answers
}

/// Whether an answer of any method is that the member may read.
fn says_yes(answer: &Value, house: &House) -> bool {
    [&answer["allowed"], &answer["results"][0]["allowed"], &answer["everywhere"]].contains(&&json!(true))
        || answer["permissions"].as_array().is_some_and(|list| list.contains(&json!("docs:read")))
        || answer["subjects"].as_array().is_some_and(|list| list.iter().any(|one| one["userId"] == house.user))
}

/// Asks until the answer is like this: the replica needs its time.
async fn until(house: &House, like: impl Fn(&Result<Value, Status>) -> bool) {
    let question = json!({"organizationId": house.organization, "userId": house.user, "permission": "docs:read"});
    let begin = std::time::Instant::now();
    loop {
        let answer = house.caller.try_call("AuthorizationService/Check", question.clone()).await;
        if like(&answer) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes the log unreadable for everybody, or readable again.
async fn set_log_away(server: &TestServer, away: bool) {
    let db = Db::open(&server.location()).await.unwrap();
    let sql = match away {
        true => "ALTER TABLE events RENAME TO events_away",
        false => "ALTER TABLE events_away RENAME TO events",
    };
    db.write(async |tx| tx.execute(sql, Vec::new()).await).await.unwrap();
    db.close().await;
}

/// A server that may be deaf for half a second, a house in it, and another organization that is not in memory; the
/// revision includes that the member may read.
async fn deaf(engine: Engine, answer_stale: bool) -> (TestServer, House, String, Value) {
    let server = TestServer::with_index(engine, |settings| {
        settings.max_staleness = Duration::from_millis(500);
        settings.answer_stale = answer_stale;
    })
    .await;
    let house = House::build(&server).await;
    let created = house.caller.call("OrganizationService/CreateOrganization", json!({"slug": "cold"})).await;
    let cold = text(&created["organization"]["organizationId"]);
    let member = json!({"organizationId": cold, "member": {"userId": house.user, "roles": ["reader"]}});
    house.caller.call("MembershipService/AddMember", member).await;
    let assign = json!({"membershipId": house.membership, "role": "reader"});
    let revision = house.call("MembershipService/AssignRole", assign).await["revision"].clone();
    until(&house, |answer| answer.as_ref().is_ok_and(|answer| answer["allowed"] == true)).await;
    let entry = json!({"userId": house.user, "permission": "docs:read"});
    let warm = json!({"entries": [entry], "consistency": {"atLeastAsFresh": revision}});
    house.call("AuthorizationService/BatchCheck", warm).await;
    set_log_away(&server, true).await;
    (server, house, cold, revision)
}

async fn refuses(engine: Engine) {
    let (server, house, cold, revision) = deaf(engine, false).await;
    let stale = |answer: &Result<Value, Status>| answer.as_ref().is_err_and(|status| reason(status) == "INDEX_STALE");
    until(&house, stale).await;
    for organization in [&house.organization, &cold] {
        for (method, answer) in everywhere(&house, organization, &json!({"minimizeLatency": true})).await {
            let status = answer.expect_err(method);
            assert_eq!(reason(&status), "INDEX_STALE", "{method}");
            assert_code(&status, Code::Unavailable);
            assert!(status.get_error_details().retry_info().is_some(), "{method}");
        }
    }
    // What it is known to include, it still answers.
    for (method, answer) in everywhere(&house, &house.organization, &json!({"atLeastAsFresh": revision})).await {
        let answer = answer.unwrap_or_else(|status| panic!("{method}: {status:?}"));
        assert!(says_yes(&answer, &house), "{method}: {answer}");
        assert_eq!(answer["stale"], false, "{method}");
    }
    set_log_away(&server, false).await;
    until(&house, |answer| answer.as_ref().is_ok_and(|answer| answer["allowed"] == true)).await;
}

async fn answers(engine: Engine) {
    let (server, house, cold, revision) = deaf(engine, true).await;
    let stale = |answer: &Result<Value, Status>, stale: bool| answer.as_ref().is_ok_and(|got| got["stale"] == stale);
    until(&house, |answer| stale(answer, true)).await;
    for organization in [&house.organization, &cold] {
        for (method, answer) in everywhere(&house, organization, &json!({})).await {
            let answer = answer.unwrap_or_else(|status| panic!("{method}: {status:?}"));
            assert!(says_yes(&answer, &house), "{method}: {answer}");
            assert_eq!(answer["stale"], true, "{method} {organization}");
        }
    }
    for (method, answer) in everywhere(&house, &house.organization, &json!({"atLeastAsFresh": revision})).await {
        assert_eq!(answer.expect(method)["stale"], false, "{method}");
    }
    set_log_away(&server, false).await;
    until(&house, |answer| stale(answer, false)).await;
}

macro_rules! of_a_deaf_replica {
    ($($name:ident: $run:ident on $engine:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $run(Engine::$engine).await;
            }
        )*
    };
}

of_a_deaf_replica! {
    who_does_not_hear_the_log_refuses_on_sqlite: refuses on Sqlite;
    who_does_not_hear_the_log_refuses_on_postgres: refuses on Postgres;
    who_does_not_hear_the_log_says_so_where_the_operator_prefers_on_sqlite: answers on Sqlite;
    who_does_not_hear_the_log_says_so_where_the_operator_prefers_on_postgres: answers on Postgres;
}

on_both_engines! {
    async fn every_method_honours_every_mode(server) {
        let house = House::build(&server).await;
        let membership = &house.membership;
        for round in 0..5 {
            let (roles, expected) = ([["member"], ["reader"]][round % 2], round % 2 == 1);
            let set = json!({"membershipId": membership, "roles": roles});
            let revision = house.call("MembershipService/SetRoles", set).await["revision"].clone();
            let modes = [json!({"atLeastAsFresh": revision}), json!({"fullyConsistent": true}),
                json!({"minimizeLatency": true}), json!({})];
            for mode in modes {
                for (method, answer) in everywhere(&house, &house.organization, &mode).await {
                    let answer = answer.unwrap_or_else(|status| panic!("{method}: {status:?}"));
                    assert_eq!(says_yes(&answer, &house), expected, "{method} {mode}: {answer}");
                    assert_eq!(answer["stale"], false, "{method}");
                }
            }
        }
    }

    async fn a_revision_that_cannot_be_is_refused_by_every_method(server) {
        let house = House::build(&server).await;
        let tenant = house.caller.call("TenantService/GetTenant", json!({})).await;
        let tenant_id = text(&tenant["tenant"]["tenantId"]).parse().unwrap();
        house.assign("reader").await;
        let token = house.call("AuthorizationService/Check", json!({"userId": house.user, "permission": "docs:read"}))
            .await["revision"].clone();
        let present = Revision::decode(&text(&token), tenant_id).unwrap();
        let (organization, sequence) = present.organization.unwrap();
        let stranger = server.stranger().await;
        let foreign = stranger.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
        let ahead = [
            Revision { tenant_sequence: present.tenant_sequence + 1, ..present }.encode(),
            Revision { organization: Some((organization, sequence + 1)), ..present }.encode(),
            Revision { organization: Some((organization, i64::MAX)), ..present }.encode(),
        ];
        let cut = text(&token)[..20].to_owned();
        let bad = ["nonsense", "", "☃", &cut, &format!("{}A", text(&token)), &text(&foreign["revision"])];
        for token in bad.into_iter().chain(ahead.iter().map(String::as_str)) {
            for (method, answer) in everywhere(&house, &house.organization, &json!({"atLeastAsFresh": token})).await {
                let status = answer.expect_err(method);
                assert_eq!(reason(&status), "INVALID_REVISION", "{method} {token}: {}", status.message());
                assert_code(&status, Code::InvalidArgument);
            }
        }
        let elsewhere = roster::ids::OrganizationId::generate();
        let older = [
            Revision { tenant_sequence: 1, organization: None, ..present },
            Revision { organization: Some((organization, 1)), ..present },
            // Of another organization it says nothing about this one.
            Revision { organization: Some((elsewhere, 1_000)), ..present },
            present,
        ];
        for revision in older {
            let mode = json!({"atLeastAsFresh": revision.encode()});
            for (method, answer) in everywhere(&house, &house.organization, &mode).await {
                assert!(says_yes(&answer.expect(method), &house), "{method} {revision:?}");
            }
        }
    }
}
