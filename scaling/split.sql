-- After a shard was copied, and while both copies are closed: takes the projects that the other copy has from now on, and what
-- waits of them, away from this one. So nothing is settled twice. The rest of their rows does no harm; sweep.sql takes it.
-- `moved` are the partitions that the new shard has, `keep` says whether this is the new shard.
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
