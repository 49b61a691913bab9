//! Explain: the whole path to an answer.

use serde_json::{Value, json};

use super::{House, doc};
use crate::{
    on_both_engines,
    support::{Engine, TestServer},
};

impl House {
    /// Explains the answer to this question, after making sure that Check answers the same.
    async fn explain(&self, mut question: Value) -> Value {
        let reason = self.ask(question.clone()).await;
        if question["identity"].is_null() && question["userId"].is_null() {
            question["userId"] = json!(self.user);
        }
        question["organizationId"] = json!(self.organization);
        let explained = self.caller.call("AuthorizationService/Explain", json!({"check": question})).await;
        assert_eq!(explained["reason"], format!("CHECK_REASON_{reason}"));
        explained
    }
}

/// A role as Explain has it.
fn path(role: &str, teams: &[String], contains: bool, outranked: bool) -> Value {
    json!({"role": role, "teamIds": teams, "containsPermission": contains, "outranked": outranked})
}

fn sorted(list: &Value) -> Vec<Value> {
    let mut list = list.as_array().unwrap().clone();
    list.sort_by_key(ToString::to_string);
    list
}

on_both_engines! {
    async fn roles_are_told_with_the_way_to_them(server) {
        let house = House::build(&server).await;
        let read = json!({"permission": "docs:read"});
        let alone = house.explain(read.clone()).await;
        assert_eq!(alone["roles"], json!([path("member", &[], false, false)]));
        assert_eq!((&alone["userId"], &alone["membershipId"]), (&json!(house.user), &json!(house.membership)));
        assert_eq!((&alone["grants"], &alone["policies"]), (&json!([]), &json!([])));
        let tower = house.tower(3).await;
        house.call("TeamService/AssignTeamRole", json!({"teamId": tower[0], "role": "reader"})).await;
        house.call("TeamService/AssignTeamRole", json!({"teamId": tower[2], "role": "guest"})).await;
        let up: Vec<String> = tower.iter().rev().cloned().collect();
        let told = house.explain(read.clone()).await;
        let expected = json!([path("member", &[], false, false), path("guest", &up[..1], false, false),
            path("reader", &up, true, false)]);
        assert_eq!(sorted(&told["roles"]), sorted(&expected));
        house.set_mode("HIGHEST_PRIORITY").await;
        let told = house.explain(read).await;
        assert_eq!(told["allowed"], false);
        let expected = json!([path("member", &[], false, false), path("guest", &up[..1], false, true),
            path("reader", &up, true, true)]);
        assert_eq!(sorted(&told["roles"]), sorted(&expected));
    }

    async fn grants_are_told_with_holder_and_place(server) {
        let house = House::build(&server).await;
        let chain = house.chain("page", 3).await;
        let tower = house.tower(2).await;
        let up: Vec<Value> = chain.iter().rev().map(|id| doc(id)).collect();
        let read = json!({"permission": "docs:read"});
        let held = [(json!({"membershipId": house.membership}), read.clone()),
            (json!({"teamId": tower[0]}), json!({"role": "reader"})), (json!({"role": "member"}), read)];
        let mut expected = Vec::new();
        for (index, (holder, right)) in held.into_iter().enumerate() {
            let made = house.grant(holder.clone(), &chain[index], right.clone()).await;
            let role = right["role"].as_str().unwrap_or_default();
            expected.push(json!({"grantId": made["grantId"], "principal": holder, "resources": up[..3 - index],
                "role": role}));
        }
        // None of these gives this member this permission on this resource.
        let other = house.team("other", None).await;
        house.grant(json!({"teamId": other}), &chain[0], json!({"role": "reader"})).await;
        house.grant(json!({"membershipId": house.membership}), &chain[2], json!({"permission": "docs:write"})).await;
        house.grant(json!({"role": "guest"}), &chain[2], json!({"permission": "docs:read"})).await;
        let told = house.explain(json!({"permission": "docs:read", "resource": doc(&chain[2])})).await;
        assert_eq!(sorted(&told["grants"]), sorted(&json!(expected)));
        assert_eq!(told["allowed"], true);
        let told = house.explain(json!({"permission": "docs:read", "resource": doc(&chain[0])})).await;
        assert_eq!(told["grants"].as_array().unwrap().len(), 1, "only what is above");
        assert_eq!(house.explain(json!({"permission": "docs:read"})).await["grants"], json!([]));
    }

    async fn every_policy_that_matches_is_told(server) {
        let house = House::build(&server).await;
        let here = house.organization.as_str();
        for (scope, name, effect) in [("", "p1", "permit"), (here, "p1", "permit"), (here, "p2", "permit")] {
            house.put_policy(scope, name, &format!("{effect} (principal, action, resource);")).await;
        }
        let never = r#"permit (principal, action == Roster::Action::"docs:write", resource);"#;
        house.put_policy(here, "never", never).await;
        let rule = |scope: &str, name: &str, effect: &str| json!({"organizationId": scope, "name": name,
            "effect": format!("POLICY_EFFECT_{effect}")});
        let told = house.explain(json!({"permission": "docs:read"})).await;
        let permits = json!([rule("", "p1", "PERMIT"), rule(here, "p1", "PERMIT"), rule(here, "p2", "PERMIT")]);
        assert_eq!(sorted(&told["policies"]), sorted(&permits));
        let forbid = "forbid (principal, action, resource) when { context has risk && context.risk > 50 };";
        house.put_policy("", "risky", forbid).await;
        let told = house.explain(json!({"permission": "docs:read", "context": {"risk": 51}})).await;
        assert_eq!(told["reason"], "CHECK_REASON_POLICY_FORBID");
        assert!(sorted(&told["policies"]).contains(&rule("", "risky", "FORBID")), "{told}");
        let told = house.explain(json!({"permission": "docs:read", "context": {"risk": 50}})).await;
        assert_eq!(sorted(&told["policies"]), sorted(&permits));
    }

    async fn whoever_has_no_standing_is_told_why(server) {
        let house = House::build(&server).await;
        house.assign("reader").await;
        let read = json!({"permission": "docs:read"});
        house.call("MembershipService/SuspendMembership", json!({"membershipId": house.membership})).await;
        let told = house.explain(read.clone()).await;
        assert_eq!((&told["allowed"], &told["membershipId"]), (&json!(false), &json!(house.membership)));
        assert_eq!(told["reason"], "CHECK_REASON_MEMBERSHIP_SUSPENDED");
        assert!(told["roles"].as_array().unwrap().contains(&path("reader", &[], true, false)), "{told}");
        let account = json!({"issuer": "https://idp.example", "subject": "nobody"});
        let told = house.explain(json!({"identity": account, "permission": "docs:read"})).await;
        assert_eq!(told["reason"], "CHECK_REASON_NOT_A_MEMBER");
        assert_eq!([&told["userId"], &told["membershipId"]], [&json!(""), &json!("")]);
        assert_eq!([&told["roles"], &told["grants"], &told["policies"]], [&json!([]); 3]);
        let loner = house.caller.call("UserService/CreateUser", json!({"email": "loner@example.com"})).await;
        let told = house.explain(json!({"userId": loner["user"]["userId"], "permission": "docs:read"})).await;
        assert_eq!([&told["userId"], &told["membershipId"]], [&loner["user"]["userId"], &json!("")]);
        let unknown = json!({"check": {"organizationId": house.organization, "userId": house.user,
            "permission": "docs:burn"}});
        house.caller.refused("AuthorizationService/Explain", unknown, "UNKNOWN_PERMISSION").await;
    }
}
