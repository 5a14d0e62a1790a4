-- A shard: an ordinary installation of the extension, and two roles that the router logs in as. To be run in the database of the
-- shard, after CREATE EXTENSION and cc_setup(), by the owner of the tables (who needs CREATEROLE):
--
--   psql service=shard0 -f scaling/shard.sql
--
-- The roles have no password yet: see docs/scaling.md.
\set ON_ERROR_STOP on
BEGIN;

-- Hands in postbacks, and does nothing else.
CREATE ROLE postback_router LOGIN;
GRANT EXECUTE ON FUNCTION cc_receive(bytea, text, text) TO postback_router;
ALTER ROLE postback_router SET default_transaction_isolation = 'read committed';
ALTER ROLE postback_router SET idle_in_transaction_session_timeout = '10s';
-- Shorter than that of the proxy's role on the router, so that the shard itself ends what takes too long, and keeps the postback.
ALTER ROLE postback_router SET statement_timeout = '8s';

-- Asks whether all is well, and settles what waits. It reads no table.
CREATE ROLE postback_operator LOGIN;
GRANT EXECUTE ON FUNCTION cc_apply(integer), cc_health(interval) TO postback_operator;

\ir partition.sql

COMMIT;
