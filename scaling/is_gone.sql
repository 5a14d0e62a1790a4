-- Tells whether a project belongs to the other copy of a shard from now on. Variables: see split.sql.
CREATE FUNCTION pg_temp.is_gone(project text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
RETURN (public.cc_partition(project) & (:partitions - 1) = ANY (:'moved'::integer[])) <> :keep;
