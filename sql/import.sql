--------------------------------------------------------------------------------------------------------------------------
-- Import: answers of the service's API go into cc_invoice by the same rules as postbacks. So the expected amount is known before
-- the payment, and invoices whose postback never came are completed.
--
--   create ─▶ cc_import ─▶ cc_invoice        cc_overdue ─▶ info ─▶ cc_import ─▶ cc_invoice ─▶ merchant's triggers
--------------------------------------------------------------------------------------------------------------------------

-- `answer` is the whole answer to create, info or list. Returns a row for each element of its result. The outcomes are:
--   created    a new invoice, not paid         paid       paid by this answer; the merchant's triggers have fired
--   updated    an existing invoice changed     unchanged  nothing new
--   conflict   it contradicts the invoice, which does not change,    failed     a trigger or a constraint raised, or another
--              or another project has the invoice                               transaction has locked it: call again
--   invalid    an unreadable invoice, or a withdrawal
-- A failed element does not undo others. cc_import_log records who imported what and when, with the error. Like a delivery, it
-- waits for the lock of an invoice; a cancel or statement_timeout undoes the call. READ COMMITTED only (0A000). ERROR 22023 if
-- the answer is NULL, an error of the service, or of an unknown form; 42704 for an unknown project; 42501 unless the caller has
-- the rights of the owner of the tables, and for a superuser unless a superuser owns them. It is not SECURITY DEFINER because it
-- must know its caller. A NULL project is default.
CREATE OR REPLACE FUNCTION @extschema@.cc_import(answer jsonb, project text DEFAULT 'default')
    RETURNS TABLE (invoice_id text, outcome text)
    LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_import(jsonb, text) IS
    'import of an answer of the service''s API (create, info, list): expected amounts, and payments whose postback never came';
ALTER FUNCTION @extschema@.cc_import(jsonb, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_import(jsonb, text) FROM PUBLIC;

-- An invoice is overdue if cc_import knows it, it is neither paid nor canceled nor a successful test, and it has expired or has been
-- known for `older_than`. After `younger_than` it is no longer reported. Runs with the caller's own rights. Oldest first. ERROR
-- 22023 if an argument is NULL.
CREATE OR REPLACE FUNCTION @extschema@.cc_overdue(older_than interval DEFAULT '30 minutes', younger_than interval DEFAULT '7 days',
                                                  project text DEFAULT 'default')
    RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                              WHERE e.extname = 'cryptocloud_postback');
BEGIN
    IF older_than IS NULL OR younger_than IS NULL OR project IS NULL THEN
        RAISE EXCEPTION 'older_than, younger_than and project must not be null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT jsonb_build_object(''uuids'', jsonb_agg(''INV-'' || invoice_id ORDER BY place))
           FROM (SELECT invoice_id, row_number() OVER (ORDER BY received_at, invoice_id) AS place FROM %s.cc_invoice
                  WHERE paid_at IS NULL AND expected_at IS NOT NULL AND project = $3 AND received_at > now() - $2
                    AND (received_at < now() - $1 OR expires_at < now())
                    AND (status <> ''success'' OR is_test IS NOT TRUE) AND payment_status IS DISTINCT FROM ''canceled'') AS overdue
          GROUP BY (place - 1) / 100 ORDER BY (place - 1) / 100', schema)
        USING older_than, younger_than, project;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_overdue(interval, interval, text) IS
    'open invoices that should be paid by now, as request bodies for the API''s info, of at most 100 invoices each';
ALTER FUNCTION @extschema@.cc_overdue(interval, interval, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_overdue(interval, interval, text) FROM PUBLIC;
