//! Policies, over gRPC.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    on_both_engines,
    support::{Caller, Engine, TestServer, assert_code, bad_fields, text},
};

const PERMIT: &str = "permit (principal, action, resource);";
const FORBID: &str = "forbid (principal, action, resource);";

/// An organization of this tenant, and two permissions in its catalogue; the ids of both.
async fn found(caller: &Caller) -> (String, String) {
    for slug in ["invoices:read", "invoices:list", "invoices:write"] {
        caller.call("RoleService/CreatePermission", json!({"slug": slug})).await;
    }
    let acme = caller.call("OrganizationService/CreateOrganization", json!({"slug": "acme"})).await;
    let organization = text(&acme["organization"]["organizationId"]);
    let events = caller.events(&organization).await;
    (text(&events[0]["tenantId"]), organization)
}

fn policy(organization: &str, name: &str, text: &str) -> Value {
    json!({"policy": {"organizationId": organization, "name": name, "text": text}})
}

async fn put(caller: &Caller, organization: &str, name: &str, text: &str) -> Value {
    caller.call("PolicyService/PutPolicy", policy(organization, name, text)).await["policy"].clone()
}

async fn names(caller: &Caller, organization: &str, page_size: i32) -> Vec<String> {
    let request = json!({"organizationId": organization, "pageSize": page_size});
    let policies = caller.list("PolicyService/ListPolicies", request, "policies").await;
    policies.iter().map(|policy| text(&policy["name"])).collect()
}

/// Somebody with the role `accountant`, which may read invoices; the ids of user and membership.
async fn accountant(caller: &Caller, organization: &str) -> (String, String) {
    let role = json!({"slug": "accountant", "permissions": ["invoices:read"]});
    caller.call("RoleService/CreateRole", role).await;
    let member = json!({"email": "bo@example.com", "roles": ["accountant"]});
    let added =
        caller.call("MembershipService/AddMember", json!({"organizationId": organization, "member": member})).await;
    (text(&added["membership"]["userId"]), text(&added["membership"]["membershipId"]))
}

/// The texts of the examples in the service's documentation.
fn examples() -> Vec<String> {
    let contract = include_str!("../../proto/roster/v1/policy_service.proto");
    let lines: Vec<_> = contract.lines().map(|line| line.strip_prefix("//     ").unwrap_or_default()).collect();
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(|lines| lines.join("\n")).collect()
}

