//! What happens by itself when its day has come.

use super::{Act, By, Domain, Id, Membership, Organization, State, Thing};

/// For how many days the slug of a purged organization is held back.
const HELD: u64 = 30;

impl State {
    /// What is due, each in a transaction of its own. "DELETING keeps everything for a window": its domains as well.
    pub fn due(&self) -> Vec<Id> {
        let is_due = |id: Id, thing: &Thing| match thing {
            Thing::Membership(it) => it.status == "ACTIVE" && self.is_over(id),
            Thing::Invitation(it) => it.status == "PENDING" && it.end <= self.today,
            Thing::Organization(it) => it.status == "DELETING" && it.purge <= self.today,
            Thing::Domain(it) => it.status == "PENDING" && it.end <= self.today && !self.is_closed(it.org),
            _ => false,
        };
        self.things.iter().filter(|(id, thing)| is_due(**id, thing)).map(|(id, _)| *id).collect()
    }

    /// One of these things happens.
    pub fn happen(&self, id: Id) -> Act {
        let mut act = Act::new(self, By::Itself);
        match &self.things[&id] {
            Thing::Membership(_) => {
                // "ACTIVE | SUSPENDED | Suspend, directory `active: false`, end date reached".
                act.change("membership.suspended", id, |it: &mut Membership| it.status = "SUSPENDED");
            }
            Thing::Invitation(_) => act.end_invitation("invitation.expired", id, "EXPIRED"),
            Thing::Organization(_) => act.purge(id),
            Thing::Domain(_) => act.change("domain.failed", id, |it: &mut Domain| it.status = "FAILED"),
            other => panic!("nothing happens by itself to {other:?}"),
        }
        act
    }
}

impl Act {
    /// "DELETING keeps everything for a window (default 30 days, restorable), then PURGED."
    fn purge(&mut self, org: Id) {
        let slug = self.state.org(org).slug.clone();
        self.state.held.insert(slug, (org, self.state.today + HELD));
        self.change("organization.purged", org, |it: &mut Organization| {
            *it = Organization {
                slug: String::new(),
                name: String::new(),
                status: "PURGED",
                default_role: String::new(),
                order: Vec::new(),
                kept: Vec::new(),
                ..it.clone()
            };
        });
        let theirs: Vec<Id> = self
            .state
            .things
            .iter()
            .filter(|(id, thing)| **id != org && self.state.stream(**id, thing) == Some(org))
            .map(|(id, _)| *id)
            .collect();
        for id in theirs {
            self.state.things.remove(&id);
        }
    }
}
