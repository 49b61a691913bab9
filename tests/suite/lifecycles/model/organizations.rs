//! SPEC section 4, "Organization", and the transfer of ownership.

use super::{Act, Assignment, Id, Membership, New, Organization, Person, Place, Reference};

/// For how many days a deleted organization can be restored, and a slug is held back.
const WINDOW: u64 = 30;

impl Act {
    /// "Created with initial owners in the same call."
    pub fn create_organization(&mut self, slug: &str, owners: &[Person]) {
        self.refuse_if(self.is_slug_taken(slug, None), "SLUG_TAKEN");
        if self.is_refused() {
            return;
        }
        self.state.held.remove(slug);
        let org = self.create(
            "organization.created",
            Organization {
                slug: slug.to_owned(),
                name: slug.to_owned(),
                status: "ACTIVE",
                from: "",
                purge: 0,
                default_role: String::new(),
                order: Vec::new(),
                kept: Vec::new(),
                had_owner: false,
            },
        );
        for owner in owners {
            self.join(org, &an_owner(owner.clone()));
        }
        self.show("organization", org);
    }

    /// "unique in its tenant, renameable, the old slug held back for 30 days".
    fn is_slug_taken(&self, slug: &str, by: Option<Id>) -> bool {
        let has = self.state.orgs().any(|(id, org)| org.slug == slug && Some(id) != by);
        let holds = |(holder, until): &(Id, u64)| Some(*holder) != by && self.state.today < *until;
        has || self.state.held.get(slug).is_some_and(holds)
    }

    pub fn update_organization(&mut self, org: Id, slug: &str, name: &str, etag_is_right: bool) {
        let before = self.state.org(org).clone();
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        self.refuse_if(!etag_is_right, "ETAG_MISMATCH");
        self.refuse_if(self.is_slug_taken(slug, Some(org)), "SLUG_TAKEN");
        if self.is_refused() {
            return;
        }
        if slug != before.slug {
            self.state.held.remove(slug);
            self.state.held.insert(before.slug.clone(), (org, self.state.today + WINDOW));
        }
        if slug != before.slug || name != before.name {
            self.change("organization.updated", org, |it: &mut Organization| {
                (it.slug, it.name) = (slug.to_owned(), name.to_owned());
            });
        }
        self.show("organization", org);
    }

    /// "ACTIVE ⇄ SUSPENDED".
    pub fn stand(&mut self, org: Id, status: &'static str, event: &'static str) {
        self.refuse_if(self.state.is_closed(org), "ILLEGAL_TRANSITION");
        if self.is_refused() {
            return;
        }
        if self.state.org(org).status != status {
            self.change(event, org, |it: &mut Organization| it.status = status);
        }
        self.show("organization", org);
    }

    /// "TransferOwnership is its own operation: one transaction, promotes an active member, demotes the former owner to
    /// `admin` (or a role named in the call), compare-and-set on the current owner."
    pub fn transfer_ownership(&mut self, org: Id, owner: Id, next: Id, role: &str) {
        self.refuse_if(self.state.is_closed(org), "ORGANIZATION_DELETING");
        let role = role.to_owned();
        self.ensure_there(org, std::slice::from_ref(&role), &Default::default());
        if !self.is_member_of(org, owner) || !self.is_member_of(org, next) {
            return;
        }
        let [former, new] = [owner, next].map(|id| self.state.membership(id).clone());
        let active = |act: &Self, it: &Membership| it.status == "ACTIVE" && act.state.user(it.user).status == "ACTIVE";
        self.refuse_if(!active(self, &former) || !former.has("owner"), "NOT_AN_OWNER");
        self.refuse_if(!active(self, &new) || new.end.is_some(), "MEMBER_NOT_ACTIVE");
        if let Some(caller) = self.caller {
            self.refuse_if(caller != former.user, "OWNERSHIP_OF_ANOTHER");
            self.give(org, &["owner".to_owned(), role.clone()]);
        }
        if self.is_refused() {
            return;
        }
        self.announce_change("organization.ownership_transferred", org);
        self.cascade(|act| {
            if !new.has("owner") {
                act.change("membership.role_assigned", next, |it: &mut Membership| {
                    it.roles.insert(by_call("owner"));
                });
            }
            act.change("membership.roles_changed", owner, |it: &mut Membership| {
                it.roles.retain(|assignment| assignment.role != "owner");
                it.roles.insert(by_call(&role));
            });
        });
        self.show("owner", next);
        self.show("formerOwner", owner);
    }

