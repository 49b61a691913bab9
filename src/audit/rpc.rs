//! AuditService.

use std::{pin::Pin, sync::Arc};

use tonic::{Request, Response, Status};

use super::{
    as_of::{self, When},
    checkpoint,
    export::{self, Export, Form, ocsf::Version},
    list::{self, Query},
    note::Signer,
};
use crate::{
    authority,
    clock::Timestamp,
    error::{Error, Reason, Result},
    events::{self, Record, Stream, read::Filter},
    fields::Fields,
    ids::{OrganizationId, TenantId},
    proto::v1::{
        self as pb, audit_service_server::AuditService, read_state_as_of_request::AsOf, read_state_as_of_response::Item,
    },
    service::Service,
};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Service {
    type ExportEventsStream = Answers<pb::ExportEventsResponse>;
    type ReadStateAsOfStream = Answers<pb::ReadStateAsOfResponse>;

    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let since = fields.time("since_time", request.since_time.as_ref()).unwrap_or(Timestamp(i64::MIN));
        let until = fields.time("until_time", request.until_time.as_ref()).unwrap_or(Timestamp(i64::MAX));
        if until < since {
            fields.wrong("until_time", "before since_time");
        }
        let pb::ListAuditEventsRequest { stream_id, types, subjects, actors, .. } = request;
        let filter = Filter::read(&mut fields, &stream_id, types, subjects, actors);
        let filters = format!("audit {} {filter:?} {since:?} {until:?}", ctx.tenant_id);
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let query = Query { filter, since, until };
        let paged = self
            .read(async move |tx| {
                if let Some(stream) = query.filter.stream {
                    events::ensure_stream(tx, &ctx, stream).await?;
                }
                list::newest(tx, ctx.tenant_id, &query, &page).await
            })
            .await?;
        let decode = |record: Record| record.decode(&self.log.stream_epoch);
        let events = paged.items.into_iter().map(decode).collect::<Result<_>>()?;
        Ok(Response::new(pb::ListAuditEventsResponse { events, next_page_token: paged.next_page_token }))
    }

    async fn read_state_as_of(
        &self,
        request: Request<pb::ReadStateAsOfRequest>,
    ) -> Result<Response<Self::ReadStateAsOfStream>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let when = read_when(&mut fields, request.as_of.as_ref());
        fields.done()?;
        let (as_of, states) = self
            .read(async move |tx| {
                events::ensure_stream(tx, &ctx, Stream::Organization(id)).await?;
                let mut as_of = as_of::find(tx, ctx.tenant_id, id, when).await?;
                let is_told = |kind: &&str| *kind != "policy" || authority::sees_of_tenant(&ctx, "policies:read");
                let kinds: Vec<_> = as_of::OF_TENANT.into_iter().filter(is_told).collect();
                let (role_mode, states) = as_of::states(tx, ctx.tenant_id, id, &as_of, &kinds).await?;
                as_of.set_role_mode(role_mode);
                Ok::<_, Error>((as_of, states))
            })
            .await?;
        let first = std::iter::once(Item::AsOf(as_of));
        let items = first.chain(states.map(Item::State));
        let answers = items.map(|item| Ok(pb::ReadStateAsOfResponse { item: Some(item) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let stream = read_stream(&mut fields, &request.stream_id);
        fields.done()?;
        let signer = self.signer.clone();
        let checkpoint = self
            .read(async move |tx| {
                events::ensure_stream(tx, &ctx, stream).await?;
                checkpoint::now(&ctx, tx, stream, signer.as_deref().ok_or_else(no_key)?).await
            })
            .await?;
        Ok(Response::new(pb::GetCheckpointResponse { checkpoint: Some(checkpoint) }))
    }

    async fn export_events(
        &self,
        request: Request<pb::ExportEventsRequest>,
    ) -> Result<Response<Self::ExportEventsStream>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let stream = read_stream(&mut fields, &request.stream_id);
        let (after, up_to) = (request.after_sequence, request.up_to_sequence);
        for (name, sequence) in [("after_sequence", after), ("up_to_sequence", up_to)] {
            if sequence < 0 {
                fields.wrong(name, "negative");
            }
        }
        if up_to > 0 && up_to < after {
            fields.wrong("up_to_sequence", "before after_sequence");
        }
        let form = read_form(&mut fields, &request, self.signer.as_ref());
        fields.done()?;
        let form = form?;
        let tenant_id = ctx.tenant_id;
        self.read(async move |tx| events::ensure_stream(tx, &ctx, stream).await).await?;
        self.log.until_numbered(tenant_id, stream, up_to).await?;
        let export = self.read(async move |tx| Export::begin(tx, tenant_id, stream, after..up_to).await).await?;
        Ok(Response::new(Box::pin(export::chunks(self.log.clone(), export, form))))
    }
}

/// Reads how an export is wanted. That there is no key to sign with is an error of its own.
fn read_form(fields: &mut Fields, request: &pb::ExportEventsRequest, signer: Option<&Arc<Signer>>) -> Result<Form> {
    let format = fields.choice_optional("format", request.format).unwrap_or(pb::ExportFormat::JsonLines);
    let version = request.ocsf_version.parse().unwrap_or_else(|which: String| {
        fields.wrong("ocsf_version", which);
        Version::DEFAULT
    });
    if format != pb::ExportFormat::Ocsf && !request.ocsf_version.is_empty() {
        fields.wrong("ocsf_version", "only with EXPORT_FORMAT_OCSF");
    }
    Ok(match format {
        pb::ExportFormat::Unspecified | pb::ExportFormat::JsonLines => {
            Form::JsonLines(signer.cloned().ok_or_else(no_key)?)
        }
        pb::ExportFormat::Csv => Form::Csv,
        pb::ExportFormat::Ocsf => Form::Ocsf(version),
    })
}

fn no_key() -> Error {
    Error::new(Reason::NoAuditKey, "the service has no key to sign with: an operator sets audit_key_file")
}

/// Reads as of when a state is wanted.
fn read_when(fields: &mut Fields, as_of: Option<&AsOf>) -> When {
    match as_of {
        None => When::Now,
        Some(AsOf::Sequence(sequence)) => {
            if *sequence < 0 {
                fields.wrong("sequence", "negative");
            }
            When::Sequence(*sequence)
        }
        Some(AsOf::Time(time)) => fields.time("time", Some(time)).map_or(When::Now, When::Time),
    }
}

fn read_stream(fields: &mut Fields, id: &str) -> Stream {
    id.parse().unwrap_or_else(|()| {
        fields.wrong("stream_id", if id.is_empty() { "required" } else { "not an id of the form org_… or tenant_…" });
        Stream::Tenant(TenantId::from_uuid(uuid::Uuid::nil()))
    })
}
