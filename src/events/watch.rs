//! Watch: the log as a stream without end.
//!
//! Each watcher reads the log by position for itself, a page at a time, when the one before was taken: a slow one holds
//! one page, for a bounded time, and slows nobody.

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use super::{
    Reader,
    read::{
        Filter, Place, ensure_kept,
        store::{self, Room},
    },
    watches::{Held, Watching},
};
use crate::{
    auth::Caller,
    error::{Error, Reason, Result},
    ids::TenantId,
    proto::v1::{self as pb, watch_events_response::Item},
    service::Service,
};

/// How much is held for a watcher.
const PAGE: Room = Room { events: 200, bytes: 256 << 10 };
/// How many positions are looked at at once: a filter that lets nothing through is no long statement.
const RANGE: i64 = 10_000;
/// After how long without an event a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The least time between two looks at the log's end: a burst is read in one go.
const LOOK: Duration = Duration::from_millis(10);
/// After how long it is asked again whether the watcher's credential still holds.
const VERIFY: Duration = Duration::from_secs(5);

/// What a watcher asked for, and who they are.
#[derive(Debug)]
pub struct Watch {
    /// Whose events.
    pub tenant_id: TenantId,
    /// Which of them.
    pub filter: Filter,
    /// Where to begin.
    pub place: Place,
    /// The watcher: a stream ends with their credential, and with a user's right to it.
    pub caller: Caller,
}

/// What was read of the log for a watcher.
struct Page {
    held: Held,
    /// There is nothing else up to this position.
    up_to: i64,
}

/// Streams events behind a place, or what is new. It is counted for as long as it is there.
///
/// Nobody asks the stream for its next event while its watcher reads nothing. So it awaits nothing itself that holds what
/// others need, such as a connection to the database: that runs beside it, and comes to its end.
pub fn stream(
    service: Service,
    watch: Watch,
    watching: Watching,
) -> impl Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send {
    try_stream! {
        let watch = Arc::new((watch, watching));
        let reader = &service.log;
        let mut head = reader.head.clone();
        let mut position = watch.0.place.position.unwrap_or_else(|| *head.borrow_and_update());
        yield heartbeat(position);
        let (mut said, mut verified) = (Instant::now(), Instant::now());
        while !reader.stop.is_cancelled() {
            let behind = |error: Error| error.with("resume_position", position);
            if verified.elapsed() >= VERIFY {
                beside(ensure_still(service.clone(), watch.clone())).await.map_err(behind)?;
                verified = Instant::now();
            }
            let (looked, up_to) = (Instant::now(), *head.borrow_and_update());
            if may_have(reader, &watch.0, position, up_to) {
                let page = beside(read(reader.clone(), watch.clone(), position, up_to)).await.map_err(behind)?;
                while let Some(record) = page.held.next().map_err(|slow| slow.with("resume_position", position))? {
                    let event = record.decode(&reader.stream_epoch)?;
                    position = event.position;
                    said = Instant::now();
                    yield pb::WatchEventsResponse { item: Some(Item::Event(event)) };
                }
                position = position.max(page.up_to);
            } else {
                position = position.max(up_to);
            }
            if said.elapsed() >= HEARTBEAT {
                said = Instant::now();
                yield heartbeat(position);
            }
            if position >= up_to {
                let next = async { tokio::join!(head.changed(), tokio::time::sleep_until(looked + LOOK)) };
                tokio::select! {
                    () = reader.stop.cancelled() => {}
                    _ = next => {}
                    () = tokio::time::sleep_until(said + HEARTBEAT) => {}
                }
            }
        }
        let stopping = Error::new(Reason::ShuttingDown, "the service is stopping: resume on another replica");
        Err(stopping.with("resume_position", position))?;
    }
}

/// Runs to its end, whoever still waits for it.
async fn beside<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

/// Fails where the watcher may watch no more.
async fn ensure_still(service: Service, watch: Arc<(Watch, Watching)>) -> Result<()> {
    let now = service.clock.now();
    let Watch { caller, filter, .. } = &watch.0;
    service.credentials.ensure_in_force(&caller.who, now).await?;
    let organization_id = match filter.stream {
        Some(super::Stream::Organization(id)) => Some(id),
        Some(super::Stream::Tenant(_)) | None => None,
    };
    service.authority(caller, organization_id, now).await.map(drop)
}

fn heartbeat(position: i64) -> pb::WatchEventsResponse {
    pb::WatchEventsResponse { item: Some(Item::Heartbeat(pb::Heartbeat { position })) }
}

/// Whether there may be something for a watcher.
fn may_have(reader: &Reader, watch: &Watch, after: i64, up_to: i64) -> bool {
    up_to > after && !reader.recent.has_nothing(watch.tenant_id, watch.filter.stream, after, up_to)
}

/// Reads the next page, and holds it from then on.
async fn read(reader: Reader, watch: Arc<(Watch, Watching)>, after: i64, up_to: i64) -> Result<Page> {
    let watch = &watch.0;
    let up_to = up_to.min(after + RANGE);
    let mut tx = reader.db.snapshot().await?;
    ensure_kept(&mut tx, watch.tenant_id, watch.filter.stream, after).await?;
    let found = store::by_position(&mut tx, watch.tenant_id, &watch.filter, (after, up_to), PAGE).await?;
    drop(tx);
    let last = found.records.last().and_then(|record| record.position);
    let up_to = last.filter(|_| found.more).unwrap_or(up_to);
    let mut records = found.records;
    records.retain(|record| !watch.place.has_seen(record));
    // Said in the log: an operator is asked why a consumer fell behind.
    let (tenant_id, (_, watcher)) = (watch.tenant_id, watch.caller.who.actor());
    let held = Held::page(records, reader.watches.limits.page_time, move || {
        tracing::info!(%tenant_id, watcher, "a watcher did not take a page in time");
    });
    Ok(Page { held, up_to })
}
