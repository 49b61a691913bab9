//! Calls of TeamService, RoleService and DomainService.

use serde_json::json;

use super::{Act, By, Call, History, Id};
use crate::lifecycles::model::Instead;

/// What an organization's own roles contain.
const CONTENTS: [&[&str]; 3] = [&["members:read"], &["members:read", "members:write"], &["invitations:write"]];

impl History<'_> {
    pub(super) async fn step_structure(&mut self) {
        let org = self.org();
        let by = self.somebody(Some(org));
        match self.chance.below(24) {
            0 => self.step_create_team(by, org).await,
            1 => self.step_delete_team(by, org).await,
            2..=6 => self.step_add_team_member(by, org).await,
            7 => self.step_remove_team_member(by, org).await,
            8..=10 => self.step_create_role(by, org).await,
            11..=12 => self.step_delete_role(by, org).await,
            13 => self.step_set_default_role(by, org).await,
            14..=15 => self.step_add_domain(by, org).await,
            _ => self.step_domain(by, org).await,
        }
    }

    pub(super) async fn step_create_team(&mut self, by: By, org: Id) {
        let name = self.chance.one_of(&["red", "blue", "green"]);
        let request = self.about(org, json!({"name": name}));
        let rule = move |act: &mut Act| act.create_team(org, name);
        self.make(by, Call::new("TeamService/CreateTeam", Some(org), request, rule)).await;
    }

    /// A team, mostly one of the organization that is there.
    fn team(&mut self, org: Id) -> Option<Id> {
        let here: Vec<Id> = self.state.teams().filter(|(_, team)| team.org == org).map(|(id, _)| id).collect();
        let ever: Vec<Id> = self.teams.iter().copied().collect();
        if self.chance.once_in(12) { self.chance.any_of(&ever) } else { self.chance.any_of(&here) }
    }

    async fn step_delete_team(&mut self, by: By, org: Id) {
        let Some(team) = self.team(org) else { return self.step_create_team(by, org).await };
        let request = self.about(org, json!({"teamId": self.names.of(team)}));
        let rule = move |act: &mut Act| act.delete_team(org, team);
        self.make(by, Call::new("TeamService/DeleteTeam", Some(org), request, rule)).await;
    }

    async fn step_add_team_member(&mut self, by: By, org: Id) {
        let (Some(team), Some(id)) = (self.team(org), self.membership(org)) else { return };
        let request = self.about(org, json!({"teamId": self.names.of(team), "membershipId": self.names.of(id)}));
        let rule = move |act: &mut Act| act.add_team_member(org, team, id);
        self.make(by, Call::new("TeamService/AddTeamMember", Some(org), request, rule)).await;
    }

    async fn step_remove_team_member(&mut self, by: By, org: Id) {
        let (Some(team), Some(id)) = (self.team(org), self.membership(org)) else { return };
        let request = self.about(org, json!({"teamId": self.names.of(team), "membershipId": self.names.of(id)}));
        let rule = move |act: &mut Act| act.remove_team_member(org, team, id);
        self.make(by, Call::new("TeamService/RemoveTeamMember", Some(org), request, rule)).await;
    }

    fn own_role(&mut self) -> String {
        self.chance.one_of(&["org-a", "org-b", "org-c"]).to_owned()
    }

    async fn step_create_role(&mut self, by: By, org: Id) {
        let (slug, permissions) = (self.own_role(), self.chance.one_of(&CONTENTS));
        let permissions: Vec<String> = permissions.iter().map(|slug| (*slug).to_owned()).collect();
        let request = self.about(org, json!({"slug": slug, "permissions": permissions}));
        let rule = move |act: &mut Act| act.create_role(org, &slug, &permissions);
        self.make(by, Call::new("RoleService/CreateRole", Some(org), request, rule)).await;
    }

    async fn step_delete_role(&mut self, by: By, org: Id) {
        let slug = self.own_role();
        let instead = match self.chance.below(3) {
            0 => Instead::Nothing,
            1 => Instead::Default,
            _ => Instead::Role(self.role(org)),
        };
        let mut request = self.about(org, json!({"slug": slug}));
        match &instead {
            Instead::Nothing => {}
            Instead::Default => request["useDefaultRole"] = json!(true),
            // That would be a bad request.
            Instead::Role(role) if *role == slug || role == "owner" => return,
            Instead::Role(role) => request["replacementRole"] = json!(role),
        }
        let rule = move |act: &mut Act| act.delete_role(org, &slug, &instead);
        self.make(by, Call::new("RoleService/DeleteRole", Some(org), request, rule)).await;
    }

    async fn step_set_default_role(&mut self, by: By, org: Id) {
        let role = self.role(org);
        if ["owner", "admin"].contains(&role.as_str()) {
            return; // a bad request
        }
        let request = self.about(org, json!({"role": role}));
        let rule = move |act: &mut Act| act.set_default_role(org, &role);
        self.make(by, Call::new("RoleService/SetDefaultRole", Some(org), request, rule)).await;
    }

    async fn step_add_domain(&mut self, by: By, org: Id) {
        let name = format!("d{}.example", self.chance.below(3));
        let request = self.about(org, json!({"name": name}));
        let rule = move |act: &mut Act| act.add_domain(org, &name);
        self.make(by, Call::new("DomainService/AddDomain", Some(org), request, rule)).await;
    }

    async fn step_domain(&mut self, by: By, org: Id) {
        let all: Vec<Id> = self.state.domains().map(|(id, _)| id).collect();
        let here: Vec<Id> = all.iter().copied().filter(|id| self.state.domain(*id).org == org).collect();
        let domain = if self.chance.once_in(10) { self.chance.any_of(&all) } else { self.chance.any_of(&here) };
        let Some(id) = domain else { return self.step_add_domain(by, org).await };
        let which = self.about(org, json!({"domainId": self.names.of(id)}));
        match self.chance.below(7) {
            0..=1 => {
                let rule = move |act: &mut Act| act.start_verification(org, id);
                self.make(by, Call::new("DomainService/StartVerification", Some(org), which, rule)).await;
            }
            2..=4 => {
                let (max, joins) = (i32::try_from(self.chance.below(3)).unwrap(), self.chance.once_in(4));
                let mode = if joins { "AUTO_JOIN_MODE_JOIN" } else { "AUTO_JOIN_MODE_OFF" };
                let mut domain = which;
                domain["autoJoin"] = json!({"mode": mode, "membersMax": max});
                let request = json!({"domain": domain, "updateMask": "autoJoin"});
                let rule = move |act: &mut Act| act.update_domain(org, id, max, joins);
                self.make(by, Call::new("DomainService/UpdateDomain", Some(org), request, rule)).await;
            }
            _ => {
                let rule = move |act: &mut Act| act.remove_domain(org, id);
                self.make(by, Call::new("DomainService/RemoveDomain", Some(org), which, rule)).await;
            }
        }
    }
}
