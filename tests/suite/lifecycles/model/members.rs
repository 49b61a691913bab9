//! SPEC section 4, "Membership": the table of its moves, and "Owner floor".

use std::collections::BTreeSet;

use super::{Act, Assignment, By, Id, Invitation, Membership, Place, Reference};

/// Whom somebody names.
#[derive(Clone, Debug)]
pub enum Person {
    User(Id),
    Email(String),
}

/// Somebody to add.
#[derive(Clone, Debug)]
pub struct New {
    pub person: Person,
    pub roles: Vec<String>,
    pub teams: BTreeSet<Id>,
    /// Where the membership begins.
    pub status: &'static str,
    pub kind: &'static str,
    pub source: &'static str,
    pub reference: Reference,
    pub end: Option<u64>,
    pub note: String,
    /// For how many days an invitation is good, and whether a mail is sent.
    pub days: u64,
    pub mailed: bool,
}

/// What is changed of a membership.
#[derive(Clone, Debug)]
pub enum Update {
    Kind(&'static str),
    Note(String),
    End(Option<u64>),
}

impl Act {
    /// "One call adds somebody"; "a person not known yet becomes a user in the same transaction."
    pub fn add_member(&mut self, org: Id, new: &New) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if let Some(id) = self.add(org, new) {
            self.show("membership", id);
        }
    }

