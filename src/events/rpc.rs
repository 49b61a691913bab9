//! EventService.

use std::{pin::Pin, str::FromStr as _};

use tonic::{Request, Response, Status};

use super::{
    Stream, TYPES,
    store::{self, Filter},
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
    ids::{EventId, OrganizationId, TenantId},
    proto::v1::{self as pb, event_service_server::EventService},
    service::Service,
};

/// How many types a filter may name.
const TYPES_MAX: usize = 50;

#[tonic::async_trait]
impl EventService for Service {
    type WatchEventsStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let filter = read_filter(&mut fields, &request.stream_id, request.types);
        let after = read_start(&mut fields, &filter, request.after_sequence, request.after_position);
        let page = fields.page(request.page_size, &request.page_token, format!("events {filter:?}"))?;
        fields.done()?;
        let epoch = self.log.stream_epoch.clone();
        let paged = self
            .read(async move |tx| {
                ensure_stream(tx, &ctx, &filter).await?;
                list(tx, &ctx, &filter, after, &page, &epoch).await
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
        let mut fields = Fields::new();
        let filter = read_filter(&mut fields, &request.stream_id, request.types);
        if request.after_position.is_some_and(|position| position < 0) {
            fields.wrong("after_position", "negative");
        }
        fields.done()?;
        let (tenant_id, after) = (ctx.tenant_id, request.after_position);
        let filter = self
            .read(async move |tx| {
                ensure_stream(tx, &ctx, &filter).await?;
                let (head, _) = store::head(tx).await?;
                if after.is_some_and(|position| position > head) {
                    return Err(Error::invalid_field("after_position", format!("the log ends at {head}")));
                }
                Ok(filter.clone())
            })
            .await?;
        let watch = Watch { tenant_id, filter, after, caller };
        Ok(Response::new(Box::pin(watch::stream(self.clone(), watch))))
    }
}

/// Reads which events are wanted: `stream_id` is an organization or a tenant.
fn read_filter(fields: &mut Fields, stream_id: &str, types: Vec<String>) -> Filter {
    fields.count("types", types.len(), 0..=TYPES_MAX);
    for (index, _) in types.iter().enumerate().filter(|(_, name)| !TYPES.contains(&name.as_str())) {
        fields.wrong(format!("types[{index}]"), "no type of event");
    }
    let organization = OrganizationId::from_str(stream_id).map(Stream::Organization);
    let stream = organization.or_else(|()| TenantId::from_str(stream_id).map(Stream::Tenant)).ok();
    if stream.is_none() && !stream_id.is_empty() {
        fields.wrong("stream_id", "not an id of the form org_… or tenant_…");
    }
    Filter { stream, types }
}

fn read_start(fields: &mut Fields, filter: &Filter, after_sequence: i64, after_position: i64) -> i64 {
    if after_sequence < 0 {
        fields.wrong("after_sequence", "negative");
    }
    if after_position < 0 {
        fields.wrong("after_position", "negative");
    }
    if filter.stream.is_none() && after_sequence != 0 {
        fields.wrong("after_sequence", "needs a stream_id: sequences are counted in each stream");
    }
    if filter.stream.is_some() && after_position != 0 {
        fields.wrong("after_position", "not together with a stream_id: use after_sequence");
    }
    after_sequence.max(after_position)
}

/// A stream of somebody else is one that does not exist.
async fn ensure_stream(tx: &mut Tx, ctx: &Ctx, filter: &Filter) -> Result<()> {
    match filter.stream {
        None => Ok(()),
        Some(Stream::Tenant(id)) if id == ctx.tenant_id => Ok(()),
        Some(Stream::Tenant(_)) => Err(Error::new(Reason::TenantNotFound, "no such tenant")),
        Some(Stream::Organization(id)) => {
            let found = store::organization_sequence(tx, ctx.tenant_id, id).await?;
            found.map(drop).ok_or_else(|| Error::new(Reason::OrganizationNotFound, "no such organization"))
        }
    }
}

/// One stream by sequence, or all of them by position: either is the key of its pages.
async fn list(
    tx: &mut Tx,
    ctx: &Ctx,
    filter: &Filter,
    after: i64,
    page: &Page,
    epoch: &str,
) -> Result<Paged<pb::Event>> {
    let after = page.after::<i64>()?.unwrap_or(after);
    let by_sequence = filter.stream.map(Stream::uuid);
    let records = match by_sequence {
        Some(stream) => store::after_sequence(tx, ctx.tenant_id, stream, filter, after, page.limit()).await?,
        None => store::after_position(tx, ctx.tenant_id, filter, after, i64::MAX, page.limit()).await?,
    };
    let key = |record: &store::Record| match by_sequence {
        Some(_) => record.sequence.to_string(),
        None => record.position.unwrap_or_default().to_string(),
    };
    let paged = page.cut(records, key);
    let items = paged.items.into_iter().map(|record| record.decode(epoch)).collect::<Result<_>>()?;
    Ok(Paged { items, next_page_token: paged.next_page_token })
}
