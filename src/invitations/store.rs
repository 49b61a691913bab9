//! SQL of invitations, their tokens and their mails.

use super::{Due, DueMail, Filter, Invitation};
use crate::{
    clock::Timestamp,
    db::{FromRow, Tx, args},
    error::{Error, Reason, Result},
    ids::{InvitationId, MembershipId, OrganizationId, TenantId, UserId},
};

macro_rules! columns {
    () => {
        "invitations.tenant_id, invitations.organization_id, invitations.id, invitations.email, invitations.email_key,
        invitations.status, invitations.roles, invitations.team_ids, invitations.user_id,
        COALESCE(invitations.invited_user_id, invitations.user_id) AS invited_user_id, invitations.membership_id,
        invitations.inviter_user_id, invitations.message, invitations.locale, invitations.template,
        invitations.metadata, invitations.same_domain, invitations.status_reason, invitations.mail_status,
        invitations.mail_error, invitations.expires_at, invitations.ended_at, invitations.created_at,
        invitations.updated_at"
    };
}

/// An invitation, by one of its tokens.
#[derive(Debug, FromRow)]
pub struct Found {
    #[sqlx(flatten)]
    pub invitation: Invitation,
    /// What is stored of the token.
    pub hash: Vec<u8>,
    /// Whether the invitation was sent again since.
    pub replaced: bool,
}

pub async fn insert(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let sql = "INSERT INTO invitations (tenant_id, organization_id, id, email, email_key, status, roles, team_ids,
            user_id, invited_user_id, membership_id, inviter_user_id, message, locale, template, metadata, same_domain,
            status_reason,
            mail_status, mail_error, expires_at, ended_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            $23, $24)";
    let values = args![
        invitation.tenant_id,
        invitation.organization_id,
        invitation.id,
        &invitation.email,
        &invitation.email_key,
        invitation.status.as_str(),
        serde_json::json!(invitation.roles.0),
        serde_json::json!(invitation.team_ids.0),
        invitation.user_id,
        invitation.invited_user_id,
        invitation.membership_id,
        invitation.inviter_user_id,
        &invitation.message,
        &invitation.locale,
        &invitation.template,
        serde_json::json!(invitation.metadata.0),
        invitation.same_domain,
        &invitation.status_reason,
        invitation.mail_status.as_str(),
        &invitation.mail_error,
        invitation.expires_at,
        invitation.ended_at,
        invitation.created_at,
        invitation.updated_at
    ];
    tx.execute(sql, values).await.map(drop)
}

pub async fn update(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let sql = "UPDATE invitations SET status = $4, status_reason = $5, mail_status = $6, mail_error = $7,
            expires_at = $8, ended_at = $9, user_id = $10, membership_id = $11, updated_at = $12, invited_user_id = $13,
            roles = $14, team_ids = $15
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    let values = args![
        invitation.tenant_id,
        invitation.organization_id,
        invitation.id,
        invitation.status.as_str(),
        &invitation.status_reason,
        invitation.mail_status.as_str(),
        &invitation.mail_error,
        invitation.expires_at,
        invitation.ended_at,
        invitation.user_id,
        invitation.membership_id,
        invitation.updated_at,
        invitation.invited_user_id,
        serde_json::json!(invitation.roles.0),
        serde_json::json!(invitation.team_ids.0)
    ];
    let pending = || Error::new(Reason::InvitationPending, "another invitation for the address is pending");
    tx.execute_unique(sql, values, pending).await.map(drop)
}

pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    id: InvitationId,
) -> Result<Option<Invitation>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE invitations.tenant_id = $1 AND organization_id = $2 AND id = $3"
    );
    tx.fetch_optional(sql, args![tenant, organization, id]).await
}

pub async fn pending_for(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    email_key: &str,
) -> Result<Option<Invitation>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE invitations.tenant_id = $1 AND organization_id = $2 AND email_key = $3
            AND status = 'pending'"
    );
    tx.fetch_optional(sql, args![tenant, organization, email_key]).await
}

