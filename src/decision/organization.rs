//! The state of one organization, as decisions need it: tables of rows that refer to each other by number.
//!
//! Whoever changes it speaks of ids and slugs: events in [`super::apply`], a load in [`super::load`].

use std::sync::Arc;

use uuid::Uuid;

use super::{
    members::{Members, Standing},
    policy_set::changed,
    resource_tree::{Grant, Principal, Resources, Right},
    role::Role,
    sets::{EMPTY, SetId, Sets},
    symbols::{RoleRef, Symbols},
    team_tree::Teams,
};
use crate::{
    cedar::{Change, Compiled},
    clock::Timestamp,
    ids::OWN_ROLE_PREFIX,
    proto::v1::OrganizationStatus,
};

/// The state of an organization.
#[derive(Debug)]
pub struct OrganizationState {
    symbols: Arc<Symbols>,
    /// Where it stands.
    pub status: OrganizationStatus,
    /// Who is a member, other than a removed one.
    pub members: Members,
    /// The tree of teams.
    pub teams: Teams,
    /// The sets of roles that members and teams have.
    pub role_sets: Sets,
    /// The sets of teams that members are in.
    pub team_sets: Sets,
    /// The tree of resources, with their grants.
    pub resources: Resources,
    /// Its own roles, each at the place that its number says.
    own_roles: Vec<OwnRole>,
    /// Its policies, where there are any.
    policies: Option<Box<Compiled>>,
}

/// A role of the organization's own.
#[derive(Debug)]
struct OwnRole {
    slug: Box<str>,
    /// Nothing where it was deleted, or has not been heard of.
    role: Option<Role>,
    /// Its place in the order of priority, highest first.
    rank: u32,
}

/// Who holds a grant, by ids and slugs.
#[derive(Debug)]
pub enum PrincipalName<'a> {
    /// A membership.
    Membership(Uuid),
    /// A team.
    Team(Uuid),
    /// A role.
    Role(&'a str),
}

