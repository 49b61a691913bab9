//! Who may do what: SPEC section 8, and "nobody gives what they lack".

use super::{Act, Id, State};

/// Who calls.
#[derive(Clone, PartialEq, Debug)]
pub enum By {
    /// A service that may do everything.
    Platform,
    /// A service with these scopes.
    Service(&'static [&'static str]),
    /// A user, by a token of this account; and whether the token says that their address is verified.
    Account(usize, bool),
    /// The service, of which things happen by themselves.
    Itself,
}

impl By {
    /// Which kind of caller it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Platform => "the platform",
            Self::Service(_) => "a service",
            Self::Account(..) => "a user",
            Self::Itself => "itself",
        }
    }
}

impl Act {
    /// Whether the caller may call a method that needs this permission, about this organization.
    pub fn pass(&mut self, permission: &str, self_service: bool, org: Option<Id>) {
        match self.by.clone() {
            By::Platform | By::Itself => {}
            By::Service(scopes) => self.deny_if(!scopes.contains(&permission), "MISSING_PERMISSION"),
            By::Account(account, _) => {
                let Some(user) = self.state.user_of(account) else {
                    return self.deny_if(true, "INVALID_CREDENTIALS");
                };
                if !self_service {
                    self.pass_user(user, permission, org);
                }
            }
        }
    }

    /// SPEC: "a user acts in an organization only where the permissions of their own membership say so".
    fn pass_user(&mut self, user: Id, permission: &str, org: Option<Id>) {
        let Some(org) = org else { return self.deny_if(true, "MISSING_PERMISSION") };
        match self.state.present(org, user) {
            None => self.deny_if(true, "ORGANIZATION_NOT_FOUND"),
            Some(id) => {
                let may = self.state.stands(id) && self.state.held(id).iter().any(|entry| covers(entry, permission));
                self.deny_if(!may, "MISSING_PERMISSION");
            }
        }
    }

    /// SPEC: "Nobody grants a role that holds a permission they lack themselves."
    pub fn give(&mut self, org: Id, roles: &[String]) {
        let entries = roles.iter().filter_map(|role| self.state.role_here(org, role));
        let entries: Vec<String> = entries.flatten().cloned().collect();
        self.give_entries(org, &entries);
    }

    /// The same, of permissions and patterns. (All of them are Roster's own here.)
    pub fn give_entries(&mut self, org: Id, entries: &[String]) {
        let held: Vec<String> = match (&self.by, self.caller) {
            (By::Service(scopes), _) => scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            (By::Account(..), Some(user)) => {
                self.state.present(org, user).map(|id| self.state.held(id)).unwrap_or_default()
            }
            _ => return,
        };
        let lacks = entries.iter().any(|entry| !held.iter().any(|own| covers(own, entry)));
        self.refuse_if(lacks, "MISSING_PERMISSION");
    }

    /// The same, of roles that a new member gets: a service gives the default role freely.
    pub fn give_new(&mut self, org: Id, named: &[String]) {
        let default = [self.state.default_role(org)];
        match self.by {
            By::Account(..) if named.is_empty() => self.give(org, &default),
            _ => self.give(org, named),
        }
    }
}

impl State {
    /// SPEC: "**standing** holds iff o is ACTIVE, u is neither SUSPENDED nor REMOVED, m is ACTIVE and t is before m's end."
    fn stands(&self, id: Id) -> bool {
        let membership = self.membership(id);
        let user = self.user(membership.user).status;
        self.org(membership.org).status == "ACTIVE"
            && !["SUSPENDED", "REMOVED"].contains(&user)
            && membership.status == "ACTIVE"
            && !self.is_over(id)
    }

    /// What a member's roles contain, which add up.
    fn held(&self, id: Id) -> Vec<String> {
        let membership = self.membership(id);
        let of = |role: &str| self.role_here(membership.org, role).expect("an assigned role is there").clone();
        membership.roles.iter().flat_map(|assignment| of(&assignment.role)).collect()
    }
}

/// SPEC: "A role's permissions are slugs, or patterns that end in `*` after a separator, or `*`."
fn covers(entry: &str, permission: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(prefix) => permission.starts_with(prefix),
        None => entry == permission,
    }
}
