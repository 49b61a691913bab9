//! What policies mean, one rule of the model after the other.

use std::collections::BTreeSet;

use super::*;
use crate::{
    clock::Timestamp,
    ids::{MembershipId, OrganizationId, TeamId, UserId},
};

/// 2026-01-31T09:30:00.123456Z
const NOW: Timestamp = Timestamp(1_769_851_800_123_456);

/// A question that tests change.
struct Asked {
    user_id: UserId,
    membership_id: MembershipId,
    organization_id: OrganizationId,
    teams: Vec<TeamId>,
    roles: Vec<&'static str>,
    permission: &'static str,
    resource: Option<(&'static str, &'static str)>,
    ancestors: Vec<(&'static str, &'static str)>,
    context: Context,
}

impl Asked {
    fn new() -> Self {
        Self {
            user_id: UserId::generate(),
            membership_id: MembershipId::generate(),
            organization_id: OrganizationId::generate(),
            teams: Vec::new(),
            roles: vec!["member", "admin"],
            permission: "invoices:read",
            resource: None,
            ancestors: Vec::new(),
            context: Context::default(),
        }
    }

    fn on(resource: (&'static str, &'static str), ancestors: &[(&'static str, &'static str)]) -> Self {
        Self { resource: Some(resource), ancestors: ancestors.to_vec(), ..Self::new() }
    }

    fn put_to(&self, set: &Compiled) -> Verdict {
        set.evaluate(&Facts {
            user_id: self.user_id,
            membership_id: self.membership_id,
            roles: &self.roles,
            teams: &self.teams,
            permission: self.permission,
            organization_id: self.organization_id,
            resource: self.resource,
            ancestors: &self.ancestors,
            context: &self.context,
            now: NOW,
        })
    }

    /// Whether a policy that is alone, and must be valid, matches.
    fn matches(&self, text: &str) -> bool {
        let checked = check(text);
        assert_eq!(checked.errors, [], "{text}");
        match self.put_to(&set(&[("p", text)])) {
            Verdict::Forbid(names) | Verdict::Permit(names) => {
                assert_eq!(names, ["p".into()]);
                true
            }
            Verdict::Neither => false,
        }
    }
}

fn set(policies: &[(&str, &str)]) -> Compiled {
    Compiled::new(policies.iter().map(|(name, text)| Source { name, effect: None, text }))
}

/// What the validator says, in a tenant with two permissions.
fn check(text: &str) -> Checked {
    let known = BTreeSet::from(["invoices:read".to_owned(), "invoices:write".to_owned()]);
    match Text::parse(text) {
        Ok(text) => text.check(&text.permissions.intersection(&known).cloned().collect()).unwrap(),
        Err(errors) => Checked { errors, warnings: Vec::new() },
    }
}

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

const ANYTHING: &str = "permit (principal, action, resource);";
const NOTHING: &str = "forbid (principal, action, resource);";

#[test]
fn a_forbid_vetoes_a_permit_allows_and_each_is_named() {
    let asked = Asked::new();
    assert_eq!(asked.put_to(&Compiled::default()), Verdict::Neither);
    assert_eq!(asked.put_to(&set(&[("b", ANYTHING), ("a", ANYTHING)])), Verdict::Permit(names(&["a", "b"])));
    let both = set(&[("b", ANYTHING), ("n", NOTHING), ("m", NOTHING)]);
    assert_eq!(asked.put_to(&both), Verdict::Forbid(names(&["m", "n"])));
    assert_eq!(both.len(), 3);
}