/// What a grant gives, by its slug.
#[derive(Debug)]
pub enum RightName<'a> {
    /// A role.
    Role(&'a str),
    /// A permission.
    Permission(&'a str),
}

impl OrganizationState {
    /// An organization of which nothing is known yet.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        Self {
            symbols,
            status: OrganizationStatus::default(),
            members: Members::default(),
            teams: Teams::default(),
            role_sets: Sets::default(),
            team_sets: Sets::default(),
            resources: Resources::default(),
            own_roles: Vec::new(),
            policies: None,
        }
    }

    /// Takes everything out.
    pub fn empty(&mut self) {
        *self = Self::new(self.symbols.clone());
    }

    /// Its policies, where there are any.
    pub fn policies(&self) -> Option<&Compiled> {
        self.policies.as_deref()
    }

    /// Other policies than before.
    pub fn change_policies<'a>(&mut self, changes: impl IntoIterator<Item = Change<'a>>) {
        self.policies = changed(self.policies.take(), changes);
    }

    /// One of its own roles.
    pub fn own_role(&self, place: usize) -> Option<&Role> {
        self.own_roles.get(place)?.role.as_ref()
    }

    /// The place of one of its own roles in the order of priority; its tenant's rank below all of them.
    pub fn own_rank(&self, place: usize) -> u32 {
        self.own_roles.get(place).map_or(u32::MAX, |own| own.rank)
    }

    /// The slug of a role.
    pub fn role_slug(&self, role: RoleRef) -> Box<str> {
        match role.own_place() {
            Some(place) => self.own_roles.get(place).map(|own| own.slug.clone()).unwrap_or_default(),
            None => self.symbols.role_slug(role),
        }
    }

    /// A member as they are now: with exactly these roles.
    pub fn put_member<'a>(
        &mut self,
        user_id: Uuid,
        membership_id: Uuid,
        standing: Standing,
        roles: impl Iterator<Item = &'a str>,
    ) {
        let roles = self.role_set(roles);
        match self.members.find(user_id) {
            Some(row) if self.members.get(row).membership_id == membership_id => {
                let before = self.members.set_roles(row, standing, roles);
                self.role_sets.release(before);
            }
            another => {
                // A person is a member once: another membership of theirs is over.
                if another.is_some() {
                    self.remove_member(user_id);
                }
                self.members.add(user_id, membership_id, standing, roles);
            }
        }
    }

    /// Takes a member out.
    pub fn remove_member(&mut self, user_id: Uuid) {
        if let Some(row) = self.members.find(user_id) {
            let member = self.members.remove(row);
            self.role_sets.release(member.roles());
            self.team_sets.release(member.teams);
        }
    }

    /// A team as it is now: below this one, with exactly these roles.
    pub fn put_team<'a>(&mut self, id: Uuid, parent: Option<Uuid>, roles: impl Iterator<Item = &'a str>) {
        let row = self.teams.place(id);
        let parent = parent.map(|parent| self.teams.place(parent));
        self.teams.set_parent(row, parent);
        let roles = self.role_set(roles);
        let before = self.teams.set_roles(row, roles);
        self.role_sets.release(before);
    }

    /// Takes a team out.
    pub fn remove_team(&mut self, id: Uuid) {
        let roles = self.teams.remove(id);
        self.role_sets.release(roles);
    }

    /// Puts a member into a team, or takes them out of it.
    pub fn set_team_member(&mut self, membership_id: Uuid, team_id: Uuid, is_in: bool) {
        let Some(row) = self.members.find_membership(membership_id) else { return };
        let team = is_in.then(|| self.teams.place(team_id));
        let before = self.members.get(row).teams;
        let all = &self.teams;
        let after = self.team_sets.replace(before, |teams| {
            // By its id: a team that was taken out before its members were has no place any more, but they are in it.
            teams.retain(|other| all.get(*other).id != team_id);
            teams.extend(team);
        });
        self.members.set_teams(row, after);
    }

    /// One of its own roles as it is now.
    pub fn put_role<'a>(&mut self, slug: &str, permissions: impl Iterator<Item = &'a str>) {
        let role = Role::new(&self.symbols, permissions);
        let place = self.own_place(slug);
        self.own_roles[place].role = Some(role);
    }

    /// Takes one of its own roles out.
    pub fn remove_role(&mut self, slug: &str) {
        let place = self.own_place(slug);
        self.own_roles[place].role = None;
    }

    /// The order of its own roles, highest first.
    pub fn set_priority<'a>(&mut self, slugs: impl Iterator<Item = &'a str>) {
        self.own_roles.iter_mut().for_each(|own| own.rank = u32::MAX);
        for (rank, slug) in (0..).zip(slugs) {
            let place = self.own_place(slug);
            self.own_roles[place].rank = rank;
        }
    }

    /// A grant as it is now.
    pub fn put_grant(
        &mut self,
        id: Uuid,
        (kind, resource): (&str, &str),
        principal: &PrincipalName<'_>,
        right: &RightName<'_>,
        ends_at: Option<Timestamp>,
    ) {
        let principal = match principal {
            PrincipalName::Membership(id) => match self.members.find_membership(*id) {
                Some(row) => Principal::Member(row),
                None => return, // of nobody who is here
            },
            PrincipalName::Team(id) => Principal::Team(self.teams.place(*id)),
            PrincipalName::Role(slug) => Principal::Role(self.role_ref(slug)),
        };
        let right = match right {
            RightName::Role(slug) => Right::Role(self.role_ref(slug)),
            RightName::Permission(slug) => Right::Permission(self.symbols.permission(slug)),
        };
        self.resources.grant(kind, resource, Grant::new(id, principal, right, ends_at));
    }

    /// Gives back what loading left over.
    pub fn shrink(&mut self) {
        self.role_sets.shrink();
        self.team_sets.shrink();
        self.own_roles.shrink_to_fit();
    }

    /// What it takes, in bytes, about.
    pub fn bytes(&self) -> usize {
        let own = self.own_roles.iter().map(|own| own.slug.len() + own.role.as_ref().map_or(0, Role::bytes));
        size_of::<Self>()
            + self.members.bytes()
            + self.teams.bytes()
            + self.role_sets.bytes()
            + self.team_sets.bytes()
            + self.resources.bytes()
            + self.policies.as_ref().map_or(0, |policies| policies.bytes())
            + self.own_roles.capacity() * size_of::<OwnRole>()
            + own.sum::<usize>()
    }

    fn role_set<'a>(&mut self, slugs: impl Iterator<Item = &'a str>) -> SetId {
        let numbers: Vec<u32> = slugs.map(|slug| self.role_ref(slug).0).collect();
        if numbers.is_empty() { EMPTY } else { self.role_sets.take(numbers) }
    }

    /// The number of a role; its form tells whose it is.
    fn role_ref(&mut self, slug: &str) -> RoleRef {
        if slug.starts_with(OWN_ROLE_PREFIX) { RoleRef::own(self.own_place(slug)) } else { self.symbols.role(slug) }
    }

    /// The place of one of its own roles; a new one where it was not known.
    fn own_place(&mut self, slug: &str) -> usize {
        if let Some(place) = self.own_roles.iter().position(|own| *own.slug == *slug) {
            return place;
        }
        self.own_roles.push(OwnRole { slug: slug.into(), role: None, rank: u32::MAX });
        self.own_roles.len() - 1
    }
}
