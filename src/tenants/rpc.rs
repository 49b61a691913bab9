//! TenantService.

use tonic::{Request, Response, Status};

use super::{Create, Update, wire};
use crate::{
    error::Result,
    fields::Fields,
    ids::TenantId,
    proto::v1::{self as pb, tenant_service_server::TenantService},
    service::Service,
    tenants,
};

/// For how many days events are kept at most, where they are not kept for good: a hundred years.
const LOG_RETENTION_DAYS_MAX: i64 = 36_500;

#[tonic::async_trait]
impl TenantService for Service {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Result<Response<pb::CreateTenantResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.slug("slug", &request.slug);
        fields.text("display_name", &request.display_name, 0..=200);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        ctx.tenant_id = TenantId::generate();
        let display_name = Some(request.display_name).filter(|name| !name.is_empty());
        let input = Create { display_name: display_name.unwrap_or_else(|| request.slug.clone()), slug: request.slug };
        self.write(
            ctx,
            async move |ctx, tx| tenants::create(ctx, tx, &input).await,
            |tenant, revision| pb::CreateTenantResponse { tenant: Some((&tenant).into()), revision },
        )
        .await
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::GetTenantResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id_optional("tenant_id", &request.tenant_id).unwrap_or(ctx.tenant_id);
        fields.done()?;
        let tenant = self.read(async move |tx| tenants::get(tx, id).await).await?;
        Ok(Response::new(pb::GetTenantResponse { tenant: Some((&tenant).into()) }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Result<Response<pb::ListTenantsResponse>, Status> {
        let (_, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let page = fields.page(request.page_size, &request.page_token, "tenants")?;
        fields.done()?;
        let paged = self.read(async move |tx| tenants::list(tx, &page).await).await?;
        Ok(Response::new(pb::ListTenantsResponse {
            tenants: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_tenant(
        &self,
        request: Request<pb::UpdateTenantRequest>,
    ) -> Result<Response<pb::UpdateTenantResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let tenant = request.tenant.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &["slug", "display_name", "role_mode", "log_retention_days"]);
        let input = fields.within("tenant", |fields| {
            let id = fields.id("tenant_id", &tenant.tenant_id);
            let slug = mask.take("slug", tenant.slug).inspect(|slug| fields.slug("slug", slug));
            let display_name = mask.take("display_name", tenant.display_name);
            display_name.iter().for_each(|name| fields.text("display_name", name, 1..=200));
            let role_mode = mask.take("role_mode", tenant.role_mode).map(|mode| fields.choice("role_mode", mode));
            let log_retention_days = mask.take("log_retention_days", tenant.log_retention_days).map(i64::from);
            if log_retention_days.is_some_and(|days| !(0..=LOG_RETENTION_DAYS_MAX).contains(&days)) {
                fields.wrong("log_retention_days", format!("not from 0 to {LOG_RETENTION_DAYS_MAX}"));
            }
            let role_mode = role_mode.and_then(wire::role_mode);
            Update { id, etag: tenant.etag, slug, display_name, role_mode, log_retention_days }
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        ctx.tenant_id = input.id;
        self.write(
            ctx,
            async move |ctx, tx| tenants::update(ctx, tx, &input).await,
            |tenant, revision| pb::UpdateTenantResponse { tenant: Some((&tenant).into()), revision },
        )
        .await
    }
}
