//! RoleService: roles here, permissions by the catalogue's own methods.

use tonic::{Request, Response, Status};

use super::{Create, Delete, Instead, OWN_PREFIX, OWNER, Planned, Preview, Update, wire};
use crate::{
    error::Result,
    fields::{Fields, is_right_slug, ordered},
    ids::OrganizationId,
    permissions::Catalogue,
    proto::v1::{
        self as pb, delete_role_request, preview_role_change_request::Change, role_deletion,
        role_service_server::RoleService,
    },
    roles,
    service::Service,
};

const UPDATABLE: [&str; 3] = ["display_name", "description", "permissions"];
/// How many permissions and patterns a role may have.
const PERMISSIONS_MAX: usize = 1_000;
/// What may stand before the `*` of a pattern.
const SEPARATORS: [char; 4] = [':', '.', '-', '_'];

#[tonic::async_trait]
impl RoleService for Service {
    async fn create_permission(
        &self,
        request: Request<pb::CreatePermissionRequest>,
    ) -> Result<Response<pb::CreatePermissionResponse>, Status> {
        Catalogue(self).create(request).await
    }

    async fn get_permission(
        &self,
        request: Request<pb::GetPermissionRequest>,
    ) -> Result<Response<pb::GetPermissionResponse>, Status> {
        Catalogue(self).get(request).await
    }

    async fn list_permissions(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Result<Response<pb::ListPermissionsResponse>, Status> {
        Catalogue(self).list(request).await
    }

    async fn update_permission(
        &self,
        request: Request<pb::UpdatePermissionRequest>,
    ) -> Result<Response<pb::UpdatePermissionResponse>, Status> {
        Catalogue(self).update(request).await
    }

    async fn delete_permission(
        &self,
        request: Request<pb::DeletePermissionRequest>,
    ) -> Result<Response<pb::DeletePermissionResponse>, Status> {
        Catalogue(self).delete(request).await
    }

    async fn create_role(
        &self,
        request: Request<pb::CreateRoleRequest>,
    ) -> Result<Response<pb::CreateRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = read_role(&mut fields, &request.organization_id, &request.slug);
        fields.text("display_name", &request.display_name, 0..=200);
        fields.text("description", &request.description, 0..=500);
        let permissions = read_permissions(&mut fields, request.permissions);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let display_name = Some(request.display_name).filter(|name| !name.is_empty());
        let input = Create {
            organization_id,
            display_name: display_name.unwrap_or_else(|| request.slug.clone()),
            slug: request.slug,
            description: request.description,
            permissions,
        };
        self.write(
            ctx,
            async move |ctx, tx| roles::create(ctx, tx, &input).await,
            |role, revision| pb::CreateRoleResponse { role: Some((&role).into()), revision },
        )
        .await
    }

    async fn get_role(&self, request: Request<pb::GetRoleRequest>) -> Result<Response<pb::GetRoleResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("slug", &request.slug);
        fields.done()?;
        let slug = request.slug;
        let role = self.read(async move |tx| roles::get(tx, ctx.tenant_id, organization_id, &slug).await).await?;
        Ok(Response::new(pb::GetRoleResponse { role: Some((&role).into()) }))
    }

    async fn list_roles(
        &self,
        request: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        let page = fields.page(request.page_size, &request.page_token, format!("roles {organization_id:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| roles::list(tx, ctx.tenant_id, organization_id, &page).await).await?;
        Ok(Response::new(pb::ListRolesResponse {
            roles: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn update_role(
        &self,
        request: Request<pb::UpdateRoleRequest>,
    ) -> Result<Response<pb::UpdateRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let role = request.role.unwrap_or_default();
        let mask = fields.mask(request.update_mask, &UPDATABLE);
        let input = fields.within("role", |fields| {
            let organization_id = fields.id_optional("organization_id", &role.organization_id);
            fields.right_slug("slug", &role.slug);
            let display_name = mask.take("display_name", role.display_name);
            display_name.iter().for_each(|name| fields.text("display_name", name, 1..=200));
            let description = mask.take("description", role.description);
            description.iter().for_each(|text| fields.text("description", text, 0..=500));
            let permissions = mask.take("permissions", role.permissions);
            let permissions = permissions.map(|permissions| read_permissions(fields, permissions));
            Update { organization_id, slug: role.slug, etag: role.etag, display_name, description, permissions }
        });
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| roles::update(ctx, tx, &input).await,
            |role, revision| pb::UpdateRoleResponse { role: Some((&role).into()), revision },
        )
        .await
    }

    async fn delete_role(
        &self,
        request: Request<pb::DeleteRoleRequest>,
    ) -> Result<Response<pb::DeleteRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("slug", &request.slug);
        let instead = match request.on_assigned {
            Some(delete_role_request::OnAssigned::ReplacementRole(slug)) => Instead::Role(slug),
            Some(delete_role_request::OnAssigned::UseDefaultRole(true)) => Instead::Default,
            Some(delete_role_request::OnAssigned::UseDefaultRole(false)) | None => Instead::Nothing,
        };
        ensure_replacement(&mut fields, &request.slug, &instead);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let input = Delete { organization_id, slug: request.slug, instead };
        self.write(
            ctx,
            async move |ctx, tx| roles::delete(ctx, tx, &input).await,
            |(), revision| pb::DeleteRoleResponse { revision },
        )
        .await
    }

    async fn set_default_role(
        &self,
        request: Request<pb::SetDefaultRoleRequest>,
    ) -> Result<Response<pb::SetDefaultRoleResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("role", &request.role);
        if !roles::may_be_default(&request.role) {
            fields.wrong("role", format!("{} is never given to whoever is given none", request.role));
        }
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let role = request.role;
        self.write(
            ctx,
            async move |ctx, tx| roles::set_default(ctx, tx, organization_id, &role).await,
            |default_role, revision| pb::SetDefaultRoleResponse { default_role, revision },
        )
        .await
    }

    async fn set_role_priority(
        &self,
        request: Request<pb::SetRolePriorityRequest>,
    ) -> Result<Response<pb::SetRolePriorityResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.count("roles", request.roles.len(), 1..=roles::ROLES_MAX);
        for (index, slug) in request.roles.iter().enumerate().take(roles::ROLES_MAX) {
            fields.right_slug(format!("roles[{index}]"), slug);
        }
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let order = request.roles;
        self.write(
            ctx,
            async move |ctx, tx| roles::set_priority(ctx, tx, organization_id, &order).await,
            |role_priority, revision| pb::SetRolePriorityResponse { role_priority, revision },
        )
        .await
    }

    async fn preview_role_change(
        &self,
        request: Request<pb::PreviewRoleChangeRequest>,
    ) -> Result<Response<pb::PreviewRoleChangeResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id = fields.id_optional("organization_id", &request.organization_id);
        fields.right_slug("role", &request.role);
        let change = read_change(&mut fields, &request.role, request.change);
        let input = Preview { organization_id, slug: request.role, change };
        let page = fields.page(request.page_size, &request.page_token, format!("preview {input:?}"))?;
        fields.done()?;
        let paged = self.read(async move |tx| roles::preview(tx, ctx.tenant_id, &input, &page).await).await?;
        Ok(Response::new(pb::PreviewRoleChangeResponse {
            effects: paged.items.into_iter().map(wire::effect).collect(),
            next_page_token: paged.next_page_token,
        }))
    }
}

