//! The reference model of lives: SPEC section 4, read as naively as can be.
//!
//! A state of plain records, and for each call a function that says what stands against it, what it changes, and what the
//! log hears. Where several things stand against a call, the service may name any of them. Nothing here is quick, and
//! nothing knows how the service does it.

mod act;
mod callers;
mod invitations;
mod members;
mod organizations;
mod roles;
mod structure;
mod time;
mod users;

use std::collections::{BTreeMap, BTreeSet};

pub use act::{Act, Shown, Told};
pub use callers::By;
pub use invitations::Accepter;
pub use members::{New, Person, Update};
pub use structure::Instead;

/// By which the model knows a thing. Things are numbered as they come to be.
pub type Id = usize;

/// SPEC, "Users".
#[derive(Clone, PartialEq, Debug)]
pub struct User {
    pub email: String,
    pub name: String,
    pub status: &'static str,
    /// Where a suspended user stood before.
    pub from: Option<&'static str>,
    /// Numbers of accounts of the identity provider.
    pub accounts: BTreeSet<usize>,
    pub erased: bool,
}

/// SPEC, "Membership".
#[derive(Clone, PartialEq, Debug)]
pub struct Membership {
    pub org: Id,
    pub user: Id,
    pub status: &'static str,
    pub kind: &'static str,
    pub source: &'static str,
    pub reference: Reference,
    pub roles: BTreeSet<Assignment>,
    /// The day on which it ends.
    pub end: Option<u64>,
    pub note: String,
}

/// A role, and where it came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Assignment {
    pub role: String,
    pub source: &'static str,
    pub reference: Reference,
}

/// Which of its source's things something came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reference {
    None,
    Group(&'static str),
    Invitation(Id),
}

/// SPEC, "Organization".
#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    pub slug: String,
    pub name: String,
    pub status: &'static str,
    /// Where a deleted one stood before.
    pub from: &'static str,
    /// The day on which a deleted one is purged.
    pub purge: u64,
    /// Its own default; empty: the tenant's.
    pub default_role: String,
    /// Its own roles, the highest first.
    pub order: Vec<String>,
    /// Its members when it was deleted, with their places in teams; and whether an active owner was among them.
    pub kept: Vec<(Membership, Vec<Id>)>,
    pub had_owner: bool,
}

/// SPEC, "Invitations".
#[derive(Clone, PartialEq, Debug)]
pub struct Invitation {
    pub org: Id,
    pub email: String,
    pub user: Id,
    pub membership: Id,
    pub status: &'static str,
    pub roles: BTreeSet<String>,
    pub teams: BTreeSet<Id>,
    /// The day on which it ends by itself.
    pub end: u64,
    /// How often it was sent: only the last token is good.
    pub sent: usize,
    /// Whether a mail was ever asked for: what became of that is heard at no certain time.
    pub mailed: bool,
}

/// A team, without teams above or below it, and without roles.
#[derive(Clone, PartialEq, Debug)]
pub struct Team {
    pub org: Id,
    pub name: String,
}

/// A membership in a team.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    pub org: Id,
    pub team: Id,
    pub membership: Id,
}

/// A role of an organization's own.
#[derive(Clone, PartialEq, Debug)]
pub struct Role {
    pub org: Id,
    pub slug: String,
    pub permissions: Vec<String>,
}

/// SPEC, "Domains": as far as nobody proves one.
#[derive(Clone, PartialEq, Debug)]
pub struct Domain {
    pub org: Id,
    pub name: String,
    pub status: &'static str,
    /// The day on which the claim fails.
    pub end: u64,
    /// How many members may join by it, in mode OFF: something that can be changed.
    pub members_max: i32,
}

/// What stands in one map: each kind of thing, how the log calls it, and how the state finds one and all.
macro_rules! things {
    ($($kind:ident $name:literal $one:ident $all:ident),* $(,)?) => {
        #[derive(Clone, PartialEq, Debug)]
        pub enum Thing { $($kind($kind)),* }

        /// What is one kind of thing.
        pub trait Kind: Into<Thing> {
            fn of(thing: &mut Thing) -> &mut Self;
        }

        impl Thing {
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => $name),* }
            }
        }

        $(
            impl From<$kind> for Thing {
                fn from(it: $kind) -> Self { Self::$kind(it) }
            }

            impl Kind for $kind {
                fn of(thing: &mut Thing) -> &mut Self {
                    match thing { Thing::$kind(it) => it, other => panic!("another kind: {other:?}") }
                }
            }

            impl State {
                #[allow(dead_code, reason = "not every kind is asked for one by one")]
                pub fn $one(&self, id: Id) -> &$kind {
                    match &self.things[&id] { Thing::$kind(it) => it, other => panic!("another kind: {other:?}") }
                }

                pub fn $all(&self) -> impl Iterator<Item = (Id, &$kind)> {
                    self.things.iter().filter_map(|(id, thing)| match thing {
                        Thing::$kind(it) => Some((*id, it)),
                        _ => None,
                    })
                }
            }
        )*
    };
}

