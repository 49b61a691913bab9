//! SPEC section 4, "Invitations".

use super::{Act, By, Id, Invitation, Membership, New, Person, Reference};

/// Who accepts.
#[derive(Clone, Debug)]
pub enum Accepter {
    /// The user who calls.
    Oneself,
    /// Whom a service names; and whether it says that their address is verified.
    Named(Person, bool),
}

impl Act {
    pub fn create_invitation(&mut self, org: Id, new: &New) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if let Some(id) = self.invite(org, new) {
            self.show("invitation", id);
        }
    }

    /// "Bulk: 50 at most, one result per entry."
    pub fn create_invitations(&mut self, org: Id, all: &[New]) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        self.refuse_if(self.state.org(org).status == "SUSPENDED", "ORGANIZATION_SUSPENDED");
        if self.is_refused() {
            return;
        }
        for (index, new) in all.iter().enumerate() {
            self.entry(&format!("results/{index}"), "invitation", |act| act.invite(org, new));
        }
    }

    /// "(none) | INVITED | AddMember with `invite`, or an invitation".
    pub fn invite(&mut self, org: Id, new: &New) -> Option<Id> {
        self.refuse_if(self.state.org(org).status == "SUSPENDED", "ORGANIZATION_SUSPENDED");
        self.give_new(org, &new.roles);
        let email = match &new.person {
            Person::Email(email) => email.clone(),
            Person::User(id) => {
                self.refuse_if(self.state.user(*id).status == "REMOVED", "USER_NOT_FOUND");
                self.state.user(*id).email.clone()
            }
        };
        let roles = if new.roles.is_empty() { vec![self.state.default_role(org)] } else { new.roles.clone() };
        self.ensure_there(org, &roles, &new.teams);
        self.ensure_invitable(org, &email);
        if self.is_refused() {
            return None;
        }
        let (id, mark) = (self.reserve(), self.told.len());
        let membership = self.join(org, &invited(new.clone(), id))?;
        let user = self.state.membership(membership).user;
        let (teams, end) = (new.teams.clone(), self.state.today + new.days);
        let invitation = Invitation {
            org,
            email,
            user,
            membership,
            status: "PENDING",
            roles: roles.into_iter().collect(),
            teams,
            end,
            sent: 1,
            mailed: new.mailed,
        };
        self.create_reserved(mark, "invitation.created", id, invitation);
        Some(id)
    }

    /// "Inviting an active member is ALREADY_EXISTS; a suspended one FAILED_PRECONDITION; a removed one is fine."
    fn ensure_invitable(&mut self, org: Id, email: &str) {
        self.refuse_if(self.state.pending_for(org, email).is_some(), "INVITATION_PENDING");
        let Some(user) = self.state.user_with(email) else { return };
        self.refuse_if(self.state.user(user).status == "SUSPENDED", "USER_SUSPENDED");
        let Some(present) = self.state.present(org, user) else { return };
        let reason = match self.state.membership(present).status {
            "SUSPENDED" => "MEMBERSHIP_SUSPENDED",
            "INVITED" if self.state.pending_of(present).is_some() => "INVITATION_PENDING",
            _ => "ALREADY_MEMBER",
        };
        self.refuse_if(true, reason);
    }

    /// "Resending works for pending and expired, replaces the token, keeps the id."
    pub fn resend_invitation(&mut self, org: Id, id: Id, days: u64, mailed: bool) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        self.refuse_if(self.state.org(org).status == "SUSPENDED", "ORGANIZATION_SUSPENDED");
        let before = self.state.invitation(id).clone();
        if before.org != org {
            return self.refuse_if(true, "INVITATION_NOT_FOUND");
        }
        let is_over = before.status == "EXPIRED";
        self.refuse_if(!is_over && before.status != "PENDING", "ILLEGAL_TRANSITION");
        self.refuse_if(self.state.is_over(before.membership), "MEMBERSHIP_ENDED");
        let (roles, teams) = self.state.promised(&before);
        // What the default is, is given freely.
        let named: Vec<String> = roles.iter().cloned().collect();
        let named = if named == [self.state.default_role(org)] { Vec::new() } else { named };
        self.give_new(org, &named);
        if is_over {
            // Whoever was erased has no address any more.
            self.refuse_if(before.email.is_empty(), "ILLEGAL_TRANSITION");
            self.ensure_there(org, &named, &teams);
            self.ensure_invitable(org, &before.email);
        }
        if self.is_refused() {
            return;
        }
        let (mark, mut after) = (self.told.len(), before.clone());
        if is_over {
            let Some(membership) = self.join(org, &invited(self.promised(&before), id)) else { return };
            (after.membership, after.user) = (membership, self.state.membership(membership).user);
        }
        (after.status, after.end) = ("PENDING", self.state.today + days);
        (after.roles, after.teams) = (roles, teams);
        (after.sent, after.mailed) = (before.sent + 1, before.mailed || mailed);
        self.change_before(mark, "invitation.resent", id, |it: &mut Invitation| *it = after);
        self.show("invitation", id);
    }

    /// "exactly the promised roles", and what was said of the membership.
    fn promised(&self, invitation: &Invitation) -> New {
        let Membership { kind, end, note, .. } = self.state.membership(invitation.membership).clone();
        let (roles, teams) = self.state.promised(invitation);
        New {
            person: Person::Email(invitation.email.clone()),
            roles: roles.into_iter().collect(),
            teams,
            status: "ACTIVE",
            kind,
            source: "API",
            reference: Reference::None,
            end,
            note,
            days: 0,
            mailed: false,
        }
    }

    pub fn revoke_invitation(&mut self, org: Id, id: Id) {
        let invitation = self.state.invitation(id).clone();
        if invitation.org != org {
            return self.refuse_if(true, "INVITATION_NOT_FOUND");
        }
        self.refuse_if(!["PENDING", "REVOKED"].contains(&invitation.status), "ILLEGAL_TRANSITION");
        if self.is_refused() {
            return;
        }
        if invitation.status == "PENDING" {
            self.end_invitation("invitation.revoked", id, "REVOKED");
        }
        self.show("invitation", id);
    }

    /// "PENDING → ACCEPTED, DECLINED, REVOKED, EXPIRED"; but for the first, its membership goes with it.
    pub fn end_invitation(&mut self, event: &'static str, id: Id, status: &'static str) {
        let (roles, teams) = self.state.promised(self.state.invitation(id));
        self.change(event, id, |it: &mut Invitation| (it.status, it.roles, it.teams) = (status, roles, teams));
        let membership = self.state.invitation(id).membership;
        if self.state.membership(membership).status == "INVITED" {
            self.cascade(|act| act.end_membership(membership));
        }
    }

    /// What a token is good for: the `sent`-th of an invitation.
    fn ensure_good(&mut self, id: Id, sent: usize) -> Option<Invitation> {
        if !self.state.things.contains_key(&id) {
            self.refuse_if(true, "INVITATION_NOT_FOUND"); // purged with its organization
            return None;
        }
        let invitation = self.state.invitation(id).clone();
        match invitation.status {
            "ACCEPTED" => self.refuse_if(true, "INVITATION_USED"),
            "DECLINED" => self.refuse_if(true, "INVITATION_DECLINED"),
            "REVOKED" => self.refuse_if(true, "INVITATION_REVOKED"),
            _ if sent < invitation.sent => self.refuse_if(true, "INVITATION_TOKEN_REPLACED"),
            "EXPIRED" => self.refuse_if(true, "INVITATION_EXPIRED"),
            _ => self.refuse_if(self.state.org(invitation.org).status == "SUSPENDED", "ORGANIZATION_SUSPENDED"),
        }
        (!self.is_refused()).then_some(invitation)
    }

    /// "Accepting: exact address by default"; "the accepter's address must be verified; one transaction with the
    /// membership, exactly the promised roles."
    pub fn accept_invitation(&mut self, (id, sent): (Id, usize), accepter: &Accepter) {
        let Some(before) = self.ensure_good(id, sent) else { return };
        let (person, verified) = match (accepter, &self.by) {
            (Accepter::Named(person, verified), _) => (person.clone(), *verified),
            (Accepter::Oneself, By::Account(_, verified)) => (Person::User(self.caller.expect("passed")), *verified),
            (Accepter::Oneself, by) => panic!("no user: {by:?}"),
        };
        let (known, email) = match person {
            Person::User(user) => (Some(user), self.state.user(user).email.clone()),
            Person::Email(email) => (self.state.user_with(&email), email),
        };
        let status = known.map(|user| self.state.user(user).status);
        self.refuse_if(status == Some("REMOVED"), "USER_NOT_FOUND");
        self.refuse_if(status == Some("SUSPENDED"), "USER_SUSPENDED");
        self.refuse_if(email != before.email, "INVITATION_ADDRESS_MISMATCH");
        self.refuse_if(!verified, "ADDRESS_NOT_VERIFIED");
        if self.is_refused() {
            return;
        }
        let mark = self.told.len();
        let (roles, teams) = self.state.promised(&before);
        self.quietly(id, |it: &mut Invitation| it.status = "ACCEPTED");
        let accepted = self.cascade(|act| match known {
            Some(user) if user == before.user => {
                act.activate(before.membership);
                Some(before.membership)
            }
            known => {
                let user = known.unwrap_or_else(|| act.new_user("user.created", &email, "", "ACTIVE"));
                act.take_place(&before, id, user)
            }
        });
        if self.is_refused() {
            return;
        }
        let membership = accepted.expect("not refused");
        let user = self.state.membership(membership).user;
        let after = Invitation { status: "ACCEPTED", membership, user, roles, teams, ..before };
        self.quietly(id, |it: &mut Invitation| it.status = "PENDING");
        self.change_before(mark, "invitation.accepted", id, |it: &mut Invitation| *it = after);
        self.show("invitation", id);
        self.show("membership", membership);
    }

    /// Whoever has the address now takes the place of who was invited.
    fn take_place(&mut self, invitation: &Invitation, id: Id, user: Id) -> Option<Id> {
        self.refuse_if(self.state.is_over(invitation.membership), "MEMBERSHIP_ENDED");
        self.come(user);
        let (source, reference) = ("INVITATION", Reference::Invitation(id));
        let new = New { person: Person::User(user), source, reference, ..self.promised(invitation) };
        let joined = self.join(invitation.org, &new)?;
        self.end_membership(invitation.membership);
        Some(joined)
    }

    pub fn decline_invitation(&mut self, (id, sent): (Id, usize)) {
        let Some(invitation) = self.ensure_good(id, sent) else { return };
        if let Some(user) = self.caller {
            let user = self.state.user(user).clone();
            self.refuse_if(user.status == "SUSPENDED", "USER_SUSPENDED");
            self.refuse_if(user.email != invitation.email, "INVITATION_ADDRESS_MISMATCH");
        }
        if !self.is_refused() {
            self.end_invitation("invitation.declined", id, "DECLINED");
            self.show("invitation", id);
        }
    }
}

/// Who is invited: their membership waits, and comes from the invitation.
fn invited(new: New, id: Id) -> New {
    New { status: "INVITED", source: "INVITATION", reference: Reference::Invitation(id), ..new }
}
