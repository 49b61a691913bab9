//! State and log come out of one transaction: whichever test there is, they agree when its server stops, and every event
//! is in its stream's chain.

use roster::{
    db::{Db, FromRow, Tx},
    events::{
        Stream,
        chain::{self, Hash},
        store,
    },
    ids::TenantId,
    rebuild,
};

use super::Database;

/// Fails where the state that this database has is not the one that its log amounts to, or where a chain is broken.
pub fn assert_proven(database: &Database) {
    let difference = std::thread::scope(|scope| {
        // A runtime of its own: this is called where one runs already.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(prove(database))).join().unwrap()
    });
    assert_eq!(difference.different.first, [""; 0], "of {} things", difference.compared);
}

async fn prove(database: &Database) -> rebuild::Difference {
    let db = Db::open(&database.location()).await.unwrap();
    let mut tx = db.snapshot().await.unwrap();
    assert_chained(&mut tx).await;
    let difference = rebuild::prove(&mut tx).await.unwrap();
    drop(tx);
    db.close().await;
    difference
}

/// The end of a stream's chain.
#[derive(FromRow)]
struct End {
    tenant_id: TenantId,
    stream_id: uuid::Uuid,
    sequence: i64,
    hash: Vec<u8>,
}

/// Hashes every stream again, from what is stored of its events.
pub async fn assert_chained(tx: &mut Tx) {
    let sql = "SELECT tenant_id, stream_id, sequence, hash FROM log_chains";
    let ends: Vec<End> = tx.fetch_all(sql, Vec::new()).await.unwrap();
    for End { tenant_id, stream_id, sequence, hash } in ends {
        let mut chained = chain::beginning(Stream::of(tenant_id, stream_id));
        let events = store::proven(tx, tenant_id, stream_id, 0, i64::MAX, i64::MAX).await.unwrap();
        for event in &events {
            chained = chain::next(&chained, &leaf(event));
            assert_eq!(event.hash, chained, "{stream_id} {}", event.sequence);
        }
        assert_eq!((events.len(), hash), (usize::try_from(sequence).unwrap(), chained.to_vec()), "{stream_id}");
    }
}

fn leaf(event: &store::Proven) -> Hash {
    let subject = seal(&event.subject_seal, event.subject_salt.as_ref(), event.subject_payload.as_ref());
    let actor = seal(&event.actor_seal, event.actor_salt.as_ref(), event.actor_payload.as_ref());
    chain::leaf(chain::json(&event.payload).unwrap(), subject, actor).unwrap()
}

/// A seal, which is of what is still there.
fn seal(seal: &[u8], salt: Option<&Vec<u8>>, payload: Option<&Vec<u8>>) -> Option<Hash> {
    let seal: Option<Hash> = seal.try_into().ok();
    if let Some((salt, payload)) = salt.zip(payload).filter(|(salt, _)| !salt.is_empty()) {
        assert_eq!(chain::commit(salt, &chain::json(payload).unwrap()).ok(), seal);
    }
    seal
}
