-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION cryptocloud_postback UPDATE TO '0.2.0'" to load this file. \quit

-- These functions of 0.1.0 are dropped. All others are replaced below.
SET LOCAL search_path = pg_catalog, pg_temp;

DROP FUNCTION @extschema@.cc_update_invoice(text, timestamptz, boolean, @extschema@.cc_delivery);
DROP FUNCTION @extschema@.cc_deliver(bigint, text, timestamptz, boolean, boolean, boolean, boolean, @extschema@.cc_delivery);
DROP FUNCTION @extschema@.cc_read_delivery(text, bytea, text);
DROP TYPE @extschema@.cc_delivery;
DROP FUNCTION @extschema@.cc_merge(boolean, anyelement, anyelement);
DROP FUNCTION @extschema@.cc_state_rank(text, text, text);
DROP FUNCTION @extschema@.cc_payment(numeric, numeric);
DROP FUNCTION @extschema@.cc_is_paid(text, text, boolean, boolean);
DROP FUNCTION @extschema@.cc_text_or_null(bytea);
DROP FUNCTION @extschema@.cc_become_owner(regclass);
