//! People: users, memberships, and the roles of memberships.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{History, USERS};
use crate::{
    decisions::model::{Membership, Standing, User},
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
        let mut request = json!({"member": {"userId": user, "roles": roles, "teamIds": teams}});
        let (mut standing, mut end) = (Standing::Active, None);
        if !roles.iter().any(|role| role == "owner") {
            end = self.some_end(4, &mut request["member"]["endTime"]);
            if self.chance.once_in(8) {
                standing = Standing::Pending;
                let how = if self.chance.once_in(2) { "invite" } else { "preProvision" };
                request["member"][how] = json!({});
            }
        }
        let may = [
            "ALREADY_MEMBER",
            "USER_NOT_FOUND",
            "ILLEGAL_TRANSITION",
            "INVITATION_PENDING",
            "MEMBERSHIP_SUSPENDED",
            "ORGANIZATION_SUSPENDED",
            "USER_SUSPENDED",
        ];
        let Some(added) = self.within(index, "MembershipService/AddMember", request, &may).await else { return };
        let id = text(&added["membership"]["membershipId"]);
        let default = [self.state.default_of(index)];
        let roles = if roles.is_empty() { &default } else { roles };
        let assignments = roles.iter().map(|role| assignment(role, SOURCES[0])).collect();
        let organization = &mut self.state.organizations[index];
        let membership = Membership { user: user.to_owned(), standing, end, assignments };
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

    /// An end, once in so many times, put into a request: the clock moves by thousands.
    fn some_end(&mut self, times: u64, field: &mut Value) -> Option<u64> {
        let lasts = self.chance.once_in(times).then(|| 500 + 1_000 * self.chance.below(3))?;
        *field = json!(self.clock.in_future(Duration::from_secs(lasts)));
        Some(self.state.now + lasts)
    }

    fn is_denied(&self, membership: &Membership) -> bool {
        membership.standing == Standing::Suspended || membership.end.is_some_and(|end| end <= self.state.now)
    }

    /// Suspends, and reactivates; what waits, is activated; what has ended, gets another end before.
    pub(super) async fn step_suspend_member(&mut self, index: usize) {
        let all = self.state.organizations[index].memberships.iter().filter(|(_, member)| self.is_denied(member));
        let denied: Vec<_> = all.map(|(id, _)| id.clone()).collect();
        let one = self.chance.any_of(&denied).filter(|_| denied.len() > 1).or_else(|| self.membership(index));
        let Some(id) = one else { return };
        let membership = &self.state.organizations[index].memberships[&id];
        let (method, after, may) = match membership.standing {
            Standing::Pending if self.is_denied(membership) => {
                ("ActivateMembership", Standing::Active, "MEMBERSHIP_ENDED")
            }
            Standing::Pending => ("ActivateMembership", Standing::Active, "ILLEGAL_TRANSITION"),
            _ if self.is_denied(membership) => ("ReactivateMembership", Standing::Active, "MEMBERSHIP_ENDED"),
            _ => ("SuspendMembership", Standing::Suspended, "LAST_OWNER"),
        };
        // An invitation is not accepted in a suspended organization, nor by a suspended user.
        let may = [may, "ORGANIZATION_SUSPENDED", "ILLEGAL_TRANSITION"];
        let request = json!({"membershipId": id});
        if self.within(index, &format!("MembershipService/{method}"), request, &may).await.is_some() {
            self.state.organizations[index].memberships.get_mut(&id).unwrap().standing = after;
        } else if self.chance.once_in(2) {
            self.end(index, id).await;
        }
    }

    pub(super) async fn step_end(&mut self, index: usize) {
        let Some(id) = self.membership(index) else { return };
        self.end(index, id).await;
    }

    /// Another end, or none.
    async fn end(&mut self, index: usize, id: String) {
        let organization = &self.state.organizations[index];
        let membership = json!({"organizationId": organization.id, "membershipId": id});
        let mut request = json!({"membership": membership, "updateMask": "endTime"});
        let end = self.some_end(2, &mut request["membership"]["endTime"]);
        let method = "MembershipService/UpdateMembership";
        if self.write(Some(index), method, request, &["LAST_OWNER"]).await.is_none() {
            return;
        }
        let now = self.state.now;
        let membership = self.state.organizations[index].memberships.get_mut(&id).unwrap();
        // "brings nobody back by itself"
        if membership.standing == Standing::Active && membership.end.is_some_and(|end| end <= now) {
            membership.standing = Standing::Suspended;
        }
        membership.end = end;
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

    /// Nothing can be done there any more.
    pub async fn delete_organization(&mut self, index: usize) {
        self.within(index, "OrganizationService/DeleteOrganization", json!({}), &[]).await.unwrap();
        self.state.organizations[index].deleting = true;
    }

    /// Everybody is there again as they were, by a new membership.
    pub async fn restore_organization(&mut self, index: usize) {
        self.within(index, "OrganizationService/RestoreOrganization", json!({}), &[]).await.unwrap();
        let id = self.state.organizations[index].id.clone();
        let present =
            self.caller.list("MembershipService/ListMemberships", json!({"organizationId": id}), "memberships");
        let anew: BTreeMap<_, _> =
            present.await.iter().map(|one| (text(&one["userId"]), text(&one["membershipId"]))).collect();
        self.state.organizations[index].restore(&anew);
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
