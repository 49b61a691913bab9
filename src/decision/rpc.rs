//! AuthorizationService.

use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::{
    Needs,
    check::allows,
    list::Found,
    stream::{self, Answers},
    wire::{self, Asked, Subject},
};
use crate::{
    cedar::Context,
    error::Result,
    fields::Fields,
    ids::{OrganizationId, UserId},
    proto::v1::{self as pb, authorization_service_server::AuthorizationService},
    resources::check_reference,
    service::Service,
    users::{self, Identity},
};

/// How many attributes a context has at most.
const ATTRIBUTES_MAX: usize = 50;
/// The most questions of one batch.
const ENTRIES_MAX: usize = 10_000;

#[tonic::async_trait]
impl AuthorizationService for Service {
    type CheckStreamStream = Answers;

    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        // Without `open`: who calls is not recorded anywhere, and this is the call that must cost nothing.
        let caller = self.caller(&request)?;
        let answer = stream::answer_one(self, &caller, request.get_ref()).await?;
        Ok(Response::new(answer))
    }

    async fn batch_check(
        &self,
        request: Request<pb::BatchCheckRequest>,
    ) -> Result<Response<pb::BatchCheckResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        fields.count("entries", request.entries.len(), 1..=ENTRIES_MAX);
        fields.done()?;
        let consistency = wire::consistency(ctx.tenant_id, request.consistency.as_ref())?;
        let asked: Vec<Result<Asked<'_>>> = request.entries.iter().map(read_entry).collect();
        Ok(Response::new(self.answer_all(&ctx, organization_id, consistency, &asked).await?))
    }

    async fn check_stream(
        &self,
        request: Request<Streaming<pb::CheckStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Ok(Response::new(stream::answers(self.clone(), request)?))
    }

    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let check = request.check.unwrap_or_default();
        let mut fields = Fields::new();
        let (organization_id, asked) = fields.within("check", |fields| read_check(fields, &check));
        fields.done()?;
        let consistency = wire::consistency(ctx.tenant_id, check.consistency.as_ref())?;
        let user_id = self.user(ctx.tenant_id, &asked.subject, consistency, ctx.now).await?;
        let needs = Needs::Question(user_id.unwrap_or_default(), asked.resource);
        let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency, needs).await?;
        let view = standpoint.view()?;
        let explanation = view.explain(&asked.question(user_id, ctx.now))?;
        Ok(Response::new(wire::explained(explanation, &asked, user_id, &view)))
    }

    async fn list_permissions(
        &self,
        request: Request<pb::AuthorizationServiceListPermissionsRequest>,
    ) -> Result<Response<pb::AuthorizationServiceListPermissionsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let subject = read_subject(&mut fields, &request.user_id, request.identity.as_ref());
        let resource = read_resource(&mut fields, request.resource.as_ref());
        let context = read_context(&mut fields, request.context.as_ref());
        let asked = Asked { subject, permission: "", resource, context };
        let filters = format!("permissions of {organization_id} {asked:?}");
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let consistency = wire::consistency(ctx.tenant_id, request.consistency.as_ref())?;
        let found = Found::new(page.size(), page.after::<String>()?);
        let listed = self
            .list(&ctx, organization_id, consistency, &asked, found, |view, question, found, work| {
                view.list_permissions(question, found, work)
            })
            .await?;
        Ok(Response::new(pb::AuthorizationServiceListPermissionsResponse {
            next_page_token: listed.next(&page, String::clone),
            permissions: listed.found.items,
            revision: listed.revision,
            stale: listed.stale,
        }))
    }

    async fn list_accessible_resources(
        &self,
        request: Request<pb::ListAccessibleResourcesRequest>,
    ) -> Result<Response<pb::ListAccessibleResourcesResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let subject = read_subject(&mut fields, &request.user_id, request.identity.as_ref());
        fields.right_slug("permission", &request.permission);
        let kind = read_resource_type(&mut fields, &request.resource_type);
        let context = read_context(&mut fields, request.context.as_ref());
        let asked = Asked { subject, permission: &request.permission, resource: None, context };
        let filters = format!("resources of {organization_id} {kind:?} {asked:?}");
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let consistency = wire::consistency(ctx.tenant_id, request.consistency.as_ref())?;
        let found = Found::new(page.size(), wire::resource_after(&page)?);
        let mut everywhere = false;
        let listed = self
            .list(&ctx, organization_id, consistency, &asked, found, |view, question, found, work| {
                everywhere = allows(view.check(question)?);
                view.list_resources(question, kind, found, work)
            })
            .await?;
        Ok(Response::new(pb::ListAccessibleResourcesResponse {
            next_page_token: listed.next(&page, |(kind, id)| format!("{kind} {id}")),
            resources: listed.found.items.into_iter().map(wire::resource).collect(),
            revision: listed.revision,
            stale: listed.stale,
            everywhere,
        }))
    }

    async fn list_subjects(
        &self,
        request: Request<pb::ListSubjectsRequest>,
    ) -> Result<Response<pb::ListSubjectsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        fields.right_slug("permission", &request.permission);
        let resource = read_resource(&mut fields, request.resource.as_ref());
        let context = read_context(&mut fields, request.context.as_ref());
        let asked = Asked { subject: Subject::Everybody, permission: &request.permission, resource, context };
        let filters = format!("subjects of {organization_id} {asked:?}");
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let consistency = wire::consistency(ctx.tenant_id, request.consistency.as_ref())?;
        let after: Option<Uuid> = page.after()?;
        let found = Found::new(page.size(), after.map(|user_id| (user_id, Uuid::nil())));
        let listed = self
            .list(&ctx, organization_id, consistency, &asked, found, |view, question, found, work| {
                view.list_subjects(question, found, work)
            })
            .await?;
        Ok(Response::new(pb::ListSubjectsResponse {
            next_page_token: listed.next(&page, |(user_id, _)| user_id.to_string()),
            subjects: listed.found.items.into_iter().map(wire::subject).collect(),
            revision: listed.revision,
            stale: listed.stale,
        }))
    }
}

