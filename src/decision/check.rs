//! The decision itself: SPEC's Check, line by line.

use smallvec::SmallVec;
use uuid::Uuid;

use super::{
    members::{Member, MemberRow, Standing},
    resource_tree::{Grant, Principal, ResourceRow, Right},
    role::Role,
    standpoint::View,
    symbols::{PermissionId, RoleRef},
    team_tree::Gathered,
    verdict::Sets,
};
use crate::{
    cedar::{Context, Verdict},
    clock::Timestamp,
    error::{Error, Reason, Result},
    proto::v1::{CheckReason, OrganizationStatus},
};

/// May this user do this, here, now?
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Who; nobody where the subject is an identity that no user has.
    pub user_id: Option<Uuid>,
    /// What: a permission's slug.
    pub permission: &'a str,
    /// On what: type and id.
    pub resource: Option<(&'a str, &'a str)>,
    /// Under which circumstances.
    pub circumstances: Circumstances<'a>,
}

/// When something is asked, and what the caller says of it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When.
    pub now: Timestamp,
    /// What policies may ask for.
    pub context: &'a Context,
}

/// Yes or no, and why.
pub type Answer = CheckReason;

/// Whether this reason allows.
pub fn allows(reason: CheckReason) -> bool {
    match reason {
        CheckReason::Role | CheckReason::Grant | CheckReason::PolicyPermit => true,
        CheckReason::Unspecified
        | CheckReason::NotAMember
        | CheckReason::MembershipSuspended
        | CheckReason::MembershipPending
        | CheckReason::UserSuspended
        | CheckReason::OrganizationSuspended
        | CheckReason::OrganizationDeleting
        | CheckReason::NoPermission
        | CheckReason::PolicyForbid => false,
    }
}

/// A permission of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Permission<'a> {
    /// Its number.
    pub id: PermissionId,
    /// Its slug.
    pub slug: &'a str,
}

/// A resource that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its type and id.
    pub name: (&'a str, &'a str),
    /// Its place, where it is registered or something is granted on it.
    pub row: Option<ResourceRow>,
}

/// Roles that a decision gathers: more than these are rare.
pub type Roles = SmallVec<[RoleRef; 16]>;

/// A member who may act: who they are, in which teams, with which roles.
#[derive(Debug)]
pub struct Acting<'v> {
    /// The row of the membership.
    pub row: MemberRow,
    /// The membership.
    pub member: &'v Member,
    /// The teams it is in, and all their ancestors.
    pub teams: Gathered,
    /// The roles that count: assigned to it and to its teams, combined by the tenant's mode.
    pub roles: Roles,
}

/// A question about a member who may act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posed<'a> {
    pub acting: &'a Acting<'a>,
    pub permission: Permission<'a>,
    pub target: Option<Target<'a>>,
    pub circumstances: Circumstances<'a>,
}

