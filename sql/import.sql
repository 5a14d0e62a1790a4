--------------------------------------------------------------------------------------------------------------------------
-- Import: what the service's API answers goes into cc_invoice by the same rules as a postback. So what is expected is known
-- before it is paid, and what never announced itself is completed.
--
--   create ─▶ cc_import ─▶ cc_invoice        cc_overdue ─▶ info ─▶ cc_import ─▶ cc_invoice ─▶ merchant's triggers
--------------------------------------------------------------------------------------------------------------------------

-- `answer` is the whole answer to create, info or list. One row for each element of its result:
--   created    made, not paid          paid       by this answer; the merchant's triggers have seen it
--   updated    known, and changed      unchanged  known, and nothing new
--   conflict   it contradicts the invoice, which stays as it is      failed     a trigger or a constraint raised, or another
--   invalid    no invoice that could be read, or a withdrawal                   transaction works on it: call again
-- An element that fails undoes nothing but itself. Who imported what and when, with the error, is in cc_import_log.
-- It waits for the lock of an invoice as a delivery does; a cancel or statement_timeout undoes the call. READ COMMITTED only (0A000).
-- ERROR 22023 if the answer is NULL, an error of the service, or none that it knows; 42704 for an unknown project; 42501 unless
-- the caller has the rights of the owner of the tables, and for a superuser unless a superuser owns them. No SECURITY DEFINER: so
-- it sees who calls. A NULL project is default.
CREATE OR REPLACE FUNCTION @extschema@.cc_import(answer jsonb, project text DEFAULT 'default')
    RETURNS TABLE (invoice_id text, outcome text)
    LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_import(jsonb, text) IS
    'take an answer of the service''s API (create, info, list): what is expected, and what never announced itself';
ALTER FUNCTION @extschema@.cc_import(jsonb, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_import(jsonb, text) FROM PUBLIC;

-- An invoice is overdue if cc_import knows it, it is neither paid nor canceled, and it has expired or is known for `older_than`. After
-- `younger_than` nobody asks for it any more. With the caller's own rights. Oldest first.
CREATE OR REPLACE FUNCTION @extschema@.cc_overdue(older_than interval DEFAULT '30 minutes', younger_than interval DEFAULT '7 days',
                                                  project text DEFAULT 'default')
    RETURNS SETOF jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    schema CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                              WHERE e.extname = 'cryptocloud_postback');
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT jsonb_build_object(''uuids'', jsonb_agg(''INV-'' || invoice_id ORDER BY place))
           FROM (SELECT invoice_id, row_number() OVER (ORDER BY received_at, invoice_id) AS place FROM %s.cc_invoice
                  WHERE paid_at IS NULL AND expected_at IS NOT NULL AND project = $3 AND received_at > now() - $2
                    AND (received_at < now() - $1 OR expires_at < now())
                    AND status <> ''success'' AND payment_status IS DISTINCT FROM ''canceled'') AS overdue
          GROUP BY (place - 1) / 100 ORDER BY (place - 1) / 100', schema)
        USING older_than, younger_than, project;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_overdue(interval, interval, text) IS
    'open invoices that should have been paid by now: bodies for the API''s info, of at most 100 invoices each';
ALTER FUNCTION @extschema@.cc_overdue(interval, interval, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_overdue(interval, interval, text) FROM PUBLIC;
