//! What an organization's decisions need of its tenant: the catalogue, the tenant's roles, who is denied everywhere.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxHashSet;
use uuid::Uuid;

use super::{
    apply::uuid,
    policy_set::{changed, delete, put},
    role::Role,
    slot::Folded,
    symbols::{PermissionId, RoleRef, Symbols},
};
use crate::{
    cedar::{Change, Compiled},
    error::Result,
    ids::kind,
    proto::v1::{self as pb, RoleMode, UserStatus, event::Data},
};

/// Below every role that has a place.
const NO_RANK: (u32, bool) = (u32::MAX, true);

/// The state of a tenant.
#[derive(Debug)]
pub struct TenantState {
    symbols: Arc<Symbols>,
    /// The catalogue.
    permissions: HashMap<Box<str>, PermissionId>,
    /// The tenant's roles, each at the place that its number says.
    roles: Vec<Option<Role>>,
    /// The place of each role in the order of priority, highest first, and whether it still has one: a role that was
    /// deleted keeps the last, above whoever has it now, for organizations that have not heard of the end.
    ranks: Vec<(u32, bool)>,
    /// Several roles of a member add up; else the highest alone counts.
    union: bool,
    /// The tenant's policies, where there are any.
    policies: Option<Box<Compiled>>,
    /// Users who are denied everywhere. Removed ones are here for as long as a replica may lag behind the removal of
    /// their memberships.
    denied_users: FxHashSet<Uuid>,
}

impl Folded for TenantState {
    fn apply(&mut self, event: &pb::Event) -> Result<()> {
        match event.data.as_ref() {
            Some(Data::PermissionCreated(data)) => data.after.iter().for_each(|after| self.put_permission(&after.slug)),
            Some(Data::PermissionDeleted(data)) => {
                if let Some(before) = &data.before {
                    self.permissions.remove(before.slug.as_str());
                }
            }
            Some(Data::RoleCreated(data)) => self.role_event(data.after.as_ref()),
            Some(Data::RolePermissionsChanged(data)) => self.role_event(data.after.as_ref()),
            // A role that is deleted has no place any more; an organization that has not heard of that yet still answers
            // as it was.
            Some(Data::RoleDeleted(_)) => {}
            Some(Data::UserSuspended(data)) => self.user(data.after.as_ref())?,
            Some(Data::UserReactivated(data)) => self.user(data.after.as_ref())?,
            Some(Data::UserDeleted(data)) => self.user(data.after.as_ref())?,
            Some(Data::TenantUpdated(data)) => self.tenant(data.after.as_ref()),
            Some(Data::PolicyCreated(data)) => self.change_policies(data.after.as_ref().map(put)),
            Some(Data::PolicyUpdated(data)) => self.change_policies(data.after.as_ref().map(put)),
            Some(Data::PolicyDeleted(data)) => self.change_policies(data.before.as_ref().map(delete)),
            _ => {}
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let roles = self.roles.iter().flatten().map(Role::bytes).sum::<usize>();
        size_of::<Self>() + self.permissions.len() * 64 + self.denied_users.capacity() * 20 + roles
    }
}

impl TenantState {
    /// A tenant of which nothing is known yet.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        let (permissions, roles, ranks, denied_users) = Default::default();
        Self { symbols, permissions, roles, ranks, union: true, policies: None, denied_users }
    }

    /// The number of a permission, where the catalogue has it.
    pub fn permission(&self, slug: &str) -> Option<PermissionId> {
        self.permissions.get(slug).copied()
    }

    /// The catalogue, in no order.
    pub fn permissions(&self) -> impl Iterator<Item = (&str, PermissionId)> {
        self.permissions.iter().map(|(slug, id)| (&**slug, *id))
    }

    /// One of the tenant's roles.
    pub fn role(&self, role: RoleRef) -> Option<&Role> {
        self.roles.get(role.0 as usize)?.as_ref()
    }

    /// The place of a role in the order of priority; roles without one rank below.
    pub fn rank(&self, role: RoleRef) -> (u32, bool) {
        self.ranks.get(role.0 as usize).copied().unwrap_or(NO_RANK)
    }

    /// Whether several roles of a member add up.
    pub fn is_union(&self) -> bool {
        self.union
    }

    /// The tenant's policies, where there are any.
    pub fn policies(&self) -> Option<&Compiled> {
        self.policies.as_deref()
    }

    /// Whether a user is denied in every organization.
    pub fn denies(&self, user_id: Uuid) -> bool {
        self.denied_users.contains(&user_id)
    }

    /// A permission of the catalogue.
    pub fn put_permission(&mut self, slug: &str) {
        self.permissions.insert(slug.into(), self.symbols.permission(slug));
    }

    /// One of the tenant's roles as it is now.
    pub fn put_role<'a>(&mut self, slug: &str, permissions: impl Iterator<Item = &'a str>) {
        let place = self.symbols.role(slug).0 as usize;
        if self.roles.len() <= place {
            self.roles.resize(place + 1, None);
        }
        self.roles[place] = Some(Role::new(&self.symbols, permissions));
    }

    /// How several roles of a member are combined: whether they add up, and their order, highest first.
    pub fn set_modes<'a>(&mut self, union: bool, priority: impl Iterator<Item = &'a str>) {
        self.union = union;
        self.ranks.iter_mut().for_each(|(_, has_one)| *has_one = false);
        for (rank, slug) in (0..).zip(priority) {
            let place = self.symbols.role(slug).0 as usize;
            if self.ranks.len() <= place {
                self.ranks.resize(place + 1, NO_RANK);
            }
            self.ranks[place] = (rank, true);
        }
    }

    /// Other policies than before.
    pub fn change_policies<'a>(&mut self, changes: impl IntoIterator<Item = Change<'a>>) {
        self.policies = changed(self.policies.take(), changes);
    }

    /// A user who is denied everywhere from now on.
    pub fn deny(&mut self, user_id: Uuid) {
        self.denied_users.insert(user_id);
    }

    fn role_event(&mut self, role: Option<&pb::Role>) {
        if let Some(role) = role {
            self.put_role(&role.slug, role.permissions.iter().map(String::as_str));
        }
    }

    fn tenant(&mut self, tenant: Option<&pb::Tenant>) {
        if let Some(tenant) = tenant {
            let union = tenant.role_mode() != RoleMode::HighestPriority;
            self.set_modes(union, tenant.role_priority.iter().map(String::as_str));
        }
    }

    fn user(&mut self, user: Option<&pb::User>) -> Result<()> {
        let Some(user) = user else { return Ok(()) };
        let id = uuid::<kind::User>(&user.user_id)?;
        if matches!(user.status(), UserStatus::Suspended | UserStatus::Removed) {
            self.denied_users.insert(id);
        } else {
            self.denied_users.remove(&id);
        }
        Ok(())
    }
}
