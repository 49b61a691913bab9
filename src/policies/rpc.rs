//! PolicyService.

use tonic::{Request, Response, Status};

use super::{Change, Put, Trial};
use crate::{
    cedar::Context,
    clock::Timestamp,
    decision::{Circumstances, Consistency, Needs, Question, View, Work, allows, read_context},
    error::Result,
    fields::Fields,
    ids::{OrganizationId, UserId},
    policies,
    proto::v1::{self as pb, CheckReason, policy_change, policy_service_server::PolicyService},
    resources::check_reference,
    service::Service,
};

/// How many bytes the text of a policy may have.
const TEXT_BYTES_MAX: usize = 16_384;
/// How many changes are tried at once, and how many questions are asked.
const CHANGES_MAX: usize = 100;
const REQUESTS_MAX: usize = 1_000;

#[tonic::async_trait]
impl PolicyService for Service {
    async fn put_policy(
        &self,
        request: Request<pb::PutPolicyRequest>,
    ) -> Result<Response<pb::PutPolicyResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let policy = request.policy.unwrap_or_default();
        let input = fields.within("policy", |fields| {
            let organization_id = fields.id_optional("organization_id", &policy.organization_id);
            fields.right_slug("name", &policy.name);
            fields.text("description", &policy.description, 0..=500);
            read_text(fields, &policy.text);
            let pb::Policy { name, description, text, etag, .. } = policy;
            Put { organization_id, name, description, text, etag }
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| policies::put(ctx, tx, &input).await,
            |(policy, warnings), revision| {
                let warnings = warnings.into_iter().map(Into::into).collect();
                pb::PutPolicyResponse { policy: Some((&policy).into()), warnings, revision }
            },
        )
        .await
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Result<Response<pb::GetPolicyResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("name", &request.name);
        fields.done()?;
        let name = request.name;
        let policy = self.read(async move |tx| policies::get(tx, ctx.tenant_id, organization_id, &name).await).await?;
        Ok(Response::new(pb::GetPolicyResponse { policy: Some((&policy).into()) }))
    }

