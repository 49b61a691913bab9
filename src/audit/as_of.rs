//! An organization as it was: rebuilt from the log, as far as it had come.

use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    events::{Stream, read::store, store as log},
    ids::{OrganizationId, TenantId},
    proto::v1 as pb,
    rebuild::Fold,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 2_000;
/// What of the tenant's own stream says who has access in an organization. Users are not told: who they are is for those
/// who may read users.
const OF_TENANT: [&str; 3] = ["permission", "policy", "role"];

/// As of when.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Now.
    Now,
    /// After the event of this sequence.
    Sequence(i64),
    /// At this time.
    Time(Timestamp),
}

/// How far both streams had come.
pub async fn find(tx: &mut Tx, tenant_id: TenantId, id: OrganizationId, when: When) -> Result<pb::AsOf> {
    let (stream, tenant) = (Stream::Organization(id), Stream::Tenant(tenant_id));
    let last = log::organization_sequence(tx, tenant_id, id).await?.unwrap_or(0);
    let (sequence, tenant_sequence) = match when {
        When::Now => (last, log::tenant_sequence(tx, tenant_id).await?),
        When::Sequence(sequence) if sequence > last => {
            return Err(Error::invalid_field("sequence", format!("the stream ends at {last}")));
        }
        When::Sequence(sequence) => {
            let at = store::occurred_at(tx, tenant_id, stream, sequence).await?;
            (sequence, store::sequence_at(tx, tenant_id, tenant, at).await?)
        }
        When::Time(time) => (
            store::sequence_at(tx, tenant_id, stream, time).await?,
            store::sequence_at(tx, tenant_id, tenant, time).await?,
        ),
    };
    let field = if matches!(when, When::Time(_)) { "time" } else { "sequence" };
    for stream in [stream, tenant] {
        // What was there then may stand in what was dropped.
        let dropped = log::dropped_sequence(tx, tenant_id, stream).await?;
        if dropped > 0 {
            return Err(Error::range_dropped(field, dropped).with("first_sequence", dropped + 1));
        }
    }
    Ok(pb::AsOf { sequence, tenant_sequence })
}

/// Everything that there was then.
pub async fn states(
    tx: &mut Tx,
    tenant_id: TenantId,
    id: OrganizationId,
    as_of: &pb::AsOf,
) -> Result<impl Iterator<Item = pb::State> + use<>> {
    let mut fold = Fold::default();
    apply(tx, tenant_id, Stream::Tenant(tenant_id), as_of.tenant_sequence, &OF_TENANT, &mut fold).await?;
    apply(tx, tenant_id, Stream::Organization(id), as_of.sequence, &[], &mut fold).await?;
    Ok(fold.into_states())
}

/// Applies a stream's events up to a sequence: those about some kinds, or about any.
async fn apply(
    tx: &mut Tx,
    tenant_id: TenantId,
    stream: Stream,
    up_to: i64,
    kinds: &[&str],
    fold: &mut Fold,
) -> Result<()> {
    let mut after = 0;
    while after < up_to {
        let records = log::after_sequence(tx, tenant_id, stream.uuid(), after, BATCH_MAX).await?;
        if records.is_empty() {
            return Ok(());
        }
        for record in records {
            after = record.sequence;
            if after > up_to {
                return Ok(());
            }
            let event = record.decode("")?;
            let kind = event.subject.as_ref().map_or("", |subject| subject.kind.as_str());
            if (kinds.is_empty() || kinds.contains(&kind)) && !fold.apply(stream, event) {
                return Err(Error::internal("the data of an event is not of its type"));
            }
        }
    }
    Ok(())
}
