//! Calls of InvitationService.

use serde_json::{Value, json};

use super::{Act, By, Call, History, Id};
use crate::lifecycles::model::{Accepter, New, Person, Reference};

const DAY_SECONDS: u64 = 24 * 60 * 60;

impl History<'_> {
    pub(super) async fn step_invitation(&mut self) {
        let org = self.org();
        let by = self.somebody(Some(org));
        match self.chance.below(24) {
            0..=5 => self.step_create_invitation(by, org).await,
            6 => self.step_create_invitations(by, org).await,
            7..=9 => self.step_resend_invitation(by, org).await,
            10..=11 => self.step_revoke_invitation(by, org).await,
            12..=19 => self.step_accept_invitation(by).await,
            _ => self.step_decline_invitation(by).await,
        }
    }

    /// Somebody to invite, and how requests say that.
    fn somebody_to_invite(&mut self, org: Id, email: String) -> (New, Value) {
        let new = New {
            person: Person::Email(email.clone()),
            roles: self.some_roles(org),
            teams: self.some_teams(org),
            status: "INVITED",
            kind: "MEMBER",
            source: "API",
            reference: Reference::None,
            end: None,
            note: String::new(),
            days: 2 + self.chance.below(12),
            mailed: self.chance.once_in(8),
        };
        let request = json!({"email": email, "roles": new.roles, "teamIds": self.names(&new.teams),
            "lifetime": format!("{}s", new.days * DAY_SECONDS), "skipMail": !new.mailed,
            "allowSameVerifiedDomain": self.chance.once_in(3)});
        (new, request)
    }

    async fn step_create_invitation(&mut self, by: By, org: Id) {
        // Mostly somebody who is no member, and who can answer for themself.
        let strangers = self.state.users().filter(|(id, user)| {
            !user.accounts.is_empty() && user.status == "ACTIVE" && self.state.present(org, *id).is_none()
        });
        let strangers: Vec<String> = strangers.map(|(_, user)| user.email.clone()).collect();
        let email = self.chance.any_of(&strangers).filter(|_| self.chance.below(3) > 0);
        let email = email.unwrap_or_else(|| self.address());
        let (new, invitation) = self.somebody_to_invite(org, email);
        let request = self.about(org, json!({"invitation": invitation}));
        let rule = move |act: &mut Act| act.create_invitation(org, &new);
        self.make(by, Call::new("InvitationService/CreateInvitation", Some(org), request, rule)).await;
    }

    async fn step_create_invitations(&mut self, by: By, org: Id) {
        let all = self.addresses().into_iter().map(|email| self.somebody_to_invite(org, email));
        let (all, invitations): (Vec<New>, Vec<Value>) = all.unzip();
        let request = self.about(org, json!({"invitations": invitations}));
        let rule = move |act: &mut Act| act.create_invitations(org, &all);
        self.make(by, Call::new("InvitationService/BulkCreateInvitations", Some(org), request, rule)).await;
    }

    /// An invitation: mostly of an organization, and mostly one that may still come to something.
    fn invitation(&mut self, org: Id) -> Option<Id> {
        let all: Vec<Id> = self.state.invitations().map(|(id, _)| id).collect();
        let here: Vec<Id> = all.iter().copied().filter(|id| self.state.invitation(*id).org == org).collect();
        let open = |id: &Id| ["PENDING", "EXPIRED"].contains(&self.state.invitation(*id).status);
        let open: Vec<Id> = here.iter().copied().filter(open).collect();
        match self.chance.below(20) {
            0 => self.chance.any_of(&all),
            1..=4 => self.chance.any_of(&here),
            _ => self.chance.any_of(&open),
        }
    }

    async fn step_resend_invitation(&mut self, by: By, org: Id) {
        let Some(id) = self.invitation(org) else { return self.step_create_invitation(by, org).await };
        let (days, mailed) = (2 + self.chance.below(12), self.chance.once_in(8));
        let fields = json!({"invitationId": self.names.of(id), "lifetime": format!("{}s", days * DAY_SECONDS),
            "skipMail": !mailed});
        let request = self.about(org, fields);
        let rule = move |act: &mut Act| act.resend_invitation(org, id, days, mailed);
        self.make(by, Call::new("InvitationService/ResendInvitation", Some(org), request, rule)).await;
    }

    async fn step_revoke_invitation(&mut self, by: By, org: Id) {
        let Some(id) = self.invitation(org) else { return self.step_create_invitation(by, org).await };
        let request = self.about(org, json!({"invitationId": self.names.of(id)}));
        let rule = move |act: &mut Act| act.revoke_invitation(org, id);
        self.make(by, Call::new("InvitationService/RevokeInvitation", Some(org), request, rule)).await;
    }

    /// A token that was handed out: mostly a good one.
    fn token(&mut self) -> Option<(Id, usize)> {
        let all: Vec<(Id, usize)> = self.tokens.keys().copied().collect();
        let good = |(id, sent): &(Id, usize)| {
            let there = self.state.things.contains_key(id).then(|| self.state.invitation(*id));
            there.is_some_and(|it| it.status == "PENDING" && it.sent == *sent)
        };
        let good: Vec<(Id, usize)> = all.iter().copied().filter(good).collect();
        let replaced = |(id, sent): &(Id, usize)| good.iter().any(|(of, latest)| of == id && latest != sent);
        let replaced: Vec<(Id, usize)> = all.iter().copied().filter(replaced).collect();
        match self.chance.below(8) {
            0 => self.chance.any_of(&all),
            1..=2 if !replaced.is_empty() => self.chance.any_of(&replaced),
            _ => self.chance.any_of(&good),
        }
    }

    /// Whoever was invited, where they have an account; or else whoever wanted to.
    fn invited(&mut self, (id, _): (Id, usize), by: By) -> By {
        let there = self.state.things.contains_key(&id).then(|| self.state.invitation(id).user);
        let accounts: Vec<usize> =
            there.map(|user| self.state.user(user).accounts.iter().copied().collect()).unwrap_or_default();
        match self.chance.any_of(&accounts) {
            Some(own) if self.chance.once_in(2) => By::Account(own, !self.chance.once_in(6)),
            _ => by,
        }
    }

    async fn step_accept_invitation(&mut self, by: By) {
        let Some(token) = self.token() else { return };
        let by = self.invited(token, by);
        let mut request = json!({"token": self.tokens[&token]});
        let accepter = match by {
            By::Account(..) => Accepter::Oneself,
            _ => {
                let verified = !self.chance.once_in(8);
                request["emailVerified"] = json!(verified);
                Accepter::Named(self.accepter(token.0, &mut request), verified)
            }
        };
        let rule = move |act: &mut Act| act.accept_invitation(token, &accepter);
        self.make(by, Call::new("InvitationService/AcceptInvitation", None, request, rule)).await;
    }

    /// Whom a service names: mostly who was invited.
    fn accepter(&mut self, id: Id, request: &mut Value) -> Person {
        let there = self.state.things.contains_key(&id).then(|| self.state.invitation(id).clone());
        let person = match there {
            Some(it) if !self.chance.once_in(8) => match self.chance.once_in(2) && !it.email.is_empty() {
                true => Person::Email(it.email),
                false => Person::User(it.user),
            },
            _ => Person::User(self.user()),
        };
        match &person {
            Person::User(id) => request["userId"] = json!(self.names.of(*id)),
            Person::Email(email) => request["email"] = json!(email),
        }
        person
    }

    async fn step_decline_invitation(&mut self, by: By) {
        let Some(token) = self.token() else { return };
        let by = self.invited(token, by);
        let request = json!({"token": self.tokens[&token]});
        let rule = move |act: &mut Act| act.decline_invitation(token);
        self.make(by, Call::new("InvitationService/DeclineInvitation", None, request, rule)).await;
    }
}
