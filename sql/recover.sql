--------------------------------------------------------------------------------------------------------------------------
-- Recovery: postbacks rejected because of a wrong secret, setting or clock are judged again; a person accepts conflicts.
--------------------------------------------------------------------------------------------------------------------------

-- Judges rows again that were rejected as bad_signature, token_expired, token_not_yet_valid, unknown_project or missing_order_id,
-- as of their receipt, by today's secrets and settings. Rows that verify now are settled, at most max_rows; the others stay
-- rejected. A row that verifies is kept pending for cc_apply() if its invoice is locked; it is skipped if another session has locked
-- the row. The result counts the judged rows by outcome. project and since limit the rows; NULL: all. A leeway is for this call
-- only; NULL: the project's. With dry_run it changes nothing, judges all rows, and previews their outcome by verification and
-- other postbacks: applied may still become conflict or failed. READ COMMITTED only (0A000). ERROR 22023 for a negative max_rows
-- or leeway, or if dry_run is NULL, 42501 for a superuser unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_reverify(
    project text DEFAULT NULL, since timestamptz DEFAULT NULL, leeway interval DEFAULT NULL,
    max_rows integer DEFAULT 50, dry_run boolean DEFAULT false)
    RETURNS TABLE (state text, reason text, postbacks bigint)
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) IS
    'new verification of rejected postbacks as of their receipt, by today''s secrets and settings; counts by outcome';
ALTER FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) FROM PUBLIC;

-- Accepts a conflict, or a postback that was rejected as token_reused and verifies as of its receipt. The invoice follows it,
-- and the order trigger sees the correction. But a paid invoice keeps its amounts if the postback does not say paid. Returns
-- the new state: applied, or failed if the trigger raised; after cc_work() a failed one may be a conflict again. ERROR 55000
-- for any other row, and unless reassign is true also if a paid invoice would pay another order; P0002 if the row does not
-- exist; 55P03 if the invoice stays locked; 54000 if the transaction has too many locks; 22023 for NULL; 42501 for a superuser
-- unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_accept(inbox_id bigint, reassign boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_accept(bigint, boolean) IS
    'acceptance of a conflict, or of a genuine postback whose token another postback had spent; returns the new state';
ALTER FUNCTION @extschema@.cc_accept(bigint, boolean) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_accept(bigint, boolean) FROM PUBLIC;
