//! OrganizationService.

use tonic::{Request, Response, Status};

use super::{Create, Key, Update, wire};
use crate::{
    error::Result,
    fields::Fields,
    memberships::{Person, read_person},
    organizations,
    proto::v1::{
        self as pb, initial_owner, lookup_organization_request, organization_service_server::OrganizationService,
    },
    service::Service,
};

const UPDATABLE: [&str; 4] = ["slug", "display_name", "external_id", "metadata"];
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
        let initial_owners = read_owners(&mut fields, request.initial_owners);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let display_name = Some(request.display_name).filter(|name| !name.is_empty());
        let input = Create {
            display_name: display_name.unwrap_or_else(|| request.slug.clone()),
            slug: request.slug,
            external_id,
            metadata: request.metadata,
            initial_owners,
        };
        let (created, revision) =
            self.write(ctx.tenant_id, async move |tx| organizations::create(&ctx, tx, &input).await).await?;
        Ok(Response::new(pb::CreateOrganizationResponse {
            organization: Some((&created.organization).into()),
            owner_membership_ids: created.owners.iter().map(ToString::to_string).collect(),
            revision,
        }))
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
        let organization = self
            .read(async move |tx| match &key {
                Some(key) => organizations::lookup(tx, ctx.tenant_id, key).await,
                None => Err(organizations::not_found()),
            })
            .await?;
        Ok(Response::new(pb::LookupOrganizationResponse { organization: Some((&organization).into()) }))
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
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let (organization, revision) =
            self.write(ctx.tenant_id, async move |tx| organizations::update(&ctx, tx, &input).await).await?;
        Ok(Response::new(pb::UpdateOrganizationResponse { organization: Some((&organization).into()), revision }))
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
        let (organization, revision) =
            self.write(ctx.tenant_id, async move |tx| organizations::suspend(&ctx, tx, id).await).await?;
        Ok(Response::new(pb::SuspendOrganizationResponse { organization: Some((&organization).into()), revision }))
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
        let (organization, revision) =
            self.write(ctx.tenant_id, async move |tx| organizations::reactivate(&ctx, tx, id).await).await?;
        Ok(Response::new(pb::ReactivateOrganizationResponse { organization: Some((&organization).into()), revision }))
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
        let (organization, revision) =
            self.write(ctx.tenant_id, async move |tx| organizations::delete(&ctx, tx, id).await).await?;
        Ok(Response::new(pb::DeleteOrganizationResponse { organization: Some((&organization).into()), revision }))
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
