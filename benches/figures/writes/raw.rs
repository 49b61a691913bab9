//! What the service says to the database, said by hand: the same statements in the same order, with rows of the same size.

use prost::Message as _;
use roster::{
    db::{Tx, Value},
    error::Result,
    ids::{InvitationId, MembershipId, OrganizationId, TenantId, UserId},
    proto::v1 as pb,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// About the size of an event of a membership, beside its ids.
const PADDING: usize = 260;
/// And of the personal data of it.
const PERSONAL: usize = 40;
const NOW: i64 = 1_700_000_000_000_000;

/// A macro, because the one of the library is its own.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}

/// Somebody who is invited.
pub struct Invited {
    pub token: String,
    pub email: String,
    invitation: Uuid,
    membership: Uuid,
    user: Uuid,
}

impl Invited {
    /// From an entry of the answer.
    pub fn read(result: &serde_json::Value) -> Self {
        let invitation = &result["invitation"];
        let text = |field: &str| invitation[field].as_str().unwrap();
        Self {
            token: result["token"].as_str().unwrap().to_owned(),
            email: text("email").to_owned(),
            invitation: text("invitationId").parse::<InvitationId>().unwrap().uuid(),
            membership: text("membershipId").parse::<MembershipId>().unwrap().uuid(),
            user: text("userId").parse::<UserId>().unwrap().uuid(),
        }
    }
}

async fn lock(tx: &mut Tx, tenant: Uuid, organization: Uuid) -> Result<()> {
    let sql =
        "SELECT tenant_id, id, slug, display_name, external_id, status, metadata, version, created_at, updated_at,
            deleted_at, default_role, role_priority, branding, feature_flags, deleted_from, purge_at, sequence,
            (SELECT sequence FROM tenants WHERE id = $1) FROM organizations WHERE tenant_id = $1 AND id = $2";
    tx.lock_one::<(Uuid,)>(sql, args![tenant, organization]).await.map(drop)
}

async fn find_tenant(tx: &mut Tx, tenant: Uuid) -> Result<()> {
    tx.fetch_optional::<(Uuid,)>("SELECT * FROM tenants WHERE id = $1", args![tenant]).await.map(drop)
}

async fn find_role(tx: &mut Tx, tenant: Uuid) -> Result<()> {
    let sql = "SELECT slug FROM roles WHERE tenant_id = $1 AND scope_id = $2 AND slug = $3";
    tx.fetch_optional::<(String,)>(sql, args![tenant, tenant, "member"]).await.map(drop)
}

/// A user with their accounts.
const USER: &str = "SELECT users.*, COALESCE((SELECT string_agg(i.issuer || i.subject, ' ') FROM user_identities i
    WHERE i.tenant_id = users.tenant_id AND i.user_id = users.id), '') FROM users WHERE tenant_id = $1 AND id = $2";
const USER_BY_EMAIL: &str = "SELECT users.*, COALESCE((SELECT string_agg(i.issuer || i.subject, ' ')
    FROM user_identities i WHERE i.tenant_id = users.tenant_id AND i.user_id = users.id), '')
    FROM users WHERE tenant_id = $1 AND email_key = $2 AND status <> 'removed'";

/// A person not known yet, and their membership.
async fn insert(tx: &mut Tx, tenant: Uuid, organization: Uuid, email: &str, status: &str) -> Result<(Uuid, Uuid)> {
    let (user, membership) = (Uuid::now_v7(), Uuid::now_v7());
    tx.lock_one::<(Uuid,)>(USER_BY_EMAIL, args![tenant, email]).await?;
    let sql =
        "INSERT INTO users (tenant_id, id, email, email_key, display_name, external_id, status, metadata, version,
            created_at, updated_at) VALUES ($1, $2, $3, $4, '', NULL, $5, $6, 1, $7, $8) ON CONFLICT DO NOTHING";
    tx.execute(sql, args![tenant, user, email, email, status, json!({}), NOW, NOW]).await?;
    let sql =
        "INSERT INTO memberships (tenant_id, organization_id, id, user_id, status, kind, source, source_reference,
            status_reason, authenticated_via, metadata, joined_at, review_at, ends_at, version, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, 'member', 'api', '', '', '', $6, $7, NULL, NULL, 1, $7, $7)";
    tx.execute(sql, args![tenant, organization, membership, user, status, json!({}), NOW]).await?;
    let sql = "INSERT INTO membership_roles (tenant_id, organization_id, membership_id, scope_id, role, source,
            source_reference) VALUES ($1, $2, $3, $4, 'member', 'api', '')";
    tx.execute(sql, args![tenant, organization, membership, tenant]).await?;
    Ok((user, membership))
}

