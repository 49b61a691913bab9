//! The half of GrantService that is about resources. `grants/rpc.rs` implements the service, and hands over to it.

use tonic::{Request, Response, Status};

use super::{Filter, Put, ResourceRef};
use crate::{
    error::Result,
    fields::{Fields, is_right_slug},
    ids::OrganizationId,
    proto::v1 as pb,
    resources,
    service::Service,
};

/// The methods of registered resources.
pub(crate) struct Registry<'s>(pub &'s Service);

impl Registry<'_> {
    pub async fn put(
        &self,
        request: Request<pb::PutResourceRequest>,
    ) -> Result<Response<pb::PutResourceResponse>, Status> {
        let (mut ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let input = Put {
            organization_id: fields.id("organization_id", &request.organization_id),
            reference: read_reference(&mut fields, "resource", &request.resource.unwrap_or_default()),
            parent: request.parent.map(|parent| read_reference(&mut fields, "parent", &parent)),
        };
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.0
            .write(
                ctx,
                async move |ctx, tx| resources::put(ctx, tx, &input).await,
                |resource, revision| pb::PutResourceResponse { resource: Some((&resource).into()), revision },
            )
            .await
    }

    pub async fn get(
        &self,
        request: Request<pb::GetResourceRequest>,
    ) -> Result<Response<pb::GetResourceResponse>, Status> {
        let (ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let reference = read_reference(&mut fields, "resource", &request.resource.unwrap_or_default());
        fields.done()?;
        let resource =
            self.0.read(async move |tx| resources::get(tx, ctx.tenant_id, organization_id, &reference).await).await?;
        Ok(Response::new(pb::GetResourceResponse { resource: Some((&resource).into()) }))
    }

    pub async fn list(
        &self,
        request: Request<pb::ListResourcesRequest>,
    ) -> Result<Response<pb::ListResourcesResponse>, Status> {
        let (ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let kind = Some(request.r#type).filter(|kind| !kind.is_empty());
        let filter = Filter {
            kind: kind.inspect(|kind| check_type(&mut fields, kind)),
            parent: request.parent.map(|parent| read_reference(&mut fields, "parent", &parent)),
        };
        let filters = format!("resources {organization_id} {filter:?}");
        let page = fields.page(request.page_size, &request.page_token, filters)?;
        fields.done()?;
        let paged = self
            .0
            .read(async move |tx| resources::list(tx, ctx.tenant_id, organization_id, &filter, &page).await)
            .await?;
        Ok(Response::new(pb::ListResourcesResponse {
            resources: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    pub async fn delete(
        &self,
        request: Request<pb::DeleteResourceRequest>,
    ) -> Result<Response<pb::DeleteResourceResponse>, Status> {
        let (mut ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id("organization_id", &request.organization_id);
        let reference = read_reference(&mut fields, "resource", &request.resource.unwrap_or_default());
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let cascade = request.cascade;
        self.0
            .write(
                ctx,
                async move |ctx, tx| resources::delete(ctx, tx, organization_id, &reference, cascade).await,
                |deleted, revision| pb::DeleteResourceResponse {
                    deleted_resource_count: count(deleted.resources),
                    revoked_grant_count: count(deleted.grants),
                    revision,
                },
            )
            .await
    }
}

/// Reads which resource is meant in a field.
pub(crate) fn read_reference(fields: &mut Fields, field: &str, reference: &pb::ResourceRef) -> ResourceRef {
    check_reference(fields, field, reference);
    ResourceRef { kind: reference.r#type.clone(), id: reference.id.clone() }
}

/// Notes what is wrong with a type and id.
pub(crate) fn check_reference(fields: &mut Fields, field: &str, reference: &pb::ResourceRef) {
    fields.within(field, |fields| {
        check_type(fields, &reference.r#type);
        fields.text("id", &reference.id, 1..=256);
    });
}

fn check_type(fields: &mut Fields, kind: &str) {
    if kind.len() > 64 || !is_right_slug(kind) {
        fields.wrong("type", "not 1 to 64 of a-z 0-9 - . : _");
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
