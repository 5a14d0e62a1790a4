-- Run after split.sql on both copies, with the same variables, while postbacks are received. Deletes the rows of the projects on
-- the other copy, 1,000 blocks per transaction. No trigger fires, because these rows still exist there. `tables` names the
-- extension's tables, and your own tables with a column `project`:
--
--   psql service=shard0 -v partitions=4 -v moved='{2}' -v keep=false \
--       -v tables='{cc_invoice,cc_inbox,cc_import_log,orders}' -f scaling/sweep.sql
\set ON_ERROR_STOP on
\ir is_gone.sql

SELECT EXISTS (SELECT FROM cc_project WHERE pg_temp.is_gone(name)) AS is_whole \gset
\if :is_whole
DO $$
BEGIN
    RAISE EXCEPTION 'this shard still has projects that are to be swept'
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run split.sql first, with the same variables.';
END
$$;
\endif

SET session_replication_role = replica;
SELECT format('DELETE FROM %s WHERE ctid >= ''(%s,0)'' AND ctid < ''(%s,0)'' AND pg_temp.is_gone(project)',
              name, block, block + 1000)
  FROM unnest(:'tables'::regclass[]) AS name,
       generate_series(0, pg_relation_size(name) / current_setting('block_size')::integer, 1000) AS block
\gexec
