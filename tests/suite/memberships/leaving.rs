//! Members who leave.

use serde_json::json;

use super::{Acme, status};
use crate::{
    callers::link,
    in_a_house,
    support::{Engine, text},
    tokens::House,
};

const LEAVE: &str = "MembershipService/Leave";

in_a_house! {
    async fn a_member_leaves_with_teams_and_grants_and_comes_back_as_somebody_new(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let team = root.call("TeamService/CreateTeam", json!({"organizationId": acme.id, "name": "t"})).await;
        let team = &team["team"]["teamId"];
        let member = acme.add(json!({"email": "bob@example.com", "roles": ["developer"], "teamIds": [team]})).await;
        root.call("RoleService/CreatePermission", json!({"slug": "docs:read"})).await;
        let grant = json!({"organizationId": acme.id, "principal": {"membershipId": member["membershipId"]},
            "resource": {"type": "doc", "id": "1"}, "permission": "docs:read"});
        root.call("GrantService/SetGrant", grant).await;
        let bob = link(&house, &text(&member["userId"]), "bob").await;
        let before = acme.events().await.len();
        let left = bob.call(LEAVE, json!({"organizationId": acme.id})).await;
        assert_eq!((status(&left["membership"]).as_str(), &left["membership"]["statusReason"]),
            ("REMOVED", &json!("left")));
        let events = acme.events().await.split_off(before);
        let types: Vec<_> = events.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(types, ["membership.removed", "team.member_removed", "grant.revoked"]);
        assert_eq!((&events[0]["actor"]["id"], &events[0]["reason"]), (&member["userId"], &json!("left")));
        assert!(events[1..].iter().all(|event| event["causationId"] == events[0]["eventId"]));
        bob.refused(LEAVE, json!({"organizationId": acme.id}), "ORGANIZATION_NOT_FOUND").await;
        let again = acme.add(json!({"userId": member["userId"], "invite": {}})).await;
        assert_ne!(again["membershipId"], member["membershipId"]);
        assert_eq!(again["roles"].as_array().unwrap().len(), 1);
        assert_eq!(again["roles"][0]["role"], "member");
        // Who declines, leaves, with a reason of their own.
        let declined = bob.call(LEAVE, json!({"organizationId": acme.id, "reason": "no thanks"})).await;
        assert_eq!(declined["membership"]["statusReason"], "no thanks");
    }

    async fn an_owner_leaves_where_there_is_another(house) {
        let root = &house.server.root;
        let acme = Acme::build(root).await;
        let ada = link(&house, &text(&acme.get(&json!(acme.owner)).await["userId"]), "ada").await;
        ada.refused(LEAVE, json!({"organizationId": acme.id}), "LAST_OWNER").await;
        acme.add(json!({"email": "bob@example.com", "roles": ["owner"]})).await;
        ada.call(LEAVE, json!({"organizationId": acme.id})).await;
    }
}