/// Events: so many of the tenant and of the organization, so many of them with personal data.
async fn append(tx: &mut Tx, tenant: Uuid, organization: Uuid, of: (i64, i64), personal: usize) -> Result<()> {
    let sql = "UPDATE organizations SET sequence = sequence + $3 WHERE tenant_id = $1 AND id = $2
        RETURNING sequence, (SELECT t.sequence FROM tenants t WHERE t.id = $1)";
    let (last, _): (i64, i64) = tx.fetch_one(sql, args![tenant, organization, of.1]).await?;
    let sql = "UPDATE tenants SET sequence = sequence + $2 WHERE id = $1 RETURNING sequence";
    let (last_of_tenant,): (i64,) = tx.fetch_one(sql, args![tenant, of.0]).await?;
    let sequences = (0..of.0).map(|back| (tenant, last_of_tenant - back));
    let sequences = sequences.chain((0..of.1).map(|back| (organization, last - back)));
    let events: Vec<_> = sequences.map(|(stream, sequence)| (stream, sequence, Uuid::now_v7())).collect();
    let rows = events.iter().map(|(stream, sequence, id)| {
        args![tenant, *stream, *sequence, *id, "bench.written", NOW, event(tenant, *stream, *sequence, *id)]
    });
    let sql = "INSERT INTO events (tenant_id, stream_id, sequence, id, type, occurred_at, payload)";
    tx.insert_all(sql, rows.collect()).await?;
    let rows = events
        .iter()
        .take(personal)
        .map(|(_, _, id)| args![tenant, *id, Uuid::now_v7(), vec![7u8; PERSONAL], None::<Uuid>, Vec::<u8>::new()]);
    let sql = "INSERT INTO events_personal
        (tenant_id, event_id, subject_id, subject_payload, actor_id, actor_payload)";
    tx.insert_all(sql, rows.collect()).await
}

/// An event of no type that anybody knows: whoever reads the log passes over it.
fn event(tenant: Uuid, stream: Uuid, sequence: i64, id: Uuid) -> Vec<u8> {
    let organization_id = if stream == tenant { String::new() } else { OrganizationId::from_uuid(stream).to_string() };
    let event = pb::Event {
        event_id: id.to_string(),
        r#type: "bench.written".to_owned(),
        tenant_id: TenantId::from_uuid(tenant).to_string(),
        organization_id,
        sequence,
        reason: "x".repeat(PADDING),
        ..pb::Event::default()
    };
    event.encode_to_vec()
}

pub async fn add_member(tx: &mut Tx, tenant: Uuid, organization: Uuid, email: &str) -> Result<()> {
    lock(tx, tenant, organization).await?;
    find_tenant(tx, tenant).await?;
    find_role(tx, tenant).await?;
    insert(tx, tenant, organization, email, "active").await?;
    append(tx, tenant, organization, (1, 1), 1).await
}

