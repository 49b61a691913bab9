//! What policies say to a question: the tenant's and the organization's. Where there are none, nothing is gathered.

use super::{check::Posed, standpoint::View};
use crate::{
    cedar::{Compiled, Facts, Verdict},
    ids::{MembershipId, TeamId, UserId},
};

/// Policies that count in an organization: the tenant's, and its own.
pub type Sets<'a> = [Option<&'a Compiled>; 2];

impl View<'_> {
    /// The policies that count here.
    pub fn sets(&self) -> Sets<'_> {
        [self.tenant.policies(), self.organization.policies()]
    }

    /// How many policies a question about this permission may have to do with.
    pub fn policies_count(&self, permission: &str) -> usize {
        self.sets().into_iter().flatten().filter(|set| set.concerns(permission)).map(Compiled::len).sum()
    }

    /// What policies say together: a forbid of either set vetoes.
    pub(super) fn verdict(&self, asked: &Posed<'_>, sets: Sets<'_>) -> Verdict {
        let mut said = Verdict::Neither;
        self.each_verdict(asked, sets, |_, verdict| match (&said, verdict) {
            (Verdict::Forbid(_), _) | (_, Verdict::Neither) | (Verdict::Permit(_), Verdict::Permit(_)) => {}
            (_, verdict) => said = verdict,
        });
        said
    }

    /// Puts a question to each set that concerns it, and says of which: the tenant's (`false`), the organization's own
    /// (`true`). Where none does, nothing is gathered.
    pub(super) fn each_verdict(&self, asked: &Posed<'_>, sets: Sets<'_>, mut each: impl FnMut(bool, Verdict)) {
        let concerned = |set: &&Compiled| set.concerns(asked.permission.slug);
        if !sets.iter().flatten().any(&concerned) {
            return;
        }
        let organization = &*self.organization;
        let roles: Vec<Box<str>> = asked.acting.roles.iter().map(|role| organization.role_slug(*role)).collect();
        let roles: Vec<&str> = roles.iter().map(AsRef::as_ref).collect();
        let teams = asked.acting.teams.iter().map(|team| TeamId::from_uuid(organization.teams.get(*team).id));
        let teams: Vec<TeamId> = teams.collect();
        let row = asked.target.and_then(|target| target.row);
        let above = row.into_iter().flat_map(|row| organization.resources.with_ancestors(row)).skip(1);
        let ancestors: Vec<(&str, &str)> = above.map(|row| organization.resources.get(row).name()).collect();
        let facts = Facts {
            user_id: UserId::from_uuid(asked.acting.member.user_id),
            membership_id: MembershipId::from_uuid(asked.acting.member.membership_id),
            roles: &roles,
            teams: &teams,
            permission: asked.permission.slug,
            organization_id: self.organization_id,
            resource: asked.target.map(|target| target.name),
            ancestors: &ancestors,
            context: asked.circumstances.context,
            now: asked.circumstances.now,
        };
        for (own, set) in [false, true].into_iter().zip(sets) {
            if let Some(set) = set.filter(concerned) {
                each(own, set.evaluate(&facts));
            }
        }
    }
}
