//! The engine alone: decisions over a state made of events, without a call around them. Nanoseconds, by criterion; the
//! table of figures has them too, with their bars.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use roster::{
    cedar::Context,
    clock::Timestamp,
    decision::{Circumstances, Question, Replica, allows},
    ids::{GrantId, MembershipId, OrganizationId, TeamId, TenantId, UserId},
    proto::v1::{self as pb, event::Data, grant::Right, grant_principal::Kind},
};

/// Members of the organization.
const MEMBERS: usize = 10_000;
/// Permissions of the tenant, and how many of them one role has.
const PERMISSIONS: usize = 200;
/// What nobody has by a role.
const GRANTED: &str = "docs:sign";

/// A state, and whom to ask about.
struct House {
    replica: Replica,
    organization_id: OrganizationId,
    users: Vec<UserId>,
    sequence: (i64, i64),
}

impl House {
    fn tenant(&mut self, data: Data) {
        self.sequence.0 += 1;
        let event = pb::Event { sequence: self.sequence.0, data: Some(data), ..pb::Event::default() };
        self.replica.apply(&event).unwrap();
    }

    fn organization(&mut self, data: Data) {
        self.sequence.1 += 1;
        let organization_id = self.organization_id.to_string();
        let event = pb::Event { sequence: self.sequence.1, organization_id, data: Some(data), ..pb::Event::default() };
        self.replica.apply(&event).unwrap();
    }

    fn new() -> Self {
        let (replica, organization_id) = (Replica::new(TenantId::generate()), OrganizationId::generate());
        let mut house = Self { replica, organization_id, users: Vec::new(), sequence: (0, 0) };
        let slugs: Vec<String> = (0..PERMISSIONS).map(|number| format!("thing-{number}:read")).collect();
        for slug in slugs.iter().map(String::as_str).chain([GRANTED]) {
            let after = Some(pb::Permission { slug: slug.to_owned(), ..pb::Permission::default() });
            house.tenant(Data::PermissionCreated(pb::PermissionCreated { after }));
        }
        for (role, permissions) in
            [("member", &slugs[..50]), ("reader", &slugs[50..]), ("signer", &[GRANTED.to_owned()])]
        {
            let after = Some(pb::Role { slug: role.into(), permissions: permissions.to_vec(), ..pb::Role::default() });
            house.tenant(Data::RoleCreated(pb::RoleCreated { after }));
        }
        let after = pb::Organization { status: pb::OrganizationStatus::Active.into(), ..pb::Organization::default() };
        house.organization(Data::OrganizationCreated(pb::OrganizationCreated { after: Some(after) }));
        house.people();
        house
    }

    /// Everybody is in the lowest of four teams that stand below each other; the highest may sign what is in the highest
    /// of four resources.
    fn people(&mut self) {
        let teams: Vec<String> = (0..4).map(|_| TeamId::generate().to_string()).collect();
        for (depth, team_id) in teams.iter().enumerate() {
            let parent_team_id = if depth == 0 { String::new() } else { teams[depth - 1].clone() };
            let after = Some(pb::Team { team_id: team_id.clone(), parent_team_id, ..pb::Team::default() });
            self.organization(Data::TeamCreated(pb::TeamCreated { after }));
        }
        for _ in 0..MEMBERS {
            let (user_id, membership_id) = (UserId::generate(), MembershipId::generate().to_string());
            let role = |role: &str| pb::RoleAssignment { role: role.into(), ..pb::RoleAssignment::default() };
            let after = pb::Membership {
                membership_id: membership_id.clone(),
                user_id: user_id.to_string(),
                status: pb::MembershipStatus::Active.into(),
                roles: vec![role("member"), role("reader")],
                ..pb::Membership::default()
            };
            self.organization(Data::MembershipCreated(pb::MembershipCreated { after: Some(after) }));
            let after = pb::TeamMember { team_id: teams[3].clone(), membership_id, ..pb::TeamMember::default() };
            self.organization(Data::TeamMemberAdded(pb::TeamMemberAdded { after: Some(after) }));
            self.users.push(user_id);
        }
        let name = |depth: usize| pb::ResourceRef { r#type: "folder".into(), id: format!("depth/{depth}") };
        for depth in 0..4 {
            let parent = (depth > 0).then(|| name(depth - 1));
            let after = pb::Resource { resource: Some(name(depth)), parent, ..pb::Resource::default() };
            self.organization(Data::ResourceCreated(pb::ResourceCreated { after: Some(after) }));
        }
        let after = pb::Grant {
            grant_id: GrantId::generate().to_string(),
            principal: Some(pb::GrantPrincipal { kind: Some(Kind::TeamId(teams[0].clone())) }),
            resource: Some(name(0)),
            right: Some(Right::Role("signer".into())),
            ..pb::Grant::default()
        };
        self.organization(Data::GrantCreated(pb::GrantCreated { after: Some(after) }));
    }

    fn ask(&self, number: usize, permission: &str, resource: Option<(&str, &str)>) -> bool {
        let context = Context::default();
        let circumstances = Circumstances { now: Timestamp(1), context: &context };
        let user_id = Some(self.users[number * 7_919 % MEMBERS].uuid());
        let question = Question { user_id, permission, resource, circumstances };
        allows(self.replica.check(self.organization_id, &question).unwrap())
    }
}

fn decisions(criterion: &mut Criterion) {
    let house = House::new();
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    criterion.bench_function("decision by role", |bencher| {
        bencher.iter(|| assert!(house.ask(next(), black_box("thing-120:read"), None)));
    });
    criterion.bench_function("decision by grant", |bencher| {
        bencher.iter(|| assert!(house.ask(next(), black_box(GRANTED), black_box(Some(("folder", "depth/3"))))));
    });
    criterion.bench_function("denied: neither role nor grant", |bencher| {
        bencher.iter(|| assert!(!house.ask(next(), black_box(GRANTED), black_box(Some(("folder", "elsewhere"))))));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
