//! The log: every change, appended in the transaction that makes it. Everything downstream is fed from here.
//!
//! Nothing but [`append`] writes to the log. Sequences are drawn under the lock of their stream's row (the organization,
//! or the tenant for its own stream), which is what makes them contiguous, in commit order, and safe under rollback.

pub mod base;
mod batches;
pub mod chain;
pub mod chains;
pub mod cloud_event;
mod data;
pub mod horizon;
mod ledger;
mod numbered;
mod personal;
pub mod read;
mod recent;
mod revision;
mod row;
mod rpc;
pub mod state;
pub mod store;
mod watch;
mod watches;

use std::{collections::BTreeMap, sync::Arc};

pub use batches::Batches;
use chain::Sealed;
pub use data::{TYPES, type_name};
pub use ledger::Ledger;
pub use personal::{Part, Parts, Personal};
pub use recent::Recent;
pub use revision::Revision;
use row::{Row, actor_kind};
pub use store::Record;
use uuid::Uuid;
pub use watches::{Limits, Watches};

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    ids::{EventId, OrganizationId, TenantId, UserId},
    proto::v1 as pb,
};

/// The version of the contract that this service writes.
const SCHEMA_VERSION: i32 = 1;
/// The most that an event may weigh: a Kafka broker takes records of 1 MiB where nobody configured it otherwise, and
/// an event that was committed must be publishable.
const ENCODED_BYTES_MAX: usize = 900_000;

/// Which stream an event is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// An organization's.
    Organization(OrganizationId),
    /// The tenant's own.
    Tenant(TenantId),
}

impl Stream {
    /// The stream of this id: the tenant's own where it is the tenant's.
    pub fn of(tenant_id: TenantId, id: Uuid) -> Self {
        match id == tenant_id.uuid() {
            true => Self::Tenant(tenant_id),
            false => Self::Organization(OrganizationId::from_uuid(id)),
        }
    }

    /// The id of the row that carries the stream's sequence.
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Organization(id) => id.uuid(),
            Self::Tenant(id) => id.uuid(),
        }
    }

    /// That of an event; none where its ids are none.
    pub fn of_event(event: &pb::Event) -> Option<Self> {
        match event.organization_id.as_str() {
            "" => event.tenant_id.parse().ok().map(Self::Tenant),
            id => id.parse().ok().map(Self::Organization),
        }
    }
}

/// Its id, as people know it.
impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Organization(id) => id.fmt(f),
            Self::Tenant(id) => id.fmt(f),
        }
    }
}

/// From its id, as people know it.
impl std::str::FromStr for Stream {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        id.parse().map(Self::Organization).or_else(|()| id.parse().map(Self::Tenant))
    }
}

/// A change, as a slice tells it to the log.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which stream it goes to.
    pub stream: Stream,
    /// What it is about: kind and id.
    pub subject: (&'static str, String),
    /// What happened.
    pub data: pb::event::Data,
    /// Whether it only follows from the first change of its transaction.
    pub cascaded: bool,
    /// Whose personal data it holds.
    pub person: Option<UserId>,
}

impl Change {
    /// A change of something in an organization, or of the organization itself.
    pub fn in_organization(
        id: OrganizationId,
        kind: &'static str,
        subject: impl ToString,
        data: pb::event::Data,
    ) -> Self {
        Self::in_stream(Stream::Organization(id), (kind, subject.to_string()), data)
    }

    /// A change of something that belongs to no organization.
    pub fn in_tenant(id: TenantId, kind: &'static str, subject: impl ToString, data: pb::event::Data) -> Self {
        Self::in_stream(Stream::Tenant(id), (kind, subject.to_string()), data)
    }

