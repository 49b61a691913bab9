//! The lists agree with Check: what it allows they have, each thing once, in order, at every page size, also where a
//! request may do little; and an explanation says what Check says.

use std::collections::BTreeSet;

use roster::proto::v1 as pb;

use super::{
    asker::{self, Asker, Page, allows, named},
    contexts,
    history::{self, History},
    model::{Context, Question, Resource},
};
use crate::{
    on_both_engines,
    support::{Database, Engine, TestServer},
};

const HISTORIES: u64 = 3;
/// How often a history is looked at, and how many operations go before each time.
const LOOKS: usize = 4;
const STEPS: usize = 30;
const PAGE_SIZES: [i32; 5] = [1, 2, 3, 7, 1000];
/// How much a request may do where it may do little: less than any list here takes.
const LITTLE: usize = 4;
/// How many questions are explained at each look.
const EXPLAINED: usize = 150;

/// One state, asked through one server.
struct Look<'a> {
    history: &'a mut History,
    asker: Asker,
    /// Asks the server for what Check allows.
    checker: Asker,
    index: usize,
    page_sizes: &'a [i32],
}

/// Every page of a list. A server that does little work answers many pages, also empty ones.
async fn pages<T>(mut page: impl AsyncFnMut(String) -> Page<T>, size: i32) -> Vec<T> {
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..10_000 {
        let (entries, next) = page(token).await;
        assert!(entries.len() <= usize::try_from(size).unwrap(), "a page is too long");
        all.extend(entries);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
    panic!("a list without an end");
}

impl Look<'_> {
    fn organization(&self) -> String {
        self.history.state.organizations[self.index].id.clone()
    }

    fn revision(&self) -> String {
        self.history.revisions[self.index].clone()
    }

    /// Those that Check allows, of candidates with their questions.
    async fn allowed<T>(&self, candidates: Vec<(T, Question)>) -> Vec<T> {
        let questions: Vec<_> = candidates.iter().map(|(_, question)| question.clone()).collect();
        let answers = self.checker.check_all(&self.organization(), &questions, &self.revision()).await;
        let pairs = candidates.into_iter().zip(answers);
        pairs.filter(|(_, answer)| allows(answer)).map(|((candidate, _), _)| candidate).collect()
    }

    async fn permissions(&mut self) {
        let (user, context) = (self.user(), self.history.chance.one_of(&contexts()));
        for resource in [None, Some(self.resource())] {
            let question = |slug: &String| {
                let (user, permission) = (user.clone(), slug.clone());
                Question { user, permission, resource: resource.clone(), context: context.clone() }
            };
            let catalogue = self.history.state.catalogue.iter();
            let expected = self.allowed(catalogue.map(|slug| (slug.clone(), question(slug))).collect()).await;
            for size in self.page_sizes {
                let page = async |page_token: String| {
                    let request = pb::AuthorizationServiceListPermissionsRequest {
                        organization_id: self.organization(),
                        user_id: user.clone(),
                        identity: None,
                        resource: asker::resource(resource.as_ref()),
                        context: asker::context(&context),
                        consistency: asker::at_least(&self.revision()),
                        page_size: *size,
                        page_token,
                    };
                    self.asker.permissions(request).await
                };
                assert_eq!(pages(page, *size).await, expected, "{user} on {resource:?} {context:?}, pages of {size}");
            }
        }
    }

    /// The resources that are registered or that something is granted on; in their order.
    fn known_resources(&self, kind: &str) -> Vec<Resource> {
        let organization = &self.history.state.organizations[self.index];
        let granted = organization.grants.values().map(|grant| &grant.resource);
        let known: BTreeSet<_> = organization.resources.keys().chain(granted).cloned().collect();
        known.into_iter().filter(|(its, _)| kind.is_empty() || its == kind).collect()
    }

    async fn resources(&mut self) {
        let (user, context) = (self.user(), self.history.chance.one_of(&contexts()));
        let (permission, kind) = (self.permission(), self.history.chance.one_of(&["", "doc", "draft", "none"]));
        let question = |resource: &Resource| {
            let (user, permission) = (user.clone(), permission.clone());
            Question { user, permission, resource: Some(resource.clone()), context: context.clone() }
        };
        let known = self.known_resources(kind).into_iter();
        let expected = self.allowed(known.map(|it| (it.clone(), question(&it))).collect()).await;
        let anywhere = Question { resource: None, ..question(&self.resource()) };
        let everywhere = !self.allowed(vec![((), anywhere)]).await.is_empty();
        for size in self.page_sizes {
            let page = async |page_token: String| {
                let request = pb::ListAccessibleResourcesRequest {
                    organization_id: self.organization(),
                    user_id: user.clone(),
                    identity: None,
                    permission: permission.clone(),
                    resource_type: kind.to_owned(),
                    context: asker::context(&context),
                    consistency: asker::at_least(&self.revision()),
                    page_size: *size,
                    page_token,
                };
                let (page, of_all) = self.asker.resources(request).await;
                assert_eq!(of_all, everywhere, "{user} {permission} {context:?} in the organization as a whole");
                page
            };
            assert_eq!(pages(page, *size).await, expected, "{user} {permission} {kind} {context:?}, pages of {size}");
        }
    }

    async fn subjects(&mut self) {
        let (permission, context) = (self.permission(), self.history.chance.one_of(&contexts()));
        for resource in [None, Some(self.resource())] {
            let expected = self.expected_subjects(&permission, resource.as_ref(), &context).await;
            for size in self.page_sizes {
                let page = async |page_token: String| {
                    let request = pb::ListSubjectsRequest {
                        organization_id: self.organization(),
                        permission: permission.clone(),
                        resource: asker::resource(resource.as_ref()),
                        context: asker::context(&context),
                        consistency: asker::at_least(&self.revision()),
                        page_size: *size,
                        page_token,
                    };
                    self.asker.subjects(request).await
                };
                assert_eq!(pages(page, *size).await, expected, "{permission} on {resource:?}, pages of {size}");
            }
        }
    }

    async fn expected_subjects(
        &self,
        permission: &str,
        resource: Option<&Resource>,
        context: &Context,
    ) -> Vec<(String, String)> {
        let memberships = self.history.state.organizations[self.index].memberships.iter();
        let mut members: Vec<_> = memberships.map(|(id, membership)| (membership.user.clone(), id.clone())).collect();
        members.sort();
        let question = |user: &String| {
            let (user, permission) = (user.clone(), permission.to_owned());
            Question { user, permission, resource: resource.cloned(), context: context.clone() }
        };
        self.allowed(members.into_iter().map(|it| (it.clone(), question(&it.0))).collect()).await
    }

    /// Explanations say what Check says, and give a path for it.
    async fn explanations(&mut self) {
        let context = self.history.chance.one_of(&contexts());
        let mut questions = super::questions(self.history, &context);
        questions.retain(|question| self.history.state.catalogue.contains(&question.permission));
        for _ in 0..EXPLAINED {
            let question = self.history.chance.one_of(&questions);
            let checked = self.asker.check(&self.organization(), &question, &self.revision()).await;
            let explained = self.asker.explain(&self.organization(), &question, &self.revision()).await;
            assert_eq!(named(explained.reason(), explained.allowed), checked, "{question:?}");
            assert_explains(&explained, &checked, &question);
        }
    }

    fn user(&mut self) -> String {
        let members = self.history.state.organizations[self.index].memberships.values();
        let members: Vec<_> = members.map(|membership| membership.user.clone()).collect();
        self.history.chance.one_of(&members)
    }

    fn permission(&mut self) -> String {
        self.history.chance.one_of(&history::PERMISSIONS).to_owned()
    }

    fn resource(&mut self) -> Resource {
        self.history.chance.one_of(&history::resources())
    }

    async fn all(&mut self) {
        for _ in 0..3 {
            self.permissions().await;
            self.resources().await;
            self.resources().await;
            self.subjects().await;
        }
    }
}

