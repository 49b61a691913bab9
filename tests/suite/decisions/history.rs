//! Random histories: operations through the service, and what the model makes of them.
//!
//! What the service refuses, the model does not do either; but the reason must be one that the operation may have.

mod members;
mod roles;
mod teams;
mod things;

use std::collections::{BTreeMap, BTreeSet};

use roles::PASSING;
use serde_json::{Value, json};

use super::model::{Organization, Resource, State};
use crate::support::{Caller, TestClock, chance::Chance, reason, text};

pub const PERMISSIONS: [&str; 5] = ["docs:read", "docs:write", "docs.admin:purge", "billing:pay", "billing:refund"];
const USERS: usize = 7;

/// One tenant with two organizations, and what the model knows of it.
pub struct History {
    pub caller: Caller,
    pub tenant_id: String,
    clock: TestClock,
    pub state: State,
    pub chance: Chance,
    /// The revision of the last write that an answer about each organization must include.
    pub revisions: Vec<String>,
    /// How often what happened: operations, and refusals by reason.
    pub outcomes: BTreeMap<String, usize>,
    /// What was done, and what came of it.
    pub told: Vec<String>,
    names: usize,
}

impl History {
    pub async fn begin(root: &Caller, clock: &TestClock, seed: u64) -> Self {
        let slug = format!("t{}", uuid::Uuid::now_v7().simple());
        let tenant = root.call("TenantService/CreateTenant", json!({"slug": slug})).await["tenant"].clone();
        let mut caller = root.clone();
        caller.client.tenant = Some(text(&tenant["tenantId"]));
        let state = State { union: true, default_role: text(&tenant["defaultRole"]), ..State::default() };
        let mut history = Self {
            caller,
            tenant_id: text(&tenant["tenantId"]),
            clock: clock.clone(),
            state,
            chance: Chance(seed),
            revisions: vec![text(&tenant_revision(root, &tenant).await); 2],
            outcomes: BTreeMap::new(),
            told: Vec::new(),
            names: 0,
        };
        history.take_over(&tenant).await;
        for slug in PERMISSIONS {
            history.put_permission(slug).await;
        }
        for _ in 0..USERS {
            history.create_user().await;
        }
        for organization in 0..2 {
            history.create_organization(organization).await;
            history.people(organization).await;
        }
        if seed.is_multiple_of(2) {
            history.step_mode().await;
        }
        history
    }

    /// What a new tenant has: Roster's own permissions, and the built-in roles.
    async fn take_over(&mut self, tenant: &Value) {
        let permissions = self.caller.list("RoleService/ListPermissions", json!({}), "permissions").await;
        self.state.catalogue = permissions.iter().map(|permission| text(&permission["slug"])).collect();
        for role in self.caller.list("RoleService/ListRoles", json!({}), "roles").await {
            self.state.roles.insert(text(&role["slug"]), strings(&role["permissions"]));
        }
        self.state.priority = strings(&tenant["rolePriority"]);
    }

    async fn create_organization(&mut self, index: usize) {
        let slug = self.name("o");
        let made =
            self.tenant_wide("OrganizationService/CreateOrganization", json!({"slug": slug}), &[]).await.unwrap();
        let id = text(&made["organization"]["organizationId"]);
        self.state.organizations.push(Organization { id, ..Organization::default() });
        let first = self.state.users.keys().next().unwrap().clone();
        self.add_member(index, &first, &["owner".to_owned()], &[]).await;
    }

