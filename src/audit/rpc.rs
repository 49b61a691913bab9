//! AuditService.

use std::{pin::Pin, str::FromStr as _};

use tonic::{Request, Response, Status};

use super::{
    checkpoint,
    export::{self, Export},
};
use crate::{
    context::Ctx,
    db::Tx,
    error::{Error, Reason, Result},
    events::{Stream, store},
    fields::Fields,
    ids::{OrganizationId, TenantId},
    proto::v1::{self as pb, audit_service_server::AuditService},
    service::Service,
};

#[tonic::async_trait]
impl AuditService for Service {
    type ExportEventsStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::ExportEventsResponse, Status>> + Send>>;

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
                ensure_there(tx, &ctx, stream).await?;
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
        let format: Option<pb::ExportFormat> = fields.choice_optional("format", request.format);
        fields.done()?;
        let signer = self.signer.clone().ok_or_else(no_key)?;
        let export = self
            .read(async move |tx| {
                ensure_there(tx, &ctx, stream).await?;
                Export::begin(tx, ctx.tenant_id, stream, after..up_to, format.unwrap_or_default()).await
            })
            .await?;
        Ok(Response::new(Box::pin(export::chunks(self.log.clone(), export, signer))))
    }
}

fn no_key() -> Error {
    Error::new(Reason::NoAuditKey, "the service has no key to sign with: an operator sets audit_key_file")
}

fn read_stream(fields: &mut Fields, id: &str) -> Stream {
    let organization = OrganizationId::from_str(id).map(Stream::Organization);
    organization.or_else(|()| TenantId::from_str(id).map(Stream::Tenant)).unwrap_or_else(|()| {
        fields.wrong("stream_id", if id.is_empty() { "required" } else { "not an id of the form org_… or tenant_…" });
        Stream::Tenant(TenantId::from_uuid(uuid::Uuid::nil()))
    })
}

/// A stream of somebody else is one that does not exist.
async fn ensure_there(tx: &mut Tx, ctx: &Ctx, stream: Stream) -> Result<()> {
    match stream {
        Stream::Tenant(id) if id == ctx.tenant_id => Ok(()),
        Stream::Tenant(_) => Err(Error::new(Reason::TenantNotFound, "no such tenant")),
        Stream::Organization(id) => {
            let found = store::organization_sequence(tx, ctx.tenant_id, id).await?;
            found.map(drop).ok_or_else(|| Error::new(Reason::OrganizationNotFound, "no such organization"))
        }
    }
}
