//! GrantService: grants here, resources by the registry's own methods.

use tonic::{Request, Response, Status};

use super::{Filter, Principal, Right, Set};
use crate::{
    error::Result,
    fields::Fields,
    grants,
    ids::OrganizationId,
    proto::v1::{self as pb, grant_principal::Kind, grant_service_server::GrantService, set_grant_request},
    resources::{Registry, ResourceRef, read_reference},
    service::Service,
};

#[tonic::async_trait]
impl GrantService for Service {
    async fn put_resource(
        &self,
        request: Request<pb::PutResourceRequest>,
    ) -> Result<Response<pb::PutResourceResponse>, Status> {
        Registry(self).put(request).await
    }

    async fn get_resource(
        &self,
        request: Request<pb::GetResourceRequest>,
    ) -> Result<Response<pb::GetResourceResponse>, Status> {
        Registry(self).get(request).await
    }

    async fn list_resources(
        &self,
        request: Request<pb::ListResourcesRequest>,
    ) -> Result<Response<pb::ListResourcesResponse>, Status> {
        Registry(self).list(request).await
    }

    async fn delete_resource(
        &self,
        request: Request<pb::DeleteResourceRequest>,
    ) -> Result<Response<pb::DeleteResourceResponse>, Status> {
        Registry(self).delete(request).await
    }

    async fn set_grant(&self, request: Request<pb::SetGrantRequest>) -> Result<Response<pb::SetGrantResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let input = Set {
            organization_id: fields.id("organization_id", &request.organization_id),
            principal: read_principal(&mut fields, request.principal.unwrap_or_default()),
            resource: read_resource(&mut fields, &request.resource.unwrap_or_default()),
            right: read_right(&mut fields, request.right),
            ends_at: fields.future("end_time", request.end_time.as_ref(), ctx.now),
            replace: request.replace,
        };
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| grants::set(ctx, tx, &input).await,
            |grant, revision| pb::SetGrantResponse { grant: Some((&grant).into()), revision },
        )
        .await
    }

    async fn list_grants(
        &self,
        request: Request<pb::ListGrantsRequest>,
    ) -> Result<Response<pb::ListGrantsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let filter = Filter {
            resource: request.resource.map(|resource| read_resource(&mut fields, &resource)),
            principal: request.principal.map(|principal| read_principal(&mut fields, principal)),
        };
        let filters = format!("grants {organization_id} {filter:?}");
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let paged =
            self.read(async move |tx| grants::list(tx, ctx.tenant_id, organization_id, &filter, &page).await).await?;
        Ok(Response::new(pb::ListGrantsResponse {
            grants: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn revoke_grant(
        &self,
        request: Request<pb::RevokeGrantRequest>,
    ) -> Result<Response<pb::RevokeGrantResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let id = fields.id("grant_id", &request.grant_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| grants::revoke(ctx, tx, organization_id, id).await,
            |(), revision| pb::RevokeGrantResponse { revision },
        )
        .await
    }
}

fn read_principal(fields: &mut Fields, principal: pb::GrantPrincipal) -> Principal {
    fields.within("principal", |fields| match principal.kind {
        Some(Kind::MembershipId(id)) => Principal::Membership(fields.id("membership_id", &id)),
        Some(Kind::TeamId(id)) => Principal::Team(fields.id("team_id", &id)),
        Some(Kind::Role(slug)) => {
            fields.right_slug("role", &slug);
            Principal::Role(slug)
        }
        None => {
            fields.wrong("kind", "required: membership_id, team_id or role");
            Principal::Role(String::new())
        }
    })
}

fn read_right(fields: &mut Fields, right: Option<set_grant_request::Right>) -> Right {
    match right {
        Some(set_grant_request::Right::Role(slug)) => {
            fields.right_slug("role", &slug);
            Right::Role(slug)
        }
        Some(set_grant_request::Right::Permission(slug)) => {
            fields.right_slug("permission", &slug);
            Right::Permission(slug)
        }
        None => {
            fields.wrong("right", "required: role or permission");
            Right::Permission(String::new())
        }
    }
}

/// Reads which resource is meant, whether it is registered or not.
pub fn read_resource(fields: &mut Fields, resource: &pb::ResourceRef) -> ResourceRef {
    read_reference(fields, "resource", resource)
}
