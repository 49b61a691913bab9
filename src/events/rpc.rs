//! EventService.

use std::pin::Pin;

use tonic::{Request, Response, Status};

use super::{
    Revision,
    read::{
        self, Filter, Place, Start,
        store::{Found, Room},
    },
    store,
    watch::{self, Watch},
};
use crate::{
    context::Ctx,
    db::{
        Tx,
        page::{Page, Paged},
    },
    error::{Error, Reason, Result},
    fields::Fields,
    ids::EventId,
    proto::v1::{self as pb, event_service_server::EventService},
    service::Service,
};

/// How much one page of a list weighs at most: clients take 4 MiB where nobody configured them otherwise.
const PAGE_BYTES_MAX: i64 = 2 << 20;
/// How many positions are looked at at once, and how many for one page: a filter that lets nothing through is no long
/// statement, and no long call.
const RANGE: i64 = 10_000;
const RANGES_MAX: usize = 20;

#[tonic::async_trait]
impl EventService for Service {
    type WatchEventsStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let start = read_list_start(&mut fields, &request, &ctx);
        let pb::ListEventsRequest { stream_id, types, subjects, actors, skip_dropped, .. } = request;
        let filter = Filter::read(&mut fields, &stream_id, types, subjects, actors);
        let filters = format!("events {} {filter:?} {start:?} {skip_dropped}", ctx.tenant_id);
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let epoch = self.log.stream_epoch.clone();
        let paged = self
            .read(async move |tx| {
                ensure_filtered(tx, &ctx, &filter).await?;
                let mut start = begin(&filter, start, &page)?;
                if skip_dropped {
                    start = read::skip_dropped(tx, ctx.tenant_id, filter.stream, start).await?;
                }
                list(tx, &ctx, &filter, start, &page, &epoch).await
            })
            .await?;
        Ok(Response::new(pb::ListEventsResponse { events: paged.items, next_page_token: paged.next_page_token }))
    }

    async fn get_event(&self, request: Request<pb::GetEventRequest>) -> Result<Response<pb::GetEventResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id: EventId = fields.id("event_id", &request.event_id);
        fields.done()?;
        let record = self.read(async move |tx| store::by_id(tx, ctx.tenant_id, id).await).await?;
        let record = record.ok_or_else(|| Error::new(Reason::EventNotFound, "no such event"))?;
        Ok(Response::new(pb::GetEventResponse { event: Some(record.decode(&self.log.stream_epoch)?) }))
    }

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = self.caller(&request)?;
        let (ctx, request) = self.open(request).await?;
        let watching = self.log.watches.enter(&caller)?;
        let mut fields = Fields::new();
        let start = read_watch_start(&mut fields, &request, &ctx);
        let pb::WatchEventsRequest { stream_id, types, subjects, actors, .. } = request;
        let filter = Filter::read(&mut fields, &stream_id, types, subjects, actors);
        fields.done()?;
        let (tenant_id, start) = (ctx.tenant_id, start?);
        let (filter, place) = self
            .read(async move |tx| {
                ensure_filtered(tx, &ctx, &filter).await?;
                let place = read::place(tx, ctx.tenant_id, &filter, start).await?;
                Ok::<(Filter, Place), Error>((filter.clone(), place))
            })
            .await?;
        let watch = Watch { tenant_id, filter, place, caller };
        Ok(Response::new(Box::pin(watch::stream(self.clone(), watch, watching))))
    }
}

/// Reads where a list begins.
fn read_list_start(fields: &mut Fields, request: &pb::ListEventsRequest, ctx: &Ctx) -> Start {
    let (sequence, position) = (request.after_sequence, request.after_position);
    let time = Start::time(fields, request.since_time.as_ref(), ctx.now);
    not_negative(fields, "after_sequence", sequence);
    not_negative(fields, "after_position", position);
    if request.stream_id.is_empty() && sequence != 0 {
        fields.wrong("after_sequence", "needs a stream_id: sequences are counted in each stream");
    }
    if !request.stream_id.is_empty() && position != 0 {
        fields.wrong("after_position", "not together with a stream_id: use after_sequence");
    }
    let given = [
        ("after_sequence", sequence != 0),
        ("after_position", position != 0),
        ("since_time", request.since_time.is_some()),
    ];
    only_one(fields, &given);
    match time {
        Some(time) => Start::Time(time),
        None if request.stream_id.is_empty() => Start::Position(position),
        None => Start::Sequence(sequence),
    }
}