    async fn list_policies(
        &self,
        request: Request<pb::ListPoliciesRequest>,
    ) -> Result<Response<pb::ListPoliciesResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        let page = fields.page(request.page_size, &request.page_token, format!("policies {organization_id:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| policies::list(tx, ctx.tenant_id, organization_id, &page).await).await?;
        Ok(Response::new(pb::ListPoliciesResponse {
            policies: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn delete_policy(
        &self,
        request: Request<pb::DeletePolicyRequest>,
    ) -> Result<Response<pb::DeletePolicyResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("name", &request.name);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (name, etag) = (request.name, request.etag);
        self.write(
            ctx,
            async move |ctx, tx| policies::delete(ctx, tx, organization_id, &name, &etag).await,
            |(), revision| pb::DeletePolicyResponse { revision },
        )
        .await
    }

    async fn validate_policy(
        &self,
        request: Request<pb::ValidatePolicyRequest>,
    ) -> Result<Response<pb::ValidatePolicyResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        read_text(&mut fields, &request.text);
        fields.done()?;
        let text = request.text;
        let (effect, checked) = self.read(async move |tx| policies::validate(tx, ctx.tenant_id, &text).await).await?;
        Ok(Response::new(pb::ValidatePolicyResponse {
            valid: checked.errors.is_empty(),
            errors: checked.errors.into_iter().map(Into::into).collect(),
            warnings: checked.warnings.into_iter().map(Into::into).collect(),
            effect: effect.map(pb::PolicyEffect::from).unwrap_or_default().into(),
        }))
    }

    async fn test_policies(
        &self,
        request: Request<pb::TestPoliciesRequest>,
    ) -> Result<Response<pb::TestPoliciesResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        fields.count("changes", request.changes.len(), 0..=CHANGES_MAX);
        fields.count("requests", request.requests.len(), 1..=REQUESTS_MAX);
        let changes: Vec<_> = (request.changes.into_iter().take(CHANGES_MAX).enumerate())
            .map(|(index, change)| {
                fields.within(format!("changes[{index}]"), |fields| read_change(fields, organization_id, change))
            })
            .collect();
        let questions: Vec<_> = (request.requests.iter().take(REQUESTS_MAX).enumerate())
            .map(|(index, asked)| fields.within(format!("requests[{index}]"), |fields| read_test(fields, asked)))
            .collect();
        fields.done()?;
        let tenant_id = ctx.tenant_id;
        let changes = self
            .read(async move |tx| {
                policies::ensure_triable(tx, tenant_id, organization_id, &changes).await?;
                Ok(changes.clone())
            })
            .await?;
        let standpoint =
            self.index.standpoint(tenant_id, organization_id, Consistency::Full, Needs::Everything).await?;
        let (now, revision) = {
            let view = standpoint.view()?;
            (policies::Sets::of(view.sets()), view.revision.encode())
        };
        let trial = Trial::new(now, organization_id, &changes)?;
        let mut work = self.index.work();
        let costs = questions.iter().map(|test| Work::of_decision(trial.policies_count(test.permission)));
        let (units, costliest) = costs.fold((0, 0), |(units, costliest), cost| (units + cost, costliest.max(cost)));
        work.ensure_enough(questions.len(), units, costliest)?;
        let mut results = Vec::with_capacity(questions.len());
        while results.len() < questions.len() {
            work.next_slice();
            try_slice(&standpoint.view()?, &trial, ctx.now, &questions, &mut work, &mut results)?;
            tokio::task::yield_now().await;
        }
        Ok(Response::new(counted(results, revision)))
    }
}

/// Puts as many questions to both sets of policies as one slice of work holds, and at least one.
fn try_slice(
    view: &View<'_>,
    trial: &Trial,
    now: Timestamp,
    questions: &[Test<'_>],
    work: &mut Work,
    results: &mut Vec<pb::PolicyTestResult>,
) -> Result<()> {
    for test in &questions[results.len()..] {
        if work.slice_is_over() {
            break;
        }
        work.take(Work::of_decision(trial.policies_count(test.permission)));
        let question = test.question(now);
        let before = view.check_by(&question, trial.now.both())?;
        results.push(compared(before, view.check_by(&question, trial.then.both())?));
    }
    Ok(())
}

/// The text of a policy: lines and tabs are welcome, other control characters are not.
fn read_text(fields: &mut Fields, text: &str) {
    if text.is_empty() {
        fields.wrong("text", "required");
    } else if text.len() > TEXT_BYTES_MAX {
        fields.wrong("text", format!("{} bytes, at most {TEXT_BYTES_MAX}", text.len()));
    } else if text.chars().any(|c| c.is_control() && !['\n', '\r', '\t'].contains(&c)) {
        fields.wrong("text", "contains a control character");
    }
}

fn read_change(fields: &mut Fields, organization_id: OrganizationId, change: pb::PolicyChange) -> Change {
    match change.change {
        Some(policy_change::Change::Put(put)) => fields.within("put", |fields| {
            let of_tenant = read_scope(fields, organization_id, &put.organization_id);
            fields.right_slug("name", &put.name);
            read_text(fields, &put.text);
            Change::Put { of_tenant, name: put.name, text: put.text }
        }),
        Some(policy_change::Change::Delete(delete)) => fields.within("delete", |fields| {
            let of_tenant = read_scope(fields, organization_id, &delete.organization_id);
            fields.right_slug("name", &delete.name);
            Change::Delete { of_tenant, name: delete.name }
        }),
        None => {
            fields.wrong("change", "required: put or delete");
            Change::Delete { of_tenant: false, name: String::new() }
        }
    }
}

/// Whether it is about the tenant: else about the organization of the questions.
fn read_scope(fields: &mut Fields, asked: OrganizationId, organization_id: &str) -> bool {
    let organization_id: Option<OrganizationId> = fields.id_optional("organization_id", organization_id);
    if organization_id.is_some_and(|id| id != asked) {
        fields.wrong("organization_id", "not the organization of the questions");
    }
    organization_id.is_none()
}

/// A question to try policies with.
struct Test<'a> {
    user_id: UserId,
    permission: &'a str,
    resource: Option<(&'a str, &'a str)>,
    context: Context,
}

impl Test<'_> {
    fn question(&self, now: Timestamp) -> Question<'_> {
        let circumstances = Circumstances { now, context: &self.context };
        let (permission, resource) = (self.permission, self.resource);
        Question { user_id: Some(self.user_id.uuid()), permission, resource, circumstances }
    }
}

fn read_test<'a>(fields: &mut Fields, test: &'a pb::PolicyTest) -> Test<'a> {
    let user_id = fields.id("user_id", &test.user_id);
    fields.right_slug("permission", &test.permission);
    if let Some(resource) = &test.resource {
        check_reference(fields, "resource", resource);
    }
    let resource = test.resource.as_ref().map(|resource| (resource.r#type.as_str(), resource.id.as_str()));
    Test { user_id, permission: &test.permission, resource, context: read_context(fields, test.context.as_ref()) }
}

fn answer(reason: CheckReason) -> pb::PolicyTestAnswer {
    pb::PolicyTestAnswer { allowed: allows(reason), reason: reason.into() }
}

fn compared(now: CheckReason, then: CheckReason) -> pb::PolicyTestResult {
    pb::PolicyTestResult { now: Some(answer(now)), then: Some(answer(then)), changed: now != then }
}

fn counted(results: Vec<pb::PolicyTestResult>, revision: String) -> pb::TestPoliciesResponse {
    let allowed = |answer: &Option<pb::PolicyTestAnswer>| answer.is_some_and(|answer| answer.allowed);
    let count = |counts: &dyn Fn(&pb::PolicyTestResult) -> bool| {
        i32::try_from(results.iter().filter(|result| counts(result)).count()).unwrap_or(i32::MAX)
    };
    pb::TestPoliciesResponse {
        changed_count: count(&|result| result.changed),
        newly_allowed_count: count(&|result| !allowed(&result.now) && allowed(&result.then)),
        newly_denied_count: count(&|result| allowed(&result.now) && !allowed(&result.then)),
        revision,
        results,
    }
}
