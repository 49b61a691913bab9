//! People: users, memberships, and the roles of memberships.

use std::collections::BTreeSet;

use serde_json::json;

use super::{History, USERS};
use crate::{
    decisions::model::{Membership, User},
    support::text,
};

const SOURCES: [(&str, &str); 3] =
    [("MEMBERSHIP_SOURCE_API", ""), ("MEMBERSHIP_SOURCE_DIRECTORY", "g1"), ("MEMBERSHIP_SOURCE_DIRECTORY", "g2")];

impl History {
    pub(super) async fn create_user(&mut self) {
        let email = format!("{}@example.com", self.name("u"));
        let user = self.tenant_wide("UserService/CreateUser", json!({"email": email}), &[]).await.unwrap();
        self.state.users.insert(text(&user["user"]["userId"]), User::Active);
    }

    /// Every role that may be given in an organization; its own ones are the likelier ones.
    pub(super) fn roles_here(&self, index: usize) -> Vec<String> {
        let own = self.state.organizations[index].roles.keys();
        let all = self.state.roles.keys().filter(|slug| *slug != "owner").chain(own.clone()).chain(own);
        all.cloned().collect()
    }

    pub(super) fn some_roles(&mut self, index: usize) -> Vec<String> {
        let roles: BTreeSet<_> = self.chance.some_of(&self.roles_here(index), 15).into_iter().collect();
        roles.into_iter().collect()
    }

    pub(super) fn membership(&mut self, index: usize) -> Option<String> {
        let all: Vec<_> = self.state.organizations[index].memberships.keys().cloned().collect();
        self.chance.any_of(&all)
    }

    pub(super) fn user(&mut self) -> String {
        let all: Vec<_> = self.state.users.keys().cloned().collect();
        self.chance.one_of(&all)
    }

    pub(super) async fn add_member(&mut self, index: usize, user: &str, roles: &[String], teams: &[String]) {
        let request = json!({"member": {"userId": user, "roles": roles, "teamIds": teams}});
        let may = ["ALREADY_MEMBER", "USER_NOT_FOUND", "ILLEGAL_TRANSITION"];
        let Some(added) = self.within(index, "MembershipService/AddMember", request, &may).await else { return };
        let id = text(&added["membership"]["membershipId"]);
        let default = [self.state.default_of(index)];
        let roles = if roles.is_empty() { &default } else { roles };
        let assignments = roles.iter().map(|role| assignment(role, SOURCES[0])).collect();
        let organization = &mut self.state.organizations[index];
        let membership = Membership { user: user.to_owned(), suspended: false, assignments };
        organization.memberships.insert(id.clone(), membership);
        for team in teams {
            organization.teams.get_mut(team).unwrap().members.insert(id.clone());
        }
    }

    pub(super) async fn step_add_member(&mut self, index: usize) {
        let members = self.state.organizations[index].memberships.values();
        let members: BTreeSet<_> = members.map(|membership| membership.user.clone()).collect();
        let others: Vec<_> = self.state.users.keys().filter(|user| !members.contains(*user)).cloned().collect();
        let user = self.chance.any_of(&others).filter(|_| members.len() < USERS).unwrap_or_else(|| self.user());
        let teams: Vec<_> = self.state.organizations[index].teams.keys().cloned().collect();
        let (roles, teams) = (self.some_roles(index), self.chance.some_of(&teams, 20));
        self.add_member(index, &user, &roles, &teams).await;
    }

    pub(super) async fn step_remove_member(&mut self, index: usize) {
        let Some(id) = self.membership(index) else { return };
        let request = json!({"membershipId": id});
        if self.within(index, "MembershipService/RemoveMember", request, &["LAST_OWNER"]).await.is_some() {
            self.state.organizations[index].end_membership(&id);
        }
    }

    pub(super) async fn step_suspend_member(&mut self, index: usize) {
        let all = self.state.organizations[index].memberships.iter().filter(|(_, membership)| membership.suspended);
        let denied: Vec<_> = all.map(|(id, _)| id.clone()).collect();
        let one = self.chance.any_of(&denied).filter(|_| denied.len() > 1).or_else(|| self.membership(index));
        let Some(id) = one else { return };
        let suspended = !self.state.organizations[index].memberships[&id].suspended;
        let method = if suspended { "SuspendMembership" } else { "ReactivateMembership" };
        let request = json!({"membershipId": id});
        if self.within(index, &format!("MembershipService/{method}"), request, &["LAST_OWNER"]).await.is_some() {
            self.state.organizations[index].memberships.get_mut(&id).unwrap().suspended = suspended;
        }
    }

