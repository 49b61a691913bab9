//! AuthorizationService.

use tonic::{Request, Response, Status};

use super::{Consistency, Question, check::allows};
use crate::{
    context::Ctx,
    error::{Error, Result},
    events::Revision,
    fields::Fields,
    ids::{OrganizationId, UserId},
    proto::v1::{
        self as pb, CheckReason, authorization_service_server::AuthorizationService, consistency::Requirement,
    },
    service::Service,
};

/// The most questions of one batch.
const ENTRIES_MAX: usize = 10_000;

#[tonic::async_trait]
impl AuthorizationService for Service {
    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let (ctx, request) = self.open(request)?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let question = question(&mut fields, &ctx, &request.user_id, &request.permission, request.resource.as_ref());
        fields.done()?;
        let consistency = consistency(&ctx, request.consistency.as_ref())?;
        let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency).await?;
        let view = standpoint.view()?;
        let reason = view.check(&question)?;
        Ok(Response::new(pb::CheckResponse {
            allowed: allows(reason),
            reason: reason.into(),
            revision: view.revision.encode(),
        }))
    }

    async fn batch_check(
        &self,
        request: Request<pb::BatchCheckRequest>,
    ) -> Result<Response<pb::BatchCheckResponse>, Status> {
        let (ctx, request) = self.open(request)?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        fields.count("entries", request.entries.len(), 1..=ENTRIES_MAX);
        fields.done()?;
        let consistency = consistency(&ctx, request.consistency.as_ref())?;
        let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency).await?;
        let view = standpoint.view()?;
        let results = request.entries.iter().map(|entry| {
            let mut fields = Fields::new();
            let question = question(&mut fields, &ctx, &entry.user_id, &entry.permission, entry.resource.as_ref());
            result(fields.done().and_then(|()| view.check(&question)))
        });
        Ok(Response::new(pb::BatchCheckResponse { results: results.collect(), revision: view.revision.encode() }))
    }
}

fn question<'a>(
    fields: &mut Fields,
    ctx: &Ctx,
    user_id: &str,
    permission: &'a str,
    resource: Option<&'a pb::ResourceRef>,
) -> Question<'a> {
    let user_id: UserId = fields.id("user_id", user_id);
    fields.right_slug("permission", permission);
    if let Some(resource) = resource {
        crate::grants::read_resource(fields, resource);
    }
    let resource = resource.map(|resource| (resource.r#type.as_str(), resource.id.as_str()));
    Question { user_id, permission, resource, now: ctx.now }
}

fn result(answer: Result<CheckReason>) -> pb::CheckResult {
    match answer {
        Ok(reason) => pb::CheckResult { allowed: allows(reason), reason: reason.into(), error: None },
        Err(error) => pb::CheckResult { error: Some(check_error(&error)), ..pb::CheckResult::default() },
    }
}

fn check_error(error: &Error) -> pb::CheckError {
    pb::CheckError { reason: error.reason_name().to_owned(), message: error.message().to_owned() }
}

fn consistency(ctx: &Ctx, consistency: Option<&pb::Consistency>) -> Result<Consistency> {
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        None | Some(Requirement::MinimizeLatency(_)) => Ok(Consistency::MinimizeLatency),
        Some(Requirement::AtLeastAsFresh(token)) => {
            Ok(Consistency::AtLeastAsFresh(Revision::decode(token, ctx.tenant_id)?))
        }
        Some(Requirement::FullyConsistent(_)) => Ok(Consistency::Full),
    }
}
