//! What a write does to the model's state, as the contract says it.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Grant, Organization, Principal, Resource, Right, State, User};

/// What takes a deleted role's place.
#[derive(Clone)]
pub enum Instead {
    Nothing,
    Role(String),
    Default,
}

impl Organization {
    /// "Removing a membership ends its team memberships", and its grants.
    pub fn end_membership(&mut self, id: &str) {
        self.memberships.remove(id);
        for team in self.teams.values_mut() {
            team.members.remove(id);
        }
        self.grants.retain(|_, grant| grant.principal != Principal::Membership(id.to_owned()));
    }

    /// "who was a member gets a new membership, with a new id and the same status, roles, places in teams and grants":
    /// by user.
    pub fn restore(&mut self, anew: &BTreeMap<String, String>) {
        self.deleting = false;
        let former = std::mem::take(&mut self.memberships);
        assert_eq!(former.len(), anew.len(), "everybody is back, and nobody else");
        let ids: BTreeMap<_, _> = former.iter().map(|(id, one)| (id.clone(), anew[&one.user].clone())).collect();
        self.memberships = former.into_iter().map(|(id, one)| (ids[&id].clone(), one)).collect();
        for team in self.teams.values_mut() {
            team.members = team.members.iter().map(|id| ids[id].clone()).collect();
        }
        for grant in self.grants.values_mut() {
            if let Principal::Membership(id) = &mut grant.principal {
                *id = ids[id].clone();
            }
        }
    }

    /// A team, and all teams below it.
    pub fn teams_below(&self, id: &str) -> BTreeSet<String> {
        let mut below = BTreeSet::from([id.to_owned()]);
        loop {
            let children =
                self.teams.iter().filter(|(_, team)| team.parent.as_ref().is_some_and(|it| below.contains(it)));
            let more: Vec<String> = children.map(|(id, _)| id.clone()).filter(|id| !below.contains(id)).collect();
            if more.is_empty() {
                return below;
            }
            below.extend(more);
        }
    }

    /// A team goes with its members, its grants, and all teams below it.
    pub fn delete_team(&mut self, id: &str) {
        for gone in self.teams_below(id) {
            self.teams.remove(&gone);
            self.grants.retain(|_, grant| grant.principal != Principal::Team(gone.clone()));
        }
    }

    /// A resource goes with everything below it and every grant on them.
    pub fn delete_resource(&mut self, resource: &Resource) {
        let children = self.resources.iter().filter(|(_, parent)| parent.as_ref() == Some(resource));
        for child in children.map(|(child, _)| child.clone()).collect::<Vec<_>>() {
            self.delete_resource(&child);
        }
        self.resources.remove(resource);
        self.grants.retain(|_, grant| grant.resource != *resource);
    }

    /// Sets a grant; with `replace` it is the only one of its principal on the resource.
    pub fn set_grant(&mut self, id: &str, grant: Grant, replace: bool) {
        if replace {
            self.grants.retain(|_, it| it.principal != grant.principal || it.resource != grant.resource);
        }
        self.grants.insert(id.to_owned(), grant);
    }

    /// Puts a role in the place of another: in memberships, teams and grants.
    fn replace_role(&mut self, role: &str, instead: &Instead, default: &str) {
        let (of_members, of_others) = match instead {
            Instead::Nothing => return,
            Instead::Role(slug) => (slug.as_str(), Some(slug)),
            Instead::Default => (default, None),
        };
        for membership in self.memberships.values_mut() {
            let renamed = membership.assignments.iter().cloned().map(|(slug, source, reference)| {
                (if slug == role { of_members.to_owned() } else { slug }, source, reference)
            });
            membership.assignments = renamed.collect();
        }
        for team in self.teams.values_mut() {
            if team.roles.remove(role) {
                team.roles.extend(of_others.cloned());
            }
        }
        self.replace_in_grants(role, of_others);
    }

    /// Where the same is granted already, the one that lasts longer is the one that stays.
    fn replace_in_grants(&mut self, role: &str, instead: Option<&String>) {
        let (of, gives) = (Principal::Role(role.to_owned()), Right::Role(role.to_owned()));
        let named = self.grants.iter().filter(|(_, grant)| grant.principal == of || grant.right == gives);
        for id in named.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let mut grant = self.grants.remove(&id).unwrap();
            let Some(instead) = instead else { continue };
            if grant.principal == of {
                grant.principal = Principal::Role(instead.clone());
            }
            if grant.right == gives {
                grant.right = Right::Role(instead.clone());
            }
            let same = self
                .grants
                .values_mut()
                .find(|it| it.principal == grant.principal && it.resource == grant.resource && it.right == grant.right);
            match same {
                Some(same) => same.end = same.end.zip(grant.end).map(|(a, b)| a.max(b)),
                None => drop(self.grants.insert(id, grant)),
            }
        }
    }
}

impl State {
    /// The role of whoever is given none.
    pub fn default_of(&self, organization: usize) -> String {
        let own = &self.organizations[organization].default_role;
        if own.is_empty() { self.default_role.clone() } else { own.clone() }
    }

    /// The tenant's roles, or an organization's own; and their order.
    pub fn roles_of(
        &mut self,
        organization: Option<usize>,
    ) -> (&mut std::collections::BTreeMap<String, Vec<String>>, &mut Vec<String>) {
        match organization {
            None => (&mut self.roles, &mut self.priority),
            Some(index) => {
                let organization = &mut self.organizations[index];
                (&mut organization.roles, &mut organization.priority)
            }
        }
    }

    /// A new role is the lowest; an organization's first one gives it a default of its own.
    pub fn create_role(&mut self, organization: Option<usize>, slug: &str, permissions: Vec<String>) {
        if let Some(index) = organization.filter(|index| self.organizations[*index].default_role.is_empty()) {
            self.organizations[index].default_role = self.default_role.clone();
        }
        let (roles, priority) = self.roles_of(organization);
        roles.insert(slug.to_owned(), permissions);
        priority.push(slug.to_owned());
    }

    /// A role goes, and something takes its place; "none is ever without a role".
    pub fn delete_role(&mut self, organization: Option<usize>, slug: &str, instead: &Instead) {
        let successor = match instead {
            Instead::Role(slug) if slug != "owner" && slug != "admin" => Some(slug.clone()),
            _ => None,
        };
        if organization.is_none() && self.default_role == slug {
            self.default_role = successor.clone().expect("the service refuses to leave a tenant without a default");
        }
        let (roles, priority) = self.roles_of(organization);
        roles.remove(slug);
        priority.retain(|it| it != slug);
        for index in 0..self.organizations.len() {
            if organization.is_some_and(|it| it != index) {
                continue;
            }
            if self.organizations[index].default_role == slug {
                self.organizations[index].default_role = successor.clone().unwrap_or(self.default_role.clone());
            }
            let default = self.default_of(index);
            self.organizations[index].replace_role(slug, instead, &default);
        }
    }

    /// A user is removed for good, with every membership.
    pub fn delete_user(&mut self, user: &str) {
        self.users.insert(user.to_owned(), User::Removed);
        for organization in &mut self.organizations {
            let of_user = organization.memberships.iter().filter(|(_, membership)| membership.user == user);
            for id in of_user.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                organization.end_membership(&id);
            }
        }
    }
}