    /// "DELETING keeps everything for a window"; "Deleting emits a removal for every membership, marked as a cascade."
    pub fn delete_organization(&mut self, org: Id) {
        if !self.state.is_closed(org) {
            let members = self.state.members(org);
            // Invitations are taken back for good: nobody could accept.
            let kept = members.iter().filter(|id| self.state.membership(**id).status != "INVITED");
            let as_it_is = |id: &Id| {
                let places = self.state.places().filter(|(_, it)| it.membership == *id);
                (self.state.membership(*id).clone(), places.map(|(_, it)| it.team).collect())
            };
            let kept: Vec<(Membership, Vec<Id>)> = kept.map(as_it_is).collect();
            let (had_owner, purge) = (!self.state.owners(org).is_empty(), self.state.today + WINDOW);
            self.change("organization.deleted", org, |it: &mut Organization| {
                (it.from, it.status, it.purge) = (it.status, "DELETING", purge);
                (it.kept, it.had_owner) = (kept, had_owner);
            });
            self.cascade(|act| members.into_iter().for_each(|id| act.end_membership(id)));
        }
        self.show("organization", org);
    }

    /// "restorable": as it was, with new memberships, for removals are final.
    pub fn restore_organization(&mut self, org: Id, owner: Option<Id>) {
        if !self.state.is_closed(org) {
            return self.show("organization", org);
        }
        let Organization { status, from, purge, mut kept, had_owner, .. } = self.state.org(org).clone();
        self.refuse_if(status == "PURGED" || purge <= self.state.today, "RESTORE_WINDOW_OVER");
        if let Some(owner) = owner {
            let status = self.state.user(owner).status;
            self.refuse_if(status == "REMOVED", "USER_NOT_FOUND");
            self.refuse_if(status != "ACTIVE", "MEMBER_NOT_ACTIVE");
            self.give(org, &["owner".to_owned()]);
        }
        if self.is_refused() {
            return;
        }
        self.change("organization.restored", org, |it: &mut Organization| {
            it.status = from;
            it.kept.clear();
        });
        kept.sort_by_key(|(membership, _)| membership.user);
        self.cascade(|act| {
            for (membership, teams) in kept {
                act.restore_member(org, membership, teams, owner);
            }
            if let Some(owner) = owner.filter(|owner| act.state.present(org, *owner).is_none()) {
                act.join(org, &an_owner(Person::User(owner)));
            }
        });
        self.refuse_if(had_owner && self.state.owners(org).is_empty(), "OWNER_NEEDED");
        if !self.is_refused() {
            self.show("organization", org);
        }
    }

    fn restore_member(&mut self, org: Id, mut membership: Membership, teams: Vec<Id>, owner: Option<Id>) {
        if self.state.user(membership.user).status == "REMOVED" {
            return;
        }
        if owner == Some(membership.user) {
            (membership.status, membership.end) = ("ACTIVE", None);
            if !membership.has("owner") {
                membership.roles.insert(by_call("owner"));
            }
        }
        let id = self.create("membership.created", membership);
        for team in teams {
            self.create("team.member_added", Place { org, team, membership: id });
        }
    }
}

fn by_call(role: &str) -> Assignment {
    Assignment { role: role.to_owned(), source: "API", reference: Reference::None }
}

fn an_owner(person: Person) -> New {
    New {
        person,
        roles: vec!["owner".to_owned()],
        teams: Default::default(),
        status: "ACTIVE",
        kind: "MEMBER",
        source: "API",
        reference: Reference::None,
        end: None,
        note: String::new(),
        days: 0,
        mailed: false,
    }
}
