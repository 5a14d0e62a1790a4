-- Run after a shard was copied, while both copies are closed. Deletes here the projects that belong to the other copy, and their
-- waiting postbacks, so nothing is settled twice. Their other rows do no harm; sweep.sql deletes them. `moved` has the partitions
-- of the new shard; `keep` is true on the new shard.
--
--   psql service=shard0 -v partitions=4 -v moved='{2}' -v keep=false -f scaling/split.sql      on the old shard
--   psql service=shard2 -v partitions=4 -v moved='{2}' -v keep=true  -f scaling/split.sql      on the new one
\set ON_ERROR_STOP on
DO $$
BEGIN
    IF (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) <> 0 THEN
        RAISE EXCEPTION 'database "%" is not closed', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run close.sql first.';
    END IF;
END
$$;
\ir is_gone.sql

BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM cc_project WHERE pg_temp.is_gone(name);
DELETE FROM cc_inbox WHERE state IN ('pending', 'failed', 'conflict') AND pg_temp.is_gone(project);
COMMIT;
