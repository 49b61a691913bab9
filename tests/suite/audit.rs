//! Checkpoints, and exports that can be proven.

mod formats;
mod mutations;
mod queries;
mod rewritten;
mod signers;

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use roster::{
    audit::{
        key::KeyFile,
        note::Verifier,
        verify::{self, Fault, Proven},
    },
    context::{Actor, Ctx},
    db::{Db, Tx},
};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, bad_fields, text},
};

const DAY: Duration = Duration::from_hours(24);

/// The bytes of an export.
async fn export(caller: &Caller, request: Value) -> Vec<u8> {
    let mut chunks = caller.stream("AuditService/ExportEvents", request).await.unwrap();
    let mut file = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = roster::dynamic::to_json(&chunk.unwrap()).unwrap();
        file.extend(STANDARD.decode(chunk["chunk"].as_str().unwrap()).unwrap());
    }
    file
}

/// The public key of a server.
async fn verifier(caller: &Caller, stream: &str) -> Verifier {
    let answer = caller.call("AuditService/GetCheckpoint", json!({"streamId": stream})).await;
    text(&answer["checkpoint"]["verifierKey"]).parse().unwrap()
}

/// The key of a server.
fn key(server: &TestServer) -> KeyFile {
    let path = server.database.mail_folder().with_file_name("audit-key.pem");
    KeyFile { path, make: false, name: "roster".to_owned() }
}

fn proven(file: &[u8], verifier: &Verifier) -> Result<Proven, Fault> {
    verify::verify(file, verifier, None).unwrap()
}

/// An organization with members, of whom one has personal data in its stream; answers its id and the user's.
async fn organization(server: &TestServer, slug: &str) -> (String, String) {
    let owner = json!({"email": format!("ada@{slug}.example")});
    let create = json!({"slug": slug, "initialOwners": [owner]});
    let created = server.root.call("OrganizationService/CreateOrganization", create).await;
    let id = text(&created["organization"]["organizationId"]);
    let member = json!({"email": format!("grace@{slug}.example"), "metadata": {"desk": "Z 7", "ü": ""}});
    let add = json!({"organizationId": id, "member": member});
    let added = server.root.call("MembershipService/AddMember", add).await;
    let (membership, user) = (text(&added["membership"]["membershipId"]), text(&added["membership"]["userId"]));
    let which = json!({"organizationId": id, "membershipId": membership});
    for verb in ["SuspendMembership", "ReactivateMembership", "RemoveMember"] {
        server.root.call(&format!("MembershipService/{verb}"), which.clone()).await;
    }
    chained(&server.root, &id).await;
    (id, user)
}

