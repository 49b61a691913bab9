//! Inviting persons.

use std::{collections::BTreeMap, time::Duration};

use super::{Invitation, MailStatus, Status, Token, end, ensure_open, store, wire};
use crate::{
    authority::Authority,
    context::Ctx,
    db::{Json, Tx},
    error::{Error, Reason, Result},
    events::{self, Change},
    fields::Email,
    ids::{InvitationId, OrganizationId, UserId},
    memberships::{self, Membership, NewMember, Origin, Person, Source, Standing},
    organizations::{self, Organization},
    roles, teams, users,
};

/// How many tokens of each kind an invitation keeps: its callers' and its mails', replaced ones among them.
const TOKENS_MAX: i64 = 20;

/// Who is invited, and to what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Who, and what they become. Where they begin, and where that comes from, is the invitation's to say.
    pub member: NewMember,
    /// How they are invited.
    pub terms: Terms,
}

/// How a person is invited.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Who invites, where a service says so.
    pub inviter_user_id: Option<UserId>,
    /// A word to the person.
    pub message: String,
    /// The language of the mail, or empty.
    pub locale: String,
    /// The template of the mail, or empty.
    pub template: String,
    /// Whatever the application keeps with the invitation.
    pub metadata: BTreeMap<String, String>,
    /// For how long it may be accepted.
    pub lifetime: Duration,
    /// Whether somebody else of the same verified domain may accept it.
    pub same_domain: bool,
    /// Whether a mail is sent.
    pub send_mail: bool,
}

impl Terms {
    /// By a mail that says nothing more, in the organization's own name.
    pub fn by_mail(lifetime: Duration) -> Self {
        Self {
            inviter_user_id: None,
            message: String::new(),
            locale: String::new(),
            template: String::new(),
            metadata: BTreeMap::new(),
            lifetime,
            same_domain: false,
            send_mail: true,
        }
    }
}

/// An invitation that was made.
#[derive(Debug)]
pub struct Created {
    /// The invitation.
    pub invitation: Invitation,
    /// The membership that goes with it.
    pub membership: Membership,
    /// By which it is accepted.
    pub token: Token,
    /// Whether the person was not known.
    pub user_created: bool,
    /// What the log is to hear.
    pub changes: Vec<Change>,
}

/// Invites a person.
pub async fn create(ctx: &Ctx, tx: &mut Tx, organization_id: OrganizationId, input: &NewInvitation) -> Result<Created> {
    let organization = organizations::lock_for_change(ctx, tx, organization_id).await?;
    let default = [roles::default_of(tx, &organization).await?];
    let mut created = invite(ctx, tx, &organization, input, &default).await?;
    events::append(ctx, tx, std::mem::take(&mut created.changes)).await?;
    Ok(created)
}

