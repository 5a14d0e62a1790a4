-- Closes the database that it runs in to everybody but superusers, and ends all sessions. Prints nothing while there still was
-- one, else the place in the write-ahead log that a standby must have replayed to have everything. Run it again until it does:
--
--   psql service=shard0 -XAtq -f scaling/close.sql
\set ON_ERROR_STOP on
SET synchronous_commit = on;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 0;

-- Whatever could write: not a standby's or subscriber's walsender, nor autovacuum.
CREATE TEMPORARY VIEW writer AS
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type NOT IN ('walsender', 'autovacuum worker');
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM writer \gset

-- All that was committed before is on disk when this is, and comes to the standby before it.
SELECT pg_logical_emit_message(true, 'cryptocloud_postback', 'closed') WHERE :ended = 0 AND NOT EXISTS (SELECT FROM writer);
