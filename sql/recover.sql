--------------------------------------------------------------------------------------------------------------------------
-- Recover: what was rejected by a wrong secret, setting or clock is judged again; what needs a person is accepted.
--------------------------------------------------------------------------------------------------------------------------

-- Judges again what was rejected as bad_signature, token_expired, token_not_yet_valid, unknown_project or missing_order_id, as of its
-- receipt, by the secrets and settings of today. What verifies is settled, at most max_rows of it; the others stay as they are. The
-- result counts the rows that were judged by their outcome. project and since narrow the choice; NULL: all. A leeway counts for
-- this call alone; NULL: the project's. With dry_run it changes nothing, judges all, and shows what would become of them, as far as
-- verification and other postbacks tell: applied may still be a conflict, or fail. READ COMMITTED only (0A000).
-- ERROR 22023 for a negative max_rows or leeway, 42501 for a superuser unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_reverify(
    project text DEFAULT NULL, since timestamptz DEFAULT NULL, leeway interval DEFAULT NULL,
    max_rows integer DEFAULT 50, dry_run boolean DEFAULT false)
    RETURNS TABLE (state text, reason text, postbacks bigint)
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) IS
    'judge rejected postbacks again, as of their receipt, by the secrets and settings of today; counts by outcome';
ALTER FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_reverify(text, timestamptz, interval, integer, boolean) FROM PUBLIC;

-- Takes a conflict for right, or a postback that was rejected as token_reused and that verifies as of its receipt. The invoice
-- follows it, and the order trigger sees the correction. Returns the new state: applied, or failed if the trigger raised.
-- ERROR 55000 for any other row, and where another order would be paid by an invoice that is paid, unless reassign is true; 02000
-- if there is no such row; 55P03 if the invoice's lock is not to be had; 42501 for a superuser unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_accept(inbox_id bigint, reassign boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_accept(bigint, boolean) IS
    'take a conflict, or a genuine postback whose token another one had spent, for right; returns the new state';
ALTER FUNCTION @extschema@.cc_accept(bigint, boolean) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_accept(bigint, boolean) FROM PUBLIC;
