//! Where a reader begins.

use std::time::Duration;

use prost_types::Timestamp as ProtoTimestamp;
use uuid::Uuid;

use super::{Filter, store};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Reason, Result},
    events::{Record, Revision, Stream, horizon, store as log},
    fields::Fields,
    ids::TenantId,
};

/// How far a caller's clock may be ahead.
const CLOCKS_APART_MAX: Duration = Duration::from_mins(1);

/// Where a reader begins, as they say it.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// With what is new.
    New,
    /// Behind a position.
    Position(i64),
    /// Behind a sequence of the filter's stream.
    Sequence(i64),
    /// Behind what a revision includes.
    Revision(Revision),
    /// With what occurred at a time or later.
    Time(Timestamp),
}

/// Where a reader begins, in the log.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Behind this position; with what is new to this replica where there is none.
    pub position: Option<i64>,
    /// What of these streams is left out behind it: up to these sequences.
    pub seen: Vec<(Uuid, i64)>,
}

impl Place {
    /// Whether an event is left out: whoever begins here has seen it.
    pub fn has_seen(&self, record: &Record) -> bool {
        self.seen.iter().any(|(stream, sequence)| *stream == record.stream_id && record.sequence <= *sequence)
    }
}

impl Start {
    /// Reads a time to begin with.
    pub fn time(fields: &mut Fields, time: Option<&ProtoTimestamp>, now: Timestamp) -> Option<Timestamp> {
        let time = fields.time("since_time", time)?;
        if time > now.plus(CLOCKS_APART_MAX) {
            fields.wrong("since_time", "in the future");
        }
        Some(time)
    }
}

/// Finds the place of a start. Fails with `INVALID_REQUEST` or `INVALID_REVISION` where the log has not come so far, with
/// `RANGE_DROPPED` where it begins later.
pub async fn place(tx: &mut Tx, tenant: TenantId, filter: &Filter, start: Start) -> Result<Place> {
    let (head, _) = log::head(tx).await?;
    let stream = filter.stream.map(Stream::uuid);
    match start {
        Start::New => Ok(Place::default()),
        Start::Position(position) => {
            if position > head {
                return Err(Error::invalid_field("after_position", format!("the log ends at {head}")));
            }
            ensure_kept(tx, tenant, filter.stream, position).await?;
            Ok(Place { position: Some(position), seen: Vec::new() })
        }
        Start::Sequence(sequence) => {
            let stream = filter.stream.ok_or_else(|| Error::internal("a sequence without a stream"))?;
            ensure_sequence(tx, tenant, stream, sequence).await?;
            behind(tx, tenant, head, vec![(stream.uuid(), sequence)]).await
        }
        Start::Revision(revision) => {
            let mut seen = vec![(Stream::Tenant(tenant), revision.tenant_sequence)];
            seen.extend(revision.organization.map(|(id, sequence)| (Stream::Organization(id), sequence)));
            for (stream, sequence) in &seen {
                ensure_held(tx, tenant, *stream, *sequence).await?;
            }
            behind(tx, tenant, head, seen.into_iter().map(|(stream, sequence)| (stream.uuid(), sequence)).collect())
                .await
        }
        Start::Time(time) => {
            let horizon = horizon::of(tx, tenant, filter.stream).await?;
            if horizon.hides(time) {
                return Err(horizon.dropped_position("since_time"));
            }
            let first = store::position_since(tx, tenant, stream, time).await?;
            let before = first.map_or(head, |first| first - 1).max(horizon.position);
            Ok(Place { position: Some(before), seen: Vec::new() })
        }
    }
}

/// Where a list begins that leaves out what retention has dropped.
pub async fn skip_dropped(tx: &mut Tx, tenant: TenantId, stream: Option<Stream>, start: Start) -> Result<Start> {
    let horizon = horizon::of(tx, tenant, stream).await?;
    Ok(match (start, stream) {
        (Start::Sequence(sequence), _) => Start::Sequence(sequence.max(horizon.sequence)),
        (Start::Position(position), _) => Start::Position(position.max(horizon.position)),
        (Start::Time(time), Some(_)) if horizon.hides(time) => Start::Sequence(horizon.sequence),
        (Start::Time(time), None) if horizon.hides(time) => Start::Position(horizon.position),
        (start, _) => start,
    })
}