    fn in_stream(stream: Stream, subject: (&'static str, String), data: pb::event::Data) -> Self {
        Self { stream, subject, data, cascaded: false, person: None }
    }

    /// The same change, of a thing whose personal fields are this user's: erasing them empties those.
    #[must_use]
    pub fn about(mut self, person: UserId) -> Self {
        self.person = Some(person);
        self
    }

    /// The same change, as a consequence of the first one of its transaction.
    #[must_use]
    pub fn cascaded(mut self) -> Self {
        self.cascaded = true;
        self
    }
}

/// Appends changes to the log, in the transaction that makes them. Call it once, at the end of an operation: it takes
/// the locks of the streams, the tenant's last.
pub async fn append(ctx: &Ctx, tx: &mut Tx, changes: Vec<Change>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut next = draw_sequences(ctx, tx, &changes).await?;
    let (mut rows, mut personal) = (Vec::with_capacity(changes.len()), Vec::new());
    for change in changes {
        let sequence = next.get_mut(&change.stream).expect("drawn above");
        *sequence += 1;
        let stream_id = change.stream.uuid();
        let person = change.person;
        let effect = data::effect(&change.data)?;
        let event = envelope(ctx, tx, change, *sequence, effect.changed_fields);
        let parts = Parts::of(&event, person);
        if parts.bytes() > ENCODED_BYTES_MAX {
            return Err(Error::new(Reason::EventTooLarge, "the change is too large to be published")
                .with("bytes_max", ENCODED_BYTES_MAX));
        }
        let id: EventId = event.event_id.parse().expect("made by envelope");
        let (tenant_id, occurred_at, ended) = (ctx.tenant_id, ctx.now, effect.ended);
        let row = Row { tenant_id, stream_id, id, occurred_at, event: &event, ended };
        let sealed = Sealed::of(&parts)?;
        personal.extend(row.personal(&parts, &sealed));
        rows.push(row.main(parts, &sealed));
        tx.ledger.appended(Arc::new(event));
    }
    store::insert(tx, rows).await?;
    store::insert_personal(tx, personal).await
}

/// Appends an event of a log of before again, as it was: tenant, stream and id, when, and its parts.
pub async fn put_back(
    tx: &mut Tx,
    (tenant_id, stream_id, id): (TenantId, Uuid, EventId),
    occurred_at: Timestamp,
    parts: Parts,
) -> Result<()> {
    let event = <pb::Event as prost::Message>::decode(&*parts.payload).map_err(Error::internal)?;
    let data = event.data.as_ref().ok_or_else(|| Error::internal("an event without data"))?;
    let ended = data::effect(data)?.ended;
    let row = Row { tenant_id, stream_id, id, occurred_at, event: &event, ended };
    let sealed = Sealed::of(&parts)?;
    let personal = row.personal(&parts, &sealed);
    store::insert(tx, vec![row.main(parts, &sealed)]).await?;
    store::insert_personal(tx, Vec::from_iter(personal)).await
}

/// Fails where there is no such stream: one of another tenant is one that does not exist.
pub async fn ensure_stream(tx: &mut Tx, ctx: &Ctx, stream: Stream) -> Result<()> {
    match stream {
        Stream::Tenant(id) if id == ctx.tenant_id => Ok(()),
        Stream::Tenant(_) => Err(Error::new(Reason::TenantNotFound, "no such tenant")),
        Stream::Organization(id) => {
            let found = store::organization_sequence(tx, ctx.tenant_id, id).await?;
            found.map(drop).ok_or_else(|| Error::new(Reason::OrganizationNotFound, "no such organization"))
        }
    }
}

/// Empties the personal data of a user in all events, for good.
pub async fn erase_person(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<()> {
    store::erase_person(tx, tenant_id, user_id).await
}

/// Takes as many sequences from each stream as it has changes; answers the last one taken before.
async fn draw_sequences(ctx: &Ctx, tx: &mut Tx, changes: &[Change]) -> Result<BTreeMap<Stream, i64>> {
    let mut counts = BTreeMap::new();
    for change in changes {
        *counts.entry(change.stream).or_insert(0) += 1;
    }
    // `Stream` orders organizations before the tenant: one order of locks for everybody.
    for (stream, count) in &mut counts {
        let last = match *stream {
            Stream::Organization(id) => {
                let (last, of_tenant) = store::draw_organization(tx, ctx.tenant_id, id, *count).await?;
                tx.ledger.reached(Stream::Tenant(ctx.tenant_id), of_tenant);
                last
            }
            Stream::Tenant(id) => store::draw_tenant(tx, id, *count).await?,
        };
        tx.ledger.reached(*stream, last);
        *count = last - *count;
    }
    Ok(counts)
}

fn envelope(ctx: &Ctx, tx: &Tx, change: Change, sequence: i64, changed_fields: Vec<String>) -> pb::Event {
    let event_id = EventId::generate().to_string();
    let cause = tx.ledger.events().first().map(|event| event.event_id.clone());
    let organization_id = match change.stream {
        Stream::Organization(id) => id.to_string(),
        Stream::Tenant(_) => String::new(),
    };
    pb::Event {
        r#type: type_name(&change.data).to_owned(),
        schema_version: SCHEMA_VERSION,
        occur_time: Some(ctx.now.into()),
        tenant_id: ctx.tenant_id.to_string(),
        organization_id,
        sequence,
        subject: Some(pb::EventSubject { kind: change.subject.0.to_owned(), id: change.subject.1 }),
        actor: Some(pb::EventActor {
            kind: ctx.actor.kind.into(),
            id: ctx.actor.id.clone(),
            address: ctx.actor.address.clone(),
            user_agent: ctx.actor.user_agent.clone(),
        }),
        request_id: ctx.request_id.clone(),
        correlation_id: cause.clone().unwrap_or_else(|| event_id.clone()),
        causation_id: if change.cascaded { cause.unwrap_or_default() } else { String::new() },
        reason: ctx.reason.clone(),
        trace_parent: ctx.trace_parent.clone(),
        changed_fields,
        data: Some(change.data),
        event_id,
        ..pb::Event::default()
    }
}

/// The data of an event about something that now exists: `created!(TeamCreated, &team)`.
macro_rules! created {
    ($data:ident, $after:expr) => {
        $crate::proto::v1::event::Data::$data($crate::proto::v1::$data { after: Some($after.into()) })
    };
}
/// The data of an event about something that is now different: `changed!(TeamMoved, &before, &after)`.
macro_rules! changed {
    ($data:ident, $before:expr, $after:expr) => {
        $crate::proto::v1::event::Data::$data($crate::proto::v1::$data {
            before: Some($before.into()),
            after: Some($after.into()),
        })
    };
}
/// The data of an event about something that is no more: `ended!(TeamDeleted, &team)`.
macro_rules! ended {
    ($data:ident, $before:expr) => {
        $crate::proto::v1::event::Data::$data($crate::proto::v1::$data { before: Some($before.into()) })
    };
}
pub(crate) use {changed, created, ended};

/// The log, for whoever reads it to answer a caller.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Storage.
    pub db: crate::db::Db,
    /// The last position that this replica has read.
    pub head: tokio::sync::watch::Receiver<i64>,
    /// Of which streams the latest events are.
    pub recent: Arc<Recent>,
    /// Who watches.
    pub watches: Arc<Watches>,
    /// Which log this is.
    pub stream_epoch: Arc<str>,
    /// Ends the streams when the service stops.
    pub stop: tokio_util::sync::CancellationToken,
}
