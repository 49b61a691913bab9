//! UserService.

use tonic::{Request, Response, Status};

use super::{Create, Identity, Key, Update, User, wire};
use crate::{
    error::{Result, reason_name},
    fields::Fields,
    ids::UserId,
    proto::v1::{self as pb, get_user_result::Outcome, lookup_user_request, user_service_server::UserService},
    service::Service,
    users,
};

/// How many users one BatchGetUsers asks for.
const BATCH_MAX: usize = 100;
const UPDATABLE: [&str; 4] = ["email", "display_name", "external_id", "metadata"];

#[tonic::async_trait]
impl UserService for Service {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let email = fields.email("email", &request.email);
        fields.text("display_name", &request.display_name, 0..=200);
        let external_id = fields.text_optional("external_id", request.external_id, 200);
        fields.metadata("metadata", &request.metadata);
        let status = read_first_status(&mut fields, request.status);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (display_name, metadata) = (request.display_name, request.metadata);
        let input = Create { email, display_name, external_id, metadata, status };
        self.write(
            ctx,
            async move |ctx, tx| users::create(ctx, tx, &input).await,
            |user, revision| pb::CreateUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Result<Response<pb::GetUserResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        fields.done()?;
        let user = self.read(async move |tx| users::get(tx, ctx.tenant_id, id).await).await?;
        Ok(Response::new(pb::GetUserResponse { user: Some((&user).into()) }))
    }

    async fn batch_get_users(
        &self,
        request: Request<pb::BatchGetUsersRequest>,
    ) -> Result<Response<pb::BatchGetUsersResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.count("user_ids", request.user_ids.len(), 1..=BATCH_MAX);
        let ids = request.user_ids.iter().enumerate();
        let ids: Vec<UserId> = ids.map(|(index, id)| fields.id(format!("user_ids[{index}]"), id)).collect();
        fields.done()?;
        let found = self.read(async move |tx| users::get_all(tx, ctx.tenant_id, &ids).await).await?;
        let results = found.into_iter().map(get_user_result).collect();
        Ok(Response::new(pb::BatchGetUsersResponse { results }))
    }

    async fn lookup_user(
        &self,
        request: Request<pb::LookupUserRequest>,
    ) -> Result<Response<pb::LookupUserResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let key = match request.key {
            Some(lookup_user_request::Key::Email(email)) => Some(Key::Email(fields.email("email", &email))),
            Some(lookup_user_request::Key::ExternalId(id)) => {
                fields.text("external_id", &id, 1..=200);
                Some(Key::ExternalId(id))
            }
            Some(lookup_user_request::Key::Identity(identity)) => {
                Some(Key::Identity(read_identity(&mut fields, Some(identity))))
            }
            Some(lookup_user_request::Key::UserId(id)) => Some(Key::Id(fields.id("user_id", &id))),
            None => {
                fields.wrong("key", "required: email, external_id, identity or user_id");
                None
            }
        };
        fields.done()?;
        let user = self
            .read(async move |tx| match &key {
                Some(key) => users::lookup(tx, ctx.tenant_id, key).await,
                None => Err(users::not_found()),
            })
            .await?;
        Ok(Response::new(pb::LookupUserResponse { user: Some((&user).into()) }))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let status = wire::status(fields.choice_optional("status", request.status));
        let page = fields.page(request.page_size, &request.page_token, format!("users {status:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| users::list(tx, ctx.tenant_id, status, &page).await).await?;
        Ok(Response::new(pb::ListUsersResponse {
            users: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::UpdateUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let user = request.user.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &UPDATABLE);
        let input = fields.within("user", |fields| Update {
            id: fields.id("user_id", &user.user_id),
            etag: user.etag,
            email: mask.take("email", user.email).map(|email| fields.email("email", &email)),
            display_name: mask
                .take("display_name", user.display_name)
                .inspect(|name| fields.text("display_name", name, 0..=200)),
            external_id: mask
                .take("external_id", user.external_id)
                .map(|id| fields.text_optional("external_id", id, 200)),
            metadata: mask.take("metadata", user.metadata).inspect(|entries| fields.metadata("metadata", entries)),
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::update(ctx, tx, &input).await,
            |user, revision| pb::UpdateUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn suspend_user(
        &self,
        request: Request<pb::SuspendUserRequest>,
    ) -> Result<Response<pb::SuspendUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::suspend(ctx, tx, id).await,
            |user, revision| pb::SuspendUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn reactivate_user(
        &self,
        request: Request<pb::ReactivateUserRequest>,
    ) -> Result<Response<pb::ReactivateUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::reactivate(ctx, tx, id).await,
            |user, revision| pb::ReactivateUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::delete(ctx, tx, id).await,
            |user, revision| pb::DeleteUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn erase_user(
        &self,
        request: Request<pb::EraseUserRequest>,
    ) -> Result<Response<pb::EraseUserResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::erase(ctx, tx, id).await,
            |user, revision| pb::EraseUserResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn link_identity(
        &self,
        request: Request<pb::LinkIdentityRequest>,
    ) -> Result<Response<pb::LinkIdentityResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        let identity = read_identity(&mut fields, request.identity);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::link(ctx, tx, id, &identity).await,
            |user, revision| pb::LinkIdentityResponse { user: Some((&user).into()), revision },
        )
        .await
    }

    async fn unlink_identity(
        &self,
        request: Request<pb::UnlinkIdentityRequest>,
    ) -> Result<Response<pb::UnlinkIdentityResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("user_id", &request.user_id);
        let identity = read_identity(&mut fields, request.identity);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| users::unlink(ctx, tx, id, &identity).await,
            |user, revision| pb::UnlinkIdentityResponse { user: Some((&user).into()), revision },
        )
        .await
    }
}

/// Reads where a new user stands: active, or put here before they ever came.
fn read_first_status(fields: &mut Fields, status: i32) -> users::Status {
    match wire::status(fields.choice_optional("status", status)) {
        None | Some(users::Status::Active) => users::Status::Active,
        Some(users::Status::PreProvisioned) => users::Status::PreProvisioned,
        Some(other) => {
            fields.wrong("status", format!("ACTIVE or PRE_PROVISIONED, not {}", other.name()));
            other
        }
    }
}

fn get_user_result(user: Option<User>) -> pb::GetUserResult {
    let outcome = match user {
        Some(user) => Outcome::User((&user).into()),
        None => {
            let error = users::not_found();
            let reason = reason_name(error.reason()).to_owned();
            Outcome::Error(pb::GetUserError { reason, message: error.message().to_owned() })
        }
    };
    pb::GetUserResult { outcome: Some(outcome) }
}

/// Reads an account: `iss` and `sub` as its tokens have them.
pub fn read_identity(fields: &mut Fields, identity: Option<pb::Identity>) -> Identity {
    let pb::Identity { issuer, subject } = identity.unwrap_or_default();
    fields.within("identity", |fields| {
        fields.text("issuer", &issuer, 1..=500);
        fields.text("subject", &subject, 1..=255);
    });
    Identity { issuer, subject }
}
