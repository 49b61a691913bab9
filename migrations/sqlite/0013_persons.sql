-- Whom the answer to a request names, by user id, with blanks between: it may be sealed, and is taken away when they are erased.
ALTER TABLE requests ADD COLUMN user_ids TEXT NOT NULL DEFAULT '';

-- Who was invited: user_id becomes whoever accepts, and what is personal in an invitation stays theirs who was invited.
ALTER TABLE invitations ADD COLUMN invited_user_id BLOB;
UPDATE invitations SET invited_user_id = user_id;
CREATE INDEX invitations_by_invited_user ON invitations (tenant_id, invited_user_id);

-- The addresses that users had before: who was removed or suspended does not come back by one of them.
CREATE TABLE user_former_emails (
    tenant_id BLOB NOT NULL,
    email_key TEXT NOT NULL,
    user_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, email_key, user_id)
) STRICT;
CREATE INDEX user_former_emails_by_user ON user_former_emails (tenant_id, user_id);
