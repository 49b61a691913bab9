-- The planner's statistics of tables that have at least doubled since it last looked: all that a database has in its first
-- minutes. Without them it takes any index of a table for as good as another, keeps that choice for a prepared statement, and
-- reads a whole tenant's rows for one; autovacuum looks once a minute, and an import has not got a minute.
-- (SQLite takes the index of which a statement names the most columns, and needs none of this.)
CREATE FUNCTION analyze_grown() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    grown REGCLASS;
BEGIN
    FOR grown IN
        SELECT s.relid FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
        WHERE s.schemaname = current_schema() AND c.relkind = 'r'
            AND s.n_mod_since_analyze >= GREATEST(500, c.reltuples)
        ORDER BY s.relid
    LOOP
        EXECUTE format('ANALYZE %s', grown);
    END LOOP;
END $$;