    pub fn add_all(&mut self, org: Id, all: &[New]) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if self.is_refused() {
            return;
        }
        for (index, new) in all.iter().enumerate() {
            self.entry(&format!("results/{index}"), "membership", |act| act.add(org, new));
        }
    }

    fn add(&mut self, org: Id, new: &New) -> Option<Id> {
        if new.status == "INVITED" {
            let invitation = self.invite(org, new)?;
            return Some(self.state.invitation(invitation).membership);
        }
        self.give_new(org, &new.roles);
        self.join(org, new)
    }

    /// Makes somebody a member: what can stand against that, and what comes of it.
    pub fn join(&mut self, org: Id, new: &New) -> Option<Id> {
        let roles = if new.roles.is_empty() { vec![self.state.default_role(org)] } else { new.roles.clone() };
        self.ensure_there(org, &roles, &new.teams);
        let known = match &new.person {
            Person::User(id) => {
                self.refuse_if(self.state.user(*id).status == "REMOVED", "USER_NOT_FOUND");
                Some(*id)
            }
            Person::Email(email) => self.state.user_with(email),
        };
        let present = known.and_then(|user| self.state.present(org, user));
        self.refuse_if(present.is_some(), "ALREADY_MEMBER");
        let is_owner = roles.iter().any(|role| role == "owner");
        self.refuse_if(is_owner && new.status == "ACTIVE" && self.is_first_for_a_time(org, new.end), "LAST_OWNER");
        if self.is_refused() {
            return None;
        }
        let user = match (known, &new.person) {
            (None, Person::Email(email)) => self.new_user("user.created", email, "", new.status),
            (known, _) => known.expect("named"),
        };
        let of = |role: String| Assignment { role, source: new.source, reference: new.reference };
        let id = self.create(
            "membership.created",
            Membership {
                org,
                user,
                status: new.status,
                kind: new.kind,
                source: new.source,
                reference: new.reference,
                roles: roles.into_iter().map(of).collect(),
                end: new.end,
                note: new.note.clone(),
            },
        );
        for team in &new.teams {
            self.create("team.member_added", Place { org, team: *team, membership: id });
        }
        Some(id)
    }

    pub fn ensure_there(&mut self, org: Id, roles: &[String], teams: &BTreeSet<Id>) {
        let missing = roles.iter().any(|role| self.state.role_here(org, role).is_none());
        self.refuse_if(missing, "ROLE_NOT_FOUND");
        let gone = teams.iter().any(|team| !self.state.things.contains_key(team) || self.state.team(*team).org != org);
        self.refuse_if(gone, "TEAM_NOT_FOUND");
    }

    /// Somebody who is to be an owner until a time, where nobody is one for good: the floor would break then.
    pub fn is_first_for_a_time(&self, org: Id, end: Option<u64>) -> bool {
        end.is_some() && self.state.owners(org).is_empty()
    }

    /// "An organization that has had an active owner always keeps one."
    pub fn ensure_another_owner(&mut self, leaving: Id) {
        let owners = self.state.owners(self.state.membership(leaving).org);
        self.refuse_if(owners == [leaving], "LAST_OWNER");
    }

    pub fn is_member_of(&mut self, org: Id, id: Id) -> bool {
        let here = self.state.membership(id).org == org;
        self.refuse_if(!here, "MEMBERSHIP_NOT_FOUND");
        here
    }

    /// The membership that a call is about which users make about themselves.
    fn own(&mut self, org: Id, named: Option<Id>) -> Option<Id> {
        let Some(user) = self.caller else {
            let id = named.expect("a service names one");
            return self.is_member_of(org, id).then_some(id);
        };
        let own = self.state.present(org, user);
        self.deny_if(own.is_none(), "ORGANIZATION_NOT_FOUND");
        self.deny_if(self.state.user(user).status == "SUSPENDED", "MISSING_PERMISSION");
        self.deny_if(named.is_some_and(|id| Some(id) != own), "MEMBERSHIP_NOT_FOUND");
        own.filter(|_| !self.is_refused())
    }

    /// "INVITED, PRE_PROVISIONED | ACTIVE | acceptance, or first sign-in of the linked user".
    pub fn activate_membership(&mut self, org: Id, named: Option<Id>) {
        let Some(id) = self.own(org, named) else { return };
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        let pending = self.state.pending_of(id);
        if let (By::Account(_, verified), Some(invitation)) = (self.by.clone(), pending) {
            let own = &self.state.user(self.state.membership(id).user).email;
            let is_theirs = *own == self.state.invitation(invitation).email;
            self.refuse_if(!verified, "ADDRESS_NOT_VERIFIED");
            self.refuse_if(!is_theirs, "INVITATION_ADDRESS_MISMATCH");
        }
        self.activate(id);
        if self.is_refused() {
            return;
        }
        if let Some(invitation) = pending {
            let (roles, teams) = self.state.promised(self.state.invitation(invitation));
            self.cascade(|act| {
                act.change("invitation.accepted", invitation, |it: &mut Invitation| {
                    (it.status, it.roles, it.teams) = ("ACCEPTED", roles, teams);
                });
            });
        }
        self.show("membership", id);
    }

    pub fn activate(&mut self, id: Id) {
        let Membership { org, user, status, end, .. } = *self.state.membership(id);
        let suspended = self.state.org(org).status == "SUSPENDED";
        self.refuse_if(status == "INVITED" && suspended, "ORGANIZATION_SUSPENDED");
        self.refuse_if(["SUSPENDED", "REMOVED"].contains(&status), "ILLEGAL_TRANSITION");
        let pending = ["INVITED", "PRE_PROVISIONED"].contains(&status);
        if pending {
            self.refuse_if(self.state.user(user).status == "SUSPENDED", "ILLEGAL_TRANSITION");
            self.refuse_if(self.state.is_over(id), "MEMBERSHIP_ENDED");
            let is_owner = self.state.membership(id).has("owner");
            self.refuse_if(is_owner && self.is_first_for_a_time(org, end), "LAST_OWNER");
        }
        if self.is_refused() {
            return;
        }
        self.come(user);
        if pending {
            self.change("membership.activated", id, |it: &mut Membership| it.status = "ACTIVE");
        }
    }

    /// "ACTIVE | SUSPENDED | Suspend".
    pub fn suspend_membership(&mut self, org: Id, id: Id) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if !self.is_member_of(org, id) {
            return;
        }
        let status = self.state.membership(id).status;
        self.refuse_if(!["ACTIVE", "SUSPENDED"].contains(&status), "ILLEGAL_TRANSITION");
        self.ensure_another_owner(id);
        if self.is_refused() {
            return;
        }
        if status == "ACTIVE" {
            self.change("membership.suspended", id, |it: &mut Membership| it.status = "SUSPENDED");
        }
        self.show("membership", id);
    }

    /// "SUSPENDED | ACTIVE | Reactivate: resumes with the roles as they now are".
    pub fn reactivate_membership(&mut self, org: Id, id: Id) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if !self.is_member_of(org, id) {
            return;
        }
        let Membership { status, end, roles, .. } = self.state.membership(id).clone();
        self.refuse_if(!["ACTIVE", "SUSPENDED"].contains(&status), "ILLEGAL_TRANSITION");
        if status == "SUSPENDED" {
            self.refuse_if(self.state.is_over(id), "MEMBERSHIP_ENDED");
            let roles: Vec<String> = roles.into_iter().map(|assignment| assignment.role).collect();
            let is_owner = roles.iter().any(|role| role == "owner");
            self.refuse_if(is_owner && self.is_first_for_a_time(org, end), "LAST_OWNER");
            self.give(org, &roles);
        }
        if self.is_refused() {
            return;
        }
        if status == "SUSPENDED" {
            self.change("membership.reactivated", id, |it: &mut Membership| it.status = "ACTIVE");
        }
        self.show("membership", id);
    }

    pub fn remove_member(&mut self, org: Id, id: Id) {
        if self.is_member_of(org, id) {
            self.remove(id);
        }
    }

    pub fn leave(&mut self, org: Id, named: Option<Id>) {
        if let Some(id) = self.own(org, named) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: Id) {
        if self.state.membership(id).status != "REMOVED" {
            self.ensure_another_owner(id);
            if self.is_refused() {
                return;
            }
            self.end_membership(id);
        }
        self.show("membership", id);
    }

    /// "any of these | REMOVED"; "Removing a membership ends its team memberships".
    pub fn end_membership(&mut self, id: Id) {
        self.change("membership.removed", id, |it: &mut Membership| {
            it.status = "REMOVED";
            it.roles.clear(); // "roles do not come back by themselves"
        });
        let places: Vec<Id> = self.state.places().filter(|(_, it)| it.membership == id).map(|(id, _)| id).collect();
        let invitation = self.state.pending_of(id);
        self.cascade(|act| {
            places.into_iter().for_each(|place| act.end("team.member_removed", place));
            if let Some(invitation) = invitation {
                act.change("invitation.revoked", invitation, |it: &mut Invitation| it.status = "REVOKED");
            }
        });
    }

    pub fn update_membership(&mut self, org: Id, id: Id, update: &Update, etag_is_right: bool) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if !self.is_member_of(org, id) {
            return;
        }
        let before = self.state.membership(id).clone();
        self.refuse_if(before.status == "REMOVED", "ILLEGAL_TRANSITION");
        self.refuse_if(!etag_is_right, "ETAG_MISMATCH");
        let mut after = before.clone();
        match update {
            Update::Kind(kind) => after.kind = kind,
            Update::Note(note) => after.note.clone_from(note),
            Update::End(end) => {
                after.end = *end;
                if end.is_some() {
                    self.ensure_another_owner(id);
                }
                // Who stays for longer is given the roles for longer.
                if before.end.is_some_and(|old| end.is_none_or(|new| old <= new)) {
                    let roles: Vec<String> = before.roles.iter().map(|assignment| assignment.role.clone()).collect();
                    self.give(org, &roles);
                }
            }
        }
        if self.is_refused() {
            return;
        }
        // The same day is another instant.
        if after != before || matches!(update, Update::End(Some(_))) {
            self.change("membership.updated", id, |it: &mut Membership| *it = after);
        }
        self.show("membership", id);
    }
}
