//! MembershipService.

use tonic::{Request, Response, Status};

use super::{
    Assignment, Filter, Kind, NewMember, Of, Origin, Person, Source, Standing, Update, Whose, add::Added, wire,
};
use crate::{
    auth::{Caller, Who},
    authority::Authority,
    context::Ctx,
    error::{Reason, Result, reason_name},
    fields::{Email, Fields, Mask, ordered},
    ids::{MembershipId, OrganizationId, UserId},
    invitations::read_terms,
    mail::Templates,
    memberships,
    proto::v1::{
        self as pb, MembershipKind, add_member_result::Outcome, membership_service_server::MembershipService,
        new_member,
    },
    service::Service,
};

/// How many members one call may add.
const BATCH_MAX: usize = 1_000;
/// How many roles, or teams, one call may name.
const NAMED_MAX: usize = 50;
/// How many characters say how somebody signed in: as many as an issuer has.
const VIA_MAX: usize = 500;
/// What UpdateMembership changes.
const UPDATABLE: [&str; 4] = ["kind", "metadata", "review_time", "end_time"];

#[tonic::async_trait]
impl MembershipService for Service {
    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> Result<Response<pb::AddMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let member =
            fields.within("member", |fields| read_member(fields, &self.templates, request.member.unwrap_or_default()));
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::add_member(ctx, tx, organization_id, &member).await,
            |added, revision| pb::AddMemberResponse {
                membership: Some((&added.membership).into()),
                user_created: added.user_created,
                revision,
                invitation_id: invitation_id(&added),
            },
        )
        .await
    }

    async fn batch_add_members(
        &self,
        request: Request<pb::BatchAddMembersRequest>,
    ) -> Result<Response<pb::BatchAddMembersResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        fields.count("members", request.members.len(), 1..=BATCH_MAX);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let read = |member| {
            let mut fields = Fields::new();
            let member = read_member(&mut fields, &self.templates, member);
            fields.done().map(|()| member)
        };
        let members: Vec<_> = request.members.into_iter().map(read).collect();
        self.write(
            ctx,
            async move |ctx, tx| memberships::add_all(ctx, tx, organization_id, &members).await,
            |outcomes, revision| pb::BatchAddMembersResponse {
                results: outcomes.into_iter().map(add_member_result).collect(),
                revision,
            },
        )
        .await
    }

    async fn get_membership(
        &self,
        request: Request<pb::GetMembershipRequest>,
    ) -> Result<Response<pb::GetMembershipResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        fields.done()?;
        let membership =
            self.read(async move |tx| memberships::get(tx, ctx.tenant_id, organization_id, id).await).await?;
        Ok(Response::new(pb::GetMembershipResponse { membership: Some((&membership).into()) }))
    }

    async fn list_memberships(
        &self,
        request: Request<pb::ListMembershipsRequest>,
    ) -> Result<Response<pb::ListMembershipsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let of = read_of(&mut fields, &request.organization_id, &request.user_id);
        let filter = Filter {
            status: wire::status(fields.choice_optional("status", request.status)),
            kind: wire::kind(fields.choice_optional("kind", request.kind)),
        };
        let page = fields.page(request.page_size, &request.page_token, format!("memberships {of:?} {filter:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| memberships::list(tx, ctx.tenant_id, of, filter, &page).await).await?;
        Ok(Response::new(pb::ListMembershipsResponse {
            memberships: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_membership(
        &self,
        request: Request<pb::UpdateMembershipRequest>,
    ) -> Result<Response<pb::UpdateMembershipResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let membership = request.membership.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &UPDATABLE);
        let input = fields.within("membership", |fields| read_update(fields, membership, &mask));
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::update(ctx, tx, &input).await,
            |membership, revision| pb::UpdateMembershipResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn assign_role(
        &self,
        request: Request<pb::AssignRoleRequest>,
    ) -> Result<Response<pb::AssignRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        let assignment = read_assignment(&mut fields, request.role, request.source, request.source_reference);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::assign_role(ctx, tx, organization_id, id, &assignment).await,
            |membership, revision| pb::AssignRoleResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn revoke_role(
        &self,
        request: Request<pb::RevokeRoleRequest>,
    ) -> Result<Response<pb::RevokeRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        let assignment = read_assignment(&mut fields, request.role, request.source, request.source_reference);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::revoke_role(ctx, tx, organization_id, id, &assignment).await,
            |membership, revision| pb::RevokeRoleResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn set_roles(&self, request: Request<pb::SetRolesRequest>) -> Result<Response<pb::SetRolesResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        let least = usize::from(request.source == 0);
        let roles = fields.right_slugs("roles", request.roles, least..=NAMED_MAX);
        let origin = read_origin(&mut fields, request.source, request.source_reference);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::set_roles(ctx, tx, organization_id, id, &roles, &origin).await,
            |membership, revision| pb::SetRolesResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn activate_membership(
        &self,
        request: Request<pb::ActivateMembershipRequest>,
    ) -> Result<Response<pb::ActivateMembershipResponse>, Status> {
        let caller = self.caller(&request)?;
        let (issuer, verified) = (issuer_of(&caller), caller.who.verified_email().cloned());
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let whose = read_whose(&mut fields, &ctx, &request.organization_id, &request.membership_id);
        fields.text("authenticated_via", &request.authenticated_via, 0..=VIA_MAX);
        if issuer.is_some() && !request.authenticated_via.is_empty() {
            fields.wrong("authenticated_via", "of a user it is the issuer of their token");
        }
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let via = issuer.unwrap_or(request.authenticated_via);
        self.write(
            ctx,
            async move |ctx, tx| memberships::activate_membership(ctx, tx, whose, &via, verified.as_ref()).await,
            |membership, revision| pb::ActivateMembershipResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn suspend_membership(
        &self,
        request: Request<pb::SuspendMembershipRequest>,
    ) -> Result<Response<pb::SuspendMembershipResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::suspend(ctx, tx, organization_id, id).await,
            |membership, revision| pb::SuspendMembershipResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn reactivate_membership(
        &self,
        request: Request<pb::ReactivateMembershipRequest>,
    ) -> Result<Response<pb::ReactivateMembershipResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::reactivate(ctx, tx, organization_id, id).await,
            |membership, revision| pb::ReactivateMembershipResponse {
                membership: Some((&membership).into()),
                revision,
            },
        )
        .await
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::RemoveMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.membership_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::remove(ctx, tx, organization_id, id).await,
            |membership, revision| pb::RemoveMemberResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }

    async fn leave(&self, request: Request<pb::LeaveRequest>) -> Result<Response<pb::LeaveResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let whose = read_whose(&mut fields, &ctx, &request.organization_id, &request.membership_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| memberships::leave(ctx, tx, whose).await,
            |membership, revision| pb::LeaveResponse { membership: Some((&membership).into()), revision },
        )
        .await
    }
}

/// The issuer of a user's token.
fn issuer_of(caller: &Caller) -> Option<String> {
    match &caller.who {
        Who::User(_, token) => Some(token.account.identity.issuer.clone()),
        Who::Key(_) | Who::Service(_) => None,
    }
}

/// A service says which membership; a user has one.
fn read_whose(fields: &mut Fields, ctx: &Ctx, organization_id: &str, membership_id: &str) -> Whose {
    let id = match ctx.authority {
        Authority::Oneself(_) => fields.id_optional("membership_id", membership_id),
        _ => Some(fields.id("membership_id", membership_id)),
    };
    Whose { organization_id: fields.id("organization_id", organization_id), id }
}

fn read_update(fields: &mut Fields, membership: pb::Membership, mask: &Mask) -> Update {
    let (organization_id, id) = read_ids(fields, &membership.organization_id, &membership.membership_id);
    let kind: Option<MembershipKind> = mask.take("kind", membership.kind).map(|kind| fields.choice("kind", kind));
    let metadata = mask.take("metadata", membership.metadata);
    Update {
        organization_id,
        id,
        etag: membership.etag,
        kind: wire::kind(kind),
        metadata: metadata.inspect(|entries| fields.metadata("metadata", entries)),
        review_at: mask.take("review_time", membership.review_time).map(|at| fields.time("review_time", at.as_ref())),
        ends_at: mask.take("end_time", membership.end_time).map(|at| fields.time("end_time", at.as_ref())),
    }
}

fn read_ids(fields: &mut Fields, organization_id: &str, membership_id: &str) -> (OrganizationId, MembershipId) {
    (fields.id("organization_id", organization_id), fields.id("membership_id", membership_id))
}

fn read_of(fields: &mut Fields, organization_id: &str, user_id: &str) -> Of {
    let organization: Option<OrganizationId> = fields.id_optional("organization_id", organization_id);
    let user: Option<UserId> = fields.id_optional("user_id", user_id);
    match (organization, user) {
        (Some(organization), Some(user)) => Of::Both(organization, user),
        (None, Some(user)) => Of::User(user),
        (Some(organization), None) => Of::Organization(organization),
        (None, None) => {
            if organization_id.is_empty() && user_id.is_empty() {
                fields.wrong("organization_id", "required: organization_id or user_id");
            }
            Of::Organization(OrganizationId::from_uuid(uuid::Uuid::nil()))
        }
    }
}

fn read_member(fields: &mut Fields, templates: &Templates, member: pb::NewMember) -> NewMember {
    fields.text("display_name", &member.display_name, 0..=200);
    fields.count("team_ids", member.team_ids.len(), 0..=NAMED_MAX);
    let teams = member.team_ids.iter().enumerate();
    let teams = teams.map(|(index, id)| fields.id(format!("team_ids[{index}]"), id)).collect();
    let person = match &member.person {
        Some(new_member::Person::UserId(id)) => read_person(fields, Some(id), None),
        Some(new_member::Person::Email(email)) => read_person(fields, None, Some(email)),
        None => read_person(fields, None, None),
    };
    let (standing, invite) = match member.standing {
        Some(new_member::Standing::Invite(invite)) => {
            (Standing::Invited, Some(fields.within("invite", |fields| read_terms(fields, templates, invite))))
        }
        Some(new_member::Standing::PreProvision(_)) => (Standing::PreProvisioned, None),
        None => (Standing::Active, None),
    };
    fields.metadata("metadata", &member.metadata);
    fields.text("authenticated_via", &member.authenticated_via, 0..=VIA_MAX);
    if standing != Standing::Active && !member.authenticated_via.is_empty() {
        fields.wrong("authenticated_via", "only of one who begins ACTIVE");
    }
    NewMember {
        person,
        display_name: member.display_name,
        roles: fields.right_slugs("roles", member.roles, 0..=NAMED_MAX),
        teams: ordered(teams),
        origin: read_origin(fields, member.source, member.source_reference),
        standing,
        kind: wire::kind(fields.choice_optional("kind", member.kind)).unwrap_or(Kind::Member),
        review_at: fields.time("review_time", member.review_time.as_ref()),
        ends_at: fields.time("end_time", member.end_time.as_ref()),
        metadata: member.metadata,
        authenticated_via: member.authenticated_via,
        invite,
    }
}

fn read_assignment(fields: &mut Fields, role: String, source: i32, reference: String) -> Assignment {
    fields.right_slug("role", &role);
    Assignment { role, origin: read_origin(fields, source, reference) }
}

fn read_origin(fields: &mut Fields, source: i32, reference: String) -> Origin {
    fields.text("source_reference", &reference, 0..=128);
    Origin { source: wire::source(fields.choice_optional("source", source)).unwrap_or(Source::Api), reference }
}

/// Reads who a person is: a user id or an e-mail address.
pub fn read_person(fields: &mut Fields, user_id: Option<&str>, email: Option<&str>) -> Person {
    match (user_id, email) {
        (Some(id), _) => Person::User(fields.id("user_id", id)),
        (None, Some(email)) => Person::Email(fields.email("email", email)),
        (None, None) => {
            fields.wrong("person", "required: user_id or email");
            Person::Email(Email { original: String::new(), key: String::new() })
        }
    }
}

fn invitation_id(added: &Added) -> String {
    added.invitation_id.map(|id| id.to_string()).unwrap_or_default()
}

fn add_member_result(outcome: Result<Added, (Reason, String)>) -> pb::AddMemberResult {
    match outcome {
        Ok(added) => pb::AddMemberResult {
            user_created: added.user_created,
            invitation_id: invitation_id(&added),
            outcome: Some(Outcome::Membership((&added.membership).into())),
        },
        Err((reason, message)) => pb::AddMemberResult {
            outcome: Some(Outcome::Error(pb::AddMemberError { reason: reason_name(reason).to_owned(), message })),
            ..pb::AddMemberResult::default()
        },
    }
}
