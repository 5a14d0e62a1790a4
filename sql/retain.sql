--------------------------------------------------------------------------------------------------------------------------
-- Retention: deletion after some time, and erasure on demand. Digests stay, so that a replay is always rejected.
--------------------------------------------------------------------------------------------------------------------------

-- Purges rows that were received longer ago than older_than, project by project, the oldest first:
--   rejected and duplicate rows that spend no token are deleted;
--   other rejected and duplicate rows, and applied rows, lose body and raw, if they still have them, and become is_purged;
--   pending, failed and conflict rows do not change.
-- Rows that another session has locked are skipped, and no delivery waits for it. READ COMMITTED only (0A000). ERROR 22023 if
-- older_than is NULL, under a day or infinite, or if max_rows is NULL or negative; 42501 for a superuser unless a superuser owns
-- the tables; 55000 if the tables are of an earlier version.
CREATE OR REPLACE FUNCTION @extschema@.cc_purge(older_than interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_purge(interval, integer) IS
    'number of old postbacks, at most max_rows, that it deleted (rejected and duplicate) or removed the body of (applied)';
ALTER FUNCTION @extschema@.cc_purge(interval, integer) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_purge(interval, integer) FROM PUBLIC;

-- Erases address, tx_list and info of the invoice, the bodies of its verified postbacks, and its elements in cc_import_log.
-- Returns the number of changed rows. erased_at keeps them erased: a later postback fills none of these columns, and loses its
-- body once it is applied or duplicate. invoice_id may begin with INV-; the rest is compared exactly. The UPDATE of cc_invoice
-- names no other column. A delivery of the same invoice waits until the transaction ends, for at most 3 seconds, and so does this
-- function for a delivery: ERROR 55P03 after that. ERROR 55000 while postbacks of the invoice are pending, failed or conflict,
-- 22023 for NULL; other errors like cc_purge.
CREATE OR REPLACE FUNCTION @extschema@.cc_erase(invoice_id text, project text DEFAULT 'default') RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_erase(text, text) IS
    'erasure of the personal data of an invoice: bodies, address, transactions and info; amounts and digests stay';
ALTER FUNCTION @extschema@.cc_erase(text, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_erase(text, text) FROM PUBLIC;