things! {
    User "user" user users,
    Membership "membership" membership memberships,
    Organization "organization" org orgs,
    Invitation "invitation" invitation invitations,
    Team "team" team teams,
    Place "team_member" place places,
    Role "role" role roles,
    Domain "domain" domain domains,
}

/// A tenant and all that is in it.
#[derive(Clone, Default)]
pub struct State {
    pub things: BTreeMap<Id, Thing>,
    /// The number of the latest thing.
    pub next: Id,
    pub today: u64,
    /// Slugs that organizations gave up: whose, and until which day.
    pub held: BTreeMap<String, (Id, u64)>,
    /// The tenant's roles: their permissions and patterns.
    pub tenant_roles: BTreeMap<String, Vec<String>>,
    pub default_role: String,
}

impl State {
    /// The user with an address; who is removed has none any more.
    pub fn user_with(&self, email: &str) -> Option<Id> {
        self.users().find(|(_, user)| user.email == email && user.status != "REMOVED").map(|(id, _)| id)
    }

    /// Whom an account is linked to.
    pub fn user_of(&self, account: usize) -> Option<Id> {
        self.users().find(|(_, user)| user.accounts.contains(&account)).map(|(id, _)| id)
    }

    /// The memberships of an organization that are not over.
    pub fn members(&self, org: Id) -> Vec<Id> {
        let all = self.memberships().filter(|(_, it)| it.org == org && it.status != "REMOVED");
        all.map(|(id, _)| id).collect()
    }

    /// SPEC: "A person is at most once a member of an organization."
    pub fn present(&self, org: Id, user: Id) -> Option<Id> {
        self.members(org).into_iter().find(|id| self.membership(*id).user == user)
    }

    /// SPEC: "Suspended, pending and ended memberships do not count"; nor does one that will end by itself.
    pub fn owners(&self, org: Id) -> Vec<Id> {
        let counts = |id: &Id| {
            let membership = self.membership(*id);
            let lasting = membership.status == "ACTIVE" && membership.end.is_none();
            let denied = ["SUSPENDED", "REMOVED"].contains(&self.user(membership.user).status);
            lasting && membership.has("owner") && !denied
        };
        self.members(org).into_iter().filter(counts).collect()
    }

    /// The invitation that goes with a membership, as long as it is pending.
    pub fn pending_of(&self, membership: Id) -> Option<Id> {
        let mut all = self.invitations();
        all.find(|(_, it)| it.membership == membership && it.status == "PENDING").map(|(id, _)| id)
    }

    /// SPEC: "One pending per (organization, e-mail)."
    pub fn pending_for(&self, org: Id, email: &str) -> Option<Id> {
        let mut all = self.invitations();
        all.find(|(_, it)| it.org == org && it.email == email && it.status == "PENDING").map(|(id, _)| id)
    }

    /// "exactly the promised roles": those that the membership has by now; of one that is over, those that it had last.
    pub fn promised(&self, invitation: &Invitation) -> (BTreeSet<String>, BTreeSet<Id>) {
        let membership = self.membership(invitation.membership);
        if membership.status == "REMOVED" {
            return (invitation.roles.clone(), invitation.teams.clone());
        }
        let places = self.places().filter(|(_, it)| it.membership == invitation.membership);
        let roles = membership.roles.iter().map(|assignment| assignment.role.clone());
        (roles.collect(), places.map(|(_, it)| it.team).collect())
    }

    pub fn is_over(&self, membership: Id) -> bool {
        self.membership(membership).end.is_some_and(|end| end <= self.today)
    }

    /// Being deleted, or purged.
    pub fn is_closed(&self, org: Id) -> bool {
        ["DELETING", "PURGED"].contains(&self.org(org).status)
    }

    /// SPEC: "The first own role gives an organization its own default".
    pub fn default_role(&self, org: Id) -> String {
        let own = &self.org(org).default_role;
        if own.is_empty() { self.default_role.clone() } else { own.clone() }
    }

    /// What a role contains in an organization, if there is such a role.
    pub fn role_here(&self, org: Id, slug: &str) -> Option<&Vec<String>> {
        let own = self.roles().find(|(_, role)| role.org == org && role.slug == slug);
        own.map(|(_, role)| &role.permissions).or(self.tenant_roles.get(slug))
    }

    /// Which organization's stream tells of a thing; none: the tenant's own.
    pub fn stream(&self, id: Id, thing: &Thing) -> Option<Id> {
        match thing {
            Thing::User(_) => None,
            Thing::Organization(_) => Some(id),
            Thing::Membership(Membership { org, .. })
            | Thing::Invitation(Invitation { org, .. })
            | Thing::Team(Team { org, .. })
            | Thing::Place(Place { org, .. })
            | Thing::Role(Role { org, .. })
            | Thing::Domain(Domain { org, .. }) => Some(*org),
        }
    }
}

impl Membership {
    /// Whether it has a role, from whatever source.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|assignment| assignment.role == role)
    }
}
