//! Answers, from wherever the state is: one, many at once, and pages of lists.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Consistency, Needs, Question, Work,
    check::allows,
    list::{Found, Pause},
    standpoint::View,
    wire::{self, Asked, Subject},
};
use crate::{
    auth::Freshness,
    clock::Timestamp,
    context::Ctx,
    db::page::Page,
    error::Result,
    ids::{OrganizationId, TenantId, UserId},
    proto::v1 as pb,
    service::Service,
};

/// Up to so many questions about an organization that is not loaded are answered without waiting for it.
const FEW: usize = 8;

/// A page of a list, with the state that it is of.
pub struct Listed<K> {
    /// What was found.
    pub found: Found<K>,
    more: bool,
    /// The state that it is of.
    pub revision: String,
    /// Whether that is older than it may be.
    pub stale: bool,
}

impl<K> Listed<K> {
    /// The token of the next page; empty on the last one.
    pub fn next(&self, page: &Page, key: impl FnOnce(&K) -> String) -> String {
        self.found.last.as_ref().filter(|_| self.more).map(|last| page.token(&key(last))).unwrap_or_default()
    }
}

impl Service {
    /// Answers one question.
    pub(super) async fn answer(
        &self,
        tenant_id: TenantId,
        organization_id: OrganizationId,
        asked: &Asked<'_>,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<pb::CheckResponse> {
        let user_id = self.user(tenant_id, &asked.subject, consistency, now).await?;
        let needs = Needs::Question(user_id.unwrap_or_default(), asked.resource);
        let standpoint = self.index.standpoint(tenant_id, organization_id, consistency, needs).await?;
        let view = standpoint.view()?;
        let reason = view.check(&asked.question(user_id, now))?;
        Ok(pb::CheckResponse {
            allowed: allows(reason),
            reason: reason.into(),
            revision: view.revision.encode(),
            stale: view.stale,
        })
    }

    /// Answers a batch.
    pub(super) async fn answer_all(
        &self,
        ctx: &Ctx,
        organization_id: OrganizationId,
        consistency: Consistency,
        asked: &[Result<Asked<'_>>],
    ) -> Result<pb::BatchCheckResponse> {
        if asked.len() <= FEW && !self.index.is_loaded(ctx.tenant_id, organization_id) {
            return self.answer_few(ctx, organization_id, consistency, asked).await;
        }
        let users = self.users(ctx, consistency, asked).await?;
        let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency, Needs::Everything).await?;
        let mut work = self.index.work();
        let mut response = pb::BatchCheckResponse::default();
        while response.results.len() < asked.len() {
            work.next_slice();
            let begin = response.results.len();
            answer_slice(&standpoint.view()?, ctx.now, &asked[begin..], &users[begin..], &mut work, &mut response)?;
            tokio::task::yield_now().await;
        }
        Ok(response)
    }

