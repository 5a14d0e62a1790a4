-- The exporter's role, which can only call cc_health(). Run it as the owner of the extension, who needs CREATEROLE. On Debian the
-- system user prometheus logs in as this role, by peer.
CREATE ROLE prometheus LOGIN;
ALTER ROLE prometheus SET default_transaction_read_only = on;
ALTER ROLE prometheus SET statement_timeout = '5s';
GRANT EXECUTE ON FUNCTION cc_health(interval) TO prometheus;