#[test]
fn a_policy_is_asked_about_its_permissions_alone() {
    let scoped = [
        ("all", ANYTHING),
        ("one", r#"permit (principal, action == Roster::Action::"invoices:read", resource);"#),
        (
            "two",
            r#"permit (principal, action in [Roster::Action::"invoices:read", Roster::Action::"invoices:write"], resource);"#,
        ),
        ("some", r#"permit (principal, action, resource) when { action == Roster::Action::"invoices:write" };"#),
    ];
    let asks = |permission| Asked { permission, ..Asked::new() }.put_to(&set(&scoped));
    assert_eq!(asks("invoices:read"), Verdict::Permit(names(&["all", "one", "two"])));
    assert_eq!(asks("invoices:write"), Verdict::Permit(names(&["all", "some", "two"])));
    assert_eq!(asks("other"), Verdict::Permit(names(&["all"])));
    let one = set(&scoped[1..2]);
    assert!(one.concerns("invoices:read") && !one.concerns("invoices:write") && !one.is_empty());
    assert_eq!(Asked { permission: "invoices:write", ..Asked::new() }.put_to(&one), Verdict::Neither);
}

#[test]
fn the_principal_is_in_its_roles_and_teams() {
    let mut asked = Asked::new();
    assert!(asked.matches(r#"permit (principal in Roster::Role::"admin", action, resource);"#));
    assert!(!asked.matches(r#"permit (principal in Roster::Role::"owner", action, resource);"#));
    let team = TeamId::generate();
    let text = format!(r#"permit (principal is Roster::User in Roster::Team::"{team}", action, resource);"#);
    assert!(!asked.matches(&text));
    asked.teams = vec![TeamId::generate(), team];
    assert!(asked.matches(&text));
    let either = format!(
        r#"forbid (principal, action, resource)
        when {{ principal in [Roster::Team::"{team}"] || principal in Roster::Role::"guest" }};"#
    );
    assert!(asked.matches(&either));
    asked.teams.clear();
    assert!(!asked.matches(&either));
    asked.roles = vec!["guest"];
    assert!(asked.matches(&either));
}

#[test]
fn the_principal_is_one_user_with_one_membership() {
    let asked = Asked::new();
    let (user, membership) = (asked.user_id, asked.membership_id);
    let by_user = format!(r#"permit (principal == Roster::User::"{user}", action, resource);"#);
    let by_membership =
        format!(r#"permit (principal, action, resource) when {{ principal.membership == "{membership}" }};"#);
    for text in [&by_user, &by_membership] {
        assert!(asked.matches(text), "{text}");
        assert!(!Asked::new().matches(text), "{text}");
    }
}

#[test]
fn a_resource_is_in_what_is_above_it_and_in_its_organization() {
    let asked = Asked::on(("doc", "a/b"), &[("folder", "f"), ("folder", "root")]);
    let organization = asked.organization_id;
    let scope = |resource: &str| format!("permit (principal, action, {resource});");
    for matching in [
        r#"resource == Roster::Resource::"doc/a/b""#.to_owned(),
        r#"resource in Roster::Resource::"doc/a/b""#.to_owned(),
        r#"resource in Roster::Resource::"folder/f""#.to_owned(),
        r#"resource is Roster::Resource in Roster::Resource::"folder/root""#.to_owned(),
        format!(r#"resource in Roster::Organization::"{organization}""#),
        "resource is Roster::Resource".to_owned(),
    ] {
        assert!(asked.matches(&scope(&matching)), "{matching}");
    }
    for other in [
        r#"resource == Roster::Resource::"folder/f""#.to_owned(),
        r#"resource in Roster::Resource::"folder/g""#.to_owned(),
        format!(r#"resource in Roster::Organization::"{}""#, OrganizationId::generate()),
        "resource is Roster::Organization".to_owned(),
    ] {
        assert!(!asked.matches(&scope(&other)), "{other}");
    }
    let by_attributes = r#"permit (principal, action, resource is Roster::Resource)
        when { resource.type == "doc" && resource.id like "a/*" };"#;
    assert!(asked.matches(by_attributes));
    assert!(!Asked::on(("doc", "b"), &[]).matches(by_attributes));
    assert!(!Asked::new().matches(by_attributes));
}

#[test]
fn without_a_resource_it_is_the_organization() {
    let asked = Asked::new();
    let named =
        format!(r#"permit (principal, action, resource == Roster::Organization::"{}");"#, asked.organization_id);
    assert!(asked.matches(&named));
    assert!(!Asked::new().matches(&named));
    assert!(asked.matches("permit (principal, action, resource is Roster::Organization);"));
    assert!(!asked.matches("permit (principal, action, resource is Roster::Resource);"));
}

/// Whether `permit … when { … }` matches in this context.
fn holds(condition: &str, context: Context) -> bool {
    Asked { context, ..Asked::new() }.matches(&format!("permit (principal, action, resource) when {{ {condition} }};"))
}

#[test]
fn the_context_is_what_the_caller_says() {
    let said = || Context {
        mfa: Some(true),
        ip: Some("::ffff:192.0.2.7".parse().unwrap()),
        risk: Some(30),
        delegated_by: Some("support \"x\"".into()),
        attributes: [("plan".to_owned(), "pro".to_owned())].into(),
    };
    for condition in [
        "context has mfa && context.mfa",
        r#"context has ip && context.ip == ip("192.0.2.7") && context.ip.isIpv4()"#,
        r#"context has ip && context.ip.isInRange(ip("192.0.2.0/24"))"#,
        "context has risk && context.risk <= 30",
        r#"context has delegated_by && context.delegated_by == "support \"x\"""#,
        r#"context.attributes.hasTag("plan") && context.attributes.getTag("plan") == "pro""#,
        r#"context has "m\u{66}a" && context["mf\u{61}"]"#,
        "{c: context}.c has risk && {c: context}.c.risk == 30",
        "context == context && context has risk",
    ] {
        assert!(holds(condition, said()), "{condition}");
        assert!(!holds(condition, Context::default()), "{condition}");
    }
    assert!(!holds("context has mfa && context.mfa", Context { mfa: Some(false), ..said() }));
    assert!(holds(r#"!(context has ip) && !(context has risk) && !(context has delegated_by)"#, Context::default()));
    let ip = |text: &str| Context { ip: Some(text.parse().unwrap()), ..Context::default() };
    assert!(holds(r#"context has ip && context.ip.isInRange(ip("2001:db8::/32"))"#, ip("2001:db8::1")));
}

#[test]
fn the_time_is_that_of_the_decision() {
    for (condition, expected) in [
        (r#"context.time == datetime("2026-01-31T09:30:00.123Z")"#, true),
        (r#"context.time < datetime("2026-01-31T09:30:00.124Z")"#, true),
        (r#"context.time.toTime() >= duration("10h")"#, false),
        ("context has time", true),
    ] {
        assert_eq!(holds(condition, Context::default()), expected, "{condition}");
    }
}

#[test]
fn what_fails_while_it_is_evaluated_is_on_the_safe_side() {
    let fails = r#"when { 9223372036854775807 + (if context has risk then context.risk else 1) > 0 };"#;
    let permit = format!("permit (principal, action, resource) {fails}");
    let forbid = format!("forbid (principal, action, resource) {fails}");
    assert_eq!(check(&forbid).errors, []);
    let asked = Asked::new();
    assert_eq!(asked.put_to(&set(&[("p", &permit)])), Verdict::Neither);
    assert_eq!(asked.put_to(&set(&[("p", &permit), ("a", ANYTHING)])), Verdict::Permit(names(&["a"])));
    assert_eq!(asked.put_to(&set(&[("f", &forbid), ("a", ANYTHING)])), Verdict::Forbid(names(&["f"])));
    assert_eq!(asked.put_to(&set(&[("f", &forbid), ("n", NOTHING)])), Verdict::Forbid(names(&["f", "n"])));
    let risk = Context { risk: Some(0), ..Context::default() };
    assert_eq!(Asked { context: risk, ..asked }.put_to(&set(&[("p", &permit)])), Verdict::Permit(names(&["p"])));
}

#[test]
fn what_cannot_be_read_any_more_vetoes_unless_it_permits() {
    let source = |effect| Source { name: "old", effect, text: "prohibit (principal, action, resource);" };
    let asks = |effect| {
        let set = Compiled::new([source(effect), Source { name: "a", effect: None, text: ANYTHING }]);
        assert!(set.concerns("invoices:read"));
        Asked::new().put_to(&set)
    };
    assert_eq!(asks(None), Verdict::Forbid(names(&["old"])));
    assert_eq!(asks(Some(Effect::Forbid)), Verdict::Forbid(names(&["old"])));
    assert_eq!(asks(Some(Effect::Permit)), Verdict::Permit(names(&["a"])));
}

#[test]
fn a_set_changes_into_another() {
    let asked = Asked::new();
    let before = set(&[("a", ANYTHING), ("n", NOTHING)]);
    let source = |name, text| Source { name, effect: None, text };
    let after = before.with_changes([Change::Delete("n"), Change::Put(source("b", ANYTHING)), Change::Delete("x")]);
    assert_eq!(asked.put_to(&after), Verdict::Permit(names(&["a", "b"])));
    assert_eq!(asked.put_to(&before), Verdict::Forbid(names(&["n"])), "the set itself stays");
    let replaced = after.with_changes([Change::Put(source("a", NOTHING))]);
    assert_eq!(asked.put_to(&replaced), Verdict::Forbid(names(&["a"])));
    assert!(replaced.contains("b") && !replaced.contains("n"));
    assert!(after.with_changes([Change::Delete("a"), Change::Delete("b")]).is_empty());
}

#[test]
fn a_text_is_exactly_one_valid_policy() {
    for text in [
        "",
        "permit",
        "permit (principal, action, resource)",
        "permit (principal, action, resource); forbid (principal, action, resource);",
        "permit (principal == ?principal, action, resource);",
        "permit (principal in User::\"x\", action, resource);",
        "permit (principal, action == Roster::Action::\"invoices:shred\", resource);",
        "permit (principal, action == Roster::Action::\"*\", resource);",
        "permit (principal, action, resource) when { action == Roster::Action::\"invoices:shred\" };",
        "permit (principal == Roster::Role::\"admin\", action, resource);",
        "permit (principal, action, resource == Roster::Team::\"team_01h455vb4pex5vsknk084sn02q\");",
        "permit (principal, action, resource) when { false };",
        "permit (principal, action, resource) when { context.mfa };",
        "permit (principal, action, resource) when { resource.type == \"doc\" };",
        "permit (principal, action, resource) when { context has mfa && context.mfa == \"yes\" };",
        "permit (principal, action, resource) when { context.attributes.getTag(\"plan\") == \"pro\" };",
        "permit (principal, action, resource) when { context.ip.isInRange(ip(\"nowhere\")) };",
        "permit (principal in Roster::Team::\"sales\", action, resource);",
        "permit (principal in Roster::Role::\"Sales\", action, resource);",
        "permit (principal, action, resource in Roster::Resource::\"doc\");",
        "permit (principal, action, resource in Roster::Organization::\"acme\");",
        "permit (principal == Roster::User::\"ada\", action, resource);",
        "permit (principal, action, resource) when { principal.age > 3 };",
    ] {
        assert_ne!(check(text).errors, [], "{text}");
    }
    let disguised = check(
        "permit (principal, action, resource) when { context has delegated_by && context.delegated_by == \"p\u{430}yroll\" };",
    );
    assert_eq!((disguised.errors.len(), disguised.warnings.len()), (0, 1), "{disguised:?}");
}

#[test]
fn a_message_says_where() {
    let found = check("// é\npermit (principal, action, resource)\nwhen { \"é\" == \"é\" && context.mfa };");
    let [message] = &found.errors[..] else { panic!("{found:?}") };
    assert_eq!((message.line, message.column), (3, 22), "{message:?}");
    assert!(message.message.contains("mfa") && !message.message.contains("Action"), "{message:?}");
    let found = check("permit (principal, action, resource) when { 1 = 1 };");
    assert_eq!((found.errors[0].line, found.errors[0].column), (1, 45), "{found:?}");
}

/// Worker threads of the service have 2 MiB of stack; this build's frames are larger than a release's.
#[test]
fn no_text_overflows_the_stack() {
    let small = || {
        let around = |open: &str, inner: &str, close: &str, count: usize| {
            format!(
                "forbid (principal, action, resource) when {{ {}{inner}{} }};",
                open.repeat(count),
                close.repeat(count)
            )
        };
        for count in [20, 30, 300, 950, 16_000] {
            for text in [
                around("(", "true", ")", count),
                around("[", "1", "]", count),
                around("!(", "true", ")", count),
                around("{a: ", "1", "}", count),
                around("ip(", "\"x\"", ")", count),
                around("if true then ", "true", " else false", count),
                around("!", "true", "", count),
                around("-", "1", "", count),
                around("", "1 == 1", "+1", count),
                around("", "true", "&&true", count),
                around("", "true", "||true", count),
                around("", "context", ".a", count),
                around("", "context", "[\"a\"]", count),
                around("", "context has a", ".a", count),
                around("", "true", "}when{true", count),
                around("", "[", "1,", count),
                "(".repeat(count),
                "@a(\"x\")".repeat(count) + ANYTHING,
                "a::".repeat(count),
            ] {
                let set = set(&[("p", &text)]);
                let _ = (check(&text), Asked::new().put_to(&set));
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(small).unwrap().join().unwrap();
}
