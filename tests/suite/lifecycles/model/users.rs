//! SPEC section 4, "Users".

use std::collections::BTreeSet;

use super::{Act, Id, User};

impl Act {
    /// SPEC: "unique in the tenant".
    pub fn create_user(&mut self, email: &str, name: &str, status: &'static str) {
        self.refuse_if(self.state.user_with(email).is_some(), "EMAIL_TAKEN");
        if !self.is_refused() {
            let id = self.new_user("user.created", email, name, status);
            self.show("user", id);
        }
    }

    pub fn new_user(&mut self, event: &'static str, email: &str, name: &str, status: &'static str) -> Id {
        let (email, name) = (email.to_owned(), name.to_owned());
        self.create(event, User { email, name, status, from: None, accounts: BTreeSet::new(), erased: false })
    }

    pub fn update_user(&mut self, id: Id, email: Option<&str>, name: Option<&str>) {
        let user = self.state.user(id).clone();
        self.refuse_if(user.status == "REMOVED", "ILLEGAL_TRANSITION");
        let other = email.and_then(|email| self.state.user_with(email)).filter(|other| *other != id);
        self.refuse_if(other.is_some(), "EMAIL_TAKEN");
        if self.is_refused() {
            return;
        }
        let email = email.unwrap_or(&user.email).to_owned();
        let name = name.unwrap_or(&user.name).to_owned();
        if email != user.email || name != user.name {
            self.change("user.updated", id, |user: &mut User| (user.email, user.name) = (email, name));
        }
        self.show("user", id);
    }

    /// SPEC: "Suspending a user denies everywhere at once."
    pub fn suspend_user(&mut self, id: Id) {
        let status = self.state.user(id).status;
        self.refuse_if(status == "REMOVED", "ILLEGAL_TRANSITION");
        if status != "SUSPENDED" {
            self.ensure_owners_without(id);
        }
        if self.is_refused() {
            return;
        }
        if status != "SUSPENDED" {
            self.change("user.suspended", id, |user: &mut User| {
                (user.status, user.from) = ("SUSPENDED", Some(status));
            });
        }
        self.show("user", id);
    }

    /// The user stands again where they stood before.
    pub fn reactivate_user(&mut self, id: Id) {
        let User { status, from, .. } = self.state.user(id).clone();
        self.refuse_if(!["ACTIVE", "SUSPENDED"].contains(&status), "ILLEGAL_TRANSITION");
        if self.is_refused() {
            return;
        }
        if status == "SUSPENDED" {
            self.change("user.reactivated", id, |user: &mut User| {
                (user.status, user.from) = (from.expect("kept"), None);
            });
        }
        self.show("user", id);
    }

    /// The person came: one who was invited or put here becomes ACTIVE.
    pub fn come(&mut self, id: Id) {
        if ["INVITED", "PRE_PROVISIONED"].contains(&self.state.user(id).status) {
            self.change("user.activated", id, |user: &mut User| user.status = "ACTIVE");
        }
    }

    /// SPEC: "Removing keeps ids and history".
    pub fn delete_user(&mut self, id: Id) {
        if self.state.user(id).status != "REMOVED" {
            self.ensure_owners_without(id);
            if self.is_refused() {
                return;
            }
            self.remove_user(id);
        }
        self.show("user", id);
    }

    fn remove_user(&mut self, id: Id) {
        self.change("user.deleted", id, |user: &mut User| {
            (user.status, user.from) = ("REMOVED", None);
            user.accounts.clear();
        });
        let all = self.state.memberships().filter(|(_, it)| it.user == id && it.status != "REMOVED");
        let all: Vec<Id> = all.map(|(id, _)| id).collect();
        self.cascade(|act| all.into_iter().for_each(|membership| act.end_membership(membership)));
    }

    /// SPEC: "erasing replaces personal fields by nothing and leaves ids".
    pub fn erase_user(&mut self, id: Id) {
        let user = self.state.user(id).clone();
        if !user.erased {
            if user.status != "REMOVED" {
                self.ensure_owners_without(id);
                if self.is_refused() {
                    return;
                }
                self.remove_user(id);
            }
            self.quietly(id, |user: &mut User| {
                (user.email, user.name, user.erased) = (String::new(), String::new(), true);
            });
            self.announce("user.erased", id);
            self.cascade(|act| act.erase_what_is_kept_of(id));
        }
        self.show("user", id);
    }

    fn erase_what_is_kept_of(&mut self, user: Id) {
        let memberships = self.state.memberships().filter(|(_, it)| it.user == user && !it.note.is_empty());
        for membership in memberships.map(|(id, _)| id).collect::<Vec<Id>>() {
            self.quietly(membership, |membership: &mut super::Membership| membership.note.clear());
            self.announce("membership.erased", membership);
        }
        let invitations = self.state.invitations().filter(|(_, it)| it.user == user);
        for invitation in invitations.map(|(id, _)| id).collect::<Vec<Id>>() {
            self.quietly(invitation, |invitation: &mut super::Invitation| invitation.email.clear());
            self.announce("invitation.erased", invitation);
        }
    }

    pub fn link_identity(&mut self, id: Id, account: usize) {
        let user = self.state.user(id).clone();
        self.refuse_if(user.status == "REMOVED", "ILLEGAL_TRANSITION");
        let other = self.state.user_of(account).filter(|other| *other != id);
        self.refuse_if(other.is_some(), "IDENTITY_TAKEN");
        if self.is_refused() {
            return;
        }
        if !user.accounts.contains(&account) {
            self.change("user.identity_linked", id, |user: &mut User| user.accounts.extend([account]));
        }
        self.show("user", id);
    }

    pub fn unlink_identity(&mut self, id: Id, account: usize) {
        self.refuse_if(!self.state.user(id).accounts.contains(&account), "IDENTITY_NOT_FOUND");
        if self.is_refused() {
            return;
        }
        self.change("user.identity_unlinked", id, |user: &mut User| user.accounts.retain(|it| *it != account));
        self.show("user", id);
    }

    /// SPEC: "An organization that has had an active owner always keeps one", also where the user goes.
    fn ensure_owners_without(&mut self, user: Id) {
        let theirs: Vec<Id> = self.state.memberships().filter(|(_, it)| it.user == user).map(|(id, _)| id).collect();
        for membership in theirs {
            self.ensure_another_owner(membership);
        }
    }
}
