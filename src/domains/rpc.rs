//! DomainService.

use tonic::{Request, Response, Status};

use super::{Arrival, AutoJoin, auto_join::Update, check::Said, name::normalized};
use crate::{
    domains,
    fields::Fields,
    ids::{DomainId, OrganizationId},
    memberships::{self, Filter, Of},
    proto::v1::{self as pb, AutoJoinMode, domain_service_server::DomainService},
    roles,
    service::Service,
};

/// How many patterns of addresses are left out at most, and how long each is.
const EXCLUDED_MAX: usize = 50;
const PATTERN_MAX: usize = 64;
/// How many memberships of a person are answered with where they belong.
const MEMBERSHIPS_MAX: i32 = 100;
/// How many characters a person's name has, and what says how they signed in.
const NAME_MAX: usize = 200;
const VIA_MAX: usize = 500;

#[tonic::async_trait]
impl DomainService for Service {
    async fn add_domain(
        &self,
        request: Request<pb::AddDomainRequest>,
    ) -> Result<Response<pb::AddDomainResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let name = normalized(&request.name).unwrap_or_else(|wrong| {
            fields.wrong("name", wrong.message());
            String::new()
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let lists = self.lists.clone();
        self.write(
            ctx,
            async move |ctx, tx| domains::add(ctx, tx, &lists, id, &name).await,
            |domain, revision| pb::AddDomainResponse { domain: Some((&domain).into()), revision },
        )
        .await
    }

    async fn get_domain(
        &self,
        request: Request<pb::GetDomainRequest>,
    ) -> Result<Response<pb::GetDomainResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (id, domain_id) = read_ids(&mut fields, &request.organization_id, &request.domain_id);
        fields.done()?;
        let domain = self.read(async move |tx| domains::get(tx, ctx.tenant_id, id, domain_id).await).await?;
        Ok(Response::new(pb::GetDomainResponse { domain: Some((&domain).into()) }))
    }