/// Waits until everything in a stream is chained; answers how much that is.
async fn chained(caller: &Caller, stream: &str) -> usize {
    let begin = Instant::now();
    loop {
        let events = caller.events(stream).await.len();
        let answer = caller.call("AuditService/GetCheckpoint", json!({"streamId": stream})).await;
        if text(&answer["checkpoint"]["sequence"]) == events.to_string() {
            return events;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody chains");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

on_both_engines! {
    async fn an_export_is_proven_and_holds_what_the_log_lists(server) {
        let (id, _) = organization(&server, "acme").await;
        let verifier = verifier(&server.root, &id).await;
        let file = export(&server.root, json!({"streamId": id})).await;
        let listed = server.root.events(&id).await;
        let last = i64::try_from(listed.len()).unwrap();
        let expected = Proven { stream: id.clone(), from: 1, through: last, signed_by: "roster".to_owned() };
        assert_eq!(proven(&file, &verifier), Ok(expected));
        let lines: Vec<Value> =
            file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect();
        for (line, event) in lines[1..].iter().zip(&listed) {
            assert_eq!((&line["id"], &line["type"]), (&event["eventId"], &event["type"]));
            assert_eq!(line["data"]["event"]["subject"], event["subject"]);
            assert_eq!(line["sequence"], format!("{:0>19}", text(&event["sequence"])));
        }
        let tenant = text(&listed[0]["tenantId"]);
        assert!(proven(&export(&server.root, json!({"streamId": tenant})).await, &verifier).is_ok());
    }

    async fn a_part_of_a_stream_is_proven_too_and_parts_follow_one_another(server) {
        let (id, _) = organization(&server, "acme").await;
        let verifier = verifier(&server.root, &id).await;
        let part = |after: i64, up_to: i64| json!({"streamId": id, "afterSequence": after.to_string(), "upToSequence": up_to.to_string()});
        let (first, rest) = (export(&server.root, part(0, 3)).await, export(&server.root, part(3, 0)).await);
        assert_eq!(proven(&first, &verifier).unwrap().through, 3);
        assert_eq!(proven(&rest, &verifier).unwrap().from, 4);
        let line = |file: &[u8], back: usize| -> Value {
            let lines: Vec<_> = file.split(|byte| *byte == b'\n').collect();
            serde_json::from_slice(lines[if back == 0 { 0 } else { lines.len() - 1 - back }]).unwrap()
        };
        assert_eq!(line(&first, 1)["hash"], line(&rest, 0)["previousHash"]);
        let none = proven(&export(&server.root, part(4, 4)).await, &verifier).unwrap();
        assert_eq!((none.from, none.through), (5, 4));
    }

    async fn erasing_a_person_leaves_the_chain_whole_and_exports_without_them(server) {
        let (id, user) = organization(&server, "acme").await;
        let verifier = verifier(&server.root, &id).await;
        let before = export(&server.root, json!({"streamId": id})).await;
        assert!(String::from_utf8_lossy(&before).contains("Z 7"));
        server.root.call("UserService/EraseUser", json!({"userId": user})).await;
        chained(&server.root, &id).await;
        let after = export(&server.root, json!({"streamId": id})).await;
        assert!(!String::from_utf8_lossy(&after).contains("Z 7"));
        assert!(proven(&after, &verifier).is_ok());
        assert!(proven(&before, &verifier).is_ok(), "what was exported before");
        let hashes = |file: &[u8]| -> Vec<Value> {
            let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["data"]["proof"]["hash"].clone()).collect()
        };
        let (before, after) = (hashes(&before), hashes(&after));
        assert_eq!(before[..before.len() - 1], after[..before.len() - 1]);
    }

    async fn a_checkpoint_that_was_kept_is_held_against_an_export(server) {
        let (id, _) = organization(&server, "acme").await;
        let checkpoint = server.root.call("AuditService/GetCheckpoint", json!({"streamId": id})).await["checkpoint"].clone();
        let verifier: Verifier = text(&checkpoint["verifierKey"]).parse().unwrap();
        server.root.call("OrganizationService/SuspendOrganization", json!({"organizationId": id})).await;
        chained(&server.root, &id).await;
        let file = export(&server.root, json!({"streamId": id})).await;
        let held = |note: &str| {
            let kept = verify::Kept::open(note, &verifier).unwrap();
            verify::verify(&*file, &verifier, Some(&kept)).unwrap()
        };
        assert!(held(&text(&checkpoint["note"])).is_ok());

        // What the same key signed of another past, of another stream, and of what the export has not.
        let signer = key(&server).read().unwrap();
        let sequence = text(&checkpoint["sequence"]).parse().unwrap();
        let sign = |stream: &str, sequence: i64, hash: &str| {
            signer.sign(&roster::audit::export::checkpoint("roster", stream, sequence, hash, &[]))
        };
        let hash = text(&checkpoint["hash"]);
        assert!(held(&sign(&id, sequence, &hash)).is_ok(), "the same again");
        for (note, what) in [
            (sign(&id, sequence, &"0".repeat(64)), "is not what was signed then"),
            (sign("org_01h455vb4pex5vsknk084sn02q", sequence, &hash), "is of roster/org_01h455vb4pex5vsknk084sn02q"),
            (sign(&id, 99, &hash), "is of sequence 99"),
        ] {
            let fault = held(&note).unwrap_err().what;
            assert!(fault.contains(what), "{fault}");
        }
        let end: Value = serde_json::from_slice(file.split_inclusive(|byte| *byte == b'\n').next_back().unwrap()).unwrap();
        let forged = text(&checkpoint["note"]).replacen('\n', "x\n", 1);
        for (note, what) in [("nothing", "no signed note"), (&*forged, "not signed"), (end["note"].as_str().unwrap(), "end of an export")] {
            let why = format!("{:?}", verify::Kept::open(note, &verifier).unwrap_err());
            assert!(why.contains(what), "{why}");
        }
    }

    async fn other_tenants_and_callers_without_the_permission_get_no_log(server) {
        let (id, _) = organization(&server, "acme").await;
        let (other, _) = organization(&server, "other").await;
        let stranger = server.stranger().await;
        for name in ["AuditService/ExportEvents", "AuditService/GetCheckpoint"] {
            stranger.refused(name, json!({"streamId": id}), "ORGANIZATION_NOT_FOUND").await;
            let narrow = server.caller(&["members:read"]).await;
            narrow.refused(name, json!({"streamId": other}), "MISSING_PERMISSION").await;
        }
    }

    async fn what_was_answered_is_in_the_export_that_begins_then(server) {
        let (id, _) = organization(&server, "acme").await;
        for round in 0..20 {
            let name = format!("Acme {round}");
            let request = json!({"organization": {"organizationId": id, "displayName": name}, "updateMask": "displayName"});
            server.root.call("OrganizationService/UpdateOrganization", request).await;
            let file = export(&server.root, json!({"streamId": id})).await;
            assert!(String::from_utf8(file).unwrap().contains(&name), "{name} is not there yet");
        }
    }

    async fn what_cannot_be_exported_is_refused(server) {
        let (id, _) = organization(&server, "acme").await;
        let refused = async |request: Value, field: &str| {
            let status = server.root.refused("AuditService/ExportEvents", request, "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), [field]);
        };
        refused(json!({}), "stream_id").await;
        refused(json!({"streamId": "user_01h455vb4pex5vsknk084sn02q"}), "stream_id").await;
        refused(json!({"streamId": id, "afterSequence": "-1"}), "after_sequence").await;
        refused(json!({"streamId": id, "afterSequence": "99"}), "after_sequence").await;
        refused(json!({"streamId": id, "upToSequence": "99"}), "up_to_sequence").await;
        refused(json!({"streamId": id, "afterSequence": "3", "upToSequence": "2"}), "up_to_sequence").await;
        refused(json!({"streamId": id, "format": 99}), "format").await;
    }
}

/// Checkpoints, on a server that publishes them once a day.
async fn checkpoints(engine: Engine) {
    let server = TestServer::with(engine, |config| config.audit.checkpoint_after = DAY).await;
    let (id, _) = organization(&server, "acme").await;
    let last = chained(&server.root, &id).await;
    let answer = server.root.call("AuditService/GetCheckpoint", json!({"streamId": id})).await;
    let checkpoint = &answer["checkpoint"];
    assert_eq!(checkpoint["sequence"], last.to_string());
    let verifier: Verifier = text(&checkpoint["verifierKey"]).parse().unwrap();
    let note = text(&checkpoint["note"]);
    let signed = verifier.open(&note).unwrap();
    assert!(signed.starts_with(&format!("roster/{id}\n{last}\n")), "{signed}");

    server.clock.advance(DAY - Duration::from_mins(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.root.events(&id).await.len(), last, "too early");
    server.clock.advance(Duration::from_mins(2));
    let published = published(&server.root, &id, last + 1).await;
    assert_eq!(published["sequence"], last.to_string());
    assert_eq!(published["hash"], checkpoint["hash"]);
    assert!(verifier.open(&text(&published["note"])).is_some());

    server.clock.advance(3 * DAY);
    server.root.call("OrganizationService/SuspendOrganization", json!({"organizationId": id})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.root.events(&id).await.len(), last + 2, "nothing but a checkpoint had happened");
    server.clock.advance(DAY + Duration::from_mins(1));
    assert_eq!(self::published(&server.root, &id, last + 3).await["sequence"], (last + 2).to_string());

    // Something comes in between a checkpoint and what it covers: another checkpoint, here. The next one covers that too.
    let signer = key(&server).read().unwrap();
    let tenant_id = text(&server.root.events(&id).await[0]["tenantId"]).parse().unwrap();
    let ctx = Ctx::local(tenant_id, Actor::system(), server.clock.clock().now());
    let db = Db::open(&server.location()).await.unwrap();
    chained(&server.root, &id).await;
    let stream = id.parse().unwrap();
    server.root.call("OrganizationService/ReactivateOrganization", json!({"organizationId": id})).await;
    chained(&server.root, &id).await;
    let twice = async |tx: &mut Tx| {
        roster::audit::publish(&ctx, tx, stream, &signer).await?;
        roster::audit::publish(&ctx, tx, stream, &signer).await
    };
    db.write(twice).await.unwrap();
    db.close().await;
    let last = chained(&server.root, &id).await;
    server.clock.advance(DAY + Duration::from_mins(1));
    assert_eq!(self::published(&server.root, &id, last + 1).await["sequence"], last.to_string());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_says_how_far_a_stream_has_come_and_is_published_once_a_day_on_sqlite() {
    checkpoints(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_says_how_far_a_stream_has_come_and_is_published_once_a_day_on_postgres() {
    checkpoints(Engine::Postgres).await;
}

/// The checkpoint that a stream's event of this sequence has, when it is there.
async fn published(caller: &Caller, stream: &str, sequence: usize) -> Value {
    for _ in 0..200 {
        let events = caller.events(stream).await;
        if let Some(event) = events.get(sequence - 1) {
            assert_eq!(event["type"], "checkpoint.signed");
            return event["checkpointSigned"]["checkpoint"].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no checkpoint is published");
}
