-- What the exporter needs, and all that it can do: call cc_health(). Run it as the owner of the extension, who may CREATE ROLE.
-- On Debian the role prometheus of the system logs in as this one, by peer.
CREATE ROLE prometheus LOGIN;
ALTER ROLE prometheus SET default_transaction_read_only = on;
ALTER ROLE prometheus SET statement_timeout = '5s';
GRANT EXECUTE ON FUNCTION cc_health(interval) TO prometheus;