/// The sequence behind which a list of a stream begins.
pub async fn sequence_before(tx: &mut Tx, tenant: TenantId, stream: Stream, start: Start) -> Result<i64> {
    match start {
        Start::Sequence(sequence) => {
            ensure_sequence(tx, tenant, stream, sequence).await?;
            Ok(sequence)
        }
        Start::Time(time) => {
            let horizon = horizon::of(tx, tenant, Some(stream)).await?;
            if horizon.hides(time) {
                return Err(horizon.dropped_sequence("since_time"));
            }
            let first = store::sequence_since(tx, tenant, stream.uuid(), time).await?;
            Ok(first.map_or(i64::MAX, |first| (first - 1).max(horizon.sequence)))
        }
        Start::New | Start::Position(_) | Start::Revision(_) => Err(Error::internal("a list begins otherwise")),
    }
}

/// Behind the last of these that has a position: everything there follows, and of these streams what was not seen.
async fn behind(tx: &mut Tx, tenant: TenantId, head: i64, seen: Vec<(Uuid, i64)>) -> Result<Place> {
    let (mut last, mut first_unseen) = (0, head + 1);
    for (stream, sequence) in &seen {
        let horizon = horizon::of(tx, tenant, Some(Stream::of(tenant, *stream))).await?;
        last = last.max(match store::position_of(tx, tenant, *stream, *sequence).await? {
            Some(position) => position,
            None if *sequence <= horizon.sequence => horizon.position, // it is gone
            // What was just committed may have no position yet: whatever gets one from now on is behind the head.
            None => head,
        });
        let unseen = store::position_behind(tx, tenant, *stream, *sequence).await?;
        first_unseen = first_unseen.min(unseen.unwrap_or(head + 1));
    }
    Ok(Place { position: Some(last.min(first_unseen - 1)), seen })
}

/// Fails where retention has dropped what comes behind a position, of a stream or of any of the tenant's.
pub async fn ensure_kept(tx: &mut Tx, tenant: TenantId, stream: Option<Stream>, position: i64) -> Result<()> {
    let horizon = horizon::of(tx, tenant, stream).await?;
    if position < horizon.position { Err(horizon.dropped_position("after_position")) } else { Ok(()) }
}

/// Fails where a stream has not come so far, or where retention has dropped what comes behind.
async fn ensure_sequence(tx: &mut Tx, tenant: TenantId, stream: Stream, sequence: i64) -> Result<()> {
    let last = last_of(tx, tenant, stream).await?;
    if sequence > last {
        return Err(Error::invalid_field("after_sequence", format!("the stream ends at {last}")));
    }
    horizon::of(tx, tenant, Some(stream)).await?.ensure_behind("after_sequence", sequence)
}

/// Fails where a revision is of a stream that is not here, or has not come so far, or where retention has dropped what
/// comes behind it.
async fn ensure_held(tx: &mut Tx, tenant: TenantId, stream: Stream, sequence: i64) -> Result<()> {
    if sequence > last_of(tx, tenant, stream).await? {
        let message = "the revision is malformed, or of a log that this service does not hold";
        return Err(Error::new(Reason::InvalidRevision, message));
    }
    horizon::of(tx, tenant, Some(stream)).await?.ensure_behind("after_revision", sequence)
}

/// How far a stream has come; 0 for one that is not there.
async fn last_of(tx: &mut Tx, tenant: TenantId, stream: Stream) -> Result<i64> {
    match stream {
        Stream::Tenant(id) => log::tenant_sequence(tx, id).await,
        Stream::Organization(id) => Ok(log::organization_sequence(tx, tenant, id).await?.unwrap_or(0)),
    }
}
