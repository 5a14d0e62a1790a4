--------------------------------------------------------------------------------------------------------------------------
-- Pipeline: an insert into cc_inbox verifies the postback, stores it and brings its invoice up to date.
--
--   cc_receive ──▶ cc_inbox ──▶ cc_inbox_insert ──┐
--                                                 ├──▶ settle ──▶ cc_invoice ──▶ merchant's triggers
--   cc_apply, cc_work (pending and failed rows) ──┘
--
-- All of it is C++, in files of the same names in src/pg; settle is src/pg/settle.cpp. It runs with the rights of the owner of
-- the tables, and finds the tables in the current schema of the called function.
--------------------------------------------------------------------------------------------------------------------------

-- BEFORE INSERT FOR EACH ROW, only on the table cc_inbox of its own schema. An INSERT gives only project, body, raw and
-- content_type. ERROR 428C9 if it gives a column that is filled in, 42P01 if a table is missing, 42804 if its columns are not as
-- cc_setup() makes them, 23505 if the sequence of id is behind. Any body is stored.
CREATE OR REPLACE FUNCTION @extschema@.cc_inbox_insert() RETURNS trigger
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME', 'cc_inbox_insert_0_2';
COMMENT ON FUNCTION @extschema@.cc_inbox_insert() IS
    'trigger function: verifies, stores and applies each row inserted into cc_inbox';
ALTER FUNCTION @extschema@.cc_inbox_insert() OWNER TO @extowner@;

-- Settles rows with the fewest attempts first. Rows that another session has locked, or whose invoice it has locked, are skipped.
-- Ends early after a cancel or timeout, and when the transaction holds the largest number of locks. If the merchant's code on
-- cc_inbox raises, that row stays as it is, with a WARNING. READ COMMITTED only (0A000).
-- ERROR 22023 if max_rows is NULL or negative, 42501 for a superuser unless a superuser owns the tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_apply(max_rows integer DEFAULT 50) RETURNS integer
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_apply(integer) IS
    'number of pending and failed postbacks that it settled, at most max_rows';
ALTER FUNCTION @extschema@.cc_apply(integer) OWNER TO @extowner@;

-- Tries each waiting row once, in batches of 50 with a COMMIT after each, in READ COMMITTED. Ends early after a cancel or timeout.
-- ERROR 2D000 inside a transaction block, 42501 like cc_apply.
CREATE OR REPLACE PROCEDURE @extschema@.cc_work()
    LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON PROCEDURE @extschema@.cc_work() IS 'settlement of all pending and failed postbacks, in batches of one transaction each';
ALTER PROCEDURE @extschema@.cc_work() OWNER TO @extowner@;
REVOKE ALL ON PROCEDURE @extschema@.cc_work() FROM PUBLIC;

CREATE OR REPLACE FUNCTION @extschema@.cc_http_answer(state text, reason text, OUT http_status integer, OUT response jsonb)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_http_answer(text, text) IS
    'HTTP status and JSON that a proxy sends back for a row of cc_inbox with this state and reason';

-- Stores any body; bytes that are not text go into the column raw. A NULL project is default. ERROR 42501 for a superuser unless a
-- superuser owns the tables; other errors like cc_inbox_insert.
CREATE OR REPLACE FUNCTION @extschema@.cc_receive(body text, content_type text, project text DEFAULT 'default')
    RETURNS TABLE (http_status integer, response jsonb)
    LANGUAGE c VOLATILE ROWS 1 SECURITY DEFINER AS 'MODULE_PATHNAME', 'cc_receive';
COMMENT ON FUNCTION @extschema@.cc_receive(text, text, text) IS
    'storage of a postback; returns the HTTP status and JSON to send back. A proxy needs no other function';
ALTER FUNCTION @extschema@.cc_receive(text, text, text) OWNER TO @extowner@;

CREATE OR REPLACE FUNCTION @extschema@.cc_receive(body bytea, content_type text, project text DEFAULT 'default')
    RETURNS TABLE (http_status integer, response jsonb)
    LANGUAGE c VOLATILE ROWS 1 SECURITY DEFINER AS 'MODULE_PATHNAME', 'cc_receive_bytea';
COMMENT ON FUNCTION @extschema@.cc_receive(bytea, text, text) IS
    'storage of a postback; returns the HTTP status and JSON to send back. A proxy needs no other function';
ALTER FUNCTION @extschema@.cc_receive(bytea, text, text) OWNER TO @extowner@;
