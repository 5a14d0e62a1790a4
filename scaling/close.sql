-- Closes its database to all roles except superusers, and ends all sessions. If it found a session, it prints nothing: run it
-- again. Otherwise it prints the position in the write-ahead log that a standby must replay to have everything:
--
--   psql service=shard0 -XAtq -f scaling/close.sql
\set ON_ERROR_STOP on
SET synchronous_commit = on;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 0;

-- All sessions that could write. Walsenders of standbys and subscribers, and autovacuum, go on.
CREATE TEMPORARY VIEW writer AS
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type NOT IN ('walsender', 'autovacuum worker');
SELECT count(pg_terminate_backend(pid, 10000)) AS ended FROM writer \gset

-- All earlier commits are on disk before this message, and reach the standby before it.
SELECT pg_logical_emit_message(true, 'cryptocloud_postback', 'closed') WHERE :ended = 0 AND NOT EXISTS (SELECT FROM writer);