/// Reads a question, and where it is asked.
pub(super) fn read_check<'a>(fields: &mut Fields, request: &'a pb::CheckRequest) -> (OrganizationId, Asked<'a>) {
    let organization_id = fields.id("organization_id", &request.organization_id);
    let subject = read_subject(fields, &request.user_id, request.identity.as_ref());
    fields.right_slug("permission", &request.permission);
    let resource = read_resource(fields, request.resource.as_ref());
    let context = read_context(fields, request.context.as_ref());
    (organization_id, Asked { subject, permission: &request.permission, resource, context })
}

/// Reads a question of a batch.
fn read_entry(entry: &pb::CheckEntry) -> Result<Asked<'_>> {
    let mut fields = Fields::new();
    let subject = read_subject(&mut fields, &entry.user_id, entry.identity.as_ref());
    fields.right_slug("permission", &entry.permission);
    let resource = read_resource(&mut fields, entry.resource.as_ref());
    let context = read_context(&mut fields, entry.context.as_ref());
    fields.done()?;
    Ok(Asked { subject, permission: &entry.permission, resource, context })
}

/// Reads whom a question is about: a user or an account, not both.
fn read_subject(fields: &mut Fields, user_id: &str, identity: Option<&pb::Identity>) -> Subject {
    let Some(identity) = identity else {
        let user_id: UserId = fields.id("user_id", user_id);
        return Subject::User(user_id.uuid());
    };
    if !user_id.is_empty() {
        fields.wrong("user_id", "not together with identity");
    }
    let Identity { issuer, subject } = users::read_identity(fields, Some(identity.clone()));
    Subject::Account { issuer, subject }
}

/// Reads a resource, if there is one.
fn read_resource<'a>(fields: &mut Fields, resource: Option<&'a pb::ResourceRef>) -> Option<(&'a str, &'a str)> {
    let resource = resource?;
    check_reference(fields, "resource", resource);
    Some((&resource.r#type, &resource.id))
}

/// Reads the type that a list of resources is limited to, if there is one.
fn read_resource_type<'a>(fields: &mut Fields, kind: &'a str) -> Option<&'a str> {
    if kind.is_empty() {
        return None;
    }
    fields.right_slug("resource_type", kind);
    Some(kind)
}

/// Reads what a caller says about the circumstances of a question.
pub fn read_context(fields: &mut Fields, context: Option<&pb::CheckContext>) -> Context {
    let Some(context) = context else { return Context::default() };
    fields.within("context", |fields| {
        let ip = Some(context.ip.as_str()).filter(|ip| !ip.is_empty()).and_then(|text| {
            let ip = text.parse().ok();
            if ip.is_none() {
                fields.wrong("ip", "not an IPv4 or IPv6 address");
            }
            ip
        });
        if context.risk.is_some_and(|risk| !(0..=100).contains(&risk)) {
            fields.wrong("risk", "not between 0 and 100");
        }
        let delegated_by = fields.text_optional("delegated_by", context.delegated_by.clone(), 200);
        fields.count("attributes", context.attributes.len(), 0..=ATTRIBUTES_MAX);
        for (key, value) in &context.attributes {
            fields.text(format!("attributes[{key}] (the key)"), key, 1..=128);
            fields.text(format!("attributes[{key}]"), value, 0..=512);
        }
        let (risk, attributes) = (context.risk.map(i64::from), context.attributes.clone());
        Context { mfa: context.mfa, ip, risk, delegated_by, attributes }
    })
}
