//! InvitationService.

use std::{collections::BTreeMap, time::Duration};

use tonic::{Request, Response, Status};

use super::{
    Accept, Accepter, Created, Filter, LIFETIME_DEFAULT, LIFETIME_MAX, NewInvitation, Resend, Terms, Token, wire,
};
use crate::{
    auth::Who,
    error::{Reason, Result, reason_name},
    fields::{Fields, is_right_slug, ordered},
    ids::{InvitationId, OrganizationId},
    invitations,
    mail::Templates,
    memberships::{NewMember, Person, read_person},
    proto::v1::{
        self as pb, accept_invitation_request, create_invitation_result::Outcome,
        invitation_service_server::InvitationService,
    },
    service::Service,
};

/// How many persons one call may invite.
const BULK_MAX: usize = 50;
/// How many roles, or teams, an invitation may promise.
const NAMED_MAX: usize = 50;

#[tonic::async_trait]
impl InvitationService for Service {
    async fn create_invitation(
        &self,
        request: Request<pb::CreateInvitationRequest>,
    ) -> Result<Response<pb::CreateInvitationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        let new = request.invitation.unwrap_or_default();
        let input = fields.within("invitation", |fields| read_new(fields, &self.templates, new));
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| invitations::create(ctx, tx, organization_id, &input).await,
            |created, revision| pb::CreateInvitationResponse {
                invitation: Some((&created.invitation).into()),
                token: created.token.reveal(),
                user_created: created.user_created,
                revision,
            },
        )
        .await
    }

    async fn bulk_create_invitations(
        &self,
        request: Request<pb::BulkCreateInvitationsRequest>,
    ) -> Result<Response<pb::BulkCreateInvitationsResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let organization_id: OrganizationId = fields.id("organization_id", &request.organization_id);
        fields.count("invitations", request.invitations.len(), 1..=BULK_MAX);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let read = |new| {
            let mut fields = Fields::new();
            let input = read_new(&mut fields, &self.templates, new);
            fields.done().map(|()| input)
        };
        let inputs: Vec<_> = request.invitations.into_iter().map(read).collect();
        self.write(
            ctx,
            async move |ctx, tx| invitations::create_all(ctx, tx, organization_id, &inputs).await,
            |outcomes, revision| pb::BulkCreateInvitationsResponse {
                results: outcomes.into_iter().map(result).collect(),
                revision,
            },
        )
        .await
    }

    async fn get_invitation(
        &self,
        request: Request<pb::GetInvitationRequest>,
    ) -> Result<Response<pb::GetInvitationResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.invitation_id);
        fields.done()?;
        let invitation = self.read(async move |tx| invitations::get(&ctx, tx, organization_id, id).await).await?;
        Ok(Response::new(pb::GetInvitationResponse { invitation: Some((&invitation).into()) }))
    }

    async fn preview_invitation(
        &self,
        request: Request<pb::PreviewInvitationRequest>,
    ) -> Result<Response<pb::PreviewInvitationResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let token = read_token(&mut fields, request.token);
        fields.done()?;
        let preview = self.read(async move |tx| invitations::preview(&ctx, tx, &token).await).await?;
        Ok(Response::new(pb::PreviewInvitationResponse {
            invitation: Some((&preview.invitation).into()),
            organization_name: preview.organization_name,
            inviter_name: preview.inviter_name,
        }))
    }

    async fn list_invitations(
        &self,
        request: Request<pb::ListInvitationsRequest>,
    ) -> Result<Response<pb::ListInvitationsResponse>, Status> {
        let (ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let email = Some(&request.email).filter(|email| !email.is_empty());
        let filter = Filter {
            organization_id: fields.id("organization_id", &request.organization_id),
            status: wire::status(fields.choice_optional("status", request.status)),
            email_key: email.map(|email| fields.email("email", email).key),
        };
        let page = fields.page(request.page_size, &request.page_token, format!("invitations {filter:?}"))?;
        fields.done()?;
        let paged =
            self.read(async move |tx| invitations::list(tx, ctx.tenant_id, &filter, ctx.now, &page).await).await?;
        Ok(Response::new(pb::ListInvitationsResponse {
            invitations: paged.items.iter().map(Into::into).collect(),
            next_page_token: paged.next_page_token,
        }))
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> Result<Response<pb::ResendInvitationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.invitation_id);
        let lifetime = read_lifetime(&mut fields, request.lifetime.as_ref());
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        let input = Resend { organization_id, id, lifetime, send_mail: !request.skip_mail };
        self.write(
            ctx,
            async move |ctx, tx| invitations::resend(ctx, tx, &input).await,
            |(invitation, token), revision| pb::ResendInvitationResponse {
                invitation: Some((&invitation).into()),
                token: token.reveal(),
                revision,
            },
        )
        .await
    }

    async fn revoke_invitation(
        &self,
        request: Request<pb::RevokeInvitationRequest>,
    ) -> Result<Response<pb::RevokeInvitationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let (organization_id, id) = read_ids(&mut fields, &request.organization_id, &request.invitation_id);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| invitations::revoke(ctx, tx, organization_id, id).await,
            |invitation, revision| pb::RevokeInvitationResponse { invitation: Some((&invitation).into()), revision },
        )
        .await
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> Result<Response<pb::AcceptInvitationResponse>, Status> {
        let who = self.caller(&request)?.who;
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let input = Accept {
            token: read_token(&mut fields, request.token),
            authenticated_via: match &who {
                Who::User(_, token) => token.account.identity.issuer.clone(),
                Who::Key(_) | Who::Service(_) => String::new(),
            },
            accepter: match who {
                Who::User(id, token) => Accepter::Oneself(id, token.verified_email.clone()),
                Who::Key(_) | Who::Service(_) => {
                    Accepter::Named(read_accepter(&mut fields, request.accepter), request.email_verified)
                }
            },
        };
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| invitations::accept(ctx, tx, &input).await,
            |accepted, revision| pb::AcceptInvitationResponse {
                invitation: Some((&accepted.invitation).into()),
                membership: Some((&accepted.membership).into()),
                revision,
            },
        )
        .await
    }

    async fn decline_invitation(
        &self,
        request: Request<pb::DeclineInvitationRequest>,
    ) -> Result<Response<pb::DeclineInvitationResponse>, Status> {
        let (mut ctx, request) = self.open(request).await?;
        let mut fields = Fields::new();
        let token = read_token(&mut fields, request.token);
        fields.reason(&mut ctx, request.reason);
        fields.request(&mut ctx, request.request_id);
        fields.done()?;
        self.write(
            ctx,
            async move |ctx, tx| invitations::decline(ctx, tx, &token).await,
            |invitation, revision| pb::DeclineInvitationResponse { invitation: Some((&invitation).into()), revision },
        )
        .await
    }
}