on_both_engines! {
    async fn a_policy_is_put_read_replaced_and_deleted(server) {
        let root = &server.root;
        let (tenant, organization) = found(root).await;
        for scope in ["", organization.as_str()] {
            let made = put(root, scope, "first", PERMIT).await;
            assert_eq!((&made["organizationId"], &made["effect"]), (&json!(scope), &json!("POLICY_EFFECT_PERMIT")));
            let one = json!({"organizationId": scope, "name": "first"});
            assert_eq!(root.call("PolicyService/GetPolicy", one.clone()).await["policy"], made);

            server.clock.advance(Duration::from_secs(1));
            let same = put(root, scope, "first", PERMIT).await;
            assert_eq!(same, made, "what changes nothing moves no time");
            let replaced = put(root, scope, "first", FORBID).await;
            assert_eq!(replaced["effect"], "POLICY_EFFECT_FORBID");
            assert_eq!(replaced["createTime"], made["createTime"]);
            assert_ne!((&replaced["etag"], &replaced["updateTime"]), (&made["etag"], &made["updateTime"]));
            let mut described = policy(scope, "first", FORBID);
            described["policy"]["description"] = json!("for all");
            let described = root.call("PolicyService/PutPolicy", described).await["policy"].clone();
            assert_eq!(root.call("PolicyService/GetPolicy", one.clone()).await["policy"], described);

            root.call("PolicyService/DeletePolicy", one.clone()).await;
            for method in ["PolicyService/GetPolicy", "PolicyService/DeletePolicy"] {
                assert_code(&root.refused(method, one.clone(), "POLICY_NOT_FOUND").await, Code::NotFound);
            }
            let stream = if scope.is_empty() { &tenant } else { &organization };
            let events = root.events(stream).await;
            let mine = events.iter().filter(|event| event["subject"]["kind"] == "policy");
            let told: Vec<_> = mine.map(|event| (text(&event["type"]), event["changedFields"].clone())).collect();
            let fields = |fields: &[&str]| json!(fields);
            assert_eq!(told, [
                ("policy.created".to_owned(), fields(&[])),
                ("policy.updated".to_owned(), fields(&["text", "effect"])),
                ("policy.updated".to_owned(), fields(&["description"])),
                ("policy.deleted".to_owned(), fields(&[])),
            ]);
            let deleted = &events.iter().rfind(|event| event["type"] == "policy.deleted").unwrap()["policyDeleted"];
            assert_eq!(deleted["before"], described);
        }
    }

    async fn an_etag_is_held_against_the_present_policy(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let mut first = policy(&organization, "p", PERMIT);
        first["policy"]["etag"] = json!("1");
        root.refused("PolicyService/PutPolicy", first, "ETAG_MISMATCH").await;
        let made = put(root, &organization, "p", PERMIT).await;
        let mut again = policy(&organization, "p", FORBID);
        again["policy"]["etag"] = made["etag"].clone();
        let changed = root.call("PolicyService/PutPolicy", again.clone()).await["policy"].clone();
        root.refused("PolicyService/PutPolicy", again, "ETAG_MISMATCH").await;
        let delete = |etag: &Value| json!({"organizationId": organization, "name": "p", "etag": etag});
        root.refused("PolicyService/DeletePolicy", delete(&made["etag"]), "ETAG_MISMATCH").await;
        root.call("PolicyService/DeletePolicy", delete(&changed["etag"])).await;
    }

    async fn policies_are_listed_by_name_where_they_are(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        for name in ["c", "a", "b"] {
            put(root, &organization, name, PERMIT).await;
        }
        put(root, "", "a", FORBID).await;
        for size in 1..=4 {
            assert_eq!(names(root, &organization, size).await, ["a", "b", "c"]);
            assert_eq!(names(root, "", size).await, ["a"]);
        }
        let of_tenant = root.call("PolicyService/GetPolicy", json!({"name": "a"})).await;
        assert_eq!(of_tenant["policy"]["effect"], "POLICY_EFFECT_FORBID");
        let stranger = server.stranger().await;
        assert_eq!(names(&stranger, "", 0).await, [""; 0]);
        stranger.refused("PolicyService/GetPolicy", json!({"name": "a"}), "POLICY_NOT_FOUND").await;
        let theirs = json!({"organizationId": organization, "name": "a"});
        for method in ["PolicyService/GetPolicy", "PolicyService/ListPolicies", "PolicyService/DeletePolicy"] {
            let mut request = theirs.clone();
            if method.ends_with("ListPolicies") {
                request.as_object_mut().unwrap().remove("name");
            }
            stranger.refused(method, request, "ORGANIZATION_NOT_FOUND").await;
        }
        let request = policy(&organization, "a", FORBID);
        stranger.refused("PolicyService/PutPolicy", request, "ORGANIZATION_NOT_FOUND").await;
        assert_eq!(names(root, &organization, 0).await, ["a", "b", "c"]);
    }

    async fn a_text_that_is_no_policy_is_refused_and_nothing_is_written(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let before = root.events(&organization).await.len();
        for bad in [
            "permit (principal, action, resource)",
            "permit (principal, action, resource); permit (principal, action, resource);",
            "permit (principal == ?principal, action, resource);",
            "permit (principal == Roster::Robot::\"x\", action, resource);",
            "permit (principal, action == Roster::Action::\"invoices:shred\", resource);",
            "permit (principal, action, resource) when { context has risk && context.risk == \"high\" };",
            "permit (principal, action, resource) when { context.mfa };",
            "permit (principal == Roster::Role::\"admin\", action, resource);",
        ] {
            let request = policy(&organization, "p", bad);
            let status = root.refused("PolicyService/PutPolicy", request, "INVALID_POLICY").await;
            assert_code(&status, Code::InvalidArgument);
            assert!(bad_fields(&status).iter().all(|field| field == "policy.text"), "{bad}");
            assert!(!bad_fields(&status).is_empty(), "{bad}");
            let answer = root.call("PolicyService/ValidatePolicy", json!({"text": bad})).await;
            assert_eq!(answer["valid"], false, "{bad}");
            assert_ne!(answer["errors"], json!([]), "{bad}");
        }
        let long = format!("{PERMIT}{}", " ".repeat(16_384));
        for bad in [long.as_str(), "permit\u{0} (principal, action, resource);", "\u{7f}", ""] {
            let status = root.refused("PolicyService/PutPolicy", policy(&organization, "p", bad), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["policy.text"]);
            let status = root.refused("PolicyService/ValidatePolicy", json!({"text": bad}), "INVALID_REQUEST").await;
            assert_eq!(bad_fields(&status), ["text"]);
        }
        assert_eq!(names(root, &organization, 0).await, [""; 0]);
        assert_eq!(root.events(&organization).await.len(), before);
        let just = format!("{PERMIT}{}", " ".repeat(16_384 - PERMIT.len()));
        put(root, &organization, "p", &just).await;
    }

    async fn a_refusal_says_where_and_arrives_however_much_is_wrong(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let bad = format!("{PERMIT}\n// é\nwhen");
        let answer = root.call("PolicyService/ValidatePolicy", json!({"text": bad})).await;
        assert_eq!(answer["errors"][0]["line"], 3, "{answer}");
        let unknown = "permit (principal, action,\n  resource) when { principal.age > 3 };";
        let answer = root.call("PolicyService/ValidatePolicy", json!({"text": unknown})).await;
        assert_eq!((&answer["errors"][0]["line"], &answer["errors"][0]["column"]), (&json!(2), &json!(20)), "{answer}");
        assert!(text(&answer["errors"][0]["message"]).contains("age"), "{answer}");
        assert_eq!(answer["effect"], "POLICY_EFFECT_PERMIT");
        let many: String = (0..90).map(|index| format!("Roster::Action::\"{}{index}\", ", "x".repeat(120))).collect();
        let many = format!("permit (principal, action in [{many}], resource) when {{ principal.age == 1 }};");
        let status = root.refused("PolicyService/PutPolicy", policy(&organization, "p", &many), "INVALID_POLICY").await;
        assert!(status.details().len() * 4 / 3 + status.message().len() < 8_192);
        assert_eq!(status.get_error_details().bad_request().unwrap().field_violations.len(), 8);
    }

    async fn the_documented_examples_are_valid(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let examples = examples();
        assert_eq!(examples.len(), 9);
        for (index, example) in examples.iter().enumerate() {
            let request = policy(&organization, &format!("example-{index}"), example);
            assert_eq!(root.call("PolicyService/PutPolicy", request).await["warnings"], json!([]), "{example}");
        }
    }

    async fn a_scope_has_100_policies_at_most(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        for scope in ["", organization.as_str()] {
            for index in 0..100 {
                put(root, scope, &format!("p{index}"), PERMIT).await;
            }
            let request = policy(scope, "one-more", PERMIT);
            let status = root.refused("PolicyService/PutPolicy", request.clone(), "LIMIT_REACHED").await;
            assert_code(&status, Code::FailedPrecondition);
            put(root, scope, "p7", FORBID).await;
            root.call("PolicyService/DeletePolicy", json!({"organizationId": scope, "name": "p8"})).await;
            root.call("PolicyService/PutPolicy", request).await;
        }
    }

    async fn a_permission_that_a_policy_names_stays(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let delete = || json!({"slug": "invoices:write"});
        let naming = r#"forbid (principal, action, resource) when { action == Roster::Action::"invoices:write" };"#;
        for scope in ["", organization.as_str()] {
            put(root, scope, "p", naming).await;
            root.refused("RoleService/DeletePermission", delete(), "PERMISSION_IN_USE").await;
            put(root, scope, "p", FORBID).await;
        }
        put(root, &organization, "p", naming).await;
        root.call("PolicyService/DeletePolicy", json!({"organizationId": organization, "name": "p"})).await;
        root.call("RoleService/DeletePermission", delete()).await;
        root.refused("PolicyService/PutPolicy", policy("", "p", naming), "INVALID_POLICY").await;
    }

    async fn a_policy_about_a_team_helps_nobody_when_the_team_is_gone(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let (bo, membership) = accountant(root, &organization).await;
        let made = root.call("TeamService/CreateTeam", json!({"organizationId": organization, "name": "t"})).await;
        let team = text(&made["team"]["teamId"]);
        let place = json!({"organizationId": organization, "teamId": team, "membershipId": membership});
        root.call("TeamService/AddTeamMember", place).await;
        let writes = format!(
            r#"permit (principal in Roster::Team::"{team}", action == Roster::Action::"invoices:write", resource);"#
        );
        put(root, &organization, "writers", &writes).await;
        let question = json!({"organizationId": organization, "userId": bo, "permission": "invoices:write"});
        let reason = async || text(&root.call("AuthorizationService/Check", question.clone()).await["reason"]);
        assert_eq!(reason().await, "CHECK_REASON_POLICY_PERMIT");
        root.call("TeamService/DeleteTeam", json!({"organizationId": organization, "teamId": team})).await;
        assert_eq!(reason().await, "CHECK_REASON_NO_PERMISSION");
    }

    async fn an_organization_that_is_being_deleted_takes_no_policies(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        put(root, &organization, "p", PERMIT).await;
        root.call("OrganizationService/DeleteOrganization", json!({"organizationId": organization})).await;
        let request = policy(&organization, "p", FORBID);
        root.refused("PolicyService/PutPolicy", request, "ORGANIZATION_DELETING").await;
        let request = json!({"organizationId": organization, "name": "p"});
        root.refused("PolicyService/DeletePolicy", request, "ORGANIZATION_DELETING").await;
    }

    async fn a_test_says_which_decisions_would_change(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let (bo, _) = accountant(root, &organization).await;
        let nobody = root.call("UserService/CreateUser", json!({"email": "no@example.com"})).await;
        put(root, &organization, "mfa", "forbid (principal, action, resource) unless { context has mfa && context.mfa };")
            .await;
        let reads = |context: Value| json!({"userId": bo, "permission": "invoices:read", "context": context});
        let requests = json!([
            reads(json!({"mfa": true})),
            reads(json!({})),
            {"userId": bo, "permission": "invoices:write", "context": {"mfa": true}},
            {"userId": nobody["user"]["userId"], "permission": "invoices:write", "context": {"mfa": true}},
            {"userId": bo, "permission": "invoices:list", "resource": {"type": "folder", "id": "x"},
                "context": {"mfa": true, "ip": "192.0.2.1", "risk": 50, "attributes": {"plan": "pro"}}},
        ]);
        let writes = r#"permit (principal in Roster::Role::"accountant", action == Roster::Action::"invoices:write", resource);"#;
        let risky = "forbid (principal, action, resource) when { context has risk && context.risk > 40 };";
        let changes = json!([
            {"delete": {"organizationId": organization, "name": "mfa"}},
            {"put": {"name": "writes", "text": writes}},
            {"put": {"organizationId": organization, "name": "risky", "text": risky}},
        ]);
        let request = json!({"organizationId": organization, "changes": changes, "requests": requests});
        let answer = root.call("PolicyService/TestPolicies", request.clone()).await;
        let told: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| {
            let reason = |answer: &Value| text(&answer["reason"]).replace("CHECK_REASON_", "");
            (reason(&result["now"]), reason(&result["then"]), result["changed"].as_bool().unwrap())
        }).collect();
        let told: Vec<_> = told.iter().map(|(now, then, changed)| (now.as_str(), then.as_str(), *changed)).collect();
        assert_eq!(told, [
            ("ROLE", "ROLE", false),
            ("POLICY_FORBID", "ROLE", true),
            ("NO_PERMISSION", "POLICY_PERMIT", true),
            ("NOT_A_MEMBER", "NOT_A_MEMBER", false),
            ("NO_PERMISSION", "POLICY_FORBID", true),
        ]);
        let counts = [&answer["changedCount"], &answer["newlyAllowedCount"], &answer["newlyDeniedCount"]];
        assert_eq!(counts, [&json!(3), &json!(2), &json!(0)]);
        assert_eq!(answer["results"][1]["then"]["allowed"], true);
        assert_eq!(names(root, &organization, 0).await, ["mfa"], "nothing was written");
        assert_eq!(names(root, "", 0).await, [""; 0]);
    }

    async fn a_test_that_cannot_be_made_is_refused(server) {
        let root = &server.root;
        let (_, organization) = found(root).await;
        let (bo, _) = accountant(root, &organization).await;
        let other = roster::ids::OrganizationId::generate().to_string();
        let test = |change: Value, permission: &str, context: Value| json!({
            "organizationId": organization, "changes": [change],
            "requests": [{"userId": bo, "permission": permission, "context": context}],
        });
        let fine = || json!({"put": {"name": "p", "text": PERMIT}});
        for (request, reason, fields) in [
            (test(json!({"delete": {"name": "p"}}), "invoices:read", json!({})), "POLICY_NOT_FOUND", &[][..]),
            (test(json!({"put": {"name": "p", "text": "permit"}}), "invoices:read", json!({})), "INVALID_POLICY",
                &["changes[0].put.text"]),
            (test(fine(), "invoices:shred", json!({})), "UNKNOWN_PERMISSION", &[]),
            (test(json!({}), "invoices:read", json!({})), "INVALID_REQUEST", &["changes[0].change"]),
            (test(json!({"put": {"organizationId": other, "name": "p", "text": PERMIT}}), "invoices:read", json!({})),
                "INVALID_REQUEST", &["changes[0].put.organization_id"]),
            (test(fine(), "invoices:read", json!({"ip": "192.0.2.0/24", "risk": 101, "attributes": {"": "x"}})),
                "INVALID_REQUEST",
                &["requests[0].context.ip", "requests[0].context.risk", "requests[0].context.attributes[] (the key)"]),
        ] {
            let status = root.refused("PolicyService/TestPolicies", request, reason).await;
            assert_eq!(bad_fields(&status), fields);
        }
        let attributes: serde_json::Map<_, _> = (0..51).map(|key| (format!("k{key}"), json!("v"))).collect();
        let request = test(fine(), "invoices:read", json!({"attributes": attributes}));
        let status = root.refused("PolicyService/TestPolicies", request, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["requests[0].context.attributes"]);
        let mut many = test(fine(), "invoices:read", json!({}));
        many["requests"] = json!(vec![many["requests"][0].clone(); 1_001]);
        many["changes"] = json!(vec![fine(); 101]);
        let status = root.refused("PolicyService/TestPolicies", many, "INVALID_REQUEST").await;
        assert_eq!(bad_fields(&status), ["changes", "requests"]);
    }
}
