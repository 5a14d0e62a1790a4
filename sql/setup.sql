--------------------------------------------------------------------------------------------------------------------------
-- Tables: cc_setup() makes them, its caller owns them, and they are not members of the extension. So pg_dump dumps them with
-- their rows and the merchant's triggers, and DROP EXTENSION does not drop them.
--------------------------------------------------------------------------------------------------------------------------

-- BEFORE INSERT OR UPDATE FOR EACH ROW. ERROR 23514 for a project that could not work, or whose secret another project has. It
-- checks before the constraints, because their messages show the failing row with its secret.
CREATE OR REPLACE FUNCTION @extschema@.cc_project_check() RETURNS trigger
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_project_check() IS
    'trigger function: rejects a project that could not work, without showing its secret';
ALTER FUNCTION @extschema@.cc_project_check() OWNER TO @extowner@;

-- The columns of cc_invoice, from the list in src/core/invoice_columns.hpp.
CREATE OR REPLACE FUNCTION @extschema@.cc_invoice_columns()
    RETURNS TABLE (name text, type text, not_null boolean, comment text)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_invoice_columns() IS 'internal: the columns of cc_invoice';

CREATE OR REPLACE FUNCTION @extschema@.cc_table_columns()
    RETURNS TABLE (table_name text, name text, definition text, comment text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    VALUES
        ('cc_project', 'name', 'text PRIMARY KEY CHECK (name <> '''' AND length(name) <= 255)', 'the name that cc_inbox.project refers to'),
        ('cc_project', 'secret', 'text NOT NULL CHECK (secret <> '''')', 'the SECRET KEY of the project, as the service shows it'),
        ('cc_project', 'previous_secret', 'text CHECK (previous_secret <> '''')',
            'the previous key, accepted until previous_secret_until'),
        ('cc_project', 'previous_secret_until', 'timestamp with time zone', 'when previous_secret stops verifying'),
        ('cc_project', 'require_order_id', 'boolean NOT NULL DEFAULT false', 'reject a postback without order_id'),
        ('cc_project', 'leeway', 'interval NOT NULL DEFAULT ''0'' CHECK (leeway >= ''0'')',
            'how far the clocks may be apart when a token is judged'),
        ('cc_project', 'accept_test_payments', 'boolean NOT NULL DEFAULT false', 'let a test payment count as paid'),
        ('cc_project', 'notify', 'boolean NOT NULL DEFAULT false', 'NOTIFY cc_invoice for each applied postback'),
        ('cc_project', 'apply', 'text NOT NULL DEFAULT ''immediate'' CHECK (apply IN (''immediate'', ''deferred''))',
            'immediate: with the insert; deferred: when cc_apply() is called'),
        ('cc_inbox', 'id', 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'in the order of arrival'),
        ('cc_inbox', 'project', 'text NOT NULL DEFAULT ''default''', 'the name of a cc_project'),
        ('cc_inbox', 'received_at', 'timestamp with time zone NOT NULL', 'when it was inserted; its token is judged as of this time'),
        ('cc_inbox', 'content_type', 'text',
            'the header Content-Type; NULL, empty or blank: JSON if the body begins with {, else a form'),
        ('cc_inbox', 'body', 'text', 'the request body'),
        ('cc_inbox', 'raw', 'bytea', 'the request body if it is not text (a NUL byte, invalid UTF-8)'),
        ('cc_inbox', 'state', 'text NOT NULL', 'rejected, pending, applied, duplicate, conflict or failed'),
        ('cc_inbox', 'reason', 'text', 'why it is rejected'),
        ('cc_inbox', 'invoice_id', 'text', 'the invoice of a verified postback, without INV-'),
        ('cc_inbox', 'token_digest', 'bytea', 'SHA-256 of the token, only in the row that spent it: the first verified row with this token'),
        ('cc_inbox', 'content_digest', 'bytea',
            'SHA-256 of the content without the token, as jsonb; with token_expires_at it proves that the body was verified'),
        ('cc_inbox', 'token_expires_at', 'timestamp with time zone', 'exp of the token; a newer postback has a later exp'),
        ('cc_inbox', 'error', 'text', 'why it is failed, conflict or still pending'),
        ('cc_inbox', 'attempts', 'integer NOT NULL DEFAULT 0', 'number of attempts to apply it'),
        ('cc_inbox', 'applied_at', 'timestamp with time zone', 'when it was applied'),
        ('cc_inbox', 'is_purged', 'boolean NOT NULL DEFAULT false', 'cc_purge() removed the body'),
        ('cc_import_log', 'id', 'bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'in the order of the imports'),
        ('cc_import_log', 'imported_at', 'timestamp with time zone NOT NULL', 'when cc_import() was called'),
        ('cc_import_log', 'imported_by', 'text NOT NULL', 'the session''s user'),
        ('cc_import_log', 'project', 'text NOT NULL', 'the name of a cc_project'),
        ('cc_import_log', 'invoice_id', 'text', 'without INV-; NULL if it could not be read'),
        ('cc_import_log', 'outcome', 'text NOT NULL', 'created, updated, paid, unchanged, conflict, failed or invalid'),
        ('cc_import_log', 'error', 'text', 'why it is conflict, failed or invalid'),
        ('cc_import_log', 'element', 'jsonb', 'the answer of the API; NULL if it is unchanged')
    UNION ALL
    SELECT 'cc_invoice', c.name, c.type || CASE WHEN c.not_null THEN ' NOT NULL' ELSE '' END, c.comment
      FROM @extschema@.cc_invoice_columns() AS c;
END;
COMMENT ON FUNCTION @extschema@.cc_table_columns() IS 'internal: the columns of the tables that cc_setup() makes';

-- An index is known by its columns, predicate and uniqueness; the owner may choose its name. `predicate` is spelled as by pg_get_expr().
CREATE OR REPLACE FUNCTION @extschema@.cc_table_indexes()
    RETURNS TABLE (table_name text, name text, is_unique boolean, columns text, predicate text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    VALUES
        -- A token is valid for one delivery: the row with its digest. No predicate on NULL: each insert would compile and
        -- evaluate it, which costs more than the entry.
        ('cc_inbox', 'cc_inbox_token', true, 'token_digest', NULL),
        -- Finds a row of some state with the same content in one probe, however many deliveries the invoice has.
        ('cc_inbox', 'cc_inbox_content', false, 'invoice_id, project, content_digest, state', NULL),
        -- Rows that are not settled. An index only for conflicts would cost each insert another predicate test.
        ('cc_inbox', 'cc_inbox_unapplied', false, 'attempts, id',
            '(state = ANY (ARRAY[''pending''::text, ''failed''::text, ''conflict''::text]))'),
        -- For cc_overdue(). An invoice that cc_import() never knew has no entry.
        ('cc_invoice', 'cc_invoice_expected', false, 'received_at', '((paid_at IS NULL) AND (expected_at IS NOT NULL))'),
        ('cc_import_log', 'cc_import_log_invoice', false, 'invoice_id, project', '(invoice_id IS NOT NULL)'),
        -- For cc_purge(): the oldest rows of each project, without purged ones. For cc_health(): its recent rows. One index without a
        -- predicate: each insert would compile and evaluate it.
        ('cc_inbox', 'cc_inbox_received', false, 'is_purged, project, received_at, state', NULL),
        ('cc_invoice', 'cc_invoice_order', false, 'order_id', NULL);
END;
COMMENT ON FUNCTION @extschema@.cc_table_indexes() IS 'internal: the indexes of the tables that cc_setup() makes';

-- The indexes that the tables lack; `schema` is quoted.
CREATE OR REPLACE FUNCTION @extschema@.cc_missing_indexes(schema text)
    RETURNS TABLE (table_name text, name text, is_unique boolean, columns text, predicate text)
    LANGUAGE sql STABLE SET quote_all_identifiers = off
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT i.indrelid, i.indisunique, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate,
               (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k, false), ', ' ORDER BY k)
                  FROM pg_catalog.generate_series(1, i.indnatts::integer) AS k) AS columns
          FROM pg_catalog.pg_index AS i
         WHERE i.indisvalid AND i.indrelid IN (SELECT pg_catalog.to_regclass(schema || '.' || t.table_name)
                                                 FROM (SELECT DISTINCT w.table_name FROM @extschema@.cc_table_indexes() AS w) AS t))
    SELECT w.* FROM @extschema@.cc_table_indexes() AS w
     WHERE NOT EXISTS (SELECT FROM known AS k
                        WHERE k.indrelid = pg_catalog.to_regclass(schema || '.' || w.table_name) AND k.columns = w.columns
                          AND k.predicate IS NOT DISTINCT FROM w.predicate AND (k.indisunique OR NOT w.is_unique));
