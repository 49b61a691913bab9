-- The planner's statistics of tables that have at least doubled since it last looked: all that a database has in its first
-- minutes. Without them it takes any index of a table for as good as another, keeps that choice for a prepared statement, and
-- reads a whole tenant's rows for one; autovacuum looks once a minute, and an import has not got a minute.
-- (SQLite takes the index of which a statement names the most columns, and needs none of this.)
--
-- It looks at one table, the next by name behind the one that is given, and answers which; nothing behind the last. So each is
-- a transaction of its own, and nothing that was found is lost with another. A table that somebody is at is left out: it is
-- the turn of the next round.
CREATE FUNCTION analyze_grown(after TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    grown TEXT;
BEGIN
    PERFORM set_config('client_min_messages', 'error', TRUE);
    SELECT s.relname INTO grown FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
        WHERE s.schemaname = current_schema() AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
            AND s.n_live_tup >= GREATEST(500, 2 * c.reltuples) AND s.relname > after
        ORDER BY s.relname LIMIT 1;
    IF grown IS NOT NULL THEN
        EXECUTE format('ANALYZE (SKIP_LOCKED) %I', grown);
    END IF;
    RETURN grown;
END $$;
