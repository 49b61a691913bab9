-- Whether a membership was that of an owner who counts, when its organization was deleted: only then must the organization
-- come back with one. Of deletions before this it is taken to be so of every active owner.

ALTER TABLE memberships_kept ADD COLUMN counted_owner BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE memberships_kept SET counted_owner = TRUE WHERE status = 'active' AND EXISTS (
    SELECT 1 FROM membership_roles_kept r
    WHERE r.tenant_id = memberships_kept.tenant_id AND r.organization_id = memberships_kept.organization_id
        AND r.membership_id = memberships_kept.id AND r.role = 'owner');
