//! TeamService.

use tonic::{Request, Response, Status};

use super::{Create, Place, Update};
use crate::{
    error::Result,
    fields::Fields,
    ids::{OrganizationId, TeamId},
    proto::v1::{self as pb, TeamMemberRole, team_service_server::TeamService},
    service::Service,
    teams,
};

#[tonic::async_trait]
impl TeamService for Service {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::CreateTeamResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.text("name", &request.name, 1..=100);
        fields.text("description", &request.description, 0..=500);
        let input = Create {
            organization_id: fields.id("organization_id", &request.organization_id),
            parent_id: fields.id_optional("parent_team_id", &request.parent_team_id),
            name: request.name,
            description: request.description,
        };
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::create(ctx, tx, &input).await,
            |team, revision| pb::CreateTeamResponse { team: Some((&team).into()), revision },
        )
        .await
    }

    async fn get_team(&self, request: Request<pb::GetTeamRequest>) -> Result<Response<pb::GetTeamResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        fields.done()?;
        let team = self.read(async move |tx| teams::get(tx, ctx.tenant_id, organization_id, id).await).await?;
        Ok(Response::new(pb::GetTeamResponse { team: Some((&team).into()) }))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let page = fields.page(request.page_size, &request.page_token, format!("teams {organization_id}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| teams::list(tx, ctx.tenant_id, organization_id, &page).await).await?;
        Ok(Response::new(pb::ListTeamsResponse {
            teams: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_team(
        &self,
        request: Request<pb::UpdateTeamRequest>,
    ) -> Result<Response<pb::UpdateTeamResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let team = request.team.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &["name", "description"]);
        let input = fields.within("team", |fields| {
            let (organization_id, id) = read_ids(fields, &team.organization_id, &team.team_id);
            let name = mask.take("name", team.name).inspect(|name| fields.text("name", name, 1..=100));
            let description = mask.take("description", team.description);
            description.iter().for_each(|text| fields.text("description", text, 0..=500));
            Update { organization_id, id, etag: team.etag, name, description }
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::update(ctx, tx, &input).await,
            |team, revision| pb::UpdateTeamResponse { team: Some((&team).into()), revision },
        )
        .await
    }

    async fn move_team(&self, request: Request<pb::MoveTeamRequest>) -> Result<Response<pb::MoveTeamResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        let parent_id = fields.id_optional("parent_team_id", &request.parent_team_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::move_to(ctx, tx, organization_id, id, parent_id).await,
            |team, revision| pb::MoveTeamResponse { team: Some((&team).into()), revision },
        )
        .await
    }

    async fn delete_team(
        &self,
        request: Request<pb::DeleteTeamRequest>,
    ) -> Result<Response<pb::DeleteTeamResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let cascade = request.cascade;
        self.write(
            ctx,
            async move |ctx, tx| teams::delete(ctx, tx, organization_id, id, cascade).await,
            |gone, revision| {
                let deleted_team_ids = gone.iter().map(ToString::to_string).collect();
                pb::DeleteTeamResponse { deleted_team_ids, revision }
            },
        )
        .await
    }

    async fn add_team_member(
        &self,
        request: Request<pb::AddTeamMemberRequest>,
    ) -> Result<Response<pb::AddTeamMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let place = read_place(&mut fields, &request.organization_id, &request.team_id, &request.membership_id);
        let role: TeamMemberRole = fields.choice_optional("role", request.role).unwrap_or_default();
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::add_member(ctx, tx, place, role.into()).await,
            |member, revision| pb::AddTeamMemberResponse { team_member: Some((&member).into()), revision },
        )
        .await
    }

    async fn update_team_member(
        &self,
        request: Request<pb::UpdateTeamMemberRequest>,
    ) -> Result<Response<pb::UpdateTeamMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let place = read_place(&mut fields, &request.organization_id, &request.team_id, &request.membership_id);
        let role: TeamMemberRole = fields.choice("role", request.role);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::update_member(ctx, tx, place, role.into()).await,
            |member, revision| pb::UpdateTeamMemberResponse { team_member: Some((&member).into()), revision },
        )
        .await
    }

    async fn remove_team_member(
        &self,
        request: Request<pb::RemoveTeamMemberRequest>,
    ) -> Result<Response<pb::RemoveTeamMemberResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let place = read_place(&mut fields, &request.organization_id, &request.team_id, &request.membership_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| teams::remove_member(ctx, tx, place).await,
            |(), revision| pb::RemoveTeamMemberResponse { revision },
        )
        .await
    }

    async fn list_team_members(
        &self,
        request: Request<pb::ListTeamMembersRequest>,
    ) -> Result<Response<pb::ListTeamMembersResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        let page =
            fields.page(request.page_size, &request.page_token, format!("team_members {organization_id} {id}"))?;
        fields.done()?;
        let paged =
            self.read(async move |tx| teams::list_members(tx, ctx.tenant_id, organization_id, id, &page).await).await?;
        Ok(Response::new(pb::ListTeamMembersResponse {
            team_members: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn assign_team_role(
        &self,
        request: Request<pb::AssignTeamRoleRequest>,
    ) -> Result<Response<pb::AssignTeamRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        fields.right_slug("role", &request.role);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let role = request.role;
        self.write(
            ctx,
            async move |ctx, tx| teams::assign_role(ctx, tx, organization_id, id, &role).await,
            |team, revision| pb::AssignTeamRoleResponse { team: Some((&team).into()), revision },
        )
        .await
    }

    async fn revoke_team_role(
        &self,
        request: Request<pb::RevokeTeamRoleRequest>,
    ) -> Result<Response<pb::RevokeTeamRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.team_id);
        fields.right_slug("role", &request.role);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let role = request.role;
        self.write(
            ctx,
            async move |ctx, tx| teams::revoke_role(ctx, tx, organization_id, id, &role).await,
            |team, revision| pb::RevokeTeamRoleResponse { team: Some((&team).into()), revision },
        )
        .await
    }
}

fn read_ids(fields: &mut Fields, organization_id: &str, team_id: &str) -> (OrganizationId, TeamId) {
    (fields.id("organization_id", organization_id), fields.id("team_id", team_id))
}

fn read_place(fields: &mut Fields, organization_id: &str, team_id: &str, membership_id: &str) -> Place {
    Place {
        organization_id: fields.id("organization_id", organization_id),
        team_id: fields.id("team_id", team_id),
        membership_id: fields.id("membership_id", membership_id),
    }
}
