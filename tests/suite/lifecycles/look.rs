//! The whole state, read over the API: as the model has it, and as the log has told it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    history::History,
    model::{Id, Thing},
    names::difference,
};
use crate::support::text;

/// What becomes of a mail is told at no certain time.
const MAILS: [&str; 3] = ["mailStatus", "mailError", "updateTime"];

impl History<'_> {
    /// Everything that there is.
    pub async fn look(&mut self) {
        self.quiet().await;
        let mut seen = BTreeMap::new();
        self.list(&mut seen, "user", "UserService/ListUsers", json!({})).await;
        for status in ["UNSPECIFIED", "PURGED"] {
            let request = json!({"status": format!("ORGANIZATION_STATUS_{status}")});
            self.list(&mut seen, "organization", "OrganizationService/ListOrganizations", request).await;
        }
        let orgs: Vec<Id> = self.state.orgs().map(|(id, _)| id).collect();
        for org in orgs {
            let here = json!({"organizationId": self.names.of(org)});
            for status in ["UNSPECIFIED", "REMOVED"] {
                let mut request = here.clone();
                request["status"] = json!(format!("MEMBERSHIP_STATUS_{status}"));
                self.list(&mut seen, "membership", "MembershipService/ListMemberships", request).await;
            }
            self.list(&mut seen, "invitation", "InvitationService/ListInvitations", here.clone()).await;
            self.list(&mut seen, "domain", "DomainService/ListDomains", here.clone()).await;
            self.list(&mut seen, "team", "TeamService/ListTeams", here.clone()).await;
            self.list(&mut seen, "role", "RoleService/ListRoles", here.clone()).await;
        }
        let teams: Vec<(Id, Id)> = self.state.teams().map(|(id, team)| (team.org, id)).collect();
        for (org, team) in teams {
            let request = json!({"organizationId": self.names.of(org), "teamId": self.names.of(team)});
            self.list(&mut seen, "team_member", "TeamService/ListTeamMembers", request).await;
        }
        self.compare(&seen);
    }

    async fn list(&self, seen: &mut BTreeMap<(String, String), Value>, kind: &str, method: &str, request: Value) {
        let field = match kind {
            "team_member" => "teamMembers".to_owned(),
            kind => format!("{kind}s"),
        };
        for thing in self.root.list(method, request, &field).await {
            let id = match kind {
                "role" if thing["organizationId"] == "" => continue, // the tenant's
                "role" => format!("{}/{}", text(&thing["organizationId"]), text(&thing["slug"])),
                "team_member" => format!("{}/{}", text(&thing["teamId"]), text(&thing["membershipId"])),
                kind => text(&thing[format!("{kind}Id")]),
            };
            let before = seen.insert((kind.to_owned(), id), thing);
            assert!(before.is_none(), "listed twice: {before:?}");
        }
    }

    fn compare(&self, seen: &BTreeMap<(String, String), Value>) {
        let mut left = seen.clone();
        for (id, thing) in &self.state.things {
            let subject = match thing {
                Thing::Role(role) => format!("{}/{}", self.names.of(role.org), role.slug),
                thing => self.names.subject(*id, thing),
            };
            let listed = left.remove(&(thing.kind().to_owned(), subject.clone()));
            let listed = listed.unwrap_or_else(|| panic!("not listed: {subject}, {thing:?}"));
            let differs = difference(&self.names.show(&self.state, *id, thing), &listed);
            assert!(differs.is_none(), "listed: {}", differs.unwrap_or_default());
            let told = self.log.last(thing.kind(), &subject);
            let mailed = matches!(thing, Thing::Invitation(invitation) if invitation.mailed);
            assert_eq!(settled(&listed, mailed), settled(told, mailed), "listed, and told by the log");
        }
        assert!(left.is_empty(), "nobody expected {left:?}");
        assert_eq!(self.log.count(), self.state.things.len(), "the log tells of more than there is");
    }
}

fn settled(thing: &Value, mailed: bool) -> Value {
    let mut thing = thing.clone();
    if mailed {
        MAILS.iter().for_each(|field| drop(thing.as_object_mut().unwrap().remove(*field)));
    }
    thing
}
