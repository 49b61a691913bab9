//! Teams, and who is in them.

use serde_json::json;

use super::History;
use crate::{decisions::model::Team, support::text};

impl History {
    pub(super) fn team(&mut self, index: usize) -> Option<String> {
        let all: Vec<_> = self.state.organizations[index].teams.keys().cloned().collect();
        self.chance.any_of(&all)
    }

    pub(super) async fn step_create_team(&mut self, index: usize) {
        let (name, mut request) = (self.name("team"), json!({}));
        let parent = if self.chance.once_in(4) { None } else { self.team(index) };
        request["name"] = json!(name);
        if let Some(parent) = &parent {
            request["parentTeamId"] = json!(parent);
        }
        let made = self.within(index, "TeamService/CreateTeam", request, &["TEAM_TOO_DEEP"]).await;
        if let Some(made) = made {
            let team = Team { parent, ..Team::default() };
            self.state.organizations[index].teams.insert(text(&made["team"]["teamId"]), team);
        }
    }

    pub(super) async fn step_move_team(&mut self, index: usize) {
        let Some(id) = self.team(index) else { return };
        let parent = if self.chance.once_in(3) { None } else { self.team(index) };
        let mut request = json!({"teamId": id});
        if let Some(parent) = &parent {
            request["parentTeamId"] = json!(parent);
        }
        let may = ["TEAM_CYCLE", "TEAM_TOO_DEEP"];
        if self.within(index, "TeamService/MoveTeam", request, &may).await.is_some() {
            self.state.organizations[index].teams.get_mut(&id).unwrap().parent = parent;
        }
    }

    pub(super) async fn step_delete_team(&mut self, index: usize) {
        let Some(id) = self.team(index) else { return };
        let request = json!({"teamId": id, "cascade": self.chance.once_in(2)});
        if self.within(index, "TeamService/DeleteTeam", request, &["TEAM_HAS_CHILDREN"]).await.is_some() {
            self.state.organizations[index].delete_team(&id);
        }
    }

    pub(super) async fn step_team_role(&mut self, index: usize) {
        let Some(id) = self.team(index) else { return };
        let (roles, assigns) = (self.roles_here(index), self.chance.below(3) > 0);
        let role = self.chance.one_of(&roles);
        let method = if assigns { "TeamService/AssignTeamRole" } else { "TeamService/RevokeTeamRole" };
        self.within(index, method, json!({"teamId": id, "role": role}), &[]).await.unwrap();
        let roles = &mut self.state.organizations[index].teams.get_mut(&id).unwrap().roles;
        if assigns {
            roles.insert(role)
        } else {
            roles.remove(&role)
        };
    }

    pub(super) async fn step_team_member(&mut self, index: usize) {
        let (Some(team), Some(id)) = (self.team(index), self.membership(index)) else { return };
        let adds = self.chance.below(3) > 0;
        let (method, may) = match adds {
            true => ("TeamService/AddTeamMember", "ALREADY_TEAM_MEMBER"),
            false => ("TeamService/RemoveTeamMember", "TEAM_MEMBER_NOT_FOUND"),
        };
        if self.within(index, method, json!({"teamId": team, "membershipId": id}), &[may]).await.is_some() {
            let members = &mut self.state.organizations[index].teams.get_mut(&team).unwrap().members;
            if adds {
                members.insert(id)
            } else {
                members.remove(&id)
            };
        }
    }
}