/// Invites many persons, under one lock. Each entry has its own outcome.
pub async fn create_all(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    inputs: &[Result<NewInvitation>],
) -> Result<Vec<Result<Created, (Reason, String)>>> {
    let organization = organizations::lock_for_change(ctx, tx, organization_id).await?;
    ensure_open(&organization)?;
    let default = [roles::default_of(tx, &organization).await?];
    let mut changes = Vec::new();
    let mut outcomes: Vec<_> = inputs.iter().map(|_| None).collect();
    let persons: Vec<_> = inputs.iter().map(|input| input.as_ref().ok().map(|input| &input.member.person)).collect();
    for index in memberships::in_lock_order(tx, ctx.tenant_id, &persons).await? {
        let outcome = match &inputs[index] {
            Ok(input) => invite(ctx, tx, &organization, input, &default).await,
            Err(error) => Err(Error::new(error.reason(), error.message().to_owned())),
        };
        outcomes[index] = Some(memberships::outcome(outcome)?.map(|mut created| {
            // None of them follows from the first entry alone.
            let plain = |change| Change { cascaded: false, ..change };
            changes.extend(created.changes.drain(..).map(plain));
            created
        }));
    }
    events::append(ctx, tx, changes).await?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Invites a person to a locked organization; `default` is for those who are promised no role by name. Everything that
/// can be refused is, before anything is written.
pub async fn invite(
    ctx: &Ctx,
    tx: &mut Tx,
    organization: &Organization,
    input: &NewInvitation,
    default: &[String],
) -> Result<Created> {
    ensure_open(organization)?;
    let NewInvitation { member, terms } = input;
    let slugs = if member.roles.is_empty() { default } else { &member.roles };
    memberships::ensure_may_give(ctx, tx, organization.id, member, slugs).await?;
    let inviter_user_id = inviter(ctx, tx, terms.inviter_user_id).await?;
    let email = address(ctx, tx, &member.person).await?;
    ensure_there(ctx, tx, organization.id, slugs, member).await?;
    let over = ensure_invitable(ctx, tx, organization.id, &email.key).await?;
    let mut changes = Vec::new();
    if let Some(over) = over {
        changes.extend(end::end(ctx, tx, &over, Status::Expired).await?.1);
    }
    let id = InvitationId::generate();
    let added = memberships::add(ctx, tx, organization.id, &invited(member, id), slugs).await?;
    let invitation = Invitation {
        tenant_id: ctx.tenant_id,
        organization_id: organization.id,
        id,
        email: email.original,
        email_key: email.key,
        status: Status::Pending,
        roles: Json(slugs.to_vec()),
        team_ids: Json(member.teams.iter().map(ToString::to_string).collect()),
        user_id: added.membership.user_id,
        invited_user_id: added.membership.user_id,
        membership_id: added.membership.id,
        inviter_user_id,
        message: terms.message.clone(),
        locale: terms.locale.clone(),
        template: terms.template.clone(),
        metadata: Json(terms.metadata.clone()),
        same_domain: terms.same_domain,
        status_reason: ctx.reason.clone(),
        mail_status: if terms.send_mail { MailStatus::Pending } else { MailStatus::None },
        mail_error: String::new(),
        expires_at: ctx.now.plus(terms.lifetime),
        ended_at: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    store::insert(tx, &invitation).await?;
    let token = issue(ctx, tx, &invitation).await?;
    changes.push(wire::created(&invitation));
    changes.extend(added.changes);
    Ok(Created { invitation, membership: added.membership, token, user_created: added.user_created, changes })
}

/// Who becomes a member by accepting. Who is invited by a domain comes from that.
pub(super) fn invited(member: &NewMember, id: InvitationId) -> NewMember {
    let origin = match member.origin.source {
        Source::Domain => member.origin.clone(),
        _ => Origin { source: Source::Invitation, reference: id.to_string() },
    };
    NewMember { standing: Standing::Invited, origin, invite: None, ..member.clone() }
}

/// A token for the caller; and a mail, where one is to be sent.
pub(super) async fn issue(ctx: &Ctx, tx: &mut Tx, invitation: &Invitation) -> Result<Token> {
    let token = Token::generate()?;
    keep(ctx, tx, invitation, &token, false).await?;
    if invitation.mail_status == MailStatus::Pending {
        store::queue_mail(tx, invitation, ctx.now).await?;
    }
    Ok(token)
}

/// Keeps the hash of a token.
pub(super) async fn keep(ctx: &Ctx, tx: &mut Tx, invitation: &Invitation, token: &Token, mailed: bool) -> Result<()> {
    store::insert_token(tx, invitation, token.hash(), mailed, ctx.now).await
}

/// Forgets the oldest of many tokens.
pub(super) async fn prune(tx: &mut Tx, invitation: &Invitation, mailed: bool) -> Result<()> {
    store::prune_tokens(tx, invitation, mailed, TOKENS_MAX).await
}

/// A user invites themself; a service may say for whom it does. Fails with `USER_NOT_FOUND`.
async fn inviter(ctx: &Ctx, tx: &mut Tx, named: Option<UserId>) -> Result<Option<UserId>> {
    match (&ctx.authority, named) {
        (Authority::User(user), _) => Ok(Some(user.user_id)),
        (_, Some(id)) => users::get(tx, ctx.tenant_id, id).await.map(|user| Some(user.id)),
        (_, None) => Ok(None),
    }
}

async fn address(ctx: &Ctx, tx: &mut Tx, person: &Person) -> Result<Email> {
    match person {
        Person::Email(email) => Ok(email.clone()),
        Person::User(id) => {
            let user = users::hold(tx, ctx.tenant_id, *id).await?;
            Ok(Email { original: user.email, key: user.email_key })
        }
    }
}

/// Fails with `ROLE_NOT_FOUND`, `TEAM_NOT_FOUND`.
async fn ensure_there(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    slugs: &[String],
    member: &NewMember,
) -> Result<()> {
    roles::ensure_exist(tx, ctx.tenant_id, organization_id, slugs).await?;
    for team_id in &member.teams {
        teams::get(tx, ctx.tenant_id, organization_id, *team_id).await?;
    }
    Ok(())
}

/// Fails where nobody with this address can be invited. Answers an invitation that is in the way and over, though not
/// recorded as expired yet.
pub(super) async fn ensure_invitable(
    ctx: &Ctx,
    tx: &mut Tx,
    organization_id: OrganizationId,
    email_key: &str,
) -> Result<Option<Invitation>> {
    let mut over = store::pending_for(tx, ctx.tenant_id, organization_id, email_key).await?;
    if let Some(there) = &over {
        ensure_over(ctx, there)?;
    }
    let Some(user) = users::find_by_email(tx, ctx.tenant_id, email_key).await? else { return Ok(over) };
    if user.status == users::Status::Suspended {
        return Err(Error::new(Reason::UserSuspended, "the user is suspended").with("user_id", user.id));
    }
    let present = memberships::find_present(tx, ctx.tenant_id, organization_id, user.id).await?;
    let Some(present) = present else { return Ok(over) };
    let is_its = |invitation: &Invitation| invitation.membership_id == present.id;
    match present.status {
        memberships::Status::Suspended => {
            let message = "the person is a suspended member of the organization";
            Err(Error::new(Reason::MembershipSuspended, message).with("membership_id", present.id))
        }
        memberships::Status::Invited if over.as_ref().is_some_and(is_its) => Ok(over),
        memberships::Status::Invited if over.is_none() => {
            // The user's address was another one when they were invited.
            over = store::pending_of_membership(tx, ctx.tenant_id, organization_id, present.id).await?;
            ensure_over(ctx, over.as_ref().ok_or_else(|| memberships::already(&present))?)?;
            Ok(over)
        }
        _ => Err(memberships::already(&present)),
    }
}

fn ensure_over(ctx: &Ctx, there: &Invitation) -> Result<()> {
    if there.status_at(ctx.now) == Status::Expired {
        return Ok(());
    }
    let message = "an invitation for the address is pending: resend that, or revoke it first";
    Err(Error::new(Reason::InvitationPending, message).with("invitation_id", there.id))
}