END;
COMMENT ON FUNCTION @extschema@.cc_missing_indexes(text) IS 'internal: the indexes that cc_setup() would make';

-- A comment of a released version is replaced if this version words it differently. Any other comment is the owner's.
CREATE OR REPLACE FUNCTION @extschema@.cc_released_comments() RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    VALUES ('a shop in the merchant''s account: what its postbacks are signed with, and how they are taken'),
           ('the key before: verifies as well while previous_secret_until lies ahead'),
           ('SHA-256 of the token of a verified postback'),
           ('SHA-256 of the content without the token, as jsonb'),
           ('what the merchant''s trigger or constraint said when applying failed'),
           ('how often it was tried to apply it'),
           ('paid amount in the cryptocurrency, the field amount_crypto'),
           ('when the first postback arrived that says it is paid; set once'),
           ('when the first postback arrived'),
           ('when the last postback arrived that was applied'),
           ('exp of the newest postback'),
           ('what cc_inbox.project names'),
           ('when it was inserted: the time that its token is judged at'),
           ('the request body instead, if it is no text (a NUL byte, invalid UTF-8)'),
           ('exp of the token: newer postbacks have later ones'),
           ('every postback as it arrived; insert (body, content_type) or (project, body, content_type), the rest is filled in'),
           ('what the verified postbacks say of each invoice; the place for the merchant''s triggers'),
           ('amount_paid against amount_to_pay: exact, under or over; NULL where unknown'),
           ('invoice_info.date_finished: when the service took it for paid');
