//! What comes down: from resources above, from teams above, from roles; and which of several roles counts.

use std::time::Duration;

use serde_json::{Value, json};

use super::{House, doc};
use crate::{
    on_both_engines,
    support::{Engine, TestServer},
};

/// As deep as trees of teams and of resources may be.
const DEPTH: usize = 16;

/// Which documents the member may read, as the list says.
async fn readable(house: &House) -> Value {
    let request = json!({"userId": house.user, "permission": "docs:read"});
    house.call("AuthorizationService/ListAccessibleResources", request).await["resources"].clone()
}

on_both_engines! {
    async fn a_grant_comes_down_sixteen_levels_of_resources_and_of_teams(server) {
        let house = House::build(&server).await;
        let chain = house.chain("page", DEPTH).await;
        let tower = house.tower(DEPTH).await;
        let bottom = chain.last().map(String::as_str);
        assert_eq!(house.check("docs:read", bottom).await, "NO_PERMISSION");
        let granted = house.grant(json!({"teamId": tower[0]}), &chain[0], json!({"role": "reader"})).await;
        for id in &chain {
            assert_eq!(house.check("docs:read", Some(id)).await, "GRANT", "{id}");
        }
        assert_eq!(house.check("docs:write", bottom).await, "NO_PERMISSION", "the role has it not");
        assert_eq!(house.check("docs:read", Some("elsewhere")).await, "NO_PERMISSION");
        assert_eq!(house.check("docs:read", None).await, "NO_PERMISSION", "never in the organization as a whole");
        // In the middle: what is below it and nothing above.
        house.call("GrantService/RevokeGrant", json!({"grantId": granted["grantId"]})).await;
        house.grant(json!({"teamId": tower[7]}), &chain[8], json!({"permission": "docs:read"})).await;
        assert_eq!(house.check("docs:read", Some(&chain[7])).await, "NO_PERMISSION");
        assert_eq!(house.check("docs:read", Some(&chain[8])).await, "GRANT");
        assert_eq!(house.check("docs:read", bottom).await, "GRANT");
    }

    async fn a_grant_to_a_role_is_for_whoever_has_it_however(server) {
        let house = House::build(&server).await;
        house.caller.call("RoleService/CreateRole", json!({"slug": "editor"})).await;
        let tower = house.tower(DEPTH).await;
        house.grant(json!({"role": "editor"}), "1", json!({"role": "reader"})).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "NO_PERMISSION");
        house.call("TeamService/AssignTeamRole", json!({"teamId": tower[0], "role": "editor"})).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
        house.call("TeamService/RevokeTeamRole", json!({"teamId": tower[0], "role": "editor"})).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "NO_PERMISSION");
        house.assign("editor").await;
        assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
        // What the role that the grant gives contains, is what it contains now.
        let reader = json!({"slug": "reader", "permissions": ["docs:write"]});
        house.caller.call("RoleService/UpdateRole", json!({"role": reader, "updateMask": "permissions"})).await;
        assert_eq!(house.check("docs:read", Some("1")).await, "NO_PERMISSION");
        assert_eq!(house.check("docs:write", Some("1")).await, "GRANT");
    }

    async fn a_grant_ends_by_the_clock_alone(server) {
        let house = House::build(&server).await;
        let chain = house.chain("page", 3).await;
        let tower = house.tower(3).await;
        let mut right = json!({"role": "reader", "endTime": server.clock.in_future(Duration::from_secs(60))});
        house.grant(json!({"teamId": tower[0]}), &chain[0], right.clone()).await;
        right["endTime"] = json!(server.clock.in_future(Duration::from_secs(120)));
        house.grant(json!({"role": "member"}), &chain[1], right).await;
        let before = house.caller.events(&house.organization).await.len();
        assert_eq!(house.check("docs:read", Some(&chain[0])).await, "GRANT");
        assert_eq!(readable(&house).await.as_array().unwrap().len(), 3);
        server.clock.advance(Duration::from_secs(61));
        assert_eq!(house.check("docs:read", Some(&chain[0])).await, "NO_PERMISSION");
        assert_eq!(house.check("docs:read", Some(&chain[2])).await, "GRANT");
        assert_eq!(readable(&house).await, json!([doc(&chain[1]), doc(&chain[2])]));
        server.clock.advance(Duration::from_secs(60));
        assert_eq!(house.check("docs:read", Some(&chain[2])).await, "NO_PERMISSION");
        assert_eq!(readable(&house).await, json!([]));
        assert_eq!(house.caller.events(&house.organization).await.len(), before, "nobody wrote anything");
    }

    async fn of_several_roles_all_count_or_the_highest(server) {
        let house = House::build(&server).await;
        let role = |slug: &str, permissions: Value| json!({"slug": slug, "permissions": permissions});
        house.caller.call("RoleService/CreateRole", role("writer", json!(["docs:write"]))).await;
        house.call("RoleService/CreateRole", role("org-plain", json!([]))).await;
        house.call("RoleService/CreateRole", role("org-writer", json!(["docs:write"]))).await;
        let set = async |roles: &[&str]| {
            let roles = json!({"membershipId": house.membership, "roles": roles});
            house.call("MembershipService/SetRoles", roles).await;
        };
        let both = async || [house.check("docs:read", None).await, house.check("docs:write", None).await];
        // The order of the tenant's roles is that of their making: reader, writer.
        set(&["reader", "writer"]).await;
        assert_eq!(both().await, ["ROLE", "ROLE"]);
        house.set_mode("HIGHEST_PRIORITY").await;
        assert_eq!(both().await, ["ROLE", "NO_PERMISSION"]);
        // Built-in ones were there before.
        set(&["reader", "guest"]).await;
        assert_eq!(both().await, ["NO_PERMISSION", "NO_PERMISSION"]);
        // Any role of the organization's own ranks above any of the tenant's, be it the owner's.
        set(&["reader", "org-writer"]).await;
        assert_eq!(both().await, ["NO_PERMISSION", "ROLE"]);
        set(&["owner", "org-plain"]).await;
        assert_eq!(both().await, ["NO_PERMISSION", "NO_PERMISSION"]);
        // And among themselves as the organization says.
        set(&["org-plain", "org-writer"]).await;
        assert_eq!(both().await, ["NO_PERMISSION", "NO_PERMISSION"]);
        let order = json!({"roles": ["org-writer", "org-plain"]});
        house.call("RoleService/SetRolePriority", order).await;
        assert_eq!(both().await, ["NO_PERMISSION", "ROLE"]);
        // A team's role counts as one's own; a grant to a role that is outranked is of no use.
        let tower = house.tower(2).await;
        set(&["reader"]).await;
        house.grant(json!({"role": "reader"}), "1", json!({"permission": "docs:write"})).await;
        assert_eq!(house.check("docs:write", Some("1")).await, "GRANT");
        house.call("TeamService/AssignTeamRole", json!({"teamId": tower[0], "role": "org-plain"})).await;
        assert_eq!(both().await, ["NO_PERMISSION", "NO_PERMISSION"]);
        assert_eq!(house.check("docs:write", Some("1")).await, "NO_PERMISSION");
        house.set_mode("UNION").await;
        assert_eq!(both().await, ["ROLE", "NO_PERMISSION"]);
        assert_eq!(house.check("docs:write", Some("1")).await, "GRANT");
    }
}