pub async fn invite(tx: &mut Tx, tenant: Uuid, organization: Uuid, emails: &[String]) -> Result<()> {
    lock(tx, tenant, organization).await?;
    find_tenant(tx, tenant).await?;
    for email in emails {
        find_role(tx, tenant).await?;
        let sql = "SELECT * FROM invitations WHERE tenant_id = $1 AND organization_id = $2 AND email_key = $3
            AND status = 'pending'";
        tx.fetch_optional::<(Uuid,)>(sql, args![tenant, organization, email.as_str()]).await?;
        tx.fetch_optional::<(Uuid,)>(USER_BY_EMAIL, args![tenant, email.as_str()]).await?;
        find_role(tx, tenant).await?;
        let (user, membership) = insert(tx, tenant, organization, email, "invited").await?;
        let id = Uuid::now_v7();
        let sql = "INSERT INTO invitations (tenant_id, organization_id, id, email, email_key, status, roles, team_ids,
                user_id, membership_id, inviter_user_id, message, locale, template, metadata, same_domain,
                status_reason, mail_status, mail_error, expires_at, ended_at, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $4, 'pending', $5, $6, $7, $8, NULL, '', '', '', $9, $10, '', 'none', '', $11, NULL,
                $11, $11)";
        let (roles, teams) = (json!(["member"]), json!([]));
        let values =
            args![tenant, organization, id, email.as_str(), roles, teams, user, membership, json!({}), false, NOW * 2];
        tx.execute(sql, values).await?;
        let sql = "INSERT INTO invitation_tokens
            (tenant_id, hash, organization_id, invitation_id, mailed, replaced, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let hash = Sha256::digest(id.as_bytes()).to_vec();
        tx.execute(sql, args![tenant, hash, organization, id, false, false, NOW]).await?;
    }
    let count = i64::try_from(emails.len()).unwrap();
    append(tx, tenant, organization, (count, 2 * count), 2 * emails.len()).await
}

pub async fn accept(tx: &mut Tx, tenant: Uuid, organization: Uuid, invited: &Invited) -> Result<()> {
    let Invited { token, invitation, membership, user, .. } = invited;
    let hash = Sha256::digest(token).to_vec();
    let find = "SELECT invitations.*, t.hash, t.replaced FROM invitation_tokens t JOIN invitations
        ON invitations.tenant_id = t.tenant_id AND invitations.organization_id = t.organization_id
            AND invitations.id = t.invitation_id
        WHERE invitations.tenant_id = $1 AND t.tenant_id = $1 AND t.hash = $2";
    tx.fetch_optional::<(Uuid,)>(find, args![tenant, hash.clone()]).await?;
    lock(tx, tenant, organization).await?;
    tx.fetch_optional::<(Uuid,)>(find, args![tenant, hash]).await?;
    tx.lock_one::<(Uuid,)>(USER, args![tenant, *user]).await?;
    let settle = "UPDATE invitations SET status = $4, status_reason = '', mail_status = 'none', mail_error = '',
            expires_at = $5, ended_at = $6, user_id = $7, membership_id = $8, updated_at = $9
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    let settled = || args![tenant, organization, *invitation, "accepted", NOW, NOW, *user, *membership, NOW];
    tx.execute(settle, settled()).await?;
    let sql = "DELETE FROM invitation_mails WHERE tenant_id = $1 AND organization_id = $2 AND invitation_id = $3";
    tx.execute(sql, args![tenant, organization, *invitation]).await?;
    let sql = "SELECT memberships.*, COALESCE((SELECT string_agg(r.role || ' ' || r.source, ' ')
            FROM membership_roles r WHERE r.tenant_id = memberships.tenant_id
                AND r.organization_id = memberships.organization_id AND r.membership_id = memberships.id), '')
        FROM memberships WHERE tenant_id = $1 AND organization_id = $2 AND id = $3";
    tx.fetch_optional::<(Uuid,)>(sql, args![tenant, organization, *membership]).await?;
    tx.lock_one::<(Uuid,)>(USER, args![tenant, *user]).await?;
    tx.fetch_optional::<(Uuid,)>(USER, args![tenant, *user]).await?;
    let sql = "UPDATE users SET status = 'active', suspended_from = NULL, version = version + 1, updated_at = $3
        WHERE tenant_id = $1 AND id = $2 AND status = 'invited' RETURNING *";
    tx.fetch_optional::<(Uuid,)>(sql, args![tenant, *user, NOW]).await?;
    let sql = "UPDATE memberships SET status = 'active', status_reason = '', kind = 'member', authenticated_via = '',
            joined_at = $4, version = version + 1, updated_at = $4
        WHERE tenant_id = $1 AND organization_id = $2 AND id = $3 AND version = 1 RETURNING *";
    tx.fetch_optional::<(Uuid,)>(sql, args![tenant, organization, *membership, NOW]).await?;
    tx.execute(settle, settled()).await?;
    append(tx, tenant, organization, (1, 2), 2).await
}
