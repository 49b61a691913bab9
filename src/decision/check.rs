//! The decision itself: SPEC's Check, line by line.

use uuid::Uuid;

use super::{
    Standpoint,
    catalogue::PermissionSet,
    organization::{Held, Member, OrganizationState, Principal, resource_key},
    tenant::TenantState,
};
use crate::{
    clock::Timestamp,
    error::{Error, Reason, Result},
    events::Revision,
    ids::UserId,
    proto::v1::{CheckReason, OrganizationStatus},
};

/// May this user do this, here, now?
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Who.
    pub user_id: UserId,
    /// What: a permission's slug.
    pub permission: &'a str,
    /// On what: type and id.
    pub resource: Option<(&'a str, &'a str)>,
    /// When.
    pub now: Timestamp,
}

/// Yes or no, and why.
pub type Answer = CheckReason;

/// Whether this reason allows.
pub fn allows(reason: CheckReason) -> bool {
    match reason {
        CheckReason::Role | CheckReason::Grant => true,
        CheckReason::Unspecified
        | CheckReason::NotAMember
        | CheckReason::MembershipSuspended
        | CheckReason::UserSuspended
        | CheckReason::OrganizationSuspended
        | CheckReason::OrganizationDeleting
        | CheckReason::NoPermission => false,
    }
}

/// The states of an organization and its tenant, held still while questions are answered.
pub struct View<'a> {
    organization: parking_lot::MappedRwLockReadGuard<'a, OrganizationState>,
    tenant: parking_lot::MappedRwLockReadGuard<'a, TenantState>,
    /// The state that the answers are of.
    pub revision: Revision,
}

impl Standpoint {
    /// Holds the states still. Nothing may wait while they are held.
    pub fn view(&self) -> Result<View<'_>> {
        let (tenant, organization) = (self.tenant.read()?, self.organization.read()?);
        let revision = Revision {
            tenant_id: self.tenant_id,
            tenant_sequence: self.tenant.applied(),
            organization: Some((self.organization_id, self.organization.applied())),
        };
        Ok(View { organization, tenant, revision })
    }
}

impl View<'_> {
    /// Answers one question. Fails with `UNKNOWN_PERMISSION`.
    pub fn check(&self, question: &Question<'_>) -> Result<Answer> {
        if !self.tenant.permissions.contains(question.permission) {
            return Err(Error::new(Reason::UnknownPermission, "the permission is not in the tenant's catalogue")
                .with("permission", question.permission));
        }
        let member = match self.standing(question.user_id.uuid()) {
            Ok(member) => member,
            Err(denied) => return Ok(denied),
        };
        let teams = self.teams(member);
        let mut roles = self.roles(member, &teams);
        if roles.any(|role| self.role_contains(role, question.permission)) {
            return Ok(CheckReason::Role);
        }
        if self.granted(question, member, &teams) {
            return Ok(CheckReason::Grant);
        }
        Ok(CheckReason::NoPermission)
    }

    /// The membership that counts, or why none does.
    fn standing(&self, user_id: Uuid) -> Result<&Member, CheckReason> {
        match self.organization.status {
            OrganizationStatus::Active => {}
            OrganizationStatus::Suspended => return Err(CheckReason::OrganizationSuspended),
            OrganizationStatus::Deleting | OrganizationStatus::Unspecified => {
                return Err(CheckReason::OrganizationDeleting);
            }
        }
        let member = self.organization.members.get(&user_id).ok_or(CheckReason::NotAMember)?;
        if self.tenant.denied_users.contains(&user_id) {
            return Err(CheckReason::UserSuspended);
        }
        if member.active { Ok(member) } else { Err(CheckReason::MembershipSuspended) }
    }

    /// The teams that a member is in, and all their ancestors.
    fn teams(&self, member: &Member) -> Vec<Uuid> {
        let mut teams = Vec::new();
        for team in self.organization.team_members.get(&member.membership_id).into_iter().flatten() {
            let mut next = Some(*team);
            while let Some(id) = next.filter(|id| !teams.contains(id)) {
                let Some(team) = self.organization.teams.get(&id) else { break };
                teams.push(id);
                next = team.parent;
            }
        }
        teams
    }

    /// The roles assigned to a member, and to their teams.
    fn roles<'v>(&'v self, member: &'v Member, teams: &'v [Uuid]) -> impl Iterator<Item = &'v str> {
        let of_teams = teams.iter().filter_map(|id| self.organization.teams.get(id)).flat_map(|team| &team.roles);
        member.roles.iter().chain(of_teams).map(AsRef::as_ref)
    }

    fn role_contains(&self, slug: &str, permission: &str) -> bool {
        let own = self.organization.roles.get(slug);
        own.or_else(|| self.tenant.roles.get(slug)).is_some_and(|set: &PermissionSet| set.contains(permission))
    }

    fn granted(&self, question: &Question<'_>, member: &Member, teams: &[Uuid]) -> bool {
        let Some((kind, id)) = question.resource else { return false };
        let grants = self.organization.grants.get(&resource_key(kind, id));
        grants.into_iter().flatten().any(|grant| {
            grant.ends_at.is_none_or(|end| question.now < end)
                && match &grant.principal {
                    Principal::Membership(id) => *id == member.membership_id,
                    Principal::Team(id) => teams.contains(id),
                    Principal::Role(slug) => self.roles(member, teams).any(|role| *role == **slug),
                }
                && match &grant.right {
                    Held::Permission(slug) => **slug == *question.permission,
                    Held::Role(slug) => self.role_contains(slug, question.permission),
                }
        })
    }
}
