//! Calls of MembershipService.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, By, Call, History, Id, SOURCES, origin};
use crate::lifecycles::{
    model::{Assignment, New, Person, Reference, Update},
    names::note,
};

const DAY: Duration = Duration::from_hours(24);

impl History<'_> {
    pub(super) async fn step_member(&mut self) {
        let org = self.org();
        let by = self.somebody(Some(org));
        let Some(id) = self.membership(org) else { return self.step_add_member(by, org).await };
        match self.chance.below(40) {
            0..=9 => self.step_add_member(by, org).await,
            10..=11 => self.step_add_members(by, org).await,
            12..=14 => self.step_update_membership(by, org, id).await,
            15..=18 => self.step_assign_role(by, org, id).await,
            19..=20 => self.step_revoke_role(by, org, id).await,
            21..=22 => self.step_set_roles(by, org, id).await,
            23..=27 => {
                let method = "MembershipService/ActivateMembership";
                self.step_own(by, method, org, id, |act, org, id| act.activate_membership(org, id)).await;
            }
            28..=30 => {
                let method = "MembershipService/SuspendMembership";
                self.step_move(by, method, org, id, |act, org, id| act.suspend_membership(org, id)).await;
            }
            31..=34 => {
                let method = "MembershipService/ReactivateMembership";
                self.step_move(by, method, org, id, |act, org, id| act.reactivate_membership(org, id)).await;
            }
            35..=37 => {
                let method = "MembershipService/RemoveMember";
                self.step_move(by, method, org, id, |act, org, id| act.remove_member(org, id)).await;
            }
            _ => {
                let method = "MembershipService/Leave";
                self.step_own(by, method, org, id, |act, org, id| act.leave(org, id)).await;
            }
        }
    }

    /// Somebody to add, and how requests say that.
    fn somebody_new(&mut self, org: Id, email: Option<String>) -> (New, Value) {
        let person = match email {
            None if self.chance.once_in(2) => Person::User(self.user()),
            email => Person::Email(email.unwrap_or_else(|| self.address())),
        };
        let status = self.chance.one_of(&["ACTIVE", "ACTIVE", "PRE_PROVISIONED", "INVITED"]);
        let (source, reference) = self.chance.one_of(&SOURCES);
        let new = New {
            person,
            roles: self.some_roles(org),
            teams: self.some_teams(org),
            status,
            kind: self.chance.one_of(&["MEMBER", "GUEST"]),
            source,
            reference,
            end: self.chance.once_in(5).then(|| self.state.today + 1 + self.chance.below(9)),
            note: self.chance.one_of(&["", "a"]).to_owned(),
            days: 2 + self.chance.below(12),
            mailed: status == "INVITED",
        };
        let mut member = json!({"roles": new.roles, "teamIds": self.names(&new.teams), "metadata": note(&new.note),
            "kind": format!("MEMBERSHIP_KIND_{}", new.kind)});
        match &new.person {
            Person::User(id) => member["userId"] = json!(self.names.of(*id)),
            Person::Email(email) => member["email"] = json!(email),
        }
        match status {
            "INVITED" => member["invite"] = json!({"lifetime": format!("{}s", new.days * DAY.as_secs())}),
            "PRE_PROVISIONED" => member["preProvision"] = json!({}),
            _ => {}
        }
        origin(&mut member, source, reference);
        self.until(&mut member, new.end);
        (new, member)
    }

    /// Writes the day of an end into a request.
    fn until(&self, fields: &mut Value, end: Option<u64>) {
        if let Some(end) = end {
            let days = u32::try_from(end - self.state.today).unwrap();
            fields["endTime"] = json!(self.house.server.clock.in_future(DAY * days));
        }
    }

    pub(super) async fn step_add_member(&mut self, by: By, org: Id) {
        let (new, member) = self.somebody_new(org, None);
        let request = self.about(org, json!({"member": member}));
        let rule = move |act: &mut Act| act.add_member(org, &new);
        self.make(by, Call::new("MembershipService/AddMember", Some(org), request, rule)).await;
    }

    async fn step_add_members(&mut self, by: By, org: Id) {
        let all = self.addresses().into_iter().map(|email| self.somebody_new(org, Some(email)));
        let (all, members): (Vec<New>, Vec<Value>) = all.unzip();
        let request = self.about(org, json!({"members": members}));
        let rule = move |act: &mut Act| act.add_all(org, &all);
        self.make(by, Call::new("MembershipService/BatchAddMembers", Some(org), request, rule)).await;
    }

    async fn step_update_membership(&mut self, by: By, org: Id, id: Id) {
        let mut membership = self.about(org, json!({"membershipId": self.names.of(id)}));
        let update = match self.chance.below(6) {
            0 => Update::Kind(self.chance.one_of(&["MEMBER", "GUEST"])),
            1 => Update::Note(self.chance.one_of(&["", "a", "b"]).to_owned()),
            2 => Update::End(None),
            _ => Update::End(Some(self.state.today + 1 + self.chance.below(9))),
        };
        let mask = match &update {
            Update::Kind(kind) => {
                membership["kind"] = json!(format!("MEMBERSHIP_KIND_{kind}"));
                "kind"
            }
            Update::Note(text) => {
                membership["metadata"] = note(text);
                "metadata"
            }
            Update::End(end) => {
                self.until(&mut membership, *end);
                "endTime"
            }
        };
        let etag_is_right = !self.chance.once_in(8);
        let etag = &self.log.last("membership", &self.names.of(id))["etag"];
        membership["etag"] = if etag_is_right { etag.clone() } else { json!("another") };
        let request = json!({"membership": membership, "updateMask": mask});
        let rule = move |act: &mut Act| act.update_membership(org, id, &update, etag_is_right);
        self.make(by, Call::new("MembershipService/UpdateMembership", Some(org), request, rule)).await;
    }

    /// An assignment: mostly a new one, or one that the membership has.
    fn assignment(&mut self, org: Id, of: Option<Id>) -> (Assignment, Value) {
        let held: Vec<Assignment> =
            of.map(|id| self.state.membership(id).roles.iter().cloned().collect()).unwrap_or_default();
        let plain: Vec<Assignment> =
            held.into_iter().filter(|it| !matches!(it.reference, Reference::Invitation(_))).collect();
        let (source, reference) = self.chance.one_of(&SOURCES);
        let new = Assignment { role: self.role(org), source, reference };
        let assignment = self.chance.any_of(&plain).filter(|_| self.chance.below(4) > 0).unwrap_or(new);
        let mut fields = json!({"role": assignment.role});
        origin(&mut fields, assignment.source, assignment.reference);
        (assignment, fields)
    }

    async fn step_assign_role(&mut self, by: By, org: Id, id: Id) {
        let of = self.chance.once_in(8).then_some(id);
        let (assignment, mut fields) = self.assignment(org, of);
        fields["membershipId"] = json!(self.names.of(id));
        let request = self.about(org, fields);
        let rule = move |act: &mut Act| act.assign_role(org, id, &assignment);
        self.make(by, Call::new("MembershipService/AssignRole", Some(org), request, rule)).await;
    }

    async fn step_revoke_role(&mut self, by: By, org: Id, id: Id) {
        let (assignment, mut fields) = self.assignment(org, Some(id));
        fields["membershipId"] = json!(self.names.of(id));
        let request = self.about(org, fields);
        let rule = move |act: &mut Act| act.revoke_role(org, id, &assignment);
        self.make(by, Call::new("MembershipService/RevokeRole", Some(org), request, rule)).await;
    }

    async fn step_set_roles(&mut self, by: By, org: Id, id: Id) {
        let (slugs, (source, reference)) = (self.some_roles(org), self.chance.one_of(&SOURCES));
        let mut fields = json!({"membershipId": self.names.of(id), "roles": slugs});
        origin(&mut fields, source, reference);
        let request = self.about(org, fields);
        let rule = move |act: &mut Act| act.set_roles(org, id, &slugs, source, reference);
        self.make(by, Call::new("MembershipService/SetRoles", Some(org), request, rule)).await;
    }

    /// A method that needs to know of a membership alone.
    async fn step_move(&mut self, by: By, method: &'static str, org: Id, id: Id, rule: fn(&mut Act, Id, Id)) {
        let request = self.about(org, json!({"membershipId": self.names.of(id)}));
        self.make(by, Call::new(method, Some(org), request, move |act| rule(act, org, id))).await;
    }

    /// The same, which users call about themselves: mostly without saying which.
    async fn step_own(&mut self, by: By, method: &'static str, org: Id, id: Id, rule: fn(&mut Act, Id, Option<Id>)) {
        let is_user = matches!(by, By::Account(..));
        let named = (!is_user || self.chance.once_in(4)).then_some(id);
        let mut request = self.about(org, json!({}));
        if let Some(id) = named {
            request["membershipId"] = json!(self.names.of(id));
        }
        self.make(by, Call::new(method, Some(org), request, move |act| rule(act, org, named))).await;
    }
}