/// Reads where a watch begins. A bad revision is an error of its own.
fn read_watch_start(fields: &mut Fields, request: &pb::WatchEventsRequest, ctx: &Ctx) -> Result<Start> {
    let time = Start::time(fields, request.since_time.as_ref(), ctx.now);
    not_negative(fields, "after_position", request.after_position.unwrap_or(0));
    not_negative(fields, "after_sequence", request.after_sequence.unwrap_or(0));
    if request.stream_id.is_empty() && request.after_sequence.is_some() {
        fields.wrong("after_sequence", "needs a stream_id: sequences are counted in each stream");
    }
    let given = [
        ("after_position", request.after_position.is_some()),
        ("after_sequence", request.after_sequence.is_some()),
        ("after_revision", !request.after_revision.is_empty()),
        ("since_time", request.since_time.is_some()),
    ];
    only_one(fields, &given);
    Ok(match (request.after_position, request.after_sequence, time) {
        (Some(position), ..) => Start::Position(position),
        (_, Some(sequence), _) => Start::Sequence(sequence),
        (.., Some(time)) => Start::Time(time),
        _ if request.after_revision.is_empty() => Start::New,
        _ => Start::Revision(Revision::decode(&request.after_revision, ctx.tenant_id)?),
    })
}

fn not_negative(fields: &mut Fields, field: &str, value: i64) {
    if value < 0 {
        fields.wrong(field, "negative");
    }
}

/// A reader begins at one place: whoever names several is told of each.
fn only_one(fields: &mut Fields, starts: &[(&str, bool)]) {
    let given: Vec<_> = starts.iter().filter(|(_, given)| *given).map(|(field, _)| *field).collect();
    if given.len() > 1 {
        for field in &given {
            fields.wrong(field, format!("only one of {}", given.join(", ")));
        }
    }
}

/// A filter's stream must be one that there is.
async fn ensure_filtered(tx: &mut Tx, ctx: &Ctx, filter: &Filter) -> Result<()> {
    match filter.stream {
        None => Ok(()),
        Some(stream) => super::ensure_stream(tx, ctx, stream).await,
    }
}

/// Where a page begins: behind the one before, or where the list does.
fn begin(filter: &Filter, start: Start, page: &Page) -> Result<Start> {
    let after = page.after::<i64>()?;
    let behind = if filter.stream.is_some() { Start::Sequence } else { Start::Position };
    Ok(after.map_or(start, behind))
}

/// One stream by sequence, or all of them by position: either is the key of its pages.
async fn list(
    tx: &mut Tx,
    ctx: &Ctx,
    filter: &Filter,
    start: Start,
    page: &Page,
    epoch: &str,
) -> Result<Paged<pb::Event>> {
    let room = Room { events: page.limit() - 1, bytes: PAGE_BYTES_MAX };
    let (found, reached) = match filter.stream {
        Some(stream) => {
            let after = read::sequence_before(tx, ctx.tenant_id, stream, start).await?;
            let range = (after, i64::MAX);
            let found = read::store::by_sequence(tx, ctx.tenant_id, stream.uuid(), filter, range, room).await?;
            let reached = found.records.last().map_or(after, |record| record.sequence);
            (found, reached)
        }
        None => {
            let after = read::place(tx, ctx.tenant_id, filter, start).await?.position.unwrap_or(0);
            by_position(tx, ctx, filter, after, room).await?
        }
    };
    let next_page_token = if found.more { page.token(&reached.to_string()) } else { String::new() };
    let items = found.records.into_iter().map(|record| record.decode(epoch)).collect::<Result<_>>()?;
    Ok(Paged { items, next_page_token })
}

/// Looks at the log range by range, until there is something for a page or it has looked at enough; answers how far.
async fn by_position(tx: &mut Tx, ctx: &Ctx, filter: &Filter, after: i64, room: Room) -> Result<(Found, i64)> {
    let (head, _) = store::head(tx).await?;
    let mut reached = after;
    for _ in 0..RANGES_MAX {
        let up_to = head.min(reached + RANGE);
        let found = read::store::by_position(tx, ctx.tenant_id, filter, (reached, up_to), room).await?;
        if let Some(last) = found.records.last().and_then(|record| record.position) {
            let reached = if found.more { last } else { up_to };
            return Ok((Found { more: found.more || up_to < head, ..found }, reached));
        }
        reached = up_to;
        if reached >= head {
            break;
        }
    }
    Ok((Found { records: Vec::new(), more: reached < head }, reached))
}
