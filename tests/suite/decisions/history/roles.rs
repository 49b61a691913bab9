//! Roles, their settings, and the catalogue of permissions.

use serde_json::json;

use super::History;
use crate::decisions::changes::Instead;

/// Comes and goes.
pub(super) const PASSING: &str = "extra:thing";
const ENTRIES: [&str; 8] =
    ["docs:read", "docs:write", "docs.admin:purge", "billing:pay", "billing:refund", "docs:*", "docs.*", "billing:*"];
const TENANT_ROLES: [&str; 4] = ["reader", "writer", "auditor", "boss"];
const OWN_ROLES: [&str; 2] = ["org-lead", "org-temp"];

impl History {
    pub(super) async fn put_permission(&mut self, slug: &str) {
        let made = self.tenant_wide("RoleService/CreatePermission", json!({"slug": slug}), &["SLUG_TAKEN"]).await;
        if made.is_some() {
            self.state.catalogue.insert(slug.to_owned());
        }
    }

    /// A role that may be there or not.
    pub(super) fn slug(&mut self, scope: Option<usize>) -> String {
        let all: &[&str] = if scope.is_some() { &OWN_ROLES } else { &TENANT_ROLES };
        self.chance.one_of(all).to_owned()
    }

    /// Mostly a role that is there.
    pub(super) fn present_slug(&mut self, scope: Option<usize>) -> String {
        let mut present: Vec<_> = self.state.roles_of(scope).0.keys().cloned().collect();
        present.retain(|slug| scope.is_some() || TENANT_ROLES.contains(&slug.as_str()));
        let present = self.chance.any_of(&present);
        present.filter(|_| !self.chance.once_in(8)).unwrap_or_else(|| self.slug(scope))
    }

    /// What a role may contain: seldom everything, or there would be little to decide.
    pub(super) fn entries(&mut self) -> Vec<&'static str> {
        if self.chance.once_in(20) { vec!["*"] } else { self.chance.some_of(&ENTRIES, 15) }
    }

    pub(super) async fn step_create_role(&mut self, index: usize) {
        let scope = self.scope(index);
        let (slug, entries) = (self.slug(scope), self.entries());
        let request = json!({"slug": slug, "permissions": entries});
        if self.scoped(scope, "RoleService/CreateRole", request, &["SLUG_TAKEN"]).await.is_some() {
            self.state.create_role(scope, &slug, entries.into_iter().map(str::to_owned).collect());
        }
    }

    pub(super) async fn step_update_role(&mut self, index: usize) {
        let scope = self.scope(index);
        let edits_built_in = scope.is_none() && self.chance.once_in(4);
        let slug = if edits_built_in { "member".to_owned() } else { self.present_slug(scope) };
        let mut entries = self.entries();
        if self.state.catalogue.contains(PASSING) && self.chance.once_in(3) {
            entries.push(PASSING);
        }
        let mut role = json!({"slug": slug, "permissions": entries});
        if let Some(index) = scope {
            role["organizationId"] = json!(self.state.organizations[index].id);
        }
        let request = json!({"role": role, "updateMask": "permissions"});
        if self.write(scope, "RoleService/UpdateRole", request, &["ROLE_NOT_FOUND"]).await.is_some() {
            let entries = entries.into_iter().map(str::to_owned).collect();
            self.state.roles_of(scope).0.insert(slug, entries);
        }
    }

    pub(super) async fn step_delete_role(&mut self, index: usize) {
        let scope = self.scope(index);
        let slug = self.present_slug(scope);
        let mut others: Vec<_> = self.state.roles.keys().filter(|other| *other != "owner").cloned().collect();
        if let Some(index) = scope {
            others.extend(self.state.organizations[index].roles.keys().cloned());
        }
        others.retain(|other| *other != slug);
        let (instead, mut request) = match self.chance.below(4) {
            0 => (Instead::Nothing, json!({})),
            1 => (Instead::Default, json!({"useDefaultRole": true})),
            _ => {
                let other = self.chance.one_of(&others);
                (Instead::Role(other.clone()), json!({"replacementRole": other}))
            }
        };
        request["slug"] = json!(slug);
        let may = ["ROLE_NOT_FOUND", "ROLE_IN_USE", "ROLE_IS_DEFAULT"];
        if self.scoped(scope, "RoleService/DeleteRole", request, &may).await.is_some() {
            self.state.delete_role(scope, &slug, &instead);
        }
    }

    pub(super) async fn step_mode(&mut self) {
        self.state.union = !self.state.union;
        let mode = if self.state.union { "ROLE_MODE_UNION" } else { "ROLE_MODE_HIGHEST_PRIORITY" };
        let tenant = json!({"tenantId": self.tenant_id, "roleMode": mode});
        let request = json!({"tenant": tenant, "updateMask": "roleMode"});
        self.tenant_wide("TenantService/UpdateTenant", request, &[]).await.unwrap();
    }

    pub(super) async fn step_priority(&mut self, index: usize) {
        let scope = self.scope(index);
        let mut order = self.state.roles_of(scope).1.clone();
        if order.is_empty() {
            return;
        }
        let first = usize::from(scope.is_none()); // the tenant's `owner` stays the first
        let rest = self.chance.shuffled(&order.split_off(first));
        order.extend(rest);
        let request = json!({"roles": order});
        self.scoped(scope, "RoleService/SetRolePriority", request, &[]).await.unwrap();
        *self.state.roles_of(scope).1 = order;
    }

    pub(super) async fn step_default_role(&mut self, index: usize) {
        let scope = self.scope(index);
        let mut roles: Vec<_> = self.state.roles.keys().cloned().collect();
        roles.extend(scope.into_iter().flat_map(|index| self.state.organizations[index].roles.keys().cloned()));
        roles.retain(|role| role != "owner" && role != "admin");
        let role = self.chance.one_of(&roles);
        self.scoped(scope, "RoleService/SetDefaultRole", json!({"role": role}), &[]).await.unwrap();
        match scope {
            Some(index) => self.state.organizations[index].default_role = role,
            None => self.state.default_role = role,
        }
    }

    /// A permission comes into the catalogue, or goes from it.
    pub(super) async fn step_permission(&mut self) {
        if !self.state.catalogue.contains(PASSING) {
            return self.put_permission(PASSING).await;
        }
        let request = json!({"slug": PASSING});
        if self.tenant_wide("RoleService/DeletePermission", request, &["PERMISSION_IN_USE"]).await.is_some() {
            self.state.catalogue.remove(PASSING);
        }
    }
}
