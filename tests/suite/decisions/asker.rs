//! Whoever asks many questions at once, by the generated stubs.

use roster::proto::v1::{
    self as pb, CheckReason, authorization_service_client::AuthorizationServiceClient, consistency::Requirement,
};
use tonic::{Request, transport::Channel};

use super::model::{Context, Question, Resource};
use crate::support::Caller;

/// Few enough for any number of policies.
const AT_ONCE: usize = 1_000;

/// A caller of AuthorizationService.
#[derive(Clone)]
pub struct Asker {
    client: AuthorizationServiceClient<Channel>,
    key: String,
    tenant: Option<String>,
    at_once: usize,
}

/// A page: what it has, and the token of the next one.
pub type Page<T> = (Vec<T>, String);

impl Asker {
    pub fn of(caller: &Caller) -> Self {
        let client = AuthorizationServiceClient::new(caller.client.channel.clone());
        let key = format!("Bearer {}", caller.client.key.as_ref().expect("a key"));
        Self { client, key, tenant: caller.client.tenant.clone(), at_once: AT_ONCE }
    }

    /// The same, which asks one question at a time.
    pub fn one_by_one(mut self) -> Self {
        self.at_once = 1;
        self
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.key.parse().unwrap());
        if let Some(tenant) = &self.tenant {
            request.metadata_mut().insert("roster-tenant", tenant.parse().unwrap());
        }
        request
    }

    /// Reason or error of every question, as of a revision.
    pub async fn check_all(&self, organization: &str, questions: &[Question], revision: &str) -> Vec<String> {
        let mut client = self.client.clone();
        let mut answers = Vec::with_capacity(questions.len());
        for questions in questions.chunks(self.at_once) {
            let request = pb::BatchCheckRequest {
                organization_id: organization.to_owned(),
                entries: questions.iter().map(entry).collect(),
                consistency: at_least(revision),
            };
            let response = client.batch_check(self.request(request)).await.unwrap().into_inner();
            assert_eq!(response.results.len(), questions.len());
            answers.extend(response.results.iter().map(answer));
        }
        answers
    }

    /// Reason or error of one question, as of a revision.
    pub async fn check(&self, organization: &str, question: &Question, revision: &str) -> String {
        self.answer(check(organization, question, revision)).await
    }

    /// Reason or error of one question, as the replica happens to see it.
    pub async fn check_as_it_is(&self, organization: &str, question: &Question) -> String {
        self.answer(pb::CheckRequest { consistency: None, ..check(organization, question, "") }).await
    }

    async fn answer(&self, request: pb::CheckRequest) -> String {
        match self.client.clone().check(self.request(request)).await {
            Ok(response) => {
                let (reason, allowed) = (response.get_ref().reason(), response.get_ref().allowed);
                named(reason, allowed)
            }
            Err(status) => crate::support::reason(&status),
        }
    }

    pub async fn explain(&self, organization: &str, question: &Question, revision: &str) -> pb::ExplainResponse {
        let request = pb::ExplainRequest { check: Some(check(organization, question, revision)) };
        self.client.clone().explain(self.request(request)).await.unwrap().into_inner()
    }

    /// A page of what a user may do.
    pub async fn permissions(&self, request: pb::AuthorizationServiceListPermissionsRequest) -> Page<String> {
        let page = self.client.clone().list_permissions(self.request(request)).await.unwrap().into_inner();
        (page.permissions, page.next_page_token)
    }

    /// A page of where a user may do something, and whether they may in the organization as a whole.
    pub async fn resources(&self, request: pb::ListAccessibleResourcesRequest) -> (Page<Resource>, bool) {
        let page = self.client.clone().list_accessible_resources(self.request(request)).await.unwrap().into_inner();
        let resources = page.resources.into_iter().map(|it| (it.r#type, it.id)).collect();
        ((resources, page.next_page_token), page.everywhere)
    }

    /// A page of who may do something: user and membership.
    pub async fn subjects(&self, request: pb::ListSubjectsRequest) -> Page<(String, String)> {
        let page = self.client.clone().list_subjects(self.request(request)).await.unwrap().into_inner();
        (page.subjects.into_iter().map(|it| (it.user_id, it.membership_id)).collect(), page.next_page_token)
    }
}

pub fn at_least(revision: &str) -> Option<pb::Consistency> {
    Some(pb::Consistency { requirement: Some(Requirement::AtLeastAsFresh(revision.to_owned())) })
}

pub fn context(context: &Context) -> Option<pb::CheckContext> {
    let attributes = context.attributes.clone().into_iter().collect();
    Some(pb::CheckContext { mfa: context.mfa, risk: context.risk, attributes, ..pb::CheckContext::default() })
}

pub fn resource(resource: Option<&Resource>) -> Option<pb::ResourceRef> {
    resource.map(|(kind, id)| pb::ResourceRef { r#type: kind.clone(), id: id.clone() })
}

fn entry(question: &Question) -> pb::CheckEntry {
    pb::CheckEntry {
        user_id: question.user.clone(),
        identity: None,
        permission: question.permission.clone(),
        resource: resource(question.resource.as_ref()),
        context: context(&question.context),
    }
}

fn check(organization: &str, question: &Question, revision: &str) -> pb::CheckRequest {
    pb::CheckRequest {
        organization_id: organization.to_owned(),
        user_id: question.user.clone(),
        identity: None,
        permission: question.permission.clone(),
        resource: resource(question.resource.as_ref()),
        consistency: at_least(revision),
        context: context(&question.context),
    }
}

fn answer(result: &pb::CheckResult) -> String {
    match &result.error {
        Some(error) => error.reason.clone(),
        None => named(result.reason(), result.allowed),
    }
}

/// A reason by its name; it says whether it allows, and the answer says the same.
pub fn named(reason: CheckReason, allowed: bool) -> String {
    let name = reason.as_str_name().strip_prefix("CHECK_REASON_").unwrap();
    assert_eq!(allowed, allows(name), "{name}");
    name.to_owned()
}

pub fn allows(reason: &str) -> bool {
    ["ROLE", "GRANT", "POLICY_PERMIT"].contains(&reason)
}
