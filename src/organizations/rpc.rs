//! OrganizationService.

use tonic::{Request, Response, Status};

use super::{Branding, Create, Key, Restore, Update, wire};
use crate::{
    error::Result,
    fields::Fields,
    memberships::{HandOver, Person, read_person},
    organizations,
    proto::v1::{
        self as pb, initial_owner, lookup_organization_request, organization_service_server::OrganizationService,
    },
    roles::{ADMIN, OWNER},
    service::Service,
};

const UPDATABLE: [&str; 6] = ["slug", "display_name", "external_id", "metadata", "branding", "feature_flags"];
/// How many owners an organization may be created with.
const INITIAL_OWNERS_MAX: usize = 20;

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Result<Response<pb::CreateOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.slug("slug", &request.slug);
        fields.text("display_name", &request.display_name, 0..=200);
        let external_id = fields.text_optional("external_id", request.external_id, 200);
        fields.metadata("metadata", &request.metadata);
        let branding = fields.within("branding", |fields| Branding::from(request.branding).read(fields));
        fields.feature_flags("feature_flags", &request.feature_flags);
        let initial_owners = read_owners(&mut fields, request.initial_owners);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let display_name = Some(request.display_name).filter(|name| !name.is_empty());
        let input = Create {
            display_name: display_name.unwrap_or_else(|| request.slug.clone()),
            slug: request.slug,
            external_id,
            metadata: request.metadata,
            branding,
            feature_flags: request.feature_flags,
            initial_owners,
        };
        self.write(
            ctx,
            async move |ctx, tx| organizations::create(ctx, tx, &input).await,
            |created, revision| pb::CreateOrganizationResponse {
                organization: Some((&created.organization).into()),
                owner_membership_ids: created.owners.iter().map(ToString::to_string).collect(),
                revision,
            },
        )
        .await
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Result<Response<pb::GetOrganizationResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.done()?;
        let organization = self.read(async move |tx| organizations::get(tx, ctx.tenant_id, id).await).await?;
        Ok(Response::new(pb::GetOrganizationResponse { organization: Some((&organization).into()) }))
    }

    async fn lookup_organization(
        &self,
        request: Request<pb::LookupOrganizationRequest>,
    ) -> Result<Response<pb::LookupOrganizationResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let key = match request.key {
            Some(lookup_organization_request::Key::Slug(slug)) => {
                fields.slug("slug", &slug);
                Some(Key::Slug(slug))
            }
            Some(lookup_organization_request::Key::ExternalId(id)) => {
                fields.text("external_id", &id, 1..=200);
                Some(Key::ExternalId(id))
            }
            None => {
                fields.wrong("key", "required: slug or external_id");
                None
            }
        };
        fields.done()?;
        let found = self
            .read(async move |tx| match &key {
                Some(key) => organizations::lookup(tx, ctx.tenant_id, key, ctx.now).await,
                None => Err(organizations::not_found()),
            })
            .await?;
        Ok(Response::new(pb::LookupOrganizationResponse {
            organization: Some((&found.organization).into()),
            former_slug: found.by_former_slug,
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Result<Response<pb::ListOrganizationsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let status = wire::status(fields.choice_optional("status", request.status));
        let page = fields.page(request.page_size, &request.page_token, format!("organizations {status:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| organizations::list(tx, ctx.tenant_id, status, &page).await).await?;
        Ok(Response::new(pb::ListOrganizationsResponse {
            organizations: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> Result<Response<pb::UpdateOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization = request.organization.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &UPDATABLE);
        let input = fields.within("organization", |fields| Update {
            id: fields.id("organization_id", &organization.organization_id),
            etag: organization.etag,
            slug: mask.take("slug", organization.slug).inspect(|slug| fields.slug("slug", slug)),
            display_name: mask
                .take("display_name", organization.display_name)
                .inspect(|name| fields.text("display_name", name, 1..=200)),
            external_id: mask
                .take("external_id", organization.external_id)
                .map(|id| fields.text_optional("external_id", id, 200)),
            metadata: mask
                .take("metadata", organization.metadata)
                .inspect(|entries| fields.metadata("metadata", entries)),
            branding: mask
                .take("branding", organization.branding)
                .map(|given| fields.within("branding", |fields| Branding::from(given).read(fields))),
            feature_flags: mask
                .take("feature_flags", organization.feature_flags)
                .inspect(|flags| fields.feature_flags("feature_flags", flags)),
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let retention = self.retention;
        self.write(
            ctx,
            async move |ctx, tx| organizations::update(ctx, tx, &input, retention).await,
            |organization, revision| pb::UpdateOrganizationResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn place_legal_hold(
        &self,
        request: Request<pb::PlaceLegalHoldRequest>,
    ) -> Result<Response<pb::PlaceLegalHoldResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::place(ctx, tx, id).await,
            |organization, revision| pb::PlaceLegalHoldResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn release_legal_hold(
        &self,
        request: Request<pb::ReleaseLegalHoldRequest>,
    ) -> Result<Response<pb::ReleaseLegalHoldResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::release(ctx, tx, id).await,
            |organization, revision| pb::ReleaseLegalHoldResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn suspend_organization(
        &self,
        request: Request<pb::SuspendOrganizationRequest>,
    ) -> Result<Response<pb::SuspendOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::suspend(ctx, tx, id).await,
            |organization, revision| pb::SuspendOrganizationResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn reactivate_organization(
        &self,
        request: Request<pb::ReactivateOrganizationRequest>,
    ) -> Result<Response<pb::ReactivateOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::reactivate(ctx, tx, id).await,
            |organization, revision| pb::ReactivateOrganizationResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn transfer_ownership(
        &self,
        request: Request<pb::TransferOwnershipRequest>,
    ) -> Result<Response<pb::TransferOwnershipResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        let input = read_hand_over(&mut fields, &request);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::transfer_ownership(ctx, tx, id, &input).await,
            |handed, revision| pb::TransferOwnershipResponse {
                owner: Some((&handed.owner).into()),
                former_owner: Some((&handed.former_owner).into()),
                revision,
            },
        )
        .await
    }

    async fn delete_organization(
        &self,
        request: Request<pb::DeleteOrganizationRequest>,
    ) -> Result<Response<pb::DeleteOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id = fields.id("organization_id", &request.organization_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let retention = self.retention;
        self.write(
            ctx,
            async move |ctx, tx| organizations::delete(ctx, tx, id, retention).await,
            |organization, revision| pb::DeleteOrganizationResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }

    async fn restore_organization(
        &self,
        request: Request<pb::RestoreOrganizationRequest>,
    ) -> Result<Response<pb::RestoreOrganizationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let input = Restore {
            id: fields.id("organization_id", &request.organization_id),
            owner: fields.id_optional("owner_user_id", &request.owner_user_id),
        };
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| organizations::restore(ctx, tx, &input).await,
            |organization, revision| pb::RestoreOrganizationResponse {
                organization: Some((&organization).into()),
                revision,
            },
        )
        .await
    }
}

fn read_owners(fields: &mut Fields, owners: Vec<pb::InitialOwner>) -> Vec<Person> {
    fields.count("initial_owners", owners.len(), 0..=INITIAL_OWNERS_MAX);
    let read = |(index, owner): (usize, pb::InitialOwner)| {
        fields.within(format!("initial_owners[{index}]"), |fields| match owner.person {
            Some(initial_owner::Person::UserId(id)) => read_person(fields, Some(&id), None),
            Some(initial_owner::Person::Email(email)) => read_person(fields, None, Some(&email)),
            None => read_person(fields, None, None),
        })
    };
    owners.into_iter().enumerate().map(read).collect()
}

fn read_hand_over(fields: &mut Fields, request: &pb::TransferOwnershipRequest) -> HandOver {
    let owner = fields.id("owner_membership_id", &request.owner_membership_id);
    let new_owner = fields.id("new_owner_membership_id", &request.new_owner_membership_id);
    let mut former_owner_role = request.former_owner_role.clone();
    if former_owner_role.is_empty() {
        former_owner_role = ADMIN.to_owned();
    }
    fields.right_slug("former_owner_role", &former_owner_role);
    if former_owner_role == OWNER {
        fields.wrong("former_owner_role", "the former owner gets another role than owner");
    }
    if owner == new_owner && !request.owner_membership_id.is_empty() {
        fields.wrong("new_owner_membership_id", "the owner's own membership: somebody else becomes an owner");
    }
    HandOver { owner, new_owner, former_owner_role }
}
