--------------------------------------------------------------------------------------------------------------------------
-- Rehearsal: the effects of a new order trigger before it is in use.
--------------------------------------------------------------------------------------------------------------------------

-- The rows of cc_rehearse(). Fires trigger_function AFTER INSERT, with TG_OP INSERT, for each invoice paid since `since`, in the
-- order of payment. NEW is the invoice; TG_TABLE_NAME is cc_rehearsal, a temporary table. Each invoice has a subtransaction that
-- is rolled back at once. So it sees no effect of the previous one, and a delivery waits no longer than the trigger takes for one
-- invoice. tables_changed counts rows by table, such as {"public.orders": 1}; error has SQLSTATE and message. Deferred constraints
-- are checked. Runs with the caller's rights, the search_path `path`, and a lock_timeout of 100 ms. Sequences and effects
-- outside of the transaction (dblink, files, programs) are not undone; NOTIFY is. Counting needs track_counts, which is on by
-- default.
CREATE OR REPLACE FUNCTION @extschema@.cc_rehearse_rows(trigger_function regproc, since timestamptz, path text)
    RETURNS TABLE (invoice_id text, tables_changed jsonb, error text)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' SET client_min_messages = warning
AS $$
DECLARE
    schema CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                              WHERE e.extname = 'cryptocloud_postback');
    paid   record;
    before jsonb;
BEGIN
    DROP TABLE IF EXISTS pg_temp.cc_rehearsal;
    EXECUTE format('CREATE TEMPORARY TABLE cc_rehearsal (LIKE %s.cc_invoice) ON COMMIT DROP', schema);
    EXECUTE format('CREATE TRIGGER rehearse AFTER INSERT ON pg_temp.cc_rehearsal FOR EACH ROW EXECUTE FUNCTION %s()', trigger_function);
    FOR paid IN EXECUTE format('SELECT project, invoice_id FROM %s.cc_invoice WHERE paid_at >= $1 ORDER BY paid_at', schema) USING since LOOP
        invoice_id := paid.invoice_id;
        tables_changed := NULL;
        error := NULL;
        BEGIN
            before := (SELECT jsonb_object_agg(relid, n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables);
            PERFORM set_config('search_path', path, true);
            EXECUTE pg_catalog.format('INSERT INTO pg_temp.cc_rehearsal SELECT * FROM %s.cc_invoice WHERE project OPERATOR(pg_catalog.=) $1'
                                      ' AND invoice_id OPERATOR(pg_catalog.=) $2', schema) USING paid.project, paid.invoice_id;
            SET CONSTRAINTS ALL IMMEDIATE;
            PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            tables_changed := (SELECT coalesce(jsonb_object_agg(schemaname || '.' || relname, changed), '{}')
                                 FROM (SELECT *, n_tup_ins + n_tup_upd + n_tup_del - coalesce((before ->> relid::text)::bigint, 0) AS changed
                                         FROM pg_stat_xact_user_tables) AS counted
                                WHERE changed > 0 AND relid <> 'pg_temp.cc_rehearsal'::regclass);
            RAISE EXCEPTION SQLSTATE 'CCUND';
        EXCEPTION
            WHEN SQLSTATE 'CCUND' THEN NULL;
            WHEN assert_failure OR OTHERS THEN error := SQLSTATE || ': ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
    DROP TABLE pg_temp.cc_rehearsal;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_rehearse_rows(regproc, timestamptz, text) IS 'internal: the rows of cc_rehearse()';
ALTER FUNCTION @extschema@.cc_rehearse_rows(regproc, timestamptz, text) OWNER TO @extowner@;

-- As in the pipeline, the trigger cannot SET ROLE or RESET ROLE. ERROR 22023 if an argument is NULL, 42883 if the function does not
-- exist, 42P17 if it is no trigger function, 42501 for a superuser unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_rehearse(trigger_function regproc, since timestamptz)
    RETURNS TABLE (invoice_id text, tables_changed jsonb, error text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_rehearse(regproc, timestamptz) IS
    'trial of a new order trigger for each invoice paid since a time, rolled back; its changes or its error';
ALTER FUNCTION @extschema@.cc_rehearse(regproc, timestamptz) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_rehearse(regproc, timestamptz) FROM PUBLIC;
