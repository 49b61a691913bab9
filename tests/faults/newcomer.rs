//! What somebody new does first, with the binary alone.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::process::{Process, ROSTER, free_port};

fn roster(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(ROSTER).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn from_an_empty_folder_to_a_check_and_its_event() {
    let _alone = crate::ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let (port, data) = (free_port(), folder.path().join("data"));
    let begin = Instant::now();
    let mut service = Process::start(port, &["--data-dir".into(), data.display().to_string()]);
    println!("ready after {:?}", begin.elapsed());
    let key = service.first_key.clone().expect("the first key is printed");
    let address = service.address.clone();
    let call = |method: &str, request: &str| -> Value {
        let (code, out, err) = roster(&["call", "--address", &address, "--key", &key, method, request]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    call("RoleService/CreatePermission", r#"{"slug": "invoices:read"}"#);
    call("RoleService/CreateRole", r#"{"slug": "accountant", "permissions": ["invoices:read"]}"#);
    let created = call("OrganizationService/CreateOrganization", r#"{"slug": "acme"}"#);
    let organization = &created["organization"]["organizationId"];
    let member = format!(
        r#"{{"organization_id": {organization}, "member": {{"email": "ada@example.com", "roles": ["accountant"]}}}}"#
    );
    let added = call("MembershipService/AddMember", &member);
    let (user, revision) = (&added["membership"]["userId"], &added["revision"]);
    let check = format!(
        r#"{{"organization_id": {organization}, "user_id": {user}, "permission": "invoices:read",
            "consistency": {{"at_least_as_fresh": {revision}}}}}"#
    );
    assert_eq!(call("AuthorizationService/Check", &check)["allowed"], true);
    let events = call("EventService/ListEvents", &format!(r#"{{"stream_id": {organization}}}"#));
    assert_eq!(events["events"][1]["type"], "membership.created");
    assert_eq!(service.terminate(), Some(0), "SIGTERM ends it well");

    // The key is shown once; an operator makes another.
    let data = data.display().to_string();
    let again = Process::start(port, &["--data-dir".into(), data.clone()]);
    assert_eq!(again.first_key, None);
    let (code, out, _) = roster(&["key", "create", "--scope", "organizations:read", "--data-dir", &data]);
    assert_eq!(code, 0);
    let made = out.split_whitespace().find(|word| word.starts_with("rk_")).unwrap();
    let (code, ..) =
        roster(&["call", "--address", &again.address, "--key", made, "OrganizationService/ListOrganizations"]);
    assert_eq!(code, 0);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let _alone = crate::ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir".to_owned(), folder.path().display().to_string()];
    let _first = Process::start(free_port(), &arguments);
    let (code, _, err) = roster(&["--listen", "127.0.0.1:0", "--data-dir", &arguments[1]]);
    assert_eq!(code, 1);
    assert!(err.contains("another process serves"), "{err}");
}

#[test]
fn every_fault_of_the_configuration_is_told_at_once() {
    let _alone = crate::ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roster.toml");
    std::fs::write(&file, "listen = \"nowhere\"\nlog_format = \"xml\"\n").unwrap();
    let file = file.display().to_string();
    let (code, _, err) = roster(&["--config", &file, "--kafka-partitions", "0", "--database-url", "mysql://x"]);
    assert_eq!(code, 2);
    for key in ["listen", "log_format", "kafka_partitions", "database_url"] {
        assert!(err.contains(key), "{key} is not told of: {err}");
    }
    std::fs::write(folder.path().join("roster.toml"), "lisen = \"x\"\nshutdown_seconds = [1]\n").unwrap();
    let (code, _, err) = roster(&["--config", &file]);
    assert_eq!(code, 2);
    assert!(err.contains("lisen") && err.contains("shutdown_seconds"), "{err}");
}

#[test]
fn a_stopping_service_finishes_and_a_flag_beats_the_file() {
    let _alone = crate::ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roster.toml");
    let data = folder.path().join("data");
    std::fs::write(&file, format!("data_dir = {:?}\nlisten = \"127.0.0.1:1\"\n", data.display().to_string())).unwrap();
    let mut service = Process::start(free_port(), &["--config".into(), file.display().to_string()]);
    assert!(data.join("roster.db").exists());
    let begin = Instant::now();
    assert_eq!(service.terminate(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_could_never_publish_does_not_start() {
    let bad = ["--kafka-topic", "bad topic!", "--kafka-brokers", "x y", "--kafka-properties", "foo=secret"];
    let (code, _, err) = roster(&[&bad[..], &["--data-dir", "", "--max-staleness-seconds", "-1"]].concat());
    assert_eq!(code, 2);
    for key in ["kafka_topic", "kafka_brokers", "kafka_properties", "data_dir", "max_staleness_seconds"] {
        assert!(err.contains(key), "{key} is not told of: {err}");
    }
    assert!(!err.contains("secret"), "{err}");
}
