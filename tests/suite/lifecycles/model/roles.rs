//! SPEC section 4, "Roles", as far as memberships have them: "Assignments are kept per source".

use std::collections::BTreeSet;

use super::{Act, Assignment, Id, Membership, Reference};

impl Act {
    pub fn assign_role(&mut self, org: Id, id: Id, assignment: &Assignment) {
        let Some(mut roles) = self.roles_of(org, id, std::slice::from_ref(&assignment.role)) else { return };
        if roles.insert(assignment.clone()) {
            self.give(org, std::slice::from_ref(&assignment.role));
            self.ensure_lasting_owner(id, &roles);
            self.have_roles("membership.role_assigned", id, roles);
        }
        self.show_unless_refused(id);
    }

    pub fn revoke_role(&mut self, org: Id, id: Id, assignment: &Assignment) {
        let Some(mut roles) = self.roles_of(org, id, std::slice::from_ref(&assignment.role)) else { return };
        if roles.remove(assignment) {
            self.have_roles("membership.role_revoked", id, roles);
        }
        self.show_unless_refused(id);
    }

    pub fn set_roles(&mut self, org: Id, id: Id, slugs: &[String], source: &'static str, reference: Reference) {
        let Some(before) = self.roles_of(org, id, slugs) else { return };
        let of = |role: &String| Assignment { role: role.clone(), source, reference };
        let others = before.iter().filter(|it| (it.source, it.reference) != (source, reference)).cloned();
        let roles: BTreeSet<Assignment> = others.chain(slugs.iter().map(of)).collect();
        if roles != before {
            let new: Vec<String> = roles.difference(&before).map(|assignment| assignment.role.clone()).collect();
            self.give(org, &new);
            if new.iter().any(|role| role == "owner") {
                self.ensure_lasting_owner(id, &roles);
            }
            self.have_roles("membership.roles_changed", id, roles);
        }
        self.show_unless_refused(id);
    }

    /// The roles of a membership that takes others, of roles that there are.
    fn roles_of(&mut self, org: Id, id: Id, slugs: &[String]) -> Option<BTreeSet<Assignment>> {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        if !self.is_member_of(org, id) {
            return None;
        }
        let Membership { status, roles, .. } = self.state.membership(id).clone();
        self.refuse_if(status == "REMOVED", "ILLEGAL_TRANSITION");
        self.ensure_there(org, slugs, &BTreeSet::new());
        (!self.is_refused()).then_some(roles)
    }

    /// Who becomes an owner is not the first one for a time.
    fn ensure_lasting_owner(&mut self, id: Id, roles: &BTreeSet<Assignment>) {
        let Membership { org, status, end, .. } = *self.state.membership(id);
        let is_owner = status == "ACTIVE" && roles.iter().any(|assignment| assignment.role == "owner");
        self.refuse_if(is_owner && self.is_first_for_a_time(org, end), "LAST_OWNER");
    }

    /// "Every membership has at least one role".
    fn have_roles(&mut self, event: &'static str, id: Id, roles: BTreeSet<Assignment>) {
        self.refuse_if(roles.is_empty(), "LAST_ROLE");
        if !roles.iter().any(|assignment| assignment.role == "owner") {
            self.ensure_another_owner(id);
        }
        if !self.is_refused() {
            self.change(event, id, |it: &mut Membership| it.roles = roles);
        }
    }

    fn show_unless_refused(&mut self, id: Id) {
        if !self.is_refused() {
            self.show("membership", id);
        }
    }
}
