//! Random calls by random callers.

mod invitations;
mod members;
mod organizations;
mod people;
mod structure;

use std::{collections::BTreeSet, rc::Rc};

use serde_json::{Value, json};

use super::{
    history::{Call, FEW, History},
    model::{Act, By, Id, Reference},
};

/// How many addresses there are, and how many accounts.
const ADDRESSES: u64 = 14;
const ACCOUNTS: u64 = 10;
/// The roles that are given: some more often than others.
const ROLES: [&str; 8] = ["owner", "owner", "admin", "member", "member", "developer", "guest", "billing-admin"];
const SOURCES: [(&str, Reference); 3] =
    [("API", Reference::None), ("DIRECTORY", Reference::Group("g1")), ("DIRECTORY", Reference::Group("g2"))];

impl Call {
    fn new(method: &'static str, org: Option<Id>, request: Value, rule: impl Fn(&mut Act) + 'static) -> Self {
        Self { method, org, request, rule: Rc::new(rule) }
    }
}

impl History<'_> {
    /// A random call, or a few days, or a call of before again.
    pub async fn step(&mut self) {
        match self.chance.below(100) {
            0..=4 => {
                let days = if self.chance.once_in(10) { 31 } else { 2 + self.chance.below(4) };
                self.days(days).await;
            }
            5..=11 => self.repeat().await,
            12..=27 => self.step_person().await,
            28..=57 => self.step_member().await,
            58..=69 => self.step_organization().await,
            70..=88 => self.step_invitation().await,
            _ => self.step_structure().await,
        }
    }

    /// Enough people and organizations for something to happen.
    pub async fn people(&mut self) {
        for account in 0..6 {
            self.step_create_user(By::Platform).await;
            let user = self.state.users().last().expect("there is one").0;
            self.step_link_identity(By::Platform, user, account).await;
        }
        for _ in 0..2 {
            self.step_create_organization(By::Platform).await;
            let org = self.state.orgs().last().expect("there is one").0;
            for _ in 0..4 {
                self.step_add_member(By::Platform, org).await;
            }
            self.step_create_team(By::Platform, org).await;
        }
    }

    /// Who calls about an organization: mostly somebody who may.
    fn somebody(&mut self, org: Option<Id>) -> By {
        match self.chance.below(12) {
            0..=5 => By::Platform,
            6 => By::Service(&FEW),
            chance => {
                let verified = !self.chance.once_in(6);
                let members = org.map(|org| self.state.members(org)).unwrap_or_default();
                let accounts = members.iter().map(|id| self.state.membership(*id).user);
                let accounts: Vec<usize> =
                    accounts.flat_map(|user| self.state.user(user).accounts.iter().copied()).collect();
                let account = self.chance.any_of(&accounts).filter(|_| chance < 11);
                By::Account(account.unwrap_or_else(|| self.account()), verified)
            }
        }
    }

    /// Who calls about the tenant: users may not.
    fn a_service(&mut self) -> By {
        match self.chance.below(14) {
            0 => By::Service(&FEW),
            1 => By::Account(self.account(), true),
            _ => By::Platform,
        }
    }

    fn account(&mut self) -> usize {
        usize::try_from(self.chance.below(ACCOUNTS)).unwrap()
    }

    fn address(&mut self) -> String {
        format!("p{:02}@people.example", self.chance.below(ADDRESSES))
    }

    /// Some addresses, in order: several things of one call happen in that order.
    fn addresses(&mut self) -> Vec<String> {
        let all: Vec<String> = (0..ADDRESSES).map(|number| format!("p{number:02}@people.example")).collect();
        let some = self.chance.some_of(&all, 20);
        if some.is_empty() { vec![self.address()] } else { some }
    }

    /// A user; seldom a removed one.
    fn user(&mut self) -> Id {
        let all: Vec<Id> = self.state.users().map(|(id, _)| id).collect();
        let there = |id: &Id| self.state.user(*id).status != "REMOVED";
        let present: Vec<Id> = all.iter().copied().filter(there).collect();
        if present.is_empty() || self.chance.once_in(10) {
            self.chance.one_of(&all)
        } else {
            self.chance.one_of(&present)
        }
    }

    /// An organization; seldom one that is being deleted, or was purged.
    fn org(&mut self) -> Id {
        let all: Vec<Id> = self.state.orgs().map(|(id, _)| id).collect();
        let open: Vec<Id> = all.iter().copied().filter(|id| !self.state.is_closed(*id)).collect();
        if open.is_empty() || self.chance.once_in(10) { self.chance.one_of(&all) } else { self.chance.one_of(&open) }
    }

    /// A membership: mostly one of an organization that is not over.
    fn membership(&mut self, org: Id) -> Option<Id> {
        let all: Vec<Id> = self.state.memberships().map(|(id, _)| id).collect();
        let here: Vec<Id> = all.iter().copied().filter(|id| self.state.membership(*id).org == org).collect();
        let members = self.state.members(org);
        match self.chance.below(30) {
            0 => self.chance.any_of(&all),
            1..=3 => self.chance.any_of(&here),
            _ => self.chance.any_of(&members),
        }
    }

    /// Roles to give: none, one or two.
    fn some_roles(&mut self, org: Id) -> Vec<String> {
        let count = self.chance.below(3);
        let roles: BTreeSet<String> = (0..count).map(|_| self.role(org)).collect();
        roles.into_iter().collect()
    }

    /// A role, perhaps one of the organization's own, and seldom one that there is not.
    fn role(&mut self, org: Id) -> String {
        let own = self.state.org(org).order.clone();
        match self.chance.below(20) {
            0 => "org-gone".to_owned(),
            1..=6 if !own.is_empty() => self.chance.one_of(&own),
            _ => self.chance.one_of(&ROLES).to_owned(),
        }
    }

    fn some_teams(&mut self, org: Id) -> BTreeSet<Id> {
        let here: Vec<Id> = self.state.teams().filter(|(_, team)| team.org == org).map(|(id, _)| id).collect();
        let ever: Vec<Id> = self.teams.iter().copied().collect();
        let teams = self.chance.some_of(&here, 30);
        let stale = self.chance.any_of(&ever).filter(|_| self.chance.once_in(40));
        teams.into_iter().chain(stale).collect()
    }

    fn names(&self, ids: &BTreeSet<Id>) -> Value {
        json!(ids.iter().map(|id| self.names.of(*id)).collect::<Vec<_>>())
    }

    /// A request about an organization.
    fn about(&self, org: Id, mut fields: Value) -> Value {
        fields["organizationId"] = json!(self.names.of(org));
        fields
    }
}

/// Where something came from, as requests say it.
fn origin(fields: &mut Value, source: &str, reference: Reference) {
    fields["source"] = json!(format!("MEMBERSHIP_SOURCE_{source}"));
    if let Reference::Group(group) = reference {
        fields["sourceReference"] = json!(group);
    }
}