    pub(super) async fn step_suspend_user(&mut self) {
        let denied = self.state.users.iter().filter(|(_, user)| **user == User::Suspended);
        let denied: Vec<_> = denied.map(|(id, _)| id.clone()).collect();
        let user = self.chance.any_of(&denied).filter(|_| denied.len() > 1).unwrap_or_else(|| self.user());
        let (method, after) = match self.state.users[&user] {
            User::Active => ("UserService/SuspendUser", User::Suspended),
            User::Suspended => ("UserService/ReactivateUser", User::Active),
            User::Removed => return,
        };
        if self.tenant_wide(method, json!({"userId": user}), &["LAST_OWNER"]).await.is_some() {
            self.state.users.insert(user, after);
        }
    }

    pub(super) async fn step_delete_user(&mut self) {
        let user = self.user();
        if !self.chance.once_in(2) || self.state.users[&user] == User::Removed || self.state.users.len() > USERS + 2 {
            return;
        }
        if self.tenant_wide("UserService/DeleteUser", json!({"userId": user}), &["LAST_OWNER"]).await.is_some() {
            self.state.delete_user(&user);
            self.create_user().await;
        }
    }

    /// What happens in a suspended organization tells little: it is active again soon.
    pub(super) async fn step_suspend_organization(&mut self, index: usize) {
        self.within(index, "OrganizationService/SuspendOrganization", json!({}), &[]).await.unwrap();
        self.state.organizations[index].suspended = true;
    }

    /// The end: nothing can be done there any more.
    pub async fn delete_organization(&mut self, index: usize) {
        self.within(index, "OrganizationService/DeleteOrganization", json!({}), &[]).await.unwrap();
        self.state.organizations[index].deleting = true;
    }

    pub(super) async fn step_reactivate_organization(&mut self, index: usize) {
        self.within(index, "OrganizationService/ReactivateOrganization", json!({}), &[]).await.unwrap();
        self.state.organizations[index].suspended = false;
    }

    pub(super) async fn step_assign_role(&mut self, index: usize) {
        let Some(id) = self.membership(index) else { return };
        let (roles, origin) = (self.roles_here(index), self.chance.one_of(&SOURCES));
        let role = self.chance.one_of(&roles);
        let request = json!({"membershipId": id, "role": role, "source": origin.0, "sourceReference": origin.1});
        self.within(index, "MembershipService/AssignRole", request, &[]).await.unwrap();
        let membership = self.state.organizations[index].memberships.get_mut(&id).unwrap();
        membership.assignments.insert(assignment(&role, origin));
    }

    pub(super) async fn step_revoke_role(&mut self, index: usize) {
        let Some(id) = self.membership(index) else { return };
        let held = &self.state.organizations[index].memberships[&id].assignments;
        let held: Vec<_> = held.iter().cloned().collect();
        let (role, source, reference) = self.chance.one_of(&held);
        let request = json!({"membershipId": id, "role": role, "source": source, "sourceReference": reference});
        let may = ["LAST_ROLE", "LAST_OWNER"];
        if self.within(index, "MembershipService/RevokeRole", request, &may).await.is_some() {
            let membership = self.state.organizations[index].memberships.get_mut(&id).unwrap();
            membership.assignments.remove(&(role, source, reference));
        }
    }

    pub(super) async fn step_set_roles(&mut self, index: usize) {
        let Some(id) = self.membership(index) else { return };
        let (roles, origin) = (self.some_roles(index), self.chance.one_of(&SOURCES));
        let request = json!({"membershipId": id, "roles": roles, "source": origin.0, "sourceReference": origin.1});
        let may = ["LAST_ROLE", "LAST_OWNER"];
        if self.within(index, "MembershipService/SetRoles", request, &may).await.is_some() {
            let membership = self.state.organizations[index].memberships.get_mut(&id).unwrap();
            membership.assignments.retain(|(_, source, reference)| (source.as_str(), reference.as_str()) != origin);
            membership.assignments.extend(roles.iter().map(|role| assignment(role, origin)));
        }
    }
}

fn assignment(role: &str, (source, reference): (&str, &str)) -> (String, String, String) {
    (role.to_owned(), source.to_owned(), reference.to_owned())
}
