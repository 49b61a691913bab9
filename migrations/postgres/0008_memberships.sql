-- The whole life of a membership. The same columns and names as for SQLite. Whoever was a member before has joined at a
-- time that was not recorded. source_reference and authenticated_via: '' where there is none.
ALTER TABLE memberships
    ADD COLUMN kind TEXT NOT NULL DEFAULT 'member',
    ADD COLUMN source_reference TEXT NOT NULL DEFAULT '',
    ADD COLUMN authenticated_via TEXT NOT NULL DEFAULT '',
    ADD COLUMN metadata JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN joined_at BIGINT,
    ADD COLUMN review_at BIGINT,
    ADD COLUMN ends_at BIGINT,
    ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
-- What a sweep looks for: the ends that are reached.
CREATE INDEX memberships_by_end ON memberships (ends_at) WHERE ends_at IS NOT NULL AND status = 'active';
