--------------------------------------------------------------------------------------------------------------------------
-- Retention: what goes after a while, and what goes on demand. Digests stay, so that a replay is refused for ever.
--------------------------------------------------------------------------------------------------------------------------

-- Of rows that were received longer ago than older_than, the oldest first:
--   rejected and duplicate ones that spend no token are deleted;
--   the other rejected and duplicate ones, and applied ones, lose body and raw;
--   pending, failed and conflict ones stay as they are.
-- Rows that another session has locked are skipped, and no delivery waits for it. READ COMMITTED only (0A000). ERROR 22023 if older_than
-- is NULL, under a day or infinite, or if max_rows is NULL or negative; 42501 for a superuser unless a superuser owns the tables; 55000
-- if the tables are of an earlier version.
CREATE OR REPLACE FUNCTION @extschema@.cc_purge(older_than interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_purge(interval, integer) IS
    'delete old rejected and duplicate postbacks, and the bodies of applied ones, at most so many; call it until it returns 0';
ALTER FUNCTION @extschema@.cc_purge(interval, integer) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_purge(interval, integer) FROM PUBLIC;

-- Takes away, for good, address, tx_list and info of the invoice, and the bodies of its verified postbacks: returns the number of rows
-- that it changed. erased_at keeps them away: a later postback fills none of these columns, and loses its body once it is applied or a
-- duplicate. invoice_id is to the letter, without INV-. Its UPDATE of cc_invoice names no other column. A delivery of the same invoice
-- waits until the transaction ends, for at most 3 seconds, and so does this function for a delivery: ERROR 55P03 after that.
-- ERROR 55000 while postbacks of the invoice wait (pending, failed, conflict), 22023 for NULL; else as cc_purge.
CREATE OR REPLACE FUNCTION @extschema@.cc_erase(invoice_id text, project text DEFAULT 'default') RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_erase(text, text) IS
    'erase the personal data of an invoice: bodies, address, transactions and info; amounts and digests stay';
ALTER FUNCTION @extschema@.cc_erase(text, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_erase(text, text) FROM PUBLIC;