fn read_new(fields: &mut Fields, templates: &Templates, new: pb::NewInvitation) -> NewInvitation {
    let person = read_person(fields, None, Some(&new.email));
    fields.text("display_name", &new.display_name, 0..=200);
    let roles = fields.right_slugs("roles", new.roles, 0..=NAMED_MAX);
    fields.count("team_ids", new.team_ids.len(), 0..=NAMED_MAX);
    let teams = new.team_ids.iter().enumerate().map(|(i, id)| fields.id(format!("team_ids[{i}]"), id)).collect();
    fields.metadata("metadata", &new.metadata);
    let invite = pb::NewMemberInvite {
        message: new.message,
        locale: new.locale,
        template: new.template,
        lifetime: new.lifetime,
        allow_same_verified_domain: new.allow_same_verified_domain,
        inviter_user_id: new.inviter_user_id,
    };
    let terms = read_terms(fields, templates, invite);
    let member =
        NewMember { display_name: new.display_name, teams: ordered(teams), ..NewMember::active(person, roles) };
    NewInvitation { member, terms: Terms { metadata: new.metadata, send_mail: !new.skip_mail, ..terms } }
}

/// Reads how a person is invited; by mail.
pub fn read_terms(fields: &mut Fields, templates: &Templates, invite: pb::NewMemberInvite) -> Terms {
    fields.text("message", &invite.message, 0..=1_000);
    if !is_locale(&invite.locale) {
        fields.wrong("locale", "not a language tag such as de-AT");
    }
    let has_form = invite.template.is_empty() || is_right_slug(&invite.template);
    if !has_form || !templates.has(&invite.template) {
        fields.wrong("template", "not one of the templates that are configured");
    }
    Terms {
        inviter_user_id: fields.id_optional("inviter_user_id", &invite.inviter_user_id),
        lifetime: read_lifetime(fields, invite.lifetime.as_ref()),
        message: invite.message,
        locale: invite.locale,
        template: invite.template,
        metadata: BTreeMap::new(),
        same_domain: invite.allow_same_verified_domain,
        send_mail: true,
    }
}

/// A language tag of at most 35 characters (RFC 5646, sections 2.1 and 4.4.1: what it is made of), or nothing.
fn is_locale(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.is_empty() || (text.len() <= 35 && text.split('-').all(part))
}

fn read_ids(fields: &mut Fields, organization_id: &str, invitation_id: &str) -> (OrganizationId, InvitationId) {
    (fields.id("organization_id", organization_id), fields.id("invitation_id", invitation_id))
}

fn read_lifetime(fields: &mut Fields, lifetime: Option<&prost_types::Duration>) -> Duration {
    let read = fields.duration("lifetime", lifetime, LIFETIME_MAX, LIFETIME_DEFAULT);
    if read.is_zero() {
        fields.wrong("lifetime", "0 is too short");
    }
    read
}

/// Whatever it is: that it is no token is not told from that it is an unknown one.
fn read_token(fields: &mut Fields, token: String) -> Token {
    fields.text("token", &token, 1..=200);
    Token::presented(token)
}

fn read_accepter(fields: &mut Fields, accepter: Option<accept_invitation_request::Accepter>) -> Person {
    use accept_invitation_request::Accepter;
    match accepter {
        Some(Accepter::UserId(id)) => Person::User(fields.id("user_id", &id)),
        Some(Accepter::Email(email)) => Person::Email(fields.email("email", &email)),
        None => {
            fields.wrong("accepter", "required: user_id or email");
            Person::User(fields.id_optional("user_id", "").unwrap_or_else(crate::ids::UserId::generate))
        }
    }
}

fn result(outcome: Result<Created, (Reason, String)>) -> pb::CreateInvitationResult {
    match outcome {
        Ok(created) => pb::CreateInvitationResult {
            outcome: Some(Outcome::Invitation((&created.invitation).into())),
            token: created.token.reveal(),
            user_created: created.user_created,
        },
        Err((reason, message)) => pb::CreateInvitationResult {
            outcome: Some(Outcome::Error(pb::CreateInvitationError {
                reason: reason_name(reason).to_owned(),
                message,
            })),
            ..pb::CreateInvitationResult::default()
        },
    }
}
