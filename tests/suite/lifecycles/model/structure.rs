//! Teams, own roles and domains, where a membership's life meets them.

use std::collections::BTreeSet;

use super::{Act, Domain, Id, Membership, Organization, Place, Role, Team};

/// For how many days a claim of a domain may be proven.
const PROOF: u64 = 30;

/// What takes the place of a role.
#[derive(Clone, Debug)]
pub enum Instead {
    Nothing,
    Role(String),
    Default,
}

impl Act {
    fn ensure_not_closed(&mut self, org: Id) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
    }

    pub fn create_team(&mut self, org: Id, name: &str) {
        self.ensure_not_closed(org);
        let taken = self.state.teams().any(|(_, team)| team.org == org && team.name == name);
        self.refuse_if(taken, "TEAM_NAME_TAKEN");
        if !self.is_refused() {
            let id = self.create("team.created", Team { org, name: name.to_owned() });
            self.show("team", id);
        }
    }

    /// A team that is there; deleted ones are none.
    fn is_team_of(&mut self, org: Id, team: Id) -> bool {
        let here = self.state.things.contains_key(&team) && self.state.team(team).org == org;
        self.refuse_if(!here, "TEAM_NOT_FOUND");
        here
    }

    pub fn delete_team(&mut self, org: Id, team: Id) {
        self.ensure_not_closed(org);
        if !self.is_team_of(org, team) || self.is_refused() {
            return;
        }
        self.end("team.deleted", team);
        let places: Vec<Id> = self.state.places().filter(|(_, it)| it.team == team).map(|(id, _)| id).collect();
        self.cascade(|act| places.into_iter().for_each(|place| act.end("team.member_removed", place)));
    }

    pub fn add_team_member(&mut self, org: Id, team: Id, membership: Id) {
        self.ensure_not_closed(org);
        if !self.is_team_of(org, team) || !self.is_member_of(org, membership) {
            return;
        }
        self.refuse_if(self.state.membership(membership).status == "REMOVED", "ILLEGAL_TRANSITION");
        self.refuse_if(self.place(team, membership).is_some(), "ALREADY_TEAM_MEMBER");
        if !self.is_refused() {
            let place = self.create("team.member_added", Place { org, team, membership });
            self.show("teamMember", place);
        }
    }

    pub fn remove_team_member(&mut self, org: Id, team: Id, membership: Id) {
        self.ensure_not_closed(org);
        if !self.is_team_of(org, team) {
            return;
        }
        let place = self.place(team, membership);
        self.refuse_if(place.is_none(), "TEAM_MEMBER_NOT_FOUND");
        if let Some(place) = place.filter(|_| !self.is_refused()) {
            self.end("team.member_removed", place);
        }
    }

    fn place(&self, team: Id, membership: Id) -> Option<Id> {
        let mut all = self.state.places();
        all.find(|(_, it)| (it.team, it.membership) == (team, membership)).map(|(id, _)| id)
    }

    /// "The first own role gives an organization its own default and its own priority order".
    pub fn create_role(&mut self, org: Id, slug: &str, permissions: &[String]) {
        self.ensure_not_closed(org);
        self.refuse_if(self.state.role_here(org, slug).is_some(), "SLUG_TAKEN");
        self.give_entries(org, permissions);
        if self.is_refused() {
            return;
        }
        let role = Role { org, slug: slug.to_owned(), permissions: permissions.to_vec() };
        let default = self.state.default_role(org);
        self.create("role.created", role);
        self.cascade(|act| {
            act.change("organization.updated", org, |it: &mut Organization| {
                it.order.push(slug.to_owned());
                it.default_role = default;
            });
        });
    }

    /// "refused while assigned, unless a replacement is named (or the default is asked for); then every membership affected
    /// gets its event, and none is ever without a role."
    pub fn delete_role(&mut self, org: Id, slug: &str, instead: &Instead) {
        self.ensure_not_closed(org);
        let own = self.state.roles().find(|(_, role)| role.org == org && role.slug == slug).map(|(id, _)| id);
        self.refuse_if(own.is_none(), "ROLE_NOT_FOUND");
        let Some(id) = own else { return };
        let is_default = self.state.org(org).default_role == slug;
        let holders: Vec<Id> =
            self.state.members(org).into_iter().filter(|id| self.state.membership(*id).has(slug)).collect();
        let tenants = self.state.default_role.clone();
        let default = match instead {
            _ if !is_default => self.state.default_role(org),
            Instead::Role(role) if role != "admin" => role.clone(),
            _ => tenants,
        };
        let instead = match instead {
            Instead::Nothing => {
                self.refuse_if(!holders.is_empty(), "ROLE_IN_USE");
                self.refuse_if(is_default, "ROLE_IS_DEFAULT");
                None
            }
            Instead::Role(role) => Some(role.clone()),
            Instead::Default => Some(default.clone()),
        };
        if let Some(role) = &instead {
            self.ensure_there(org, std::slice::from_ref(role), &BTreeSet::new());
            self.give(org, std::slice::from_ref(role));
        }
        if self.is_refused() {
            return;
        }
        self.end("role.deleted", id);
        self.cascade(|act| {
            act.change("organization.updated", org, |it: &mut Organization| {
                it.order.retain(|role| role != slug);
                if !it.default_role.is_empty() {
                    it.default_role = default;
                }
            });
            for holder in holders {
                act.change("membership.roles_changed", holder, |it: &mut Membership| {
                    let replaced = std::mem::take(&mut it.roles).into_iter().map(|mut assignment| {
                        if assignment.role == slug {
                            assignment.role = instead.clone().expect("nobody has it");
                        }
                        assignment
                    });
                    it.roles = replaced.collect();
                });
            }
        });
    }

    pub fn set_default_role(&mut self, org: Id, role: &str) {
        self.ensure_not_closed(org);
        self.ensure_there(org, &[role.to_owned()], &BTreeSet::new());
        self.give(org, &[role.to_owned()]);
        if !self.is_refused() && self.state.org(org).default_role != role {
            self.change("organization.updated", org, |it: &mut Organization| it.default_role = role.to_owned());
        }
    }

    pub fn add_domain(&mut self, org: Id, name: &str) {
        self.ensure_not_closed(org);
        let claimed = self.state.domains().any(|(_, it)| it.org == org && it.name == name);
        self.refuse_if(claimed, "ALREADY_CLAIMED");
        if !self.is_refused() {
            let (name, end) = (name.to_owned(), self.state.today + PROOF);
            let id = self.create("domain.added", Domain { org, name, status: "PENDING", end, members_max: 0 });
            self.show("domain", id);
        }
    }

    fn is_domain_of(&mut self, org: Id, id: Id) -> bool {
        self.ensure_not_closed(org);
        self.refuse_if(self.state.domain(id).org != org, "DOMAIN_NOT_FOUND");
        !self.is_refused()
    }

    pub fn start_verification(&mut self, org: Id, id: Id) {
        if self.is_domain_of(org, id) {
            let end = self.state.today + PROOF;
            self.change("domain.verification_started", id, |it: &mut Domain| (it.status, it.end) = ("PENDING", end));
            self.show("domain", id);
        }
    }

    /// "Auto-join: off (default), suggest, invite, join; needs verified domain".
    pub fn update_domain(&mut self, org: Id, id: Id, members_max: i32, joins: bool) {
        if !self.is_domain_of(org, id) {
            return;
        }
        self.refuse_if(joins, "DOMAIN_NOT_VERIFIED");
        if self.is_refused() {
            return;
        }
        if self.state.domain(id).members_max != members_max {
            self.change("domain.updated", id, |it: &mut Domain| it.members_max = members_max);
        }
        self.show("domain", id);
    }

    pub fn remove_domain(&mut self, org: Id, id: Id) {
        if self.is_domain_of(org, id) {
            self.end("domain.removed", id);
        }
    }
}
