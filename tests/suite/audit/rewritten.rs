//! A stream that somebody with every right on the database wrote anew, consistently: its own chain tells nothing. What was signed
//! before does.

use prost::Message as _;
use roster::{
    audit::verify::{self, Fault},
    config::Config,
    db::{Db, Location, Tx, Value as Argument},
    events::{
        Stream,
        chain::{self, Hash},
        store,
    },
    ids::TenantId,
    proto::v1 as pb,
};
use serde_json::json;

use super::{DAY, chained, export, organization, published, verifier};
use crate::support::{Engine, TestServer, text};

/// Changes what an event says, and makes every hash after it anew.
async fn rewrite(location: &Location, tenant_id: TenantId, stream: Stream, sequence: i64) {
    let db = Db::open(location).await.unwrap();
    let rewriting = async |tx: &mut Tx| {
        let unguarded: &[&str] = match location {
            Location::Postgres { .. } => &[
                "GRANT UPDATE ON events, events_positions TO CURRENT_USER",
                "ALTER TABLE events DISABLE TRIGGER USER",
                "ALTER TABLE events_positions DISABLE TRIGGER USER",
            ],
            Location::Folder(_) => &["DROP TRIGGER events_no_update", "DROP TRIGGER events_positions_no_update"],
        };
        for sql in unguarded {
            tx.execute(sql, Vec::new()).await?;
        }
        let events = store::proven(tx, tenant_id, stream.uuid(), 0, i64::MAX, 10_000).await?;
        let mut hash = chain::beginning(stream);
        for mut event in events {
            if event.sequence == sequence {
                let mut told = pb::Event::decode(&*event.payload).unwrap();
                told.reason = "it was somebody else".to_owned();
                event.payload = told.encode_to_vec();
            }
            let seal = |bytes: &[u8]| -> Option<Hash> { (!bytes.is_empty()).then(|| chain::read(bytes).unwrap()) };
            let leaf = chain::leaf(chain::json(&event.payload)?, seal(&event.subject_seal), seal(&event.actor_seal))?;
            hash = chain::next(&hash, &leaf);
            assert!(event.sequence >= sequence || event.hash == hash, "the chain is made as the service does");
            put(tx, tenant_id, stream, &event, &leaf, &hash).await?;
        }
        let sql = "UPDATE log_chains SET hash = $2 WHERE stream_id = $1";
        tx.execute(sql, vec![Argument::Uuid(Some(stream.uuid())), Argument::Bytes(hash.to_vec())]).await.map(drop)
    };
    db.write(rewriting).await.unwrap();
    db.close().await;
}

async fn put(
    tx: &mut Tx,
    tenant_id: TenantId,
    stream: Stream,
    event: &store::Proven,
    leaf: &Hash,
    hash: &Hash,
) -> roster::error::Result<()> {
    let place = || {
        let (tenant, stream) = (Argument::Uuid(Some(tenant_id.uuid())), Argument::Uuid(Some(stream.uuid())));
        vec![tenant, stream, Argument::Integer(Some(event.sequence))]
    };
    let bytes = |bytes: &[u8]| Argument::Bytes(bytes.to_vec());
    let sql = "UPDATE events SET payload = $4, leaf = $5 WHERE tenant_id = $1 AND stream_id = $2 AND sequence = $3";
    assert_eq!(tx.execute(sql, [place(), vec![bytes(&event.payload), bytes(leaf)]].concat()).await?, 1);
    let sql = "UPDATE events_positions SET hash = $4 WHERE row_id =
        (SELECT row_id FROM events WHERE tenant_id = $1 AND stream_id = $2 AND sequence = $3)";
    assert_eq!(tx.execute(sql, [place(), vec![bytes(hash)]].concat()).await?, 1);
    Ok(())
}

async fn what_was_signed_before_tells(engine: Engine) {
    let mut server = TestServer::with(engine, |config| config.audit.checkpoint_after = DAY).await;
    server.meddled_with = true;
    let (id, _) = organization(&server, "acme").await;
    let last = i64::try_from(chained(&server.root, &id).await).unwrap();
    let kept =
        text(&server.root.call("AuditService/GetCheckpoint", json!({"streamId": id})).await["checkpoint"]["note"]);
    server.clock.advance(2 * DAY);
    published(&server.root, &id, usize::try_from(last).unwrap() + 1).await;
    server.root.call("OrganizationService/SuspendOrganization", json!({"organizationId": id})).await;
    chained(&server.root, &id).await;
    let key = verifier(&server.root, &id).await;
    for note in ["", "junk", &kept.replacen('1', "2", 1), &kept[..kept.len() - 3]] {
        assert!(verify::Kept::open(note, &key).is_err(), "{note:?}");
    }
    let (by_jq, of_windows) = (kept.clone() + "\n", kept.replace('\n', "\r\n"));
    for note in [&by_jq, &of_windows] {
        verify::Kept::open(note, &key).expect("the same note, as tools write it");
    }
    let kept = verify::Kept::open(&kept, &key).unwrap();
    let prove = async |server: &TestServer, up_to: i64, kept: Option<&verify::Kept>| {
        let file = export(&server.root, json!({"streamId": id, "upToSequence": up_to.to_string()})).await;
        verify::verify(&*file, &key, kept).unwrap()
    };
    assert!(prove(&server, 0, Some(&kept)).await.is_ok() && prove(&server, last, Some(&kept)).await.is_ok());

    let tenant_id = text(&server.root.events(&id).await[0]["tenantId"]).parse().unwrap();
    let (location, stream) = (server.location(), id.parse().unwrap());
    let rewriting = rewrite(&location, tenant_id, stream, 2);
    let between = |config: &mut Config| {
        config.audit.checkpoint_after = DAY;
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(rewriting));
    };
    server.restart(between).await; // a service that runs sees that the end of the log is another one, and stops
    assert!(prove(&server, last, None).await.is_ok(), "by itself it is whole: the service signs what it finds");
    assert_eq!(server.root.events(&id).await[1]["reason"], "it was somebody else");

    let what = format!("up to sequence {last} it is not what was signed then");
    let line = |line: i64| usize::try_from(line).unwrap();
    let end = Fault { line: line(last + 2), sequence: None, what: what.clone() };
    assert_eq!(prove(&server, last, Some(&kept)).await, Err(end), "by the checkpoint that was kept");
    let checkpoint = Fault { line: line(last + 2), sequence: Some(last + 1), what };
    assert_eq!(prove(&server, 0, None).await, Err(checkpoint), "by the checkpoint that is in the stream");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_before_tells_on_sqlite() {
    what_was_signed_before_tells(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_before_tells_on_postgres() {
    what_was_signed_before_tells(Engine::Postgres).await;
}
