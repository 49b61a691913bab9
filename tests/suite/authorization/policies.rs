//! What policies do to a Check.

use serde_json::{Value, json};

use super::House;
use crate::{
    on_both_engines,
    support::{Engine, TestServer, text},
};

/// A policy on reading, in some circumstances.
fn rule(effect: &str, when: &str) -> String {
    format!(r#"{effect} (principal, action == Roster::Action::"docs:read", resource) when {{ {when} }};"#)
}

async fn in_context(house: &House, context: Value) -> String {
    house.ask(json!({"permission": "docs:read", "context": context})).await
}

on_both_engines! {
    async fn a_permit_allows_and_a_forbid_vetoes(server) {
        let house = House::build(&server).await;
        for scope in ["", house.organization.as_str()] {
            assert_eq!(house.check("docs:read", None).await, "NO_PERMISSION");
            house.put_policy(scope, "open", &rule("permit", "true")).await;
            assert_eq!(house.check("docs:read", None).await, "POLICY_PERMIT");
            assert_eq!(house.check("docs:read", Some("1")).await, "POLICY_PERMIT");
            assert_eq!(house.check("docs:write", None).await, "NO_PERMISSION");
            // Whatever else allows comes first; and a forbid before all of it.
            house.grant(json!({"membershipId": house.membership}), "1", json!({"permission": "docs:read"})).await;
            assert_eq!(house.check("docs:read", Some("1")).await, "GRANT");
            house.assign("reader").await;
            assert_eq!(house.check("docs:read", None).await, "ROLE");
            for forbidding in ["", house.organization.as_str()] {
                house.put_policy(forbidding, "closed", &rule("forbid", "true")).await;
                for resource in [None, Some("1")] {
                    assert_eq!(house.check("docs:read", resource).await, "POLICY_FORBID");
                }
                let delete = json!({"organizationId": forbidding, "name": "closed"});
                house.caller.call("PolicyService/DeletePolicy", delete).await;
                assert_eq!(house.check("docs:read", None).await, "ROLE");
            }
            let reset = json!({"membershipId": house.membership, "roles": ["member"]});
            house.call("MembershipService/SetRoles", reset).await;
            let delete = json!({"organizationId": scope, "name": "open"});
            house.caller.call("PolicyService/DeletePolicy", delete).await;
            let grants = json!({"organizationId": house.organization});
            for grant in house.caller.list("GrantService/ListGrants", grants, "grants").await {
                house.call("GrantService/RevokeGrant", json!({"grantId": grant["grantId"]})).await;
            }
        }
    }

    async fn a_permit_helps_nobody_without_standing(server) {
        let house = House::build(&server).await;
        house.put_policy("", "open", "permit (principal, action, resource);").await;
        assert_eq!(house.check("docs:read", None).await, "POLICY_PERMIT");
        let membership = json!({"membershipId": house.membership});
        house.call("MembershipService/SuspendMembership", membership.clone()).await;
        assert_eq!(house.check("docs:read", None).await, "MEMBERSHIP_SUSPENDED");
        house.call("MembershipService/RemoveMember", membership).await;
        assert_eq!(house.check("docs:read", None).await, "NOT_A_MEMBER");
    }

    async fn every_circumstance_reaches_the_policies(server) {
        let house = House::build(&server).await;
        let cases = [
            ("context has mfa && context.mfa", json!({"mfa": true}), json!({"mfa": false})),
            ("context has risk && context.risk < 20", json!({"risk": 19}), json!({"risk": 20})),
            (r#"context has ip && context.ip.isInRange(ip("192.0.2.0/24"))"#,
                json!({"ip": "::ffff:192.0.2.7"}), json!({"ip": "198.51.100.7"})),
            (r#"context has delegated_by && context.delegated_by == "support""#,
                json!({"delegatedBy": "support"}), json!({"delegatedBy": "sales"})),
            (r#"context.attributes.hasTag("plan") && context.attributes.getTag("plan") == "pro""#,
                json!({"attributes": {"plan": "pro"}}), json!({"attributes": {"plan": "free"}})),
        ];
        for (when, fits, misfits) in cases {
            house.put_policy(&house.organization, "rule", &rule("permit", when)).await;
            assert_eq!(in_context(&house, fits.clone()).await, "POLICY_PERMIT", "{when}");
            assert_eq!(in_context(&house, misfits.clone()).await, "NO_PERMISSION", "{when}");
            assert_eq!(in_context(&house, json!({})).await, "NO_PERMISSION", "{when}");
            house.put_policy(&house.organization, "rule", &rule("forbid", when)).await;
            assert_eq!(in_context(&house, fits).await, "POLICY_FORBID", "{when}");
            assert_eq!(in_context(&house, misfits).await, "NO_PERMISSION", "{when}");
        }
    }

    async fn a_policy_knows_who_asks_for_what_and_when(server) {
        let house = House::build(&server).await;
        let chain = house.chain("page", 3).await;
        let tower = house.tower(3).await;
        house.call("TeamService/AssignTeamRole", json!({"teamId": tower[0], "role": "guest"})).await;
        let scopes = [
            format!(r#"principal == Roster::User::"{}""#, house.user),
            format!(r#"principal.membership == "{}""#, house.membership),
            r#"principal in Roster::Role::"guest""#.to_owned(),
            format!(r#"principal in Roster::Team::"{}""#, tower[0]),
            format!(r#"resource in Roster::Resource::"doc/{}""#, chain[0]),
            format!(r#"resource in Roster::Organization::"{}""#, house.organization),
            r#"resource is Roster::Resource && resource.type == "doc" && resource.id like "page *""#.to_owned(),
        ];
        for when in scopes {
            house.put_policy("", "rule", &rule("permit", &when)).await;
            assert_eq!(house.check("docs:read", Some(&chain[2])).await, "POLICY_PERMIT", "{when}");
            house.put_policy("", "rule", &rule("permit", &format!("!({when})"))).await;
            assert_eq!(house.check("docs:read", Some(&chain[2])).await, "NO_PERMISSION", "not {when}");
        }
        let soon = server.clock.in_future(std::time::Duration::from_secs(3600));
        let soon = format!("{}Z", soon.split(['.', 'Z']).next().unwrap());
        house.put_policy("", "rule", &rule("permit", &format!(r#"context.time < datetime("{soon}")"#))).await;
        assert_eq!(house.check("docs:read", None).await, "POLICY_PERMIT");
        server.clock.advance(std::time::Duration::from_secs(3601));
        assert_eq!(house.check("docs:read", None).await, "NO_PERMISSION");
    }

    async fn an_organizations_policies_are_its_own(server) {
        let house = House::build(&server).await;
        house.assign("reader").await;
        let create = json!({"slug": "beta", "initialOwners": [{"userId": house.user}]});
        let beta = house.caller.call("OrganizationService/CreateOrganization", create).await;
        let beta = text(&beta["organization"]["organizationId"]);
        house.put_policy(&beta, "closed", "forbid (principal, action, resource);").await;
        assert_eq!(house.check("docs:read", None).await, "ROLE");
        let there = json!({"organizationId": beta, "userId": house.user, "permission": "docs:read"});
        let answer = house.caller.call("AuthorizationService/Check", there.clone()).await;
        assert_eq!(answer["reason"], "CHECK_REASON_POLICY_FORBID");
        let explained = house.caller.call("AuthorizationService/Explain", json!({"check": there})).await;
        assert_eq!(explained["policies"][0]["organizationId"], beta);
        let stranger = server.stranger().await;
        let forbid = json!({"policy": {"name": "closed", "text": "forbid (principal, action, resource);"}});
        stranger.call("PolicyService/PutPolicy", forbid).await;
        assert_eq!(house.check("docs:read", None).await, "ROLE", "another tenant's neither");
    }
}
