-- A shard: an ordinary installation of the extension, and two roles that the router logs in as. Run it in the database of the
-- shard, after CREATE EXTENSION and cc_setup(), as the owner of the tables (who needs CREATEROLE):
--
--   psql service=shard0 -f scaling/shard.sql
--
-- The roles have no password yet: see docs/scaling.md.
\set ON_ERROR_STOP on
BEGIN;

-- Delivers postbacks, and can do nothing else.
CREATE ROLE postback_router LOGIN;
GRANT EXECUTE ON FUNCTION cc_receive(bytea, text, text) TO postback_router;
ALTER ROLE postback_router SET default_transaction_isolation = 'read committed';
ALTER ROLE postback_router SET idle_in_transaction_session_timeout = '10s';
-- Shorter than that of the proxy's role on the router: so the shard itself cancels a slow delivery, and keeps the postback.
ALTER ROLE postback_router SET statement_timeout = '8s';

-- Calls cc_health(), and settles waiting postbacks. It cannot read tables.
CREATE ROLE postback_operator LOGIN;
GRANT EXECUTE ON FUNCTION cc_apply(integer), cc_health(interval) TO postback_operator;

\ir partition.sql

COMMIT;