pub async fn pending_of_membership(
    tx: &mut Tx,
    tenant: TenantId,
    organization: OrganizationId,
    membership: MembershipId,
) -> Result<Option<Invitation>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE invitations.tenant_id = $1 AND organization_id = $2 AND membership_id = $3
            AND status = 'pending'"
    );
    tx.fetch_optional(sql, args![tenant, organization, membership]).await
}

pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    filter: &Filter,
    now: Timestamp,
    after: Option<InvitationId>,
    limit: i64,
) -> Result<Vec<Invitation>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM invitations WHERE invitations.tenant_id = $1 AND organization_id = $2
            AND ($3 IS NULL OR $3 = CASE WHEN status = 'pending' AND expires_at <= $4 THEN 'expired' ELSE status END)
            AND ($5 IS NULL OR email_key = $5) AND ($6 IS NULL OR id > $6)
        ORDER BY id LIMIT $7"
    );
    let status = filter.status.map(super::Status::as_str);
    let values = args![tenant, filter.organization_id, status, now, filter.email_key.clone(), after, limit];
    tx.fetch_all(sql, values).await
}

pub async fn was_refused(tx: &mut Tx, tenant: TenantId, organization: OrganizationId, email_key: &str) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM invitations WHERE tenant_id = $1 AND organization_id = $2 AND email_key = $3
        AND status IN ('declined', 'revoked')";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, organization, email_key]).await?;
    Ok(count > 0)
}

pub async fn organizations_of(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Vec<(OrganizationId,)>> {
    let sql = "SELECT DISTINCT organization_id FROM invitations
        WHERE tenant_id = $1 AND invited_user_id = $2 AND email_key <> ''";
    tx.fetch_all(sql, args![tenant, user]).await
}

/// Empties what is personal of a person's invitations; answers those that had something.
pub async fn erase(tx: &mut Tx, tenant: TenantId, user: UserId, now: Timestamp) -> Result<Vec<Invitation>> {
    let sql = concat!(
        "UPDATE invitations SET email = '', email_key = '', message = '', metadata = $3, mail_error = '',
            updated_at = $4
        WHERE tenant_id = $1 AND invited_user_id = $2 AND email_key <> '' RETURNING ",
        columns!()
    );
    tx.fetch_all(sql, args![tenant, user, serde_json::json!({}), now]).await
}

/// Their tokens and mails go with them.
pub async fn purge(tx: &mut Tx, tenant: TenantId, organization: OrganizationId) -> Result<()> {
    let sql = "DELETE FROM invitations WHERE tenant_id = $1 AND organization_id = $2";
    tx.execute(sql, args![tenant, organization]).await.map(drop)
}

/// Pending invitations of all tenants whose end is over: by organization.
pub async fn due(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<Due>> {
    let sql = "SELECT tenant_id, organization_id, id FROM invitations
        WHERE status = 'pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";
    tx.fetch_all(sql, args![now, at_most]).await
}

pub async fn insert_token(
    tx: &mut Tx,
    invitation: &Invitation,
    hash: Vec<u8>,
    mailed: bool,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO invitation_tokens
            (tenant_id, hash, organization_id, invitation_id, mailed, replaced, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Invitation { tenant_id, organization_id, id, .. } = invitation;
    tx.execute(sql, args![*tenant_id, hash, *organization_id, *id, mailed, false, now]).await.map(drop)
}

/// Forgets the tokens of one kind beyond the latest so many.
pub async fn prune_tokens(tx: &mut Tx, invitation: &Invitation, mailed: bool, keep: i64) -> Result<()> {
    let sql = "DELETE FROM invitation_tokens WHERE tenant_id = $1 AND hash IN (
        SELECT t.hash FROM invitation_tokens t
        WHERE t.tenant_id = $1 AND t.organization_id = $2 AND t.invitation_id = $3 AND t.mailed = $4
        ORDER BY t.created_at DESC, t.replaced LIMIT 1000 OFFSET $5)";
    let Invitation { tenant_id, organization_id, id, .. } = invitation;
    tx.execute(sql, args![*tenant_id, *organization_id, *id, mailed, keep]).await.map(drop)
}

/// Ends all tokens of an invitation, for others.
pub async fn replace_tokens(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let sql = "UPDATE invitation_tokens SET replaced = $4
        WHERE tenant_id = $1 AND organization_id = $2 AND invitation_id = $3";
    let Invitation { tenant_id, organization_id, id, .. } = invitation;
    tx.execute(sql, args![*tenant_id, *organization_id, *id, true]).await.map(drop)
}

pub async fn find_by_token(tx: &mut Tx, tenant: TenantId, hash: Vec<u8>) -> Result<Option<Found>> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", t.hash, t.replaced FROM invitation_tokens t JOIN invitations
            ON invitations.tenant_id = t.tenant_id AND invitations.organization_id = t.organization_id
            AND invitations.id = t.invitation_id
        WHERE invitations.tenant_id = $1 AND t.tenant_id = $1 AND t.hash = $2"
    );
    tx.fetch_optional(sql, args![tenant, hash]).await
}

