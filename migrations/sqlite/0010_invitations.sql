-- Invitations. roles and team_ids: what was promised. An invitation is in the way of another one for its address while
-- it is pending.
CREATE TABLE invitations (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    status TEXT NOT NULL,
    roles TEXT NOT NULL,
    team_ids TEXT NOT NULL,
    user_id BLOB NOT NULL,
    membership_id BLOB NOT NULL,
    inviter_user_id BLOB,
    message TEXT NOT NULL,
    locale TEXT NOT NULL,
    template TEXT NOT NULL,
    metadata TEXT NOT NULL,
    same_domain INTEGER NOT NULL,
    status_reason TEXT NOT NULL,
    mail_status TEXT NOT NULL,
    mail_error TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX invitations_pending ON invitations (tenant_id, organization_id, email_key) WHERE status = 'pending';
CREATE INDEX invitations_by_end ON invitations (expires_at) WHERE status = 'pending';
CREATE INDEX invitations_by_membership ON invitations (tenant_id, organization_id, membership_id);
CREATE INDEX invitations_by_user ON invitations (tenant_id, user_id);

-- The SHA-256 of tokens. Of an invitation those count that are not replaced; the others are kept to tell why they are
-- refused.
CREATE TABLE invitation_tokens (
    tenant_id BLOB NOT NULL,
    hash BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    invitation_id BLOB NOT NULL,
    mailed INTEGER NOT NULL, -- made for a mail, not for the caller
    replaced INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, organization_id, invitation_id)
        REFERENCES invitations (tenant_id, organization_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX invitation_tokens_by_invitation
    ON invitation_tokens (tenant_id, organization_id, invitation_id, created_at);

-- Mails that are due. Only that one is: what it says, and its token, are made when it is sent.
CREATE TABLE invitation_mails (
    tenant_id BLOB NOT NULL,
    organization_id BLOB NOT NULL,
    invitation_id BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, invitation_id),
    FOREIGN KEY (tenant_id, organization_id, invitation_id)
        REFERENCES invitations (tenant_id, organization_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX invitation_mails_by_time ON invitation_mails (due_at);
