//! ApiKeyService.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::Create;
use crate::{
    api_keys,
    auth::scopes::PLATFORM,
    error::Result,
    fields::{Fields, is_right_slug, ordered},
    proto::v1::{self as pb, api_key_service_server::ApiKeyService},
    service::Service,
};

/// The longest that a rotated key goes on.
const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);
/// How long a rotated key goes on where the caller does not say.
const OVERLAP_DEFAULT: Duration = Duration::from_hours(1);

#[tonic::async_trait]
impl ApiKeyService for Service {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let caller = self.caller(&request)?.who.scopes();
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.text("name", &request.name, 1..=200);
        let scopes = read_scopes(&mut fields, request.scopes);
        let expires_at = fields.future("expire_time", request.expire_time.as_ref(), ctx.now);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let input = Create { name: request.name, scopes, expires_at };
        self.write(
            ctx,
            async move |ctx, tx| api_keys::create(ctx, tx, &caller, &input).await,
            |(key, secret), revision| pb::CreateApiKeyResponse {
                api_key: Some((&key).into()),
                secret: secret.reveal(),
                revision,
            },
        )
        .await
    }

    async fn get_api_key(
        &self,
        request: Request<pb::GetApiKeyRequest>,
    ) -> Result<Response<pb::GetApiKeyResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("api_key_id", &request.api_key_id);
        fields.done()?;
        let key = self.read(async move |tx| api_keys::get(tx, ctx.tenant_id, id).await).await?;
        Ok(Response::new(pb::GetApiKeyResponse { api_key: Some((&key).into()) }))
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let page = fields.page(request.page_size, &request.page_token, "api_keys")?;
        fields.done()?;
        let paged = self.read(async move |tx| api_keys::list(tx, ctx.tenant_id, &page).await).await?;
        Ok(Response::new(pb::ListApiKeysResponse {
            api_keys: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> Result<Response<pb::RotateApiKeyResponse>, Status> {
        let caller = self.caller(&request)?.who.scopes();
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("api_key_id", &request.api_key_id);
        let overlap = fields.duration("overlap", request.overlap.as_ref(), OVERLAP_MAX, OVERLAP_DEFAULT);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| api_keys::rotate(ctx, tx, &caller, id, overlap).await,
            |(keys, secret), revision| pb::RotateApiKeyResponse {
                api_key: Some((&keys.successor).into()),
                secret: secret.reveal(),
                rotated_api_key: Some((&keys.rotated).into()),
                revision,
            },
        )
        .await
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("api_key_id", &request.api_key_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| api_keys::revoke(ctx, tx, id).await,
            |key, revision| pb::RevokeApiKeyResponse { api_key: Some((&key).into()), revision },
        )
        .await
    }
}

/// Reads scopes: permissions, patterns, `*` and `platform`.
pub fn read_scopes(fields: &mut Fields, scopes: Vec<String>) -> Vec<String> {
    fields.count("scopes", scopes.len(), 1..=100);
    for (index, scope) in scopes.iter().enumerate() {
        if !is_scope(scope) {
            fields.wrong(format!("scopes[{index}]"), "not a permission, a pattern such as members:*, * or platform");
        }
    }
    ordered(scopes)
}

/// Whether this is a scope: a permission, a pattern, `*` or `platform`.
pub fn is_scope(scope: &str) -> bool {
    scope == PLATFORM || scope == "*" || is_right_slug(scope) || scope.strip_suffix(":*").is_some_and(is_right_slug)
}