    async fn list_domains(
        &self,
        request: Request<pb::ListDomainsRequest>,
    ) -> Result<Response<pb::ListDomainsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let page = fields.page(request.page_size, &request.page_token, format!("domains {id}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| domains::list(tx, ctx.tenant_id, id, &page).await).await?;
        let domains = paged.items.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListDomainsResponse { domains, next_page_token: paged.next_page_token }))
    }

    async fn start_verification(
        &self,
        request: Request<pb::StartVerificationRequest>,
    ) -> Result<Response<pb::StartVerificationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (id, domain_id) = read_ids(&mut fields, &request.organization_id, &request.domain_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| domains::start_verification(ctx, tx, id, domain_id).await,
            |domain, revision| pb::StartVerificationResponse { domain: Some((&domain).into()), revision },
        )
        .await
    }

    async fn confirm_domain(
        &self,
        request: Request<pb::ConfirmDomainRequest>,
    ) -> Result<Response<pb::ConfirmDomainResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (id, domain_id) = read_ids(&mut fields, &request.organization_id, &request.domain_id);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let tenant_id = ctx.tenant_id;
        // Before the transaction: nobody waits for the domain name system under a lock. Where there is no such domain, the
        // transaction says so, unless it is a request that was answered before.
        // Nor does a look at the database last as long as the answer: the statement ends with its transaction.
        let found = domains::get(&mut self.db.snapshot().await?, tenant_id, id, domain_id).await;
        let said = match found {
            Ok(domain) => Some(Said::about(&self.dns, &domain).await),
            Err(_) => None,
        };
        self.write(
            ctx,
            async move |ctx, tx| domains::confirm(ctx, tx, id, domain_id, said.as_ref()).await,
            |domain, revision| pb::ConfirmDomainResponse { domain: Some((&domain).into()), revision },
        )
        .await
    }

    async fn update_domain(
        &self,
        request: Request<pb::UpdateDomainRequest>,
    ) -> Result<Response<pb::UpdateDomainResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        fields.mask(request.update_mask, &["auto_join"]);
        let domain = request.domain.unwrap_or_default();
        let input = fields.within("domain", |fields| {
            let (organization_id, id) = read_ids(fields, &domain.organization_id, &domain.domain_id);
            let auto_join = fields.within("auto_join", |fields| read(fields, domain.auto_join.unwrap_or_default()));
            Update { organization_id, id, etag: domain.etag, auto_join }
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| domains::update(ctx, tx, &input).await,
            |domain, revision| pb::UpdateDomainResponse { domain: Some((&domain).into()), revision },
        )
        .await
    }

    async fn remove_domain(
        &self,
        request: Request<pb::RemoveDomainRequest>,
    ) -> Result<Response<pb::RemoveDomainResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (id, domain_id) = read_ids(&mut fields, &request.organization_id, &request.domain_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| domains::remove(ctx, tx, id, domain_id).await,
            |(), revision| pb::RemoveDomainResponse { revision },
        )
        .await
    }

    async fn resolve_email(
        &self,
        request: Request<pb::ResolveEmailRequest>,
    ) -> Result<Response<pb::ResolveEmailResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let email = fields.email("email", &request.email);
        let page = fields.page(MEMBERSHIPS_MAX, "", "")?;
        fields.done()?;
        let verified = request.email_verified;
        let (decision, present) = self
            .read(async move |tx| {
                let decision = domains::resolve(&ctx, tx, &email, verified).await?;
                let present = match &decision.user {
                    Some(user) => {
                        let of = Of::User(user.id);
                        Some(memberships::list(tx, ctx.tenant_id, of, Filter::default(), &page).await?)
                    }
                    None => None,
                };
                Ok((decision, present))
            })
            .await?;
        let more_memberships = present.as_ref().is_some_and(|page| !page.next_page_token.is_empty());
        Ok(Response::new(pb::ResolveEmailResponse {
            user_id: decision.user.as_ref().map(|user| user.id.to_string()).unwrap_or_default(),
            memberships: present.iter().flat_map(|page| &page.items).map(Into::into).collect(),
            more_memberships,
            decision: Some((&decision).into()),
        }))
    }

    async fn join_by_email(
        &self,
        request: Request<pb::JoinByEmailRequest>,
    ) -> Result<Response<pb::JoinByEmailResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let email = fields.email("email", &request.email);
        fields.text("display_name", &request.display_name, 0..=NAME_MAX);
        fields.text("authenticated_via", &request.authenticated_via, 0..=VIA_MAX);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let arrival = Arrival {
            email,
            verified: request.email_verified,
            display_name: request.display_name,
            authenticated_via: request.authenticated_via,
        };
        self.write(
            ctx,
            async move |ctx, tx| domains::join(ctx, tx, &arrival).await,
            |joined, revision| pb::JoinByEmailResponse {
                decision: Some((&joined.decision).into()),
                membership: joined.decision.membership.as_ref().map(Into::into),
                invitation_id: joined.invitation_id.map(|id| id.to_string()).unwrap_or_default(),
                user_created: joined.user_created,
                revision,
            },
        )
        .await
    }
}

fn read_ids(fields: &mut Fields, organization_id: &str, domain_id: &str) -> (OrganizationId, DomainId) {
    (fields.id("organization_id", organization_id), fields.id("domain_id", domain_id))
}

fn read(fields: &mut Fields, auto_join: pb::AutoJoin) -> AutoJoin {
    let mode = fields.choice_optional("mode", auto_join.mode).unwrap_or(AutoJoinMode::Off);
    if !auto_join.role.is_empty() {
        fields.right_slug("role", &auto_join.role);
    }
    if [roles::OWNER, roles::ADMIN].contains(&auto_join.role.as_str()) {
        fields.wrong("role", "nobody becomes owner or admin by an address");
    }
    fields.count("excluded", auto_join.excluded.len(), 0..=EXCLUDED_MAX);
    for (index, pattern) in auto_join.excluded.iter().enumerate() {
        fields.text(format!("excluded[{index}]"), pattern, 1..=PATTERN_MAX);
        if pattern.contains('@') {
            fields.wrong(format!("excluded[{index}]"), "the part of an address before the @");
        }
    }
    if auto_join.members_max < 0 {
        fields.wrong("members_max", "negative");
    }
    AutoJoin {
        mode: mode.into(),
        role: auto_join.role,
        excluded: auto_join.excluded.iter().map(|pattern| pattern.to_lowercase()).collect(),
        allow_role_mailboxes: auto_join.allow_role_mailboxes,
        allow_plus_addresses: auto_join.allow_plus_addresses,
        allow_subdomains: auto_join.allow_subdomains,
        members_max: auto_join.members_max,
    }
}
