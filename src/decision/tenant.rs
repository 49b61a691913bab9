//! What an organization's decisions need of its tenant: the catalogue, the tenant's roles, who is denied everywhere.

use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::{catalogue::PermissionSet, load, slot::Folded, uuid};
use crate::{
    db::Tx,
    error::Result,
    events::Stream,
    ids::{TenantId, kind},
    proto::v1::{self as pb, UserStatus, event::Data},
};

/// The state of a tenant.
#[derive(Debug, Default)]
pub struct TenantState {
    pub(super) permissions: FxHashSet<Box<str>>,
    pub(super) roles: FxHashMap<Box<str>, PermissionSet>,
    /// Users who are denied everywhere. Removed ones are here for as long as a replica may lag behind the removal of
    /// their memberships.
    pub(super) denied_users: FxHashSet<Uuid>,
}

impl Folded for TenantState {
    async fn load(tx: &mut Tx, tenant_id: TenantId, _stream: Stream) -> Result<(Self, i64)> {
        load::tenant(tx, tenant_id).await
    }

    fn apply(&mut self, event: &pb::Event) -> Result<()> {
        match event.data.as_ref() {
            Some(Data::PermissionCreated(data)) => self.put_permission(data.after.as_ref()),
            Some(Data::PermissionDeleted(data)) => {
                if let Some(before) = &data.before {
                    self.permissions.remove(before.slug.as_str());
                }
            }
            Some(Data::RoleCreated(data)) => self.put_role(data.after.as_ref()),
            Some(Data::RolePermissionsChanged(data)) => self.put_role(data.after.as_ref()),
            Some(Data::RoleDeleted(data)) => {
                if let Some(before) = &data.before {
                    self.roles.remove(before.slug.as_str());
                }
            }
            Some(Data::UserSuspended(data)) => self.put_user(data.after.as_ref())?,
            Some(Data::UserReactivated(data)) => self.put_user(data.after.as_ref())?,
            Some(Data::UserDeleted(data)) => self.put_user(data.after.as_ref())?,
            _ => {}
        }
        Ok(())
    }
}

impl TenantState {
    fn put_permission(&mut self, permission: Option<&pb::Permission>) {
        self.permissions.extend(permission.map(|permission| permission.slug.as_str().into()));
    }

    fn put_role(&mut self, role: Option<&pb::Role>) {
        if let Some(role) = role {
            let set = PermissionSet::new(role.permissions.iter().map(String::as_str));
            self.roles.insert(role.slug.as_str().into(), set);
        }
    }

    fn put_user(&mut self, user: Option<&pb::User>) -> Result<()> {
        let Some(user) = user else { return Ok(()) };
        let id = uuid::<kind::User>(&user.user_id)?;
        if user.status() == UserStatus::Active {
            self.denied_users.remove(&id);
        } else {
            self.denied_users.insert(id);
        }
        Ok(())
    }
}