/// Makes a mail due now, in the place of an earlier one.
pub async fn queue_mail(tx: &mut Tx, invitation: &Invitation, now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO invitation_mails
            (tenant_id, organization_id, invitation_id, attempts, due_at, created_at) VALUES ($1, $2, $3, 0, $4, $4)
        ON CONFLICT (tenant_id, organization_id, invitation_id)
            DO UPDATE SET attempts = 0, due_at = excluded.due_at, created_at = excluded.created_at";
    let Invitation { tenant_id, organization_id, id, .. } = invitation;
    tx.execute(sql, args![*tenant_id, *organization_id, *id, now]).await.map(drop)
}

pub async fn cancel_mail(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let sql = "DELETE FROM invitation_mails
        WHERE tenant_id = $1 AND organization_id = $2 AND invitation_id = $3";
    let Invitation { tenant_id, organization_id, id, .. } = invitation;
    tx.execute(sql, args![*tenant_id, *organization_id, *id]).await.map(drop)
}

/// Mails of all tenants that are due, those that wait longest first.
pub async fn due_mails(tx: &mut Tx, now: Timestamp, at_most: i64) -> Result<Vec<DueMail>> {
    let sql = "SELECT tenant_id, organization_id, invitation_id, attempts, created_at FROM invitation_mails
        WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
    tx.fetch_all(sql, args![now, at_most]).await
}

/// Takes a mail on: it is due again at a later time, unless it is settled before. False where another took it, or it is
/// another one by now.
pub async fn claim_mail(tx: &mut Tx, mail: &DueMail, again_at: Timestamp) -> Result<bool> {
    let sql = "UPDATE invitation_mails SET attempts = attempts + 1, due_at = $4
        WHERE tenant_id = $1 AND organization_id = $2 AND invitation_id = $3 AND attempts = $5 AND created_at = $6";
    let DueMail { tenant_id, organization_id, invitation_id, attempts, created_at } = mail;
    let values = args![*tenant_id, *organization_id, *invitation_id, again_at, *attempts, *created_at];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Takes a mail that was taken on out of the queue; false where it is another one by now.
pub async fn finish_mail(tx: &mut Tx, mail: &DueMail) -> Result<bool> {
    let sql = "DELETE FROM invitation_mails
        WHERE tenant_id = $1 AND organization_id = $2 AND invitation_id = $3 AND created_at = $4";
    let DueMail { tenant_id, organization_id, invitation_id, created_at, .. } = mail;
    Ok(tx.execute(sql, args![*tenant_id, *organization_id, *invitation_id, *created_at]).await? == 1)
}
