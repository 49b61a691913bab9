//! A little of everything that makes records: states that change, things that go, an organization that is purged.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Caller, text};

/// An address that is personal: it must not be seen where personal fields are left out.
pub const ADDRESS: &str = "ada.lovelace@analytical.example";

/// Furnishes an installation that purges at once; answers the id of the organization that stays.
pub async fn furnish(caller: &Caller) -> String {
    let stays = organization(caller, "stays").await;
    let goes = organization(caller, "goes").await;
    let gone = json!({"organizationId": goes});
    caller.call("OrganizationService/DeleteOrganization", gone.clone()).await;
    let begin = Instant::now();
    loop {
        let found = caller.call("OrganizationService/GetOrganization", gone.clone()).await;
        if found["organization"]["status"] == "ORGANIZATION_STATUS_PURGED" {
            return stays;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "it is not purged");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An organization with a member, a team that stays and one that goes.
async fn organization(caller: &Caller, slug: &str) -> String {
    let made = caller.call("OrganizationService/CreateOrganization", json!({"slug": slug})).await;
    let id = text(&made["organization"]["organizationId"]);
    let member = json!({"organizationId": id, "member": {"email": format!("{slug}.{ADDRESS}"),
        "displayName": "Ada \"L\" Œ", "metadata": {"desk": "7"}}});
    caller.call("MembershipService/AddMember", member).await;
    for name in ["core", "brief"] {
        let team = caller.call("TeamService/CreateTeam", json!({"organizationId": id, "name": name})).await;
        if name == "brief" {
            delete(caller, &id, &team["team"]["teamId"]).await;
        }
    }
    id
}

async fn delete(caller: &Caller, organization: &str, team: &Value) {
    caller.call("TeamService/DeleteTeam", json!({"organizationId": organization, "teamId": team})).await;
}
