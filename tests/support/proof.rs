//! State and log come out of one transaction: whichever test there is, they agree when its server stops, and every event
//! is in its stream's chain.

use std::collections::BTreeSet;

use roster::{
    audit::as_of::{self, When},
    db::{Db, FromRow, Tx},
    events::{
        Stream,
        chain::{self, Hash},
        state::Subject,
        store,
    },
    ids::{OrganizationId, TenantId},
    proto::v1::State,
    rebuild::{self, Fold},
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
    let as_of_now = as_of_now(&mut tx).await;
    let as_of_now = rebuild::compare(&mut tx, as_of_now).await.unwrap();
    assert_eq!(as_of_now.different.first, [""; 0], "as of now");
    assert_eq!(as_of_now.compared, difference.compared);
    drop(tx);
    db.close().await;
    difference
}

/// The state as ReadStateAsOf tells it of every organization; and as the log amounts to, what that does not tell.
async fn as_of_now(tx: &mut Tx) -> Fold {
    let (mut told, mut tenants) = (Vec::new(), BTreeSet::new());
    let organizations = "SELECT tenant_id, id FROM organizations";
    let organizations: Vec<(TenantId, OrganizationId)> = tx.fetch_all(organizations, Vec::new()).await.unwrap();
    for (tenant_id, id) in organizations {
        let now = as_of::find(tx, tenant_id, id, When::Now).await.unwrap();
        let (_, states) = as_of::states(tx, tenant_id, id, &now, &as_of::OF_TENANT).await.unwrap();
        told.extend(states);
        tenants.insert(tenant_id.to_string());
    }
    let is_told = |state: &State| {
        !state.organization_id.is_empty()
            || as_of::OF_TENANT.contains(&state.kind.as_str()) && tenants.contains(&state.tenant_id)
    };
    told.extend(rebuild::of_log(tx).await.unwrap().into_states().filter(|state| !is_told(state)));
    let mut fold = Fold::default();
    for state in told {
        let tenant_id: TenantId = state.tenant_id.parse().unwrap();
        let organization_id = state.organization_id.parse().map_or(Stream::Tenant(tenant_id), Stream::Organization);
        fold.put(Subject { stream: organization_id, kind: state.kind.clone(), id: state.id.clone() }, Some(state));
    }
    fold
}

/// The end of a stream's chain.
#[derive(FromRow)]
struct End {
    tenant_id: TenantId,
    stream_id: uuid::Uuid,
    sequence: i64,
    hash: Vec<u8>,
    hidden_sequence: i64,
    hidden_hash: Option<Vec<u8>>,
}

/// Hashes every stream again, from what is stored of its events: all of them, or those that retention has left.
pub async fn assert_chained(tx: &mut Tx) {
    let sql = "SELECT tenant_id, stream_id, sequence, hash, hidden_sequence, hidden_hash FROM log_chains";
    let ends: Vec<End> = tx.fetch_all(sql, Vec::new()).await.unwrap();
    for End { tenant_id, stream_id, sequence, hash, hidden_sequence, hidden_hash } in ends {
        let mut chained = chain::beginning(Stream::of(tenant_id, stream_id));
        let mut events = store::proven(tx, tenant_id, stream_id, 0, i64::MAX, i64::MAX).await.unwrap();
        let mut before = 0;
        if events.first().is_none_or(|first| first.sequence > 1) {
            events.retain(|event| event.sequence > hidden_sequence);
            chained = hidden_hash.expect("the hash before what is left").try_into().unwrap();
            before = hidden_sequence;
        }
        for event in &events {
            chained = chain::next(&chained, &leaf(event));
            assert_eq!(event.hash, chained, "{stream_id} {}", event.sequence);
        }
        let count = usize::try_from(sequence - before).unwrap();
        assert_eq!((events.len(), hash), (count, chained.to_vec()), "{stream_id}");
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
