-- The router: an empty database with Debian's postgresql-NN-plproxy. It has functions, but no table, no secret and no parser.
-- Run it as a superuser:
--
--   psql service=router -v p0='host=shard0.internal dbname=shop' -v p1='host=shard1.internal dbname=shop' -f scaling/router.sql
--
-- A call of cc_receive() goes to the shard of its project, is committed there, and cannot be rolled back here.
\set ON_ERROR_STOP on
BEGIN;

CREATE EXTENSION plproxy;

-- The shard of each partition. Partitions on the same shard must have exactly the same connection string.
CREATE SERVER cc_shards FOREIGN DATA WRAPPER plproxy OPTIONS (connection_lifetime '1800', p0 :'p0', p1 :'p1');

-- The owners of the functions below, which log in to the shards by the same names. Nobody logs in as them here. Their passwords
-- are in ~/.pgpass of the user that PostgreSQL runs as. In a user mapping, they would be in each dump of this database.
CREATE ROLE postback_router NOLOGIN;
CREATE ROLE postback_operator NOLOGIN;
CREATE USER MAPPING FOR postback_router SERVER cc_shards OPTIONS (user 'postback_router');
CREATE USER MAPPING FOR postback_operator SERVER cc_shards OPTIONS (user 'postback_operator');
GRANT USAGE ON FOREIGN SERVER cc_shards TO postback_router, postback_operator;

\ir partition.sql

-- Receives a postback for a proxy, as on a single node. Of a shard's messages, only errors reach the proxy.
CREATE FUNCTION cc_receive(body bytea, content_type text, project text DEFAULT 'default')
    RETURNS TABLE (http_status integer, response jsonb)
    LANGUAGE plproxy ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = error
AS $$
    CLUSTER 'cc_shards';
    RUN ON public.cc_partition(project);
$$;
ALTER FUNCTION cc_receive(bytea, text, text) OWNER TO postback_router;
REVOKE ALL ON FUNCTION cc_receive(bytea, text, text) FROM PUBLIC;

-- Returns the shards, each with its partitions.
CREATE FUNCTION cc_shards() RETURNS TABLE (shard text, partitions integer[])
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.option_value, array_agg(substr(o.option_name, 2)::integer ORDER BY substr(o.option_name, 2)::integer)
      FROM pg_foreign_server AS s CROSS JOIN pg_options_to_table(s.srvoptions) AS o
     WHERE s.srvname = 'cc_shards' AND o.option_name ~ '^p[0-9]+$'
     GROUP BY o.option_value
     ORDER BY 2;
END;

-- Returns the shard of a project, where its row of cc_project, its invoices and its orders belong.
CREATE FUNCTION cc_shard_of(project text) RETURNS text
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT s.shard FROM cc_shards() AS s
     WHERE cc_partition(cc_shard_of.project) & (SELECT sum(cardinality(a.partitions))::integer - 1 FROM cc_shards() AS a)
           = ANY (s.partitions);
END;

-- Call a function on the shard of one partition.
CREATE FUNCTION cc_apply_on(partition integer, max_rows integer) RETURNS integer
    LANGUAGE plproxy SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    CLUSTER 'cc_shards';
    RUN ON partition;
    SELECT public.cc_apply(max_rows::integer) AS cc_apply_on;
$$;
CREATE FUNCTION cc_health_on(partition integer, period interval)
    RETURNS TABLE (project text, received bigint, applied bigint, duplicates bigint, rejected bigint, bad_signatures bigint,
                   waiting bigint, failed bigint, oldest_waiting timestamptz, conflicts bigint, last_received_at timestamptz,
                   last_paid_at timestamptz, problem text)
    LANGUAGE plproxy SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    CLUSTER 'cc_shards';
    RUN ON partition;
    SELECT * FROM public.cc_health(period::interval);
$$;

-- Settles on all shards, one after the other. A shard that is down does not block the others. Each shard commits by itself.
CREATE FUNCTION cc_apply(max_rows integer DEFAULT 50) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known   record;
    settled integer := 0;
BEGIN
    FOR known IN SELECT shard, partitions[1] AS partition FROM public.cc_shards() LOOP
        BEGIN
            settled := settled + public.cc_apply_on(known.partition, max_rows);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'shard "%" settled nothing: %', known.shard, split_part(SQLERRM, E'\n', 1);
        END;
    END LOOP;
    RETURN settled;
END
$$;

-- Calls cc_apply() until it settles nothing.
CREATE PROCEDURE cc_work()
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WHILE public.cc_apply() > 0 LOOP
    END LOOP;
END
$$;

-- Returns the rows of cc_health() of all shards. `problem` also reports a shard that does not answer, and a project on the wrong
-- shard: its postbacks go to another shard, where they are `unknown_project`.
CREATE FUNCTION cc_health(period interval DEFAULT '1 hour')
    RETURNS TABLE (shard text, project text, received bigint, applied bigint, duplicates bigint, rejected bigint,
                   bad_signatures bigint, waiting bigint, failed bigint, oldest_waiting timestamptz, conflicts bigint,
                   last_received_at timestamptz, last_paid_at timestamptz, problem text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT s.shard, s.partitions[1] AS partition FROM public.cc_shards() AS s LOOP
        BEGIN
            RETURN QUERY
                SELECT known.shard, h.project, h.received, h.applied, h.duplicates, h.rejected, h.bad_signatures, h.waiting,
                       h.failed, h.oldest_waiting, h.conflicts, h.last_received_at, h.last_paid_at,
                       CASE WHEN public.cc_shard_of(h.project) <> known.shard AND h.project IS NOT NULL
                            THEN format('wrong_shard: its postbacks go to %s', public.cc_shard_of(h.project))
                            ELSE h.problem END
                  FROM public.cc_health_on(known.partition, period) AS h;
        EXCEPTION WHEN OTHERS THEN
            shard := known.shard;
            problem := 'shard: no answer: ' || split_part(SQLERRM, E'\n', 1);
            RETURN NEXT;
        END;
    END LOOP;
END
$$;

ALTER FUNCTION cc_apply_on(integer, integer) OWNER TO postback_operator;
ALTER FUNCTION cc_health_on(integer, interval) OWNER TO postback_operator;
ALTER FUNCTION cc_apply(integer) OWNER TO postback_operator;
ALTER PROCEDURE cc_work() OWNER TO postback_operator;
ALTER FUNCTION cc_health(interval) OWNER TO postback_operator;
GRANT EXECUTE ON FUNCTION cc_shards(), cc_shard_of(text) TO postback_operator;
REVOKE ALL ON FUNCTION cc_shards(), cc_shard_of(text), cc_apply_on(integer, integer), cc_health_on(integer, interval),
    cc_apply(integer), cc_health(interval) FROM PUBLIC;
REVOKE ALL ON PROCEDURE cc_work() FROM PUBLIC;

COMMIT;