/// Roles, grants and policies lead to the reason, and to no better one.
fn assert_explains(explained: &pb::ExplainResponse, reason: &str, question: &Question) {
    let by_role = explained.roles.iter().any(|role| role.contains_permission && !role.outranked);
    let effects: Vec<_> = explained.policies.iter().map(|policy| policy.effect()).collect();
    let forbidden = effects.contains(&pb::PolicyEffect::Forbid);
    let permitted = effects.contains(&pb::PolicyEffect::Permit);
    let expected = match (forbidden, by_role, !explained.grants.is_empty(), permitted) {
        (true, ..) => "POLICY_FORBID",
        (_, true, ..) => "ROLE",
        (_, _, true, _) => "GRANT",
        (.., true) => "POLICY_PERMIT",
        _ => "NO_PERMISSION",
    };
    let has_standing = ["POLICY_FORBID", "ROLE", "GRANT", "POLICY_PERMIT", "NO_PERMISSION"].contains(&reason);
    if has_standing {
        assert_eq!(expected, reason, "{question:?}: {explained:?}");
    }
    for grant in &explained.grants {
        let first = grant.resources.first().map(|it| (it.r#type.clone(), it.id.clone()));
        assert_eq!(first, question.resource, "a path of resources begins where it was asked");
    }
}

on_both_engines! {
    async fn lists_and_explanations_agree_with_check(server) {
        for seed in 0..HISTORIES {
            let mut history = History::begin(&server.root, &server.clock, 1_000 + seed).await;
            for look in 0..LOOKS {
                for _ in 0..STEPS {
                    history.step().await;
                }
                let asker = Asker::of(&history.caller);
                let checker = asker.clone();
                let mut look = Look { history: &mut history, asker, checker, index: look % 2, page_sizes: &PAGE_SIZES };
                look.all().await;
                look.explanations().await;
            }
        }
    }

    async fn where_a_request_may_do_little_the_pages_still_lead_to_the_whole(server) {
        let mut server = server;
        for seed in 0..HISTORIES {
            let mut history = History::begin(&server.root, &server.clock, 2_000 + seed).await;
            for _ in 0..STEPS {
                history.step().await;
            }
            // What Check allows is asked one by one, which is never too much.
            let beside = match &server.database {
                Database::Postgres { .. } => {
                    let beside = server.replica(|config| config.index.work_max = LITTLE).await;
                    history.caller = history.caller.at(&beside.address).await;
                    Some(beside)
                }
                Database::Sqlite(_) => {
                    server.restart(|config| config.index.work_max = LITTLE).await;
                    history.caller = history.caller.at(&server.address).await;
                    None
                }
            };
            let asker = Asker::of(&history.caller);
            let checker = asker.clone().one_by_one();
            for index in 0..2 {
                let (asker, checker) = (asker.clone(), checker.clone());
                Look { history: &mut history, asker, checker, index, page_sizes: &[1, 3, 1000] }.all().await;
            }
            if let Some(beside) = beside {
                beside.stop().await;
            }
        }
    }
}
