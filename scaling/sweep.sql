-- After split.sql, with the same variables, on both copies, while postbacks are received: deletes the rows of the projects that
-- the other copy has, 1,000 blocks a transaction. No trigger fires, as these rows live on. `tables` are the extension's and any
-- of your own that have a column `project`:
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
