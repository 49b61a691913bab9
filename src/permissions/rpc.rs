//! The half of RoleService that is about permissions. `roles/rpc.rs` implements the service, and hands over to it.

use tonic::{Request, Response, Status};

use crate::{error::Result, fields::Fields, permissions, proto::v1 as pb, service::Service};

/// The catalogue's methods.
pub(crate) struct Catalogue<'s>(pub &'s Service);

impl Catalogue<'_> {
    pub async fn create(
        &self,
        request: Request<pb::CreatePermissionRequest>,
    ) -> Result<Response<pb::CreatePermissionResponse>, Status> {
        let (mut ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        fields.right_slug("slug", &request.slug);
        if request.slug == crate::auth::scopes::PLATFORM {
            fields.wrong("slug", "reserved: a right over tenants, which no role has");
        }
        fields.text("description", &request.description, 0..=500);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (slug, description) = (request.slug, request.description);
        self.0
            .write(
                ctx,
                async move |ctx, tx| permissions::create(ctx, tx, &slug, &description).await,
                |permission, revision| pb::CreatePermissionResponse {
                    permission: Some((&permission).into()),
                    revision,
                },
            )
            .await
    }

    pub async fn get(
        &self,
        request: Request<pb::GetPermissionRequest>,
    ) -> Result<Response<pb::GetPermissionResponse>, Status> {
        let (ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        fields.right_slug("slug", &request.slug);
        fields.done()?;
        let slug = request.slug;
        let permission = self.0.read(async move |tx| permissions::get(tx, ctx.tenant_id, &slug).await).await?;
        Ok(Response::new(pb::GetPermissionResponse { permission: Some((&permission).into()) }))
    }

    pub async fn list(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Result<Response<pb::ListPermissionsResponse>, Status> {
        let (ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let page = fields.page(request.page_size, &request.page_token, "permissions")?;
        fields.done()?;
        let paged = self.0.read(async move |tx| permissions::list(tx, ctx.tenant_id, &page).await).await?;
        Ok(Response::new(pb::ListPermissionsResponse {
            permissions: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    pub async fn update(
        &self,
        request: Request<pb::UpdatePermissionRequest>,
    ) -> Result<Response<pb::UpdatePermissionResponse>, Status> {
        let (mut ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        let permission = request.permission.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &["description"]);
        let description = fields.within("permission", |fields| {
            fields.right_slug("slug", &permission.slug);
            mask.take("description", permission.description).inspect(|text| fields.text("description", text, 0..=500))
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (slug, etag) = (permission.slug, permission.etag);
        self.0
            .write(
                ctx,
                async move |ctx, tx| permissions::update(ctx, tx, &slug, &etag, description.as_deref()).await,
                |permission, revision| pb::UpdatePermissionResponse {
                    permission: Some((&permission).into()),
                    revision,
                },
            )
            .await
    }

    pub async fn delete(
        &self,
        request: Request<pb::DeletePermissionRequest>,
    ) -> Result<Response<pb::DeletePermissionResponse>, Status> {
        let (mut ctx, request) = self.0.open(request).await?;
        let mut fields = Fields::new();
        fields.right_slug("slug", &request.slug);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let slug = request.slug;
        self.0
            .write(
                ctx,
                async move |ctx, tx| permissions::delete(ctx, tx, &slug).await,
                |(), revision| pb::DeletePermissionResponse { revision },
            )
            .await
    }
}
