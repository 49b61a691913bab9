//! What the topic of states gets of an event: the state that it leaves, or a tombstone.

use std::collections::BTreeSet;

use prost::Message as _;

use super::{
    content::Content,
    partition,
    record::{self, Message},
};
use crate::{
    db::Db,
    error::{Error, Result},
    events::{
        Record, Stream, base,
        state::{self, Left, Subject},
    },
    ids::TenantId,
    proto::v1 as pb,
};

/// How many events of a stream are read at once: each may weigh much.
const BATCH_MAX: i64 = 100;

/// The records of one row: what its event leaves; before the end of a stream, a tombstone for everything that it had.
pub async fn messages(content: &Content, db: &Db, record: Record) -> Result<Vec<Message>> {
    let (stream, tenant_id) = (record.stream(), record.tenant_id);
    let (event, _) = content.published(record)?;
    let Some(left) = left(stream, event.clone())? else { return Ok(Vec::new()) };
    let mut messages = Vec::new();
    if left.ends_stream {
        for subject in things(db, tenant_id, stream, left.sequence).await? {
            if subject != left.subject {
                messages.push(message(content, &event, &subject, None)?);
            }
        }
    }
    messages.push(message(content, &event, &left.subject, left.state)?);
    Ok(messages)
}

fn left(stream: Stream, event: pb::Event) -> Result<Option<Left>> {
    let id = event.event_id.clone();
    state::of(stream, event).map_err(|_| Error::internal(format!("the data of {id} is not of its type")))
}

/// What a stream has before this sequence.
async fn things(db: &Db, tenant: TenantId, stream: Stream, before: i64) -> Result<BTreeSet<Subject>> {
    let (mut things, mut after) = (BTreeSet::new(), 0);
    loop {
        let mut tx = db.snapshot().await?;
        let records = base::after_sequence(&mut tx, tenant, stream, after, BATCH_MAX).await?;
        drop(tx);
        let Some(last) = records.last() else { return Ok(things) };
        after = last.sequence;
        for record in records {
            if record.sequence >= before {
                return Ok(things);
            }
            match left(stream, record.decode("")?)? {
                Some(Left { subject, state: Some(_), .. }) => drop(things.insert(subject)),
                Some(Left { subject, state: None, .. }) => drop(things.remove(&subject)),
                None => {}
            }
        }
    }
}

fn message(content: &Content, event: &pb::Event, subject: &Subject, state: Option<pb::State>) -> Result<Message> {
    let value = state.map(|state| content.codec.encode(state.encode_to_vec())).transpose()?;
    let id = format!("{}/{}/{}", event.event_id, subject.kind, subject.id);
    let headers = record::headers(event, &content.codec, (&id, &subject.id), content.omits_personal);
    // In the partition of the same number as the events of its stream.
    let partition = Some(partition::of(record::key(event), content.partitions));
    Ok(Message { key: subject.to_string(), partition, value, headers })
}
