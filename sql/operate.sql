--------------------------------------------------------------------------------------------------------------------------
-- Operation: the health of the pipeline, and the history of an order.
--
-- cc_health and cc_timeline are C (src/pg/cc_operate.cpp). They take the rights of the owner of the tables, and call the
-- functions ..._rows below, which run with their caller's rights and find the tables in the extension's current schema.
--------------------------------------------------------------------------------------------------------------------------

-- A name that a stranger may have sent, as a literal of at most 40 characters, without characters that move a terminal's cursor.
CREATE OR REPLACE FUNCTION @extschema@.cc_quoted(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.quote_literal(pg_catalog.regexp_replace(
    CASE WHEN pg_catalog.length(name) > 40 THEN pg_catalog."left"(name, 39) || '…' ELSE name END,
    E'[\\u0001-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]', '?', 'g'));
COMMENT ON FUNCTION @extschema@.cc_quoted(text) IS 'internal: a name as a literal that is safe to print';

-- Faults of the tables themselves, whatever postbacks came; none if nothing is wrong. Faults of rank 1 stop everything.
CREATE OR REPLACE FUNCTION @extschema@.cc_table_faults()
    RETURNS TABLE (rank integer, problem text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
    schema  CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                               WHERE e.extname = 'cryptocloud_postback');
    inbox   CONSTANT oid := to_regclass(schema || '.cc_inbox');
    invoice CONSTANT oid := to_regclass(schema || '.cc_invoice');
    known   record;
BEGIN
    -- Columns
    EXECUTE format('SELECT string_agg(table_name || ''.'' || name, '', '') AS missing FROM %s.cc_table_columns() AS w
                     WHERE (SELECT attnum FROM pg_attribute WHERE attrelid = to_regclass(%L || w.table_name)
                               AND attname = w.name AND NOT attisdropped) IS NULL', schema, schema || '.') INTO known;
    IF known.missing IS NOT NULL THEN
        RETURN QUERY SELECT 0, format('tables: of another version, without %s: SELECT %s.cc_setup()',
                                      CASE WHEN length(known.missing) > 60 THEN "left"(known.missing, 59) || '…' ELSE known.missing END,
                                      schema);
    END IF;
    -- The extension's own triggers
    RETURN QUERY
        SELECT 1, CASE WHEN g.tgname IS NULL THEN format('trigger: %s.%s has lost %s: SELECT %1$s.cc_setup()', schema, t.table_name, t.function)
                       ELSE format('trigger: %I is disabled: ALTER TABLE %s.%s ENABLE TRIGGER %1$I', g.tgname, schema, t.table_name) END
          FROM (VALUES ('cc_inbox', 'cc_inbox_insert'), ('cc_project', 'cc_project_check')) AS t (table_name, function)
          LEFT JOIN (pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace)
                 ON g.tgrelid = to_regclass(schema || '.' || t.table_name) AND p.proname = t.function AND quote_ident(n.nspname) = schema
         WHERE g.tgname IS NULL OR g.tgenabled IN ('D', 'R');
    -- The sequence, after a data-only restore or on a former subscriber
    IF known.missing IS NULL THEN
        EXECUTE format('SELECT pg_get_serial_sequence(%1$L, ''id'') AS sequence, max(id) AS last FROM %1$s', schema || '.cc_inbox') INTO known;
        IF known.last > coalesce(pg_sequence_last_value(known.sequence), 0) THEN
            RETURN QUERY SELECT 1, format('sequence: the sequence of %1$s.cc_inbox is behind its rows, so inserts fail: '
                                          'SELECT %1$s.cc_setup()', schema);
        END IF;
    END IF;
    -- The merchant's triggers
    RETURN QUERY
        SELECT 4, format('order_trigger: %I on cc_invoice is disabled, so payments mark no order: ALTER TABLE %s.cc_invoice ENABLE TRIGGER %1$I',
                         tgname, schema)
          FROM pg_trigger WHERE tgrelid = invoice AND NOT tgisinternal AND tgenabled IN ('D', 'R');
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = invoice AND NOT tgisinternal) THEN
        RETURN QUERY EXECUTE format('SELECT 12, ''order_trigger: invoices were paid, and cc_invoice has no trigger that ''
                                         ''marks an order: CREATE TRIGGER''
                                      WHERE EXISTS (SELECT FROM %s.cc_invoice WHERE paid_at IS NOT NULL)', schema);
    END IF;
    -- Indexes
    RETURN QUERY EXECUTE format(
        'SELECT 10, format(''index: %%s has no index on (%%s)%%s, so the whole table is read: SELECT %%s.cc_setup()'', table_name, columns,
                           '' WHERE '' || predicate, $1) FROM %s.cc_missing_indexes($1)', schema) USING schema;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_table_faults() IS 'internal: faults of the tables, for cc_health()';

-- The rows of cc_health(). Its settings prevent sequential scans, workers and JIT compilation after a wrong estimate.
CREATE OR REPLACE FUNCTION @extschema@.cc_health_rows(period interval)
    RETURNS TABLE (project text, received bigint, applied bigint, duplicates bigint, rejected bigint, bad_signatures bigint,
                   waiting bigint, failed bigint, oldest_waiting timestamptz, conflicts bigint, last_received_at timestamptz,
                   last_paid_at timestamptz, problem text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
    SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 SET jit = off
AS $$
DECLARE
    schema CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                              WHERE e.extname = 'cryptocloud_postback');
    ranks  integer[];
    faults text[];
BEGIN
    IF period IS NULL OR period <= interval '0' THEN
        RAISE EXCEPTION 'period must be more than zero' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('SELECT array_agg(rank ORDER BY rank, problem), array_agg(problem ORDER BY rank, problem) FROM %s.cc_table_faults()', schema)
       INTO ranks, faults;
    IF ranks[1] = 0 THEN        -- the query below needs the columns
        RETURN QUERY SELECT NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
                            NULL::timestamptz, NULL::bigint, NULL::timestamptz, NULL::timestamptz, faults[1];
        RETURN;
    END IF;

    -- @. is the schema, and @@. the schema within a text of format(). A name with a quote must not end that text.
    RETURN QUERY EXECUTE replace(replace($query$
    WITH RECURSIVE shop AS MATERIALIZED (
        SELECT p.name, p.secret, p.previous_secret, p.accept_test_payments, p.apply FROM @.cc_project AS p
    ), half (is_purged) AS (            -- of the index on cc_inbox, each of them in order of receipt
        VALUES (false), (true)
    ), unsettled AS MATERIALIZED (      -- whenever received
        SELECT i.project, count(*) FILTER (WHERE i.state = 'pending') AS waiting, count(*) FILTER (WHERE i.state = 'failed') AS failed,
               count(*) FILTER (WHERE i.state = 'conflict') AS conflicts, min(i.received_at) FILTER (WHERE i.state = 'pending') AS oldest_waiting,
               min(i.id) FILTER (WHERE i.state = 'failed') AS first_failed, min(i.id) FILTER (WHERE i.state = 'conflict') AS first_conflict,
               (array_agg("left"(i.error, 5) ORDER BY i.id) FILTER (WHERE i.state = 'failed'))[1] AS sqlstate
          FROM @.cc_inbox AS i WHERE i.state IN ('pending', 'failed', 'conflict') GROUP BY 1
    ), fault AS (       -- of the tables
        SELECT f.rank, f.problem FROM unnest($2, $3) AS f (rank, problem)
    ), known AS (
        SELECT shop.name, v.applied, v.duplicates, v.verified, r.rejected, r.bad_signatures, coalesce(u.waiting, 0) AS waiting,
               coalesce(u.failed, 0) AS failed, u.oldest_waiting, coalesce(u.conflicts, 0) AS conflicts, last_received,
               last_paid, worst.problem
          FROM shop
          LEFT JOIN unsettled AS u ON u.project = shop.name
         CROSS JOIN LATERAL (
             SELECT count(*) AS verified, count(*) FILTER (WHERE i.state = 'applied') AS applied,
                    count(*) FILTER (WHERE i.state = 'duplicate') AS duplicates
               FROM @.cc_inbox AS i
              WHERE i.is_purged IN (false, true) AND i.project = shop.name AND i.state <> 'rejected' AND i.received_at > $1
         ) AS v
         CROSS JOIN LATERAL (
             SELECT count(*) AS rejected, count(*) FILTER (WHERE i.reason = 'bad_signature') AS bad_signatures
               FROM @.cc_inbox AS i
              WHERE i.is_purged IN (false, true) AND i.project = shop.name AND i.state = 'rejected' AND i.received_at > $1
         ) AS r
         CROSS JOIN LATERAL (
             SELECT max(l.received_at) AS last_verified
               FROM half
              CROSS JOIN LATERAL (SELECT i.received_at FROM @.cc_inbox AS i
                                   WHERE i.is_purged = half.is_purged AND i.project = shop.name AND i.state <> 'rejected'
                                   ORDER BY i.received_at DESC LIMIT 1) AS l
         ) AS lv
         CROSS JOIN LATERAL (
             SELECT max(l.received_at) AS last_received
               FROM half
              CROSS JOIN LATERAL (SELECT i.received_at FROM @.cc_inbox AS i
                                   WHERE i.is_purged = half.is_purged AND i.project = shop.name
                                   ORDER BY i.received_at DESC LIMIT 1) AS l
         ) AS lr
         -- Among the last 1,000 applied rows of each half: an index on paid_at would cost each new invoice more.
         CROSS JOIN LATERAL (
             SELECT max(p.paid_at) AS last_paid
               FROM half
              CROSS JOIN LATERAL (
                    SELECT p.paid_at
                      FROM (SELECT i.invoice_id FROM @.cc_inbox AS i
                             WHERE i.is_purged = half.is_purged AND i.project = shop.name AND i.state = 'applied'
                             ORDER BY i.received_at DESC LIMIT 1000) AS a
                      JOIN @.cc_invoice AS p ON p.invoice_id = a.invoice_id AND p.project = shop.name
                     WHERE p.paid_at IS NOT NULL LIMIT 20) AS p
         ) AS lp
         -- Failures since the last verified postback, and the share of failures among the last 100 verified postbacks.
         CROSS JOIN LATERAL (
             SELECT count(*) AS number, min(b.received_at) AS began, mode() WITHIN GROUP (ORDER BY b.reason) AS reason
               FROM (SELECT b.* FROM half
                      CROSS JOIN LATERAL (
                            SELECT i.received_at, i.reason FROM @.cc_inbox AS i
                             WHERE i.is_purged = half.is_purged AND i.project = shop.name AND i.state = 'rejected'
                               AND i.received_at > coalesce(last_verified, '-infinity')
                               AND i.reason IN ('bad_signature', 'token_expired', 'token_not_yet_valid')
                             ORDER BY i.received_at LIMIT 1000) AS b
                      ORDER BY b.received_at LIMIT 1000) AS b
         ) AS bad
         CROSS JOIN LATERAL (
             SELECT count(*) AS number, min(g.received_at) AS began
               FROM (SELECT g.received_at FROM half
                      CROSS JOIN LATERAL (
                            SELECT i.received_at FROM @.cc_inbox AS i
                             WHERE bad.number > 0 AND i.is_purged = half.is_purged AND i.project = shop.name AND i.state <> 'rejected'
                             ORDER BY i.received_at DESC LIMIT 100) AS g
                      ORDER BY g.received_at DESC LIMIT 100) AS g
         ) AS good
         CROSS JOIN LATERAL (
             SELECT count(*) AS number
               FROM (SELECT FROM half
                      CROSS JOIN LATERAL (
                            SELECT FROM @.cc_inbox AS i
                             WHERE good.number > 0 AND i.is_purged = half.is_purged AND i.project = shop.name AND i.state = 'rejected'
                               AND i.received_at BETWEEN good.began AND last_verified
                               AND i.reason IN ('bad_signature', 'token_expired', 'token_not_yet_valid')
                             ORDER BY i.received_at LIMIT 1000) AS b
                      LIMIT 1000) AS b
         ) AS noise
         CROSS JOIN LATERAL (
             SELECT (noise.number + 0.5::float8) / (noise.number + good.number + 1) AS usual_share,
                    $4 - last_verified AS silence
         ) AS s
         -- A changed key: so many failures in a row are not by chance, and by now one should have verified. If none ever verified,
         -- the secret was wrong from the start.
         CROSS JOIN LATERAL (
             SELECT bad.number > 0 AND good.number = 0
                    OR bad.number >= 3 AND power(s.usual_share, bad.number) < 0.001
                       AND (good.number < 5 OR s.silence > 3 * (last_verified - good.began) / (good.number - 1)) AS is_burst
         ) AS burst
         -- Silence is unusual if these hours were never silent before: on each of 7 days, or on the same weekday of 4 weeks.
         CROSS JOIN LATERAL (
             SELECT s.silence > $5 AND s.silence < interval '30 days'
                    AND (count(*) FILTER (WHERE w.place < 7 AND w.is_busy) = 7 OR count(*) FILTER (WHERE w.place >= 7 AND w.is_busy) = 4)
                    AS is_unusual
               FROM (SELECT d.place, EXISTS (SELECT FROM @.cc_inbox AS i
                                              WHERE i.is_purged IN (false, true) AND i.project = shop.name AND i.state <> 'rejected'
                                                AND i.received_at > $4 - d.ago - s.silence AND i.received_at <= $4 - d.ago) AS is_busy
                       FROM (SELECT g AS place, make_interval(hours => 24 * CASE WHEN g < 7 THEN days + g
                                                                                 ELSE 7 * (ceil(days / 7.0)::integer + g - 7) END) AS ago
                               FROM generate_series(0, 10) AS g,
                                    ceil(extract(epoch FROM s.silence) / 86400) AS c (whole),
                                    LATERAL (SELECT least(whole, 40)::integer AS days) AS least_days
                              WHERE s.silence > $5) AS d) AS w
         ) AS quiet
          LEFT JOIN LATERAL (
             SELECT f.problem FROM (
                 SELECT rank, fault.problem FROM fault
                 UNION ALL
                 SELECT 2, format('shared_secret: project %s has the same secret, so a token of one pays in the other; set a different one: '
                                  'UPDATE @@.cc_project SET secret = … WHERE name = %s', @.cc_quoted(o.name), quote_literal(shop.name))
                   FROM shop AS o
                  WHERE o.name <> shop.name
                    AND (shop.secret IN (o.secret, o.previous_secret) OR shop.previous_secret IN (o.secret, o.previous_secret))
                 UNION ALL
                 SELECT 3, format('bad_signature: nothing has verified since %s, %s failed in a row, %s: '
                                  'UPDATE @@.cc_project SET secret = … WHERE name = %s; SELECT * FROM @@.cc_reverify(%4$s)',
                                  date_trunc('second', bad.began), bad.number,
                                  CASE WHEN good.number = 0 THEN 'none ever verified'
                                       ELSE format('before that %s %%', round((100 * noise.number / (noise.number + good.number))::numeric)) END,
                                  quote_literal(shop.name))
                  WHERE burst.is_burst AND bad.reason = 'bad_signature'
                 UNION ALL
                 SELECT 3, format('clock: %s since %s, %s in a row; this server has %s: set its clock, then '
                                  'SELECT * FROM @@.cc_reverify(%s, leeway => …)',
                                  bad.reason, date_trunc('second', bad.began), bad.number, date_trunc('second', $4), quote_literal(shop.name))
                  WHERE burst.is_burst AND bad.reason <> 'bad_signature'
                 UNION ALL
                 SELECT 5, format('failed: %s, the first is %s with SQLSTATE %s: SELECT error FROM @@.cc_inbox WHERE id = %2$s, '
                                  'fix the trigger, then CALL @@.cc_work()',
                                  u.failed, u.first_failed, u.sqlstate)
                  WHERE u.failed > 0
                 UNION ALL
                 SELECT 6, format('conflict: %s, the first is %s: SELECT error FROM @@.cc_inbox WHERE id = %2$s, '
                                  'if the postback is right, SELECT @@.cc_accept(%2$s), else UPDATE @@.cc_inbox SET state = ''duplicate'' WHERE id = %2$s AND state = ''conflict''',
                                  u.conflicts, u.first_conflict)
                  WHERE u.conflicts > 0
                 UNION ALL
                 SELECT 7, format('pending: %s, the oldest since %s: CALL @@.cc_work()', u.waiting, date_trunc('second', u.oldest_waiting))
                  WHERE u.oldest_waiting < $4 - interval '5 minutes'
                 UNION ALL
                 SELECT 8, format('silence: nothing has verified since %s, although these hours were never silent before: '
                                  'check the proxy and the URL at the service: script/send-postback', date_trunc('second', last_verified))
                  WHERE quiet.is_unusual
                 UNION ALL
                 SELECT 11, format('test_payments: test payments count as paid: '
                                   'UPDATE @@.cc_project SET accept_test_payments = false WHERE name = %L', shop.name)
                  WHERE shop.accept_test_payments
             ) AS f ORDER BY f.rank, f.problem LIMIT 1
         ) AS worst ON true
    ), search (low, high) AS (      -- the first id of the period: ids rise with the time of receipt, apart from moments
        SELECT min(i.id), max(i.id) FROM @.cc_inbox AS i
        UNION ALL
        SELECT CASE WHEN m.received_at > $1 - interval '1 minute' THEN s.low ELSE m.id + 1 END,
               CASE WHEN m.received_at > $1 - interval '1 minute' THEN (s.low + s.high) / 2 ELSE s.high END
          FROM search AS s
         CROSS JOIN LATERAL (SELECT i.id, i.received_at FROM @.cc_inbox AS i WHERE i.id >= (s.low + s.high) / 2 ORDER BY i.id LIMIT 1) AS m
         WHERE s.low < s.high
    ), stranger AS (    -- postbacks of projects that do not exist
        SELECT n.number, n.name, n.last_received, u.*
          FROM (SELECT count(*) AS number, (array_agg(i.project ORDER BY i.id DESC))[1] AS name, max(i.received_at) AS last_received
                  FROM @.cc_inbox AS i
                 WHERE i.id >= (SELECT max(s.low) FROM search AS s) AND i.reason = 'unknown_project'
                   AND (i.received_at > $1) IS TRUE     -- avoids the index of received_at
                   AND NOT EXISTS (SELECT FROM shop WHERE shop.name = i.project)) AS n
         CROSS JOIN (SELECT coalesce(sum(u.waiting), 0)::bigint AS waiting, coalesce(sum(u.failed), 0)::bigint AS failed,
                            coalesce(sum(u.conflicts), 0)::bigint AS conflicts, min(u.oldest_waiting) AS oldest_waiting, min(u.project) AS lost_name
                       FROM unsettled AS u WHERE NOT EXISTS (SELECT FROM shop WHERE shop.name = u.project)) AS u
    )
    SELECT k.name, k.verified + k.rejected, k.applied, k.duplicates, k.rejected, k.bad_signatures, k.waiting, k.failed, k.oldest_waiting,
           k.conflicts, k.last_received, k.last_paid, k.problem
      FROM known AS k
    UNION ALL
    SELECT NULL, n.number, 0, 0, n.number, 0, n.waiting, n.failed, n.oldest_waiting, n.conflicts, n.last_received, NULL,
           CASE WHEN NOT EXISTS (SELECT FROM shop) THEN
                    coalesce((SELECT fault.problem FROM fault ORDER BY fault.rank, fault.problem LIMIT 1),
                             format('project: cc_project is empty: INSERT INTO @@.cc_project (name, secret) VALUES (''default'', …)'))
                WHEN n.waiting + n.failed + n.conflicts > 0 THEN
                    format('unknown_project: %s wait for projects that no longer exist, such as %s: '
                           'INSERT INTO @@.cc_project (name, secret) VALUES (%s, …)',
                           n.waiting + n.failed + n.conflicts, @.cc_quoted(n.lost_name), quote_literal(n.lost_name))
                WHEN n.number > 0 THEN
                    format('unknown_project: %s came for projects that do not exist, the last for %s: correct the URL at the service, or make the '
                           'project and SELECT * FROM @@.cc_reverify()', n.number, @.cc_quoted(n.name))
           END
      FROM stranger AS n
    ORDER BY 1 NULLS LAST
    $query$, '@@.', $quote$' || $6 || '.$quote$), '@.', schema || '.')
    USING statement_timestamp() - period, ranks, faults, statement_timestamp(), period, replace(schema, '%', '%%');
END
$$;
COMMENT ON FUNCTION @extschema@.cc_health_rows(interval) IS 'internal: the rows of cc_health()';

-- received, applied, duplicates, rejected and bad_signatures count postbacks within `period`; waiting, failed and conflicts count
-- all. oldest_waiting is of pending postbacks. last_received_at of unknown projects is within `period`. last_paid_at is searched
-- among the last 1,000 applied postbacks that are purged, and the last 1,000 that are not. problem begins with a word for the fault
-- and a colon, and ends with the command to fix it. It reads no body and shows no secret. ERROR 22023 unless period is more than
-- zero, 42P01 if there are no tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_health(period interval DEFAULT '1 hour')
    RETURNS TABLE (project text, received bigint, applied bigint, duplicates bigint, rejected bigint, bad_signatures bigint,
                   waiting bigint, failed bigint, oldest_waiting timestamptz, conflicts bigint, last_received_at timestamptz,
                   last_paid_at timestamptz, problem text)
    LANGUAGE c STABLE ROWS 10 SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_health(interval) IS
    'one row per project, and one for all unknown projects: recent and waiting postbacks, and the worst fault with the command to fix it';
ALTER FUNCTION @extschema@.cc_health(interval) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_health(interval) FROM PUBLIC;

-- The rows of cc_timeline().
CREATE OR REPLACE FUNCTION @extschema@.cc_timeline_rows(search text, project text)
    RETURNS TABLE (at timestamptz, event text, detail text, inbox_id bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET work_mem = '32MB' SET jit = off
AS $$
DECLARE
    schema  CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                               WHERE e.extname = 'cryptocloud_postback');
    wanted  CONSTANT text := btrim(search, E' \t\r\n');
    invoice CONSTANT text := regexp_replace(wanted, '^INV-', '');
    -- The invoices of the timeline; two arrays of the same length.
    ids     text[];
    shops   text[];
    -- Texts that a body must contain to be read; NULL if an honest sender could spell them in several ways.
    marks   text[];
BEGIN
    IF coalesce(invoice, '') = '' THEN
        RAISE EXCEPTION 'nothing to search for' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- An invoice or an order, by index
    EXECUTE replace($query$
        SELECT array_agg(f.invoice_id), array_agg(f.project)
          FROM (SELECT i.invoice_id, i.project FROM @.cc_invoice AS i WHERE i.invoice_id = $1
                UNION SELECT i.invoice_id, i.project FROM @.cc_inbox AS i WHERE i.invoice_id = $1
                UNION SELECT i.invoice_id, i.project FROM @.cc_invoice AS i WHERE i.order_id = $2) AS f
         WHERE f.project = coalesce($3, f.project)
        $query$, '@.', schema || '.') INTO ids, shops USING invoice, wanted, project;
    -- A transaction or an address: every invoice is read
    IF ids IS NULL THEN
        EXECUTE replace($query$
            SELECT array_agg(i.invoice_id), array_agg(i.project) FROM @.cc_invoice AS i
             WHERE (i.address = $1 OR $1 = ANY (i.tx_list)) AND i.project = coalesce($2, i.project)
            $query$, '@.', schema || '.') INTO ids, shops USING wanted, project;
    END IF;

    -- Looking for many marks takes longer than reading.
    marks := ARRAY[invoice] || ids;
    IF cardinality(marks) > 8 OR array_to_string(marks, '') ~ '[^A-Za-z0-9_.-]' THEN
        marks := NULL;
    END IF;

    -- Bodies that have changed no invoice, or never will. The function that reads them accepts any body. Each part of the choice has an
    -- index; one list of all states would go through a whole index once for each of them.
    RETURN QUERY EXECUTE replace($query$
    WITH open AS MATERIALIZED (
        SELECT i.id, i.project, i.received_at, i.state, i.reason, i.invoice_id, p.payload, i.content_digest IS NOT NULL AS is_verified,
               regexp_replace(p.payload->>'invoice_id', '^INV-', '') AS claimed_invoice, p.payload->>'order_id' AS claimed_order,
               CASE jsonb_typeof(p.payload->'invoice_info') WHEN 'object' THEN p.payload->'invoice_info' END AS info
          FROM (SELECT * FROM @.cc_inbox WHERE state = 'rejected'
                UNION ALL SELECT * FROM @.cc_inbox WHERE state IN ('pending', 'failed', 'conflict')) AS i
         CROSS JOIN LATERAL @.cc_verify_postback(i.body, i.content_type, '-', i.received_at) AS p
         WHERE i.body IS NOT NULL AND i.project = coalesce($3, i.project)
           AND ($6 IS NULL OR EXISTS (SELECT FROM unnest($6) AS mark WHERE strpos(i.body, mark) > 0))
    ), claim AS (
        SELECT o.* FROM open AS o
         WHERE $1 IN (o.claimed_invoice, o.claimed_order) OR $2 IN (o.claimed_order, o.info->>'address')
            OR o.claimed_invoice = ANY ($4) OR o.info->'tx_list' @> to_jsonb($2)
    ), about AS (       -- an order whose trigger failed has no invoice yet
        SELECT f.invoice_id, f.project FROM unnest($4, $5) AS f (invoice_id, project)
        UNION SELECT c.invoice_id, c.project FROM claim AS c WHERE c.is_verified
    ), arrival AS (
        SELECT i.id, i.received_at, i.applied_at, i.state, i.reason, i.error, i.invoice_id,
               coalesce((@.cc_verify_postback(i.body, i.content_type, '-', i.received_at)).payload, '{}') AS payload
          FROM about JOIN @.cc_inbox AS i ON i.invoice_id = about.invoice_id AND i.project = about.project
    )
    SELECT e.* FROM (
        SELECT a.received_at, a.state AS event,
               concat_ws(', ', 'invoice ' || a.invoice_id, 'order ' || nullif(a.payload->>'order_id', ''), a.payload->>'status',
                         nullif(concat_ws(' ', a.payload->>'amount_crypto', a.payload->>'currency'), ''), a.reason, a.error) AS detail, a.id
          FROM arrival AS a
        UNION ALL
        SELECT a.applied_at, 'applied', format('invoice %s, of the postback that came %s before', a.invoice_id,
                                               date_trunc('second', a.applied_at - a.received_at)), a.id
          FROM arrival AS a WHERE a.applied_at > a.received_at + interval '1 second'
        UNION ALL
        SELECT t.at, t.event, t.detail, NULL
          FROM about JOIN @.cc_invoice AS i ON i.invoice_id = about.invoice_id AND i.project = about.project
         CROSS JOIN LATERAL (VALUES
               (i.created_at, 'created', format('invoice %s, by the service', i.invoice_id)),
               (i.expires_at, 'expires', format('invoice %s, by the service', i.invoice_id)),
               (i.finished_at, 'finished', format('invoice %s, by the service: %s', i.invoice_id,
                                                  concat_ws(', ', i.payment_status, 'address ' || i.address,
                                                            'transactions ' || array_to_string(i.tx_list, ' ')))),
               (i.paid_at, 'paid', format('invoice %s of project %s: %s', i.invoice_id, i.project,
                                          concat_ws(', ', 'order ' || i.order_id, i.amount_crypto || ' ' || i.currency, 'payment ' || i.payment,
                                                    CASE WHEN i.is_test THEN 'a test' END)))) AS t (at, event, detail)
         WHERE t.at IS NOT NULL
        UNION ALL
        SELECT c.received_at, 'unverified', format('%s; claims %s', c.reason,
                   concat_ws(', ', 'invoice ' || @.cc_quoted(c.claimed_invoice), 'order ' || @.cc_quoted(c.claimed_order),
                             @.cc_quoted(c.payload->>'status'),
                             @.cc_quoted(concat_ws(' ', c.payload->>'amount_crypto', c.payload->>'currency')))), c.id
          FROM claim AS c WHERE NOT c.is_verified
    ) AS e ORDER BY 1, 4 NULLS LAST, 2
    $query$, '@.', schema || '.') USING invoice, wanted, project, ids, shops, marks;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_timeline_rows(text, text) IS 'internal: the rows of cc_timeline()';

-- Orders and invoices are found by index; transactions, addresses, and the claims of unverified bodies by reading the tables. A
-- given project excludes all others. ERROR 22023 if search is NULL or blank, 42P01 if there are no tables.
CREATE OR REPLACE FUNCTION @extschema@.cc_timeline(search text, project text DEFAULT NULL)
    RETURNS TABLE (at timestamptz, event text, detail text, inbox_id bigint)
    LANGUAGE c STABLE ROWS 10 SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_timeline(text, text) IS
    'history of an order, an invoice, a transaction or an address; claims without proof are marked as unverified';
ALTER FUNCTION @extschema@.cc_timeline(text, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION @extschema@.cc_timeline(text, text) FROM PUBLIC;