/// An organization's own roles begin with `org-`; the tenant's do not.
fn read_role(fields: &mut Fields, organization_id: &str, slug: &str) -> Option<OrganizationId> {
    fields.right_slug("slug", slug);
    if organization_id.is_empty() && slug.starts_with(OWN_PREFIX) {
        fields.wrong("slug", "begins with org-, which is for an organization's own roles");
    } else if !organization_id.is_empty() && !slug.is_empty() && !slug.starts_with(OWN_PREFIX) {
        fields.wrong("slug", "an organization's own role begins with org-");
    }
    fields.id_optional("organization_id", organization_id)
}

fn read_change(fields: &mut Fields, role: &str, change: Option<Change>) -> Planned {
    match change {
        Some(Change::Permissions(permissions)) => Planned::Permissions(
            fields.within("permissions", |fields| read_permissions(fields, permissions.permissions)),
        ),
        Some(Change::Deletion(deletion)) => fields.within("deletion", |fields| {
            let instead = match deletion.on_assigned {
                Some(role_deletion::OnAssigned::ReplacementRole(slug)) => Instead::Role(slug),
                Some(role_deletion::OnAssigned::UseDefaultRole(true)) => Instead::Default,
                Some(role_deletion::OnAssigned::UseDefaultRole(false)) | None => {
                    fields.wrong("on_assigned", "required: replacement_role or use_default_role");
                    Instead::Nothing
                }
            };
            ensure_replacement(fields, role, &instead);
            Planned::Deletion(instead)
        }),
        None => {
            fields.wrong("change", "required: permissions or deletion");
            Planned::Deletion(Instead::Nothing)
        }
    }
}

/// What takes a role's place is another one, and not `owner`, which is given to people one by one.
fn ensure_replacement(fields: &mut Fields, role: &str, instead: &Instead) {
    let Some(slug) = instead.role() else { return };
    fields.right_slug("replacement_role", slug);
    if slug == role {
        fields.wrong("replacement_role", "the role itself");
    } else if slug == OWNER {
        fields.wrong("replacement_role", "owner is given to people one by one");
    }
}

fn read_permissions(fields: &mut Fields, permissions: Vec<String>) -> Vec<String> {
    fields.count("permissions", permissions.len(), 0..=PERMISSIONS_MAX);
    for (index, entry) in permissions.iter().enumerate() {
        let pattern = entry.strip_suffix('*').filter(|prefix| prefix.is_empty() || prefix.ends_with(SEPARATORS));
        let fits = pattern.map_or_else(|| is_right_slug(entry), |prefix| prefix.is_empty() || is_right_slug(prefix));
        if !fits {
            fields.wrong(format!("permissions[{index}]"), "not a permission, a pattern such as invoices:* or *");
        }
    }
    ordered(permissions)
}
