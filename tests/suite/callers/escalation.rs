//! Nobody gives what they lack, by no policy, no default, no order and no replacement either.

use serde_json::{Value, json};

use super::{Acme, assert_lacks, join};
use crate::{
    in_a_house,
    support::{Caller, Engine, text},
    tokens::House,
};

/// A method, what it is asked for, and which permission whoever asks lacks.
type Attempt = (&'static str, Value, &'static str);

/// A policy about this permission, or about all of them. A forbid forbids in no circumstances that a test makes.
fn rule(effect: &str, permission: &str) -> String {
    let action = match permission {
        "*" => "action".to_owned(),
        permission => format!(r#"action == Roster::Action::"{permission}""#),
    };
    format!("{effect} (principal, {action}, resource) when {{ context has risk && context.risk > 99 }};")
}

fn put(scope: &str, name: &str, text: &str) -> Value {
    json!({"policy": {"organizationId": scope, "name": name, "text": text}})
}

/// Makes what the attempts are about: roles `weak`, `spare`, `strong` and `all`, and two forbids.
async fn prepare(root: &Caller, scope: &str, permission: &str) {
    let prefix = if scope.is_empty() { "" } else { "org-" };
    let roles = [("weak", json!([])), ("spare", json!([])), ("strong", json!([permission])), ("all", json!(["*"]))];
    for (slug, permissions) in roles {
        let role = json!({"organizationId": scope, "slug": format!("{prefix}{slug}"), "permissions": permissions});
        root.call("RoleService/CreateRole", role).await;
    }
    root.call("PolicyService/PutPolicy", put(scope, "no-one", &rule("forbid", permission))).await;
    root.call("PolicyService/PutPolicy", put(scope, "no-all", &rule("forbid", "*"))).await;
}

/// The present order of the roles, with the strong one as high as it may be.
async fn raised(root: &Caller, scope: &str) -> Vec<String> {
    let (holder, at) = match scope {
        "" => (root.call("TenantService/GetTenant", json!({})).await["tenant"].clone(), 1),
        id => (
            root.call("OrganizationService/GetOrganization", json!({"organizationId": id})).await["organization"]
                .clone(),
            0,
        ),
    };
    let mut order: Vec<String> = holder["rolePriority"].as_array().unwrap().iter().map(text).collect();
    let strong = order.iter().position(|slug| slug.ends_with("strong")).unwrap();
    let strong = order.remove(strong);
    order.insert(at, strong);
    order
}

/// Whatever gives this permission, of what [`prepare`] made.
async fn attempts(root: &Caller, scope: &str, permission: &'static str) -> Vec<Attempt> {
    let role = |slug: &str| if scope.is_empty() { slug.to_owned() } else { format!("org-{slug}") };
    let delete = |name: &str| json!({"organizationId": scope, "name": name});
    let replace =
        |slug: &str, with: String| json!({"organizationId": scope, "slug": role(slug), "replacementRole": with});
    vec![
        ("PolicyService/PutPolicy", put(scope, "new", &rule("permit", "*")), "*"),
        ("PolicyService/PutPolicy", put(scope, "new", &rule("permit", permission)), permission),
        // A forbid in the place of a wider one, and a permit in the place of a forbid.
        ("PolicyService/PutPolicy", put(scope, "no-all", &rule("forbid", permission)), "*"),
        ("PolicyService/PutPolicy", put(scope, "no-one", &rule("permit", "invoices:read")), permission),
        ("PolicyService/DeletePolicy", delete("no-one"), permission),
        ("RoleService/SetDefaultRole", json!({"organizationId": scope, "role": role("strong")}), permission),
        (
            "RoleService/SetRolePriority",
            json!({"organizationId": scope, "roles": raised(root, scope).await}),
            permission,
        ),
        ("RoleService/DeleteRole", replace("weak", role("strong")), permission),
        ("RoleService/DeleteRole", replace("spare", role("all")), "*"),
    ]
}

async fn assert_refused(acme: &Acme, caller: &Caller, attempts: &[Attempt]) {
    let tenant = text(&acme.root().call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"]);
    let written = async || [acme.root().events(&tenant).await.len(), acme.root().events(&acme.id).await.len()];
    let before = written().await;
    for (method, request, lacked) in attempts {
        let status = caller.refused(method, request.clone(), "MISSING_PERMISSION").await;
        assert_lacks(&status, lacked, &format!("{method} {request}"));
    }
    assert_eq!(written().await, before, "nothing was written");
}

async fn highest_counts(root: &Caller) {
    let tenant = root.call("TenantService/GetTenant", json!({})).await["tenant"]["tenantId"].clone();
    let mode = json!({"tenantId": tenant, "roleMode": "ROLE_MODE_HIGHEST_PRIORITY"});
    root.call("TenantService/UpdateTenant", json!({"tenant": mode, "updateMask": "roleMode"})).await;
}

in_a_house! {
    async fn an_admin_gives_no_more_than_an_admin_has(house) {
        let acme = Acme::build(house).await;
        let root = acme.root();
        highest_counts(root).await;
        let admin = join(&acme.house, &acme.id, "admin", "admin").await;
        prepare(root, &acme.id, "invoices:pay").await;
        let attempts = attempts(root, &acme.id, "invoices:pay").await;
        assert_refused(&acme, &admin.caller, &attempts).await;
        for (method, request, _) in attempts {
            acme.owner.caller.call(method, request).await;
        }
    }

    async fn a_service_gives_no_more_of_rosters_own_than_its_scopes_have(house) {
        let acme = Acme::build(house).await;
        let root = acme.root();
        highest_counts(root).await;
        let service = acme.house.server.caller(&["policies:*", "roles:*"]).await;
        for scope in ["", acme.id.as_str()] {
            prepare(root, scope, "members:write").await;
            let attempts = attempts(root, scope, "members:write").await;
            assert_refused(&acme, &service, &attempts).await;
            let whole = acme.house.server.caller(&["*"]).await;
            for (method, request, _) in attempts {
                whole.call(method, request).await;
            }
        }
    }
}
