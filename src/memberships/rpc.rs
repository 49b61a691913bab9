//! MembershipService.

use tonic::{Request, Response, Status};

use super::{Assignment, NewMember, Of, Origin, Person, Source, add::Added, wire};
use crate::{
    error::{Reason, Result, reason_name},
    fields::{Email, Fields, ordered},
    ids::{MembershipId, OrganizationId, UserId},
    memberships,
    proto::v1::{self as pb, add_member_result::Outcome, membership_service_server::MembershipService, new_member},
    service::Service,
};

/// How many members one call may add.
const BATCH_MAX: usize = 1_000;
/// How many roles, or teams, one call may name.
const NAMED_MAX: usize = 50;

#[tonic::async_trait]
impl MembershipService for Service {
    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> Result<Response<pb::AddMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let member = fields.within("member", |fields| read_member(fields, request.member.unwrap_or_default()));
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (added, revision) = self
            .write(ctx.tenant_id, async move |tx| memberships::add_member(&ctx, tx, organization_id, &member).await)
            .await?;
        Ok(Response::new(pb::AddMemberResponse {
            membership: Some((&added.membership).into()),
            user_created: added.user_created,
            revision,
        }))
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
            let member = read_member(&mut fields, member);
            fields.done().map(|()| member)
        };
        let members: Vec<_> = request.members.into_iter().map(read).collect();
        let (outcomes, revision) = self
            .write(ctx.tenant_id, async move |tx| memberships::add_all(&ctx, tx, organization_id, &members).await)
            .await?;
        Ok(Response::new(pb::BatchAddMembersResponse {
            results: outcomes.into_iter().map(add_member_result).collect(),
            revision,
        }))
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
        let status = wire::status(fields.choice_optional("status", request.status));
        let page = fields.page(request.page_size, &request.page_token, format!("memberships {of:?} {status:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| memberships::list(tx, ctx.tenant_id, of, status, &page).await).await?;
        Ok(Response::new(pb::ListMembershipsResponse {
            memberships: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
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
        let (membership, revision) = self
            .write(ctx.tenant_id, async move |tx| {
                memberships::assign_role(&ctx, tx, organization_id, id, &assignment).await
            })
            .await?;
        Ok(Response::new(pb::AssignRoleResponse { membership: Some((&membership).into()), revision }))
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
        let (membership, revision) = self
            .write(ctx.tenant_id, async move |tx| {
                memberships::revoke_role(&ctx, tx, organization_id, id, &assignment).await
            })
            .await?;
        Ok(Response::new(pb::RevokeRoleResponse { membership: Some((&membership).into()), revision }))
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
        let (membership, revision) = self
            .write(ctx.tenant_id, async move |tx| {
                memberships::set_roles(&ctx, tx, organization_id, id, &roles, &origin).await
            })
            .await?;
        Ok(Response::new(pb::SetRolesResponse { membership: Some((&membership).into()), revision }))
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
        let (membership, revision) = self
            .write(ctx.tenant_id, async move |tx| memberships::suspend(&ctx, tx, organization_id, id).await)
            .await?;
        Ok(Response::new(pb::SuspendMembershipResponse { membership: Some((&membership).into()), revision }))
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
        let (membership, revision) = self
            .write(ctx.tenant_id, async move |tx| memberships::reactivate(&ctx, tx, organization_id, id).await)
            .await?;
        Ok(Response::new(pb::ReactivateMembershipResponse { membership: Some((&membership).into()), revision }))
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
        let (membership, revision) =
            self.write(ctx.tenant_id, async move |tx| memberships::remove(&ctx, tx, organization_id, id).await).await?;
        Ok(Response::new(pb::RemoveMemberResponse { membership: Some((&membership).into()), revision }))
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

fn read_member(fields: &mut Fields, member: pb::NewMember) -> NewMember {
    fields.text("display_name", &member.display_name, 0..=200);
    fields.count("team_ids", member.team_ids.len(), 0..=NAMED_MAX);
    let teams = member.team_ids.iter().enumerate();
    let teams = teams.map(|(index, id)| fields.id(format!("team_ids[{index}]"), id)).collect();
    let person = match &member.person {
        Some(new_member::Person::UserId(id)) => read_person(fields, Some(id), None),
        Some(new_member::Person::Email(email)) => read_person(fields, None, Some(email)),
        None => read_person(fields, None, None),
    };
    NewMember {
        person,
        display_name: member.display_name,
        roles: fields.right_slugs("roles", member.roles, 0..=NAMED_MAX),
        teams: ordered(teams),
        origin: read_origin(fields, member.source, member.source_reference),
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

fn add_member_result(outcome: Result<Added, (Reason, String)>) -> pb::AddMemberResult {
    match outcome {
        Ok(added) => pb::AddMemberResult {
            user_created: added.user_created,
            outcome: Some(Outcome::Membership((&added.membership).into())),
        },
        Err((reason, message)) => pb::AddMemberResult {
            user_created: false,
            outcome: Some(Outcome::Error(pb::AddMemberError { reason: reason_name(reason).to_owned(), message })),
        },
    }
}