    /// The users that the subjects of questions are. Each account is looked for once.
    async fn users(
        &self,
        ctx: &Ctx,
        consistency: Consistency,
        asked: &[Result<Asked<'_>>],
    ) -> Result<Vec<Option<Uuid>>> {
        let mut accounts: HashMap<(&str, &str), Option<Uuid>> = HashMap::new();
        let mut users = Vec::with_capacity(asked.len());
        for asked in asked {
            users.push(match asked.as_ref().map(|asked| &asked.subject) {
                Ok(subject @ Subject::Account { issuer, subject: account }) => {
                    if !accounts.contains_key(&(&**issuer, &**account)) {
                        let user_id = self.user(ctx.tenant_id, subject, consistency, ctx.now).await?;
                        accounts.insert((issuer, account), user_id);
                    }
                    accounts[&(&**issuer, &**account)]
                }
                Ok(Subject::User(id)) => Some(*id),
                Ok(Subject::Everybody) | Err(_) => None,
            });
        }
        Ok(users)
    }

    /// Answers a few questions about an organization that is not loaded, each from its own facts: none waits for the
    /// organization.
    async fn answer_few(
        &self,
        ctx: &Ctx,
        organization_id: OrganizationId,
        consistency: Consistency,
        all: &[Result<Asked<'_>>],
    ) -> Result<pb::BatchCheckResponse> {
        let mut response = pb::BatchCheckResponse::default();
        for asked in all {
            let (user_id, resource) = match asked {
                Ok(asked) => (self.user(ctx.tenant_id, &asked.subject, consistency, ctx.now).await?, asked.resource),
                Err(_) => (None, None),
            };
            let needs = Needs::Question(user_id.unwrap_or_default(), resource);
            let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency, needs).await?;
            let view = standpoint.view()?;
            if response.revision.is_empty() {
                (response.revision, response.stale) = (view.revision.encode(), view.stale);
                let (units, costliest) = cost(&view, all);
                self.index.work().ensure_enough(all.len(), units, costliest)?;
            }
            let answer = asked.as_ref().map_err(wire::check_error);
            let answer = answer.and_then(|asked| {
                view.check(&asked.question(user_id, ctx.now)).map_err(|error| wire::check_error(&error))
            });
            response.results.push(wire::result(answer));
        }
        Ok(response)
    }

    /// Looks for a page of a list, slice by slice, so that others get their turn.
    pub(super) async fn list<K>(
        &self,
        ctx: &Ctx,
        organization_id: OrganizationId,
        consistency: Consistency,
        asked: &Asked<'_>,
        mut found: Found<K>,
        mut look: impl FnMut(&View<'_>, &Question<'_>, &mut Found<K>, &mut Work) -> Result<Pause>,
    ) -> Result<Listed<K>> {
        let user_id = self.user(ctx.tenant_id, &asked.subject, consistency, ctx.now).await?;
        let question = asked.question(user_id, ctx.now);
        let standpoint = self.index.standpoint(ctx.tenant_id, organization_id, consistency, Needs::Everything).await?;
        let mut work = self.index.work();
        let mut of = None;
        loop {
            let pause = {
                let view = standpoint.view()?;
                // The list is of the state at which it began, or of a later one.
                of.get_or_insert_with(|| (view.revision.encode(), view.stale));
                look(&view, &question, &mut found, &mut work)?
            };
            if pause != Pause::Slice {
                let (revision, stale) = of.unwrap_or_default();
                return Ok(Listed { found, more: pause == Pause::Page, revision, stale });
            }
            work.next_slice();
            tokio::task::yield_now().await;
        }
    }

    /// The user that a subject is; none for an account that is linked to nobody.
    pub(super) async fn user(
        &self,
        tenant_id: TenantId,
        subject: &Subject,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<Option<Uuid>> {
        match subject {
            Subject::User(id) => Ok(Some(*id)),
            Subject::Everybody => Ok(None),
            Subject::Account { issuer, subject } => {
                let fresh = match consistency {
                    Consistency::MinimizeLatency => Freshness::Heard,
                    Consistency::AtLeastAsFresh(revision) => Freshness::Sequence(revision.tenant_sequence),
                    Consistency::Full => Freshness::Now,
                };
                let found = self.credentials.user_of_account(tenant_id, issuer, subject, fresh, now).await?;
                Ok(found.map(UserId::uuid))
            }
        }
    }
}

/// Answers as many questions of a batch as one slice of work holds, and at least one.
fn answer_slice(
    view: &View<'_>,
    now: Timestamp,
    asked: &[Result<Asked<'_>>],
    users: &[Option<Uuid>],
    work: &mut Work,
    response: &mut pb::BatchCheckResponse,
) -> Result<()> {
    if response.revision.is_empty() {
        response.revision = view.revision.encode();
        response.stale = view.stale;
        let (units, costliest) = cost(view, asked);
        work.ensure_enough(asked.len(), units, costliest)?;
    }
    for (asked, user_id) in asked.iter().zip(users) {
        let answer = asked.as_ref().map_err(wire::check_error);
        let answer = answer.and_then(|asked| {
            work.take(Work::of_decision(view.policies_count(asked.permission)));
            view.check(&asked.question(*user_id, now)).map_err(|error| wire::check_error(&error))
        });
        response.results.push(wire::result(answer));
        if work.slice_is_over() {
            break;
        }
    }
    Ok(())
}

/// What the questions of a batch cost together, and the costliest of them alone.
fn cost(view: &View<'_>, asked: &[Result<Asked<'_>>]) -> (usize, usize) {
    let costs = asked.iter().flatten().map(|asked| Work::of_decision(view.policies_count(asked.permission)));
    costs.fold((0, 0), |(units, costliest), cost| (units + cost, costliest.max(cost)))
}
