//! Resources, grants, policies, and time.

use std::time::Duration;

use serde_json::{Value, json};

use super::{History, PERMISSIONS, resources};
use crate::{
    decisions::{
        model::{Grant, Principal, Resource, Right},
        policies,
    },
    support::text,
};

impl History {
    pub(super) async fn step_put_resource(&mut self, index: usize) {
        let resource = self.chance.one_of(&resources());
        let registered: Vec<_> = self.state.organizations[index].resources.keys().cloned().collect();
        let parent = if self.chance.once_in(4) { None } else { self.chance.any_of(&registered) };
        let mut request = json!({"resource": reference(&resource)});
        if let Some(parent) = &parent {
            request["parent"] = reference(parent);
        }
        let may = ["RESOURCE_CYCLE", "RESOURCE_TOO_DEEP"];
        if self.within(index, "GrantService/PutResource", request, &may).await.is_some() {
            self.state.organizations[index].resources.insert(resource, parent);
        }
    }

    pub(super) async fn step_delete_resource(&mut self, index: usize) {
        let resource = self.chance.one_of(&resources());
        let request = json!({"resource": reference(&resource), "cascade": self.chance.once_in(2)});
        let may = ["RESOURCE_NOT_FOUND", "RESOURCE_HAS_CHILDREN"];
        if self.within(index, "GrantService/DeleteResource", request, &may).await.is_some() {
            self.state.organizations[index].delete_resource(&resource);
        }
    }

    pub(super) fn principal(&mut self, index: usize) -> Option<(Principal, Value)> {
        match self.chance.below(3) {
            0 => self.membership(index).map(|id| (Principal::Membership(id.clone()), json!({"membershipId": id}))),
            1 => self.team(index).map(|id| (Principal::Team(id.clone()), json!({"teamId": id}))),
            _ => {
                let role = self.chance.one_of(&self.roles_here(index));
                Some((Principal::Role(role.clone()), json!({"role": role})))
            }
        }
    }

    pub(super) async fn step_set_grant(&mut self, index: usize) {
        let Some((principal, named)) = self.principal(index) else { return };
        let (resource, replace) = (self.chance.one_of(&resources()), self.chance.once_in(8));
        let mut request = json!({"principal": named, "resource": reference(&resource), "replace": replace});
        let right = if self.chance.once_in(2) {
            let permission = self.chance.one_of(&PERMISSIONS).to_owned();
            request["permission"] = json!(permission);
            Right::Permission(permission)
        } else {
            let role = self.chance.one_of(&self.roles_here(index));
            request["role"] = json!(role);
            Right::Role(role)
        };
        // The clock moves by thousands: what ends at 500 has ended, or has not, however long a test takes.
        let lasts = self.chance.once_in(2).then(|| 500 + 1_000 * self.chance.below(3));
        if let Some(lasts) = lasts {
            request["endTime"] = json!(self.clock.in_future(Duration::from_secs(lasts)));
        }
        let set = self.within(index, "GrantService/SetGrant", request, &[]).await.unwrap();
        let grant = Grant { principal, resource, right, end: lasts.map(|lasts| self.state.now + lasts) };
        self.state.organizations[index].set_grant(&text(&set["grant"]["grantId"]), grant, replace);
    }

    pub(super) async fn step_revoke_grant(&mut self, index: usize) {
        let all: Vec<_> = self.state.organizations[index].grants.keys().cloned().collect();
        let Some(id) = self.chance.any_of(&all) else { return };
        self.within(index, "GrantService/RevokeGrant", json!({"grantId": id}), &[]).await.unwrap();
        self.state.organizations[index].grants.remove(&id);
    }

    pub(super) fn step_clock(&mut self) {
        let by = 1_000 * (1 + self.chance.below(2));
        self.clock.advance(Duration::from_secs(by));
        self.state.now += by;
    }

    pub(super) async fn step_put_policy(&mut self, index: usize) {
        let scope = self.scope(index);
        let users: Vec<_> = self.state.users.iter().collect();
        let policy = policies::random(&mut self.chance, &self.state.organizations[index], &users);
        let name = format!("p{}", self.chance.below(3));
        let mut put = json!({"name": name, "text": policy.text});
        if let Some(index) = scope {
            put["organizationId"] = json!(self.state.organizations[index].id);
        }
        self.write(scope, "PolicyService/PutPolicy", json!({"policy": put}), &[]).await.unwrap();
        match scope {
            Some(index) => self.state.organizations[index].policies.insert(name, policy),
            None => self.state.policies.insert(name, policy),
        };
    }

    pub(super) async fn step_delete_policy(&mut self, index: usize) {
        let scope = self.scope(index);
        let name = format!("p{}", self.chance.below(3));
        let request = json!({"name": name});
        if self.scoped(scope, "PolicyService/DeletePolicy", request, &["POLICY_NOT_FOUND"]).await.is_some() {
            match scope {
                Some(index) => self.state.organizations[index].policies.remove(&name),
                None => self.state.policies.remove(&name),
            };
        }
    }
}

fn reference((kind, id): &Resource) -> Value {
    json!({"type": kind, "id": id})
}