END;
COMMENT ON FUNCTION @extschema@.cc_released_comments() IS 'internal: comments of released versions that this version words differently';

-- The work of cc_setup(). Makes whatever is missing: each table, column, index and trigger. So it is also the migration. If nothing
-- is missing, it takes no lock on the tables. It replaces only comments that a released version made. It raises NOTICE for work on
-- a whole table, WARNING for a problem that it does not change. ERROR 42501 if a table belongs to another role, 42809 if it is not
-- an ordinary table.
CREATE OR REPLACE FUNCTION @extschema@.cc_setup_tables() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
    -- The current schema of the extension: a schema can be renamed, and another role can create one of the old name.
    schema  CONSTANT text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                               WHERE e.extname = 'cryptocloud_postback');
    inbox   CONSTANT text := schema || '.cc_inbox';
    -- Known by its definition: 0.1.0 used the name that this version uses for its own index.
    old_token_index CONSTANT text := '% USING btree (token\_digest, project) WHERE (state <> ALL (ARRAY[''rejected''::text, ''duplicate''::text]))';
    wanted  record;
    known   record;
    command text;
    rows    bigint;
    made    text[] := '{}';  -- tables that did not exist
    enabling text[];
BEGIN
    -- Tables
    FOR wanted IN
        SELECT name, schema || '.' || name AS path, table_constraint, comment
          FROM (VALUES ('cc_project', 'CHECK (previous_secret IS NULL OR previous_secret_until IS NOT NULL)',
                            'a shop in the merchant''s account: its secrets and settings'),
                       ('cc_inbox', NULL, 'every postback as received; insert (body, content_type) or '
                                          '(project, body, content_type), all other columns are filled in'),
                       ('cc_invoice', 'PRIMARY KEY (invoice_id, project)',
                            'one row per invoice, from its verified postbacks; the place for the merchant''s triggers'),
                       ('cc_import_log', NULL, 'the answers of the service''s API that cc_import() imported, by whom and with what outcome')
               ) AS t (name, table_constraint, comment)
    LOOP
        SELECT relkind, pg_get_userbyid(relowner) AS owner INTO known FROM pg_class WHERE oid = to_regclass(wanted.path);
        IF known.relkind <> 'r' THEN
            RAISE EXCEPTION '"%" is not an ordinary table', wanted.name USING ERRCODE = 'wrong_object_type';
        ELSIF known.owner <> current_user THEN
            RAISE EXCEPTION 'table "%" belongs to role "%"', wanted.name, known.owner
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('Connect as %I, or drop the table if it should not be there.', known.owner);
        END IF;
        IF known.relkind IS NULL THEN
            EXECUTE format('SELECT string_agg(format(''%%I %%s'', name, definition), '', '')
                              FROM %s.cc_table_columns() WHERE table_name = %L', schema, wanted.name) INTO command;
            EXECUTE format('CREATE TABLE %s (%s)', wanted.path, concat_ws(', ', command, wanted.table_constraint));
            made := made || wanted.name;
            -- Private to the owner, even if ALTER DEFAULT PRIVILEGES grants rights on new tables to others. Later grants stay.
            FOR command IN
                SELECT DISTINCT format('REVOKE ALL ON %s FROM %s', c.oid::regclass, coalesce(quote_ident(r.rolname), 'PUBLIC'))
                  FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
                 WHERE a.grantee <> c.relowner
                   AND (c.oid = wanted.path::regclass
                        OR c.oid IN (SELECT objid FROM pg_depend WHERE refobjid = wanted.path::regclass AND deptype = 'i'))
            LOOP
                EXECUTE command;
            END LOOP;
        ELSE
            FOR command IN EXECUTE format(
                'SELECT format(''ALTER TABLE %%s ADD COLUMN %%I %%s'', %1$L, name, definition) FROM %2$s.cc_table_columns() AS w
                  WHERE table_name = %3$L AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = %1$L::regclass AND attname = w.name)',
                wanted.path, schema, wanted.name)
            LOOP
                EXECUTE command;
            END LOOP;
        END IF;
        -- Comments
        FOR command IN EXECUTE format(
            'SELECT format(''COMMENT ON %%s IS %%L'', place, wanted)
               FROM (SELECT ''TABLE '' || %1$L AS place, %2$L AS wanted, obj_description(%1$L::regclass, ''pg_class'') AS known
                     UNION ALL
                     SELECT format(''COLUMN %%s.%%I'', %1$L, name), comment, col_description(attrelid, attnum)
                       FROM %3$s.cc_table_columns() JOIN pg_attribute ON attname = name AND attrelid = %1$L::regclass
                      WHERE table_name = %4$L) AS c
              WHERE wanted <> known IS NOT FALSE AND (known IS NULL OR known IN (SELECT %3$s.cc_released_comments()))',
            wanted.path, wanted.comment, schema, wanted.name)
        LOOP
            EXECUTE command;
        END LOOP;
    END LOOP;

    -- ANALYZE must not copy a secret, or a body with its token. 0.1.0 asked for lz4 in its table definitions, which a PostgreSQL
    -- without lz4 could not restore. Values are compressed before they are stored anyway.
    FOR command IN
        SELECT format('ALTER TABLE %s ALTER %I %s', attrelid::regclass, attname, action)
          FROM pg_attribute CROSS JOIN LATERAL (VALUES
               ('SET STATISTICS 0', attstattarget IS DISTINCT FROM 0 AND attname IN ('secret', 'previous_secret', 'body', 'raw')),
               ('SET COMPRESSION default', attcompression = 'l' AND attname IN ('body', 'raw', 'info'))) AS a (action, is_due)
         WHERE is_due AND attrelid IN (to_regclass(schema || '.cc_project'), to_regclass(inbox), to_regclass(schema || '.cc_invoice'))
    LOOP
        EXECUTE command;
    END LOOP;

    -- 0.1.0 kept the digest of a token in every row with that token, and its unique index skipped rows that did not spend it.
    -- The digest stays only in the row that spent it: the first row that 0.1.0 counted, else the first of all. If this was done
    -- beforehand, or a unique index was built CONCURRENTLY, nothing is repeated.
    IF 'cc_inbox' <> ALL (made) AND NOT EXISTS (
           SELECT FROM pg_index i JOIN pg_attribute a ON attrelid = indrelid AND attnum = indkey[0] AND attname = 'token_digest'
            WHERE indrelid = inbox::regclass AND indisunique AND indisvalid AND indnkeyatts = 1
              AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) = '(token_digest IS NOT NULL)')) THEN
        RAISE NOTICE 'cc_inbox: deliveries now wait until the transaction ends'
            USING DETAIL = 'An ACCESS EXCLUSIVE lock is held for 15 to 35 s per million rows.';
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', inbox);
        -- So that no trigger of the merchant's fires.
        SELECT array_agg(format('ALTER TABLE %s %s TRIGGER %I', inbox,
                                CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, tgname))
          INTO enabling FROM pg_trigger WHERE tgrelid = inbox::regclass AND NOT tgisinternal AND tgenabled <> 'D';
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', inbox);
        EXECUTE format('UPDATE %1$s AS i SET token_digest = NULL
                          FROM (SELECT id, row_number() OVER (PARTITION BY token_digest
                                                              ORDER BY state IN (''rejected'', ''duplicate''), id) AS place
                                  FROM %1$s WHERE token_digest IS NOT NULL) AS carrier
                         WHERE carrier.id = i.id AND carrier.place > 1', inbox);
        GET DIAGNOSTICS rows = ROW_COUNT;
        IF rows > 0 THEN
            RAISE NOTICE 'cc_inbox: the token digest was removed from % rows that did not spend the token', rows;
        END IF;
        FOREACH command IN ARRAY coalesce(enabling, '{}') LOOP
            EXECUTE command;
        END LOOP;
    END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = inbox::regclass AND pg_get_indexdef(indexrelid) LIKE old_token_index) THEN
        FOR command IN
            SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
             WHERE indrelid = inbox::regclass
               AND (pg_get_indexdef(indexrelid) LIKE old_token_index
                    OR pg_get_indexdef(indexrelid) LIKE '% USING btree (attempts, id) WHERE (state = ANY (ARRAY[''pending''::text, ''failed''::text]))'
                    OR pg_get_indexdef(indexrelid) LIKE 'CREATE INDEX cc\_inbox\_invoice ON % USING btree (invoice\_id, project)')
        LOOP
            EXECUTE command;
        END LOOP;
    END IF;

    -- Indexes, known by their definition; the name does not matter
    FOR wanted IN EXECUTE format('SELECT * FROM %s.cc_missing_indexes($1)', schema) USING schema LOOP
        IF wanted.table_name <> ALL (made) THEN
            RAISE NOTICE '%: building an index on (%)', wanted.table_name, wanted.columns;
        END IF;
        EXECUTE format('CREATE %s INDEX %s ON %s.%I (%s) %s', CASE WHEN wanted.is_unique THEN 'UNIQUE' END,
                       CASE WHEN to_regclass(format('%s.%I', schema, wanted.name)) IS NULL THEN quote_ident(wanted.name) END,
                       schema, wanted.table_name, wanted.columns, 'WHERE ' || wanted.predicate);
    END LOOP;

    -- Triggers
    FOR wanted IN
        SELECT * FROM (VALUES ('cc_project', 'cc_project_check', 'BEFORE INSERT OR UPDATE'), ('cc_inbox', 'cc_inbox_insert', 'BEFORE INSERT')) AS t (table_name, name, event)
         WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
                            WHERE g.tgrelid = to_regclass(schema || '.' || t.table_name) AND p.proname = t.name AND quote_ident(n.nspname) = schema)
    LOOP
        EXECUTE format('CREATE TRIGGER %I %s ON %s.%I FOR EACH ROW EXECUTE FUNCTION %3$s.%1$I()',
                       wanted.name, wanted.event, schema, wanted.table_name);
    END LOOP;

    -- After a data-only restore, or on a former subscriber, the sequence is behind the rows.
    FOR wanted IN SELECT name, schema || '.' || name AS path FROM (VALUES ('cc_inbox'), ('cc_import_log')) AS t (name) LOOP
        EXECUTE format('SELECT pg_get_serial_sequence(%1$L, ''id'') AS sequence, max(id) AS last FROM %1$s', wanted.path) INTO known;
        IF known.last > coalesce(pg_sequence_last_value(known.sequence), 0) THEN
            EXECUTE format('LOCK TABLE %s IN SHARE MODE', wanted.path);
            EXECUTE format('SELECT setval(%L, max(id)) FROM %s', known.sequence, wanted.path);
            RAISE NOTICE '%: the sequence of the column id was behind the rows', wanted.name;
        END IF;
    END LOOP;

    -- A token of one project would also pay in the other project.
    EXECUTE format('SELECT string_agg(DISTINCT quote_ident(a.name), '', '') FROM %1$s.cc_project a JOIN %1$s.cc_project b ON a.name <> b.name
                       AND (a.secret IN (b.secret, b.previous_secret) OR a.previous_secret IN (b.secret, b.previous_secret))', schema) INTO command;
    IF command IS NOT NULL THEN
        RAISE WARNING 'projects share a secret: %', command
            USING DETAIL = 'A token of one of them verifies in the others.', HINT = 'Give each project a SECRET KEY of its own.';
    END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.cc_setup_tables() IS 'internal: the work of cc_setup()';

-- Runs with the caller's rights. A superuser can be the owner for now: the owner's code, such as a check, cannot RESET ROLE, and leaves
-- none for commit.
CREATE OR REPLACE FUNCTION @extschema@.cc_setup() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cc_setup() IS
    'creation or migration of the tables cc_project, cc_inbox, cc_invoice and cc_import_log; may be called at any time';
