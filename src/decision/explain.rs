//! Check with the whole path to its answer.

use uuid::Uuid;

use super::{
    check::{Acting, Answer, Permission, Posed, Question},
    resource_tree::{Grant, Principal, ResourceRow, Right},
    standpoint::View,
    symbols::RoleRef,
    team_tree::TeamRow,
};
use crate::{cedar::Verdict, error::Result};

/// Everything that speaks for an answer, or against it.
#[derive(Debug)]
pub struct Explanation {
    /// The answer.
    pub answer: Answer,
    /// The membership, where there is one, whether it counts or not.
    pub membership_id: Option<Uuid>,
    /// Every role that the member has, however.
    pub roles: Vec<RolePath>,
    /// Every grant that gives the permission.
    pub grants: Vec<GrantPath>,
    /// Every policy that matches: whether it is the organization's own, its name, whether it permits.
    pub policies: Vec<(bool, Box<str>, bool)>,
}

/// How a member has a role.
#[derive(Debug)]
pub struct RolePath {
    /// Its slug.
    pub role: Box<str>,
    /// From the team that the member is in, up to the one that has the role; empty where the member has it.
    pub teams: Vec<Uuid>,
    /// Whether it contains the permission.
    pub contains_permission: bool,
    /// Whether another role counts in its place.
    pub outranked: bool,
}

/// How a member has a grant.
#[derive(Debug)]
pub struct GrantPath {
    /// Its id.
    pub id: Uuid,
    /// Who holds it.
    pub principal: Holder,
    /// From the resource that was asked about, up to the one that the grant is on: types and ids.
    pub resources: Vec<(String, String)>,
    /// The role that it gives, where it gives one.
    pub role: Option<Box<str>>,
}

/// Who holds a grant.
#[derive(Debug)]
pub enum Holder {
    /// The membership.
    Membership(Uuid),
    /// A team.
    Team(Uuid),
    /// Everybody with the role.
    Role(Box<str>),
}

impl View<'_> {
    /// Answers one question, and why. Fails with `UNKNOWN_PERMISSION`.
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation> {
        let answer = self.check(question)?;
        let permission = self.permission(question.permission)?;
        let row = question.user_id.and_then(|id| self.organization.members.find(id));
        let mut explanation =
            Explanation { answer, membership_id: None, roles: Vec::new(), grants: Vec::new(), policies: Vec::new() };
        let Some(row) = row else { return Ok(explanation) };
        let acting = self.acting_as(row);
        explanation.membership_id = Some(acting.member.membership_id);
        explanation.roles = self.role_paths(&acting, permission);
        let target = question.resource.map(|name| self.target(name));
        let asked = Posed { acting: &acting, permission, target, circumstances: question.circumstances };
        if let Some(row) = target.and_then(|target| target.row) {
            let granted = self.granted(&asked, row);
            explanation.grants = granted.map(|(on, grant)| self.grant_path(row, on, grant)).collect();
        }
        self.each_verdict(&asked, self.sets(), |own, verdict| {
            let (names, permits) = match verdict {
                Verdict::Neither => return,
                Verdict::Permit(names) => (names, true),
                Verdict::Forbid(names) => (names, false),
            };
            explanation.policies.extend(names.into_iter().map(|name| (own, name, permits)));
        });
        Ok(explanation)
    }

    fn role_paths(&self, acting: &Acting<'_>, permission: Permission<'_>) -> Vec<RolePath> {
        let organization = &*self.organization;
        let direct = organization.role_sets.get(acting.member.roles()).iter();
        let mut paths: Vec<RolePath> =
            direct.map(|role| self.role_path(acting, permission, RoleRef(*role), Vec::new())).collect();
        let mut seen = Vec::new();
        for team in organization.team_sets.get(acting.member.teams) {
            for (carrying, teams) in self.upwards(*team) {
                if seen.contains(&carrying) {
                    break; // the rest of the way was walked from another team
                }
                seen.push(carrying);
                let roles = organization.role_sets.get(organization.teams.get(carrying).roles).iter();
                paths.extend(roles.map(|role| self.role_path(acting, permission, RoleRef(*role), teams.clone())));
            }
        }
        paths
    }

    /// A team and all above it, each with the way to it.
    fn upwards(&self, team: TeamRow) -> Vec<(TeamRow, Vec<Uuid>)> {
        let rows = self.organization.teams.with_ancestors(&[team]);
        let ids: Vec<Uuid> = rows.iter().map(|row| self.organization.teams.get(*row).id).collect();
        rows.iter().enumerate().map(|(depth, row)| (*row, ids[..=depth].to_vec())).collect()
    }

    fn role_path(&self, acting: &Acting<'_>, permission: Permission<'_>, role: RoleRef, teams: Vec<Uuid>) -> RolePath {
        RolePath {
            role: self.organization.role_slug(role),
            teams,
            contains_permission: self.contains(role, permission),
            outranked: !acting.roles.contains(&role),
        }
    }

    fn grant_path(&self, asked: ResourceRow, on: ResourceRow, grant: &Grant) -> GrantPath {
        let organization = &*self.organization;
        let mut resources = Vec::new();
        for row in organization.resources.with_ancestors(asked) {
            let (kind, id) = organization.resources.get(row).name();
            resources.push((kind.to_owned(), id.to_owned()));
            if row == on {
                break;
            }
        }
        let principal = match grant.principal {
            Principal::Member(row) => Holder::Membership(organization.members.get(row).membership_id),
            Principal::Team(row) => Holder::Team(organization.teams.get(row).id),
            Principal::Role(role) => Holder::Role(organization.role_slug(role)),
        };
        let role = match grant.right {
            Right::Role(role) => Some(organization.role_slug(role)),
            Right::Permission(_) => None,
        };
        GrantPath { id: grant.id, principal, resources, role }
    }
}
