-- What auto-join looks for when somebody comes: users who had the address, invitations that were refused, and how many came.
CREATE INDEX users_removed_by_email ON users (tenant_id, email_key) WHERE status = 'removed';
CREATE INDEX invitations_refused ON invitations (tenant_id, organization_id, email_key)
    WHERE status IN ('declined', 'revoked');
CREATE INDEX memberships_by_domain ON memberships (tenant_id, organization_id, source_reference) WHERE source = 'domain';
