//! Watch: the log as a stream without end.
//!
//! Each watcher reads the log by position for itself, a page at a time, when the one before was taken: a slow one holds
//! one page and slows nobody.

use std::time::Duration;

use async_stream::try_stream;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

use super::{
    Reader,
    store::{self, Filter},
};
use crate::{
    auth::Caller,
    error::{Error, Reason, Result},
    ids::TenantId,
    proto::v1::{self as pb, watch_events_response::Item},
    service::Service,
};

/// How many events are read at once.
const PAGE: i64 = 200;
/// After how long without an event a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After how long it is asked again whether the watcher's credential still holds.
const VERIFY: Duration = Duration::from_secs(5);

/// What a watcher asked for, and who they are.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Whose events.
    pub tenant_id: TenantId,
    /// Which of them.
    pub filter: Filter,
    /// Begin after this position; with what is new where absent.
    pub after: Option<i64>,
    /// The watcher: a stream ends with their credential, and with a user's right to it.
    pub caller: Caller,
}

/// Streams events after a position, or what is new.
pub fn stream(service: Service, watch: Watch) -> impl Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send {
    try_stream! {
        let reader = &service.log;
        let mut head = reader.head.clone();
        let mut position = watch.after.unwrap_or_else(|| *head.borrow_and_update());
        yield heartbeat(position);
        let (mut said, mut verified) = (Instant::now(), Instant::now());
        loop {
            if verified.elapsed() >= VERIFY {
                ensure_still(&service, &watch).await?;
                verified = Instant::now();
            }
            let up_to = *head.borrow_and_update();
            let events = read(reader, &watch, position, up_to).await?;
            let full = i64::try_from(events.len()).is_ok_and(|count| count == PAGE);
            for event in events {
                position = event.position;
                said = Instant::now();
                yield pb::WatchEventsResponse { item: Some(Item::Event(event)) };
            }
            if full {
                continue;
            }
            position = position.max(up_to);
            if said.elapsed() >= HEARTBEAT {
                said = Instant::now();
                yield heartbeat(position);
            }
            tokio::select! {
                () = reader.stop.cancelled() => break,
                _ = head.changed() => {}
                () = tokio::time::sleep_until(said + HEARTBEAT) => {}
            }
        }
        Err(Error::new(Reason::ShuttingDown, "the service is stopping: resume on another replica"))?;
    }
}

/// Fails where the watcher may watch no more.
async fn ensure_still(service: &Service, watch: &Watch) -> Result<()> {
    let now = service.clock.now();
    service.credentials.ensure_in_force(&watch.caller.who, now).await?;
    let organization_id = match watch.filter.stream {
        Some(super::Stream::Organization(id)) => Some(id),
        Some(super::Stream::Tenant(_)) | None => None,
    };
    service.authority(&watch.caller, organization_id, now).await.map(drop)
}

fn heartbeat(position: i64) -> pb::WatchEventsResponse {
    pb::WatchEventsResponse { item: Some(Item::Heartbeat(pb::Heartbeat { position })) }
}

async fn read(reader: &Reader, watch: &Watch, after: i64, up_to: i64) -> Result<Vec<pb::Event>> {
    if up_to <= after {
        return Ok(Vec::new());
    }
    let mut tx = reader.db.snapshot().await?;
    let records = store::after_position(&mut tx, watch.tenant_id, &watch.filter, after, up_to, PAGE).await?;
    records.into_iter().map(|record| record.decode(&reader.stream_epoch)).collect()
}
