//! Questions and answers in the contract.

use uuid::Uuid;

use super::{
    Consistency, Question,
    check::{Circumstances, allows},
    explain::{Explanation, GrantPath, Holder, RolePath},
    standpoint::View,
};
use crate::{
    cedar::Context,
    clock::Timestamp,
    db::page::Page,
    error::{Error, Reason, Result},
    events::Revision,
    ids::{GrantId, MembershipId, TeamId, TenantId, UserId},
    proto::v1::{self as pb, CheckReason, consistency::Requirement, grant_principal::Kind},
};

/// A question as a request says it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Who.
    pub subject: Subject,
    /// What.
    pub permission: &'a str,
    /// On what: type and id.
    pub resource: Option<(&'a str, &'a str)>,
    /// Under which circumstances.
    pub context: Context,
}

/// Whom a question is about.
#[derive(Debug)]
pub enum Subject {
    /// A user.
    User(Uuid),
    /// Whoever this account is linked to.
    Account {
        /// The `iss` of its tokens.
        issuer: String,
        /// The `sub` of its tokens.
        subject: String,
    },
    /// Everybody: in a list of those who may.
    Everybody,
}

impl Asked<'_> {
    /// The question, about this user.
    pub fn question(&self, user_id: Option<Uuid>, now: Timestamp) -> Question<'_> {
        Question {
            user_id,
            permission: self.permission,
            resource: self.resource,
            circumstances: Circumstances { now, context: &self.context },
        }
    }
}

/// How fresh an answer must be.
pub fn consistency(tenant_id: TenantId, consistency: Option<&pb::Consistency>) -> Result<Consistency> {
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        None | Some(Requirement::MinimizeLatency(_)) => Ok(Consistency::MinimizeLatency),
        Some(Requirement::AtLeastAsFresh(token)) => {
            Ok(Consistency::AtLeastAsFresh(Revision::decode(token, tenant_id)?))
        }
        Some(Requirement::FullyConsistent(_)) => Ok(Consistency::Full),
    }
}

/// The resource behind which a page begins: its type and id in a page token are kept apart by a space.
pub fn resource_after(page: &Page) -> Result<Option<(String, String)>> {
    let malformed = || Error::new(Reason::InvalidPageToken, "the page token is malformed");
    let read = |key: String| key.split_once(' ').map(|(kind, id)| (kind.to_owned(), id.to_owned()));
    page.after::<String>()?.map(|key| read(key).ok_or_else(malformed)).transpose()
}

/// A resource by its type and id.
pub fn resource((kind, id): (String, String)) -> pb::ResourceRef {
    pb::ResourceRef { r#type: kind, id }
}

/// Somebody by user and membership.
pub fn subject((user_id, membership_id): (Uuid, Uuid)) -> pb::Subject {
    pb::Subject {
        user_id: UserId::from_uuid(user_id).to_string(),
        membership_id: MembershipId::from_uuid(membership_id).to_string(),
    }
}

/// One answer of a batch.
pub fn result(answer: Result<CheckReason, pb::CheckError>) -> pb::CheckResult {
    match answer {
        Ok(reason) => pb::CheckResult { allowed: allows(reason), reason: reason.into(), error: None },
        Err(error) => pb::CheckResult { error: Some(error), ..pb::CheckResult::default() },
    }
}

/// What is wrong with one question.
pub fn check_error(error: &Error) -> pb::CheckError {
    pb::CheckError { reason: error.reason_name().to_owned(), message: error.message().to_owned() }
}

/// An answer with the whole path to it.
pub fn explained(
    explanation: Explanation,
    asked: &Asked<'_>,
    user_id: Option<Uuid>,
    view: &View<'_>,
) -> pb::ExplainResponse {
    let named = matches!(asked.subject, Subject::User(_));
    let organization_id = view.organization_id.to_string();
    let policy = |(own, name, permits): (bool, Box<str>, bool)| pb::MatchingPolicy {
        organization_id: if own { organization_id.clone() } else { String::new() },
        name: name.into(),
        effect: if permits { pb::PolicyEffect::Permit } else { pb::PolicyEffect::Forbid }.into(),
    };
    let is_member = explanation.membership_id.is_some();
    let membership_id = explanation.membership_id.map(|id| MembershipId::from_uuid(id).to_string());
    pb::ExplainResponse {
        allowed: allows(explanation.answer),
        reason: explanation.answer.into(),
        // Whom an account is linked to is nothing that is told of strangers.
        user_id: user_id.filter(|_| is_member || named).map(|id| UserId::from_uuid(id).to_string()).unwrap_or_default(),
        membership_id: membership_id.unwrap_or_default(),
        roles: explanation.roles.into_iter().map(role_path).collect(),
        grants: explanation.grants.into_iter().map(grant_path).collect(),
        policies: explanation.policies.into_iter().map(policy).collect(),
        revision: view.revision.encode(),
        stale: view.stale,
    }
}

fn role_path(path: RolePath) -> pb::RolePath {
    pb::RolePath {
        role: path.role.into(),
        team_ids: path.teams.into_iter().map(|id| TeamId::from_uuid(id).to_string()).collect(),
        contains_permission: path.contains_permission,
        outranked: path.outranked,
    }
}

fn grant_path(path: GrantPath) -> pb::GrantPath {
    let principal = match path.principal {
        Holder::Membership(id) => Kind::MembershipId(MembershipId::from_uuid(id).to_string()),
        Holder::Team(id) => Kind::TeamId(TeamId::from_uuid(id).to_string()),
        Holder::Role(slug) => Kind::Role(slug.into()),
    };
    pb::GrantPath {
        grant_id: GrantId::from_uuid(path.id).to_string(),
        principal: Some(pb::GrantPrincipal { kind: Some(principal) }),
        resources: path.resources.into_iter().map(resource).collect(),
        role: path.role.map(String::from).unwrap_or_default(),
    }
}
