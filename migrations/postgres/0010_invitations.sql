-- Invitations. roles and team_ids: what was promised. An invitation is in the way of another one for its address while
-- it is pending.
CREATE TABLE invitations (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    id UUID NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    status TEXT NOT NULL,
    roles JSONB NOT NULL,
    team_ids JSONB NOT NULL,
    user_id UUID NOT NULL,
    membership_id UUID NOT NULL,
    inviter_user_id UUID,
    message TEXT NOT NULL,
    locale TEXT NOT NULL,
    template TEXT NOT NULL,
    metadata JSONB NOT NULL,
    same_domain BOOLEAN NOT NULL,
    status_reason TEXT NOT NULL,
    mail_status TEXT NOT NULL,
    mail_error TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
);
CREATE UNIQUE INDEX invitations_pending ON invitations (tenant_id, organization_id, email_key) WHERE status = 'pending';
CREATE INDEX invitations_by_end ON invitations (expires_at) WHERE status = 'pending';
CREATE INDEX invitations_by_membership ON invitations (tenant_id, organization_id, membership_id);
CREATE INDEX invitations_by_user ON invitations (tenant_id, user_id);

-- The SHA-256 of tokens. Of an invitation those count that are not replaced; the others are kept to tell why they are
-- refused.
CREATE TABLE invitation_tokens (
    tenant_id UUID NOT NULL,
    hash BYTEA NOT NULL,
    organization_id UUID NOT NULL,
    invitation_id UUID NOT NULL,
    mailed BOOLEAN NOT NULL, -- made for a mail, not for the caller
    replaced BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, organization_id, invitation_id)
        REFERENCES invitations (tenant_id, organization_id, id) ON DELETE CASCADE
);
CREATE INDEX invitation_tokens_by_invitation
    ON invitation_tokens (tenant_id, organization_id, invitation_id, created_at);

-- Mails that are due. Only that one is: what it says, and its token, are made when it is sent.
CREATE TABLE invitation_mails (
    tenant_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    invitation_id UUID NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, organization_id, invitation_id),
    FOREIGN KEY (tenant_id, organization_id, invitation_id)
        REFERENCES invitations (tenant_id, organization_id, id) ON DELETE CASCADE
);
CREATE INDEX invitation_mails_by_time ON invitation_mails (due_at);
