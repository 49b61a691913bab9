//! Calls of UserService.

use serde_json::json;

use super::{By, Call, History, Id};
use crate::lifecycles::house::{ISSUER, subject};

impl History<'_> {
    pub(super) async fn step_person(&mut self) {
        let (by, id) = (self.a_service(), self.user());
        match self.chance.below(22) {
            0..=3 => self.step_create_user(by).await,
            4..=6 => self.step_update_user(by, id).await,
            7..=9 => {
                self.step_user(by, "UserService/SuspendUser", id, |act, id| act.suspend_user(id)).await;
            }
            10..=13 => {
                self.step_user(by, "UserService/ReactivateUser", id, |act, id| act.reactivate_user(id)).await;
            }
            14 => self.step_user(by, "UserService/DeleteUser", id, |act, id| act.delete_user(id)).await,
            15 => self.step_user(by, "UserService/EraseUser", id, |act, id| act.erase_user(id)).await,
            16..=20 => {
                let account = self.account();
                self.step_link_identity(by, id, account).await;
            }
            _ => self.step_unlink_identity(by, id).await,
        }
    }

    pub(super) async fn step_create_user(&mut self, by: By) {
        let (email, name) = (self.address(), format!("name {}", self.chance.below(3)));
        let status = if self.chance.once_in(4) { "PRE_PROVISIONED" } else { "ACTIVE" };
        let request = json!({"email": email, "displayName": name, "status": format!("USER_STATUS_{status}")});
        let rule = move |act: &mut super::Act| act.create_user(&email, &name, status);
        self.make(by, Call::new("UserService/CreateUser", None, request, rule)).await;
    }

    async fn step_update_user(&mut self, by: By, id: Id) {
        let email = self.chance.once_in(2).then(|| self.address());
        let name = (email.is_none() || self.chance.once_in(3)).then(|| format!("name {}", self.chance.below(3)));
        let mask: Vec<&str> =
            [email.as_ref().map(|_| "email"), name.as_ref().map(|_| "displayName")].into_iter().flatten().collect();
        let user = json!({"userId": self.names.of(id), "email": email.clone().unwrap_or_default(),
            "displayName": name.clone().unwrap_or_default()});
        let request = json!({"user": user, "updateMask": mask.join(",")});
        let rule = move |act: &mut super::Act| act.update_user(id, email.as_deref(), name.as_deref());
        self.make(by, Call::new("UserService/UpdateUser", None, request, rule)).await;
    }

    /// A method that needs to know of a user alone.
    async fn step_user(&mut self, by: By, method: &'static str, id: Id, rule: fn(&mut super::Act, Id)) {
        let request = json!({"userId": self.names.of(id)});
        self.make(by, Call::new(method, None, request, move |act| rule(act, id))).await;
    }

    pub(super) async fn step_link_identity(&mut self, by: By, id: Id, account: usize) {
        let identity = json!({"issuer": ISSUER, "subject": subject(account)});
        let request = json!({"userId": self.names.of(id), "identity": identity});
        let rule = move |act: &mut super::Act| act.link_identity(id, account);
        self.make(by, Call::new("UserService/LinkIdentity", None, request, rule)).await;
    }

    async fn step_unlink_identity(&mut self, by: By, id: Id) {
        let theirs: Vec<usize> = self.state.user(id).accounts.iter().copied().collect();
        let account = self.chance.any_of(&theirs).unwrap_or_else(|| self.account());
        let identity = json!({"issuer": ISSUER, "subject": subject(account)});
        let request = json!({"userId": self.names.of(id), "identity": identity});
        let rule = move |act: &mut super::Act| act.unlink_identity(id, account);
        self.make(by, Call::new("UserService/UnlinkIdentity", None, request, rule)).await;
    }
}