    /// Most users are members, and there is something to grant: or there would be little to decide.
    async fn people(&mut self, index: usize) {
        for _ in 0..USERS - 2 {
            self.step_add_member(index).await;
        }
        for _ in 0..2 {
            self.step_create_role(index).await;
            self.step_create_team(index).await;
            self.step_team_member(index).await;
        }
        for _ in 0..10 {
            self.step_put_resource(index).await;
            self.step_set_grant(index).await;
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// A write: its answer, or nothing where it was refused for one of these reasons.
    async fn attempt(&mut self, method: &str, request: Value, may: &[&str]) -> Option<Value> {
        let asked = format!("{method} {request}");
        let (outcome, answer) = match self.caller.try_call(method, request.clone()).await {
            Ok(answer) => (method.to_owned(), Some(answer)),
            Err(status) => {
                let reason = reason(&status);
                assert!(may.contains(&reason.as_str()), "{method} {request}: {reason} {}", status.message());
                (reason, None)
            }
        };
        self.told.push(format!("{asked}: {}", answer.as_ref().map_or(outcome.clone(), Value::to_string)));
        *self.outcomes.entry(outcome).or_default() += 1;
        answer
    }

    /// A write of the tenant, or of something in an organization, which the request names.
    async fn write(&mut self, scope: Option<usize>, method: &str, request: Value, may: &[&str]) -> Option<Value> {
        let answer = self.attempt(method, request, may).await?;
        let revision = text(&answer["revision"]);
        match scope {
            Some(index) => self.revisions[index] = revision,
            None => self.revisions.fill(revision),
        }
        Some(answer)
    }

    async fn tenant_wide(&mut self, method: &str, request: Value, may: &[&str]) -> Option<Value> {
        self.write(None, method, request, may).await
    }

    async fn within(&mut self, index: usize, method: &str, mut request: Value, may: &[&str]) -> Option<Value> {
        request["organizationId"] = json!(self.state.organizations[index].id);
        self.write(Some(index), method, request, may).await
    }

    /// A write of a role or a policy: the tenant's, or an organization's own.
    async fn scoped(&mut self, scope: Option<usize>, method: &str, request: Value, may: &[&str]) -> Option<Value> {
        match scope {
            Some(index) => self.within(index, method, request, may).await,
            None => self.tenant_wide(method, request, may).await,
        }
    }

    /// One random operation.
    pub async fn step(&mut self) {
        let index = usize::try_from(self.chance.below(2)).unwrap();
        if self.state.organizations[index].suspended && self.chance.once_in(3) {
            return self.step_reactivate_organization(index).await;
        }
        match self.chance.below(83) {
            0..=5 => self.step_add_member(index).await,
            6..=7 => self.step_remove_member(index).await,
            8..=9 => self.step_suspend_member(index).await,
            10..=11 => self.step_suspend_user().await,
            12 => self.step_suspend_organization(index).await,
            13 => self.step_delete_user().await,
            14..=17 => self.step_create_role(index).await,
            18..=20 => self.step_update_role(index).await,
            21..=23 => self.step_delete_role(index).await,
            24..=28 => self.step_assign_role(index).await,
            29..=31 => self.step_revoke_role(index).await,
            32 => self.step_set_roles(index).await,
            33..=35 => self.step_create_team(index).await,
            36..=37 => self.step_move_team(index).await,
            38 => self.step_delete_team(index).await,
            39..=41 => self.step_team_role(index).await,
            42..=46 => self.step_team_member(index).await,
            47..=52 => self.step_put_resource(index).await,
            53 => self.step_delete_resource(index).await,
            54..=65 => self.step_set_grant(index).await,
            66..=67 => self.step_revoke_grant(index).await,
            68..=69 => self.step_clock(),
            70 => self.step_mode().await,
            71 => self.step_priority(index).await,
            72 => self.step_default_role(index).await,
            73..=75 => self.step_put_policy(index).await,
            76..=77 => self.step_delete_policy(index).await,
            78..=80 => self.step_end(index).await,
            _ => self.step_permission().await,
        }
    }

    /// The tenant, or one organization.
    fn scope(&mut self, index: usize) -> Option<usize> {
        self.chance.once_in(2).then_some(index)
    }

    /// What is asked about.
    pub fn permissions(&self) -> Vec<String> {
        [&PERMISSIONS[..], &[PASSING, "members:write"]].concat().into_iter().map(str::to_owned).collect()
    }

    /// Every user, and one that nobody knows.
    pub fn users(&self) -> BTreeSet<String> {
        let unknown = "user_01h455vb4pex5vsknk084sn02q".to_owned();
        self.state.users.keys().cloned().chain([unknown]).collect()
    }
}

async fn tenant_revision(root: &Caller, tenant: &Value) -> Value {
    let mut caller = root.clone();
    caller.client.tenant = Some(text(&tenant["tenantId"]));
    caller.call("RoleService/SetDefaultRole", json!({"role": tenant["defaultRole"]})).await["revision"].clone()
}

pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

/// The resources that things happen to.
pub fn resources() -> Vec<Resource> {
    let documents = ["a", "b", "c", "d", "e"].map(|id| ("doc".to_owned(), id.to_owned()));
    let drafts = ["x1", "y1"].map(|id| ("draft".to_owned(), id.to_owned()));
    documents.into_iter().chain(drafts).collect()
}