impl View<'_> {
    /// Answers one question. Fails with `UNKNOWN_PERMISSION`.
    pub fn check(&self, question: &Question<'_>) -> Result<Answer> {
        self.check_by(question, self.sets())
    }

    /// Answers one question as it would be answered if these policies counted.
    pub fn check_by(&self, question: &Question<'_>, policies: Sets<'_>) -> Result<Answer> {
        let permission = self.permission(question.permission)?;
        let acting = match self.acting(question) {
            Ok(acting) => acting,
            Err(denied) => return Ok(denied),
        };
        let target = question.resource.map(|name| self.target(name));
        let asked = Posed { acting: &acting, permission, target, circumstances: question.circumstances };
        Ok(self.decide(&asked, policies))
    }

    /// What a member who may act may do: what they hold, unless a policy says otherwise.
    pub(super) fn decide(&self, asked: &Posed<'_>, policies: Sets<'_>) -> Answer {
        let held = self.held(asked);
        match self.verdict(asked, policies) {
            Verdict::Neither => held,
            Verdict::Permit(_) if held == CheckReason::NoPermission => CheckReason::PolicyPermit,
            Verdict::Permit(_) => held,
            Verdict::Forbid(_) => CheckReason::PolicyForbid,
        }
    }

    /// What a member holds by roles and grants.
    fn held(&self, asked: &Posed<'_>) -> Answer {
        if asked.acting.roles.iter().any(|role| self.contains(*role, asked.permission)) {
            return CheckReason::Role;
        }
        let row = asked.target.and_then(|target| target.row);
        if row.is_some_and(|row| self.granted(asked, row).next().is_some()) {
            return CheckReason::Grant;
        }
        CheckReason::NoPermission
    }

    /// A permission of the catalogue. Fails with `UNKNOWN_PERMISSION`.
    pub fn permission<'a>(&self, slug: &'a str) -> Result<Permission<'a>> {
        let Some(id) = self.tenant.permission(slug) else {
            return Err(Error::new(Reason::UnknownPermission, "the permission is not in the tenant's catalogue")
                .with("permission", slug));
        };
        Ok(Permission { id, slug })
    }

    /// A resource, known or not.
    pub fn target<'a>(&self, name: (&'a str, &'a str)) -> Target<'a> {
        Target { name, row: self.organization.resources.find(name.0, name.1) }
    }

    /// The member who may act, or why nobody may.
    pub fn acting(&self, question: &Question<'_>) -> Result<Acting<'_>, CheckReason> {
        self.acting_at(question.user_id, question.circumstances.now)
    }

    /// The member who may act at this time, or why nobody may.
    pub fn acting_at(&self, user_id: Option<Uuid>, now: Timestamp) -> Result<Acting<'_>, CheckReason> {
        Ok(self.acting_as(self.standing(user_id, now)?))
    }

    /// The membership that counts, or why none does.
    fn standing(&self, user_id: Option<Uuid>, now: Timestamp) -> Result<MemberRow, CheckReason> {
        match self.organization.status {
            OrganizationStatus::Active => {}
            OrganizationStatus::Suspended => return Err(CheckReason::OrganizationSuspended),
            OrganizationStatus::Deleting | OrganizationStatus::Purged | OrganizationStatus::Unspecified => {
                return Err(CheckReason::OrganizationDeleting);
            }
        }
        let user_id = user_id.ok_or(CheckReason::NotAMember)?;
        let row = self.organization.members.find(user_id).ok_or(CheckReason::NotAMember)?;
        if self.tenant.denies(user_id) {
            return Err(CheckReason::UserSuspended);
        }
        match self.organization.members.standing(row) {
            Standing::Active(ends_at) if ends_at.is_none_or(|ends_at| now < ends_at) => Ok(row),
            // Its end is reached: it is about to be suspended.
            Standing::Active(_) | Standing::Suspended => Err(CheckReason::MembershipSuspended),
            Standing::Pending => Err(CheckReason::MembershipPending),
        }
    }

    /// A member, with teams and roles.
    pub fn acting_as(&self, row: MemberRow) -> Acting<'_> {
        let organization = &*self.organization;
        let member = organization.members.get(row);
        let teams = organization.teams.with_ancestors(organization.team_sets.get(member.teams));
        let sets = std::iter::once(member.roles()).chain(teams.iter().map(|team| organization.teams.get(*team).roles));
        let roles = sets.flat_map(|set| organization.role_sets.get(set)).map(|number| RoleRef(*number));
        let roles = self.counting(roles.collect());
        Acting { row, member, teams, roles }
    }

    /// The roles that count, of all that somebody has: every one, or the highest alone.
    fn counting(&self, roles: Roles) -> Roles {
        if self.tenant.is_union() {
            return roles;
        }
        roles.into_iter().min_by_key(|role| self.rank(*role)).into_iter().collect()
    }

    /// The place of a role in the order of priority: an organization's own rank above its tenant's.
    ///
    /// A role of which the tenant knows nothing any more ranks above all, and contains nothing: what members have in its
    /// place is about to be heard, and until then no lower one counts.
    fn rank(&self, role: RoleRef) -> (u8, (u32, bool), RoleRef) {
        match role.own_place() {
            Some(place) => (1, (self.organization.own_rank(place), true), role),
            None if self.tenant.role(role).is_none() => (0, (0, true), role),
            None => (2, self.tenant.rank(role), role),
        }
    }

    /// Whether a role contains a permission.
    pub fn contains(&self, role: RoleRef, permission: Permission<'_>) -> bool {
        let role: Option<&Role> = match role.own_place() {
            Some(place) => self.organization.own_role(place),
            None => self.tenant.role(role),
        };
        role.is_some_and(|role| role.contains(permission.id, permission.slug))
    }

    /// The grants that give a permission: on the resource or above it, in force, to whom the member acts as.
    pub(super) fn granted<'v>(
        &'v self,
        asked: &'v Posed<'v>,
        resource: ResourceRow,
    ) -> impl Iterator<Item = (ResourceRow, &'v Grant)> {
        let resources = &self.organization.resources;
        let upwards = resources.with_ancestors(resource).filter(|row| resources.get(*row).has_grants());
        upwards.flat_map(move |row| {
            let of_principals = asked.acting.principals().flat_map(move |who| resources.get(row).grants_of(who));
            let in_force = of_principals.filter(move |grant| grant.is_in_force(asked.circumstances.now));
            in_force.filter_map(move |grant| {
                let gives = match grant.right {
                    Right::Permission(id) => id == asked.permission.id,
                    Right::Role(role) => self.contains(role, asked.permission),
                };
                gives.then_some((row, grant))
            })
        })
    }
}

impl Acting<'_> {
    /// As whom the member holds grants.
    fn principals(&self) -> impl Iterator<Item = Principal> {
        let teams = self.teams.iter().map(|team| Principal::Team(*team));
        let roles = self.roles.iter().map(|role| Principal::Role(*role));
        std::iter::once(Principal::Member(self.row)).chain(teams).chain(roles)
    }
}
