-- cc_health: each fault is caused, reported with its command, and fixed by that command.
SET client_min_messages = warning;
CREATE SCHEMA cc;
CREATE EXTENSION cryptocloud_postback SCHEMA cc;
CREATE ROLE regress_shop;
CREATE ROLE regress_monitor;
GRANT USAGE, CREATE ON SCHEMA cc TO regress_shop;
GRANT USAGE ON SCHEMA cc TO regress_monitor;
GRANT EXECUTE ON FUNCTION cc.cc_health(interval), cc.cc_apply(integer), cc.cc_accept(bigint, boolean),
    cc.cc_reverify(text, timestamptz, interval, integer, boolean) TO regress_shop;
\set VERBOSITY terse
SELECT * FROM cc.cc_health();
SET ROLE regress_shop;
SELECT cc.cc_setup();
-- The problems, with times replaced by <time>
CREATE FUNCTION cc.problems() RETURNS TABLE (project text, problem text) LANGUAGE sql SECURITY DEFINER AS $$
    SELECT coalesce(project, '(unknown)'), regexp_replace(problem, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d(:?\d\d)?', '<time>', 'g')
      FROM cc.cc_health() WHERE problem IS NOT NULL $$;
CREATE FUNCTION cc.deliver(invoice text, secret text DEFAULT 's3cret', shop text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc.cc_inbox AS i (project, body, content_type)
    VALUES (shop, cc.cc_sample_postback(secret, invoice_id => invoice, order_id => 'O-' || invoice), 'application/json')
    RETURNING concat_ws('/', i.state, i.reason) $$;

-- No project, then a silent project without a fault
SELECT * FROM cc.problems();
INSERT INTO cc.cc_project (name, secret) VALUES ('default', 's3cret'), ('o''ther', 'TOPSECRET');
SELECT * FROM cc.cc_health();
-- Only by grant
SELECT has_function_privilege('public', 'cc.cc_health(interval)', 'EXECUTE');
RESET ROLE;
SET ROLE regress_monitor;
SELECT count(*) FROM cc.cc_health();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cc.cc_health(interval) TO regress_monitor;
SET ROLE regress_monitor;
SELECT count(*) FROM cc.cc_health();
SELECT secret FROM cc.cc_project;
SELECT body FROM cc.cc_inbox;
SELECT problem FROM cc.cc_health_rows('1 hour');
RESET ROLE;
SET ROLE regress_shop;
SELECT * FROM cc.cc_health('0');
SELECT * FROM cc.cc_health(NULL);

-- The merchant's trigger: none at all, when invoices were paid
SELECT cc.deliver('A');
SELECT * FROM cc.problems();
CREATE FUNCTION cc.mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id LIKE 'O-FAIL%' THEN RAISE 'no such order: %', NEW.info->>'address' USING ERRCODE = 'P0002'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER "Mark" AFTER INSERT OR UPDATE OF paid_at ON cc.cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL)
    EXECUTE FUNCTION cc.mark();
SELECT * FROM cc.problems();
-- disabled
ALTER TABLE cc.cc_invoice DISABLE TRIGGER "Mark";
SELECT * FROM cc.problems();
ALTER TABLE cc.cc_invoice ENABLE TRIGGER "Mark";
SELECT * FROM cc.problems();

-- Counts
SELECT cc.deliver('A'), cc.deliver('B'), cc.deliver('C', 'wrong');
UPDATE cc.cc_inbox SET is_purged = state <> 'duplicate';    -- purged rows count like others
SELECT project, received, applied, duplicates, rejected, bad_signatures, waiting, failed, oldest_waiting, conflicts,
       last_received_at = (SELECT max(received_at) FROM cc.cc_inbox) AS last_received,
           last_paid_at = (SELECT max(paid_at) FROM cc.cc_invoice) AS last_paid
  FROM cc.cc_health();

-- Failed: only the SQLSTATE, because a message can contain anything
SELECT cc.deliver('FAIL');
SELECT project, waiting, failed, problem FROM cc.cc_health() WHERE failed > 0;
CREATE OR REPLACE FUNCTION cc.mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT cc.cc_apply();
SELECT * FROM cc.problems();

-- Conflict
INSERT INTO cc.cc_inbox AS i (body, content_type)
VALUES (cc.cc_sample_postback('s3cret', invoice_id => 'B', order_id => 'another'), 'application/json') RETURNING state, id AS conflict \gset
SELECT :'state';
SELECT project, conflicts, problem FROM cc.cc_health() WHERE conflicts > 0;
SELECT cc.cc_accept(:conflict, reassign => true);
SELECT * FROM cc.problems();

-- Pending, for over 5 minutes
UPDATE cc.cc_project SET apply = 'deferred' WHERE name = 'default';
SELECT cc.deliver('P');
SELECT waiting, oldest_waiting IS NOT NULL AS has_oldest, problem FROM cc.cc_health() WHERE waiting > 0;
UPDATE cc.cc_inbox SET received_at = received_at - interval '6 minutes' WHERE state = 'pending';
SELECT * FROM cc.problems();
SELECT cc.cc_apply();
SELECT * FROM cc.problems();
UPDATE cc.cc_project SET apply = 'immediate' WHERE name = 'default';

-- A secret that was wrong from the start
SELECT cc.deliver('S1', 'the right one', 'o''ther');
SELECT * FROM cc.problems();
UPDATE cc.cc_project SET secret = 'the right one' WHERE name = 'o''ther';
SELECT * FROM cc.cc_reverify('o''ther');
SELECT * FROM cc.problems();

-- A key that was changed at the service: one postback a minute until 10 minutes ago, and only failures since then
SELECT count(*) FROM generate_series(1, 30) AS n, cc.deliver('R' || n);
UPDATE cc.cc_inbox SET received_at = statement_timestamp() - interval '40 minutes' + substr(invoice_id, 2)::integer * interval '1 minute'
    WHERE invoice_id ~ '^R\d';
UPDATE cc.cc_inbox SET received_at = statement_timestamp() - interval '40 minutes' WHERE project = 'default' AND invoice_id !~ '^R\d'
    OR invoice_id IS NULL;
SELECT count(*) FROM generate_series(1, 2) AS n, cc.deliver('X' || n, 'the new key');
SELECT * FROM cc.problems();
UPDATE cc.cc_inbox SET is_purged = true WHERE state = 'rejected';
SELECT count(*) FROM generate_series(3, 4) AS n, cc.deliver('X' || n, 'the new key');
SELECT * FROM cc.problems();
UPDATE cc.cc_project SET secret = 'the new key' WHERE name = 'default';
SELECT * FROM cc.cc_reverify('default');
SELECT * FROM cc.problems();
SELECT cc.deliver('X5', 'the new key');
SELECT * FROM cc.problems();
-- Noise: a stranger's forgeries among genuine ones, before and now
SELECT count(*) FROM generate_series(1, 270) AS n, cc.deliver('N' || n, 'forged');
UPDATE cc.cc_inbox SET received_at = statement_timestamp() - interval '40 minutes' + id % 30 * interval '1 minute'
 WHERE state = 'rejected' AND project = 'default';
UPDATE cc.cc_inbox SET received_at = statement_timestamp() - interval '10 minutes' WHERE invoice_id ~ '^X\d';
UPDATE cc.cc_inbox SET is_purged = true;
SELECT * FROM cc.problems();
SELECT count(*) FROM generate_series(1, 20) AS n, cc.deliver('M' || n, 'forged');
SELECT * FROM cc.problems();
-- A burst now, and genuine ones still verify
SELECT count(*) FROM generate_series(1, 200) AS n, cc.deliver('F' || n, 'forged');
SELECT substring(problem from '^bad_signature: nothing has verified') FROM cc.problems();
-- One late postback among them does not make it the clock
INSERT INTO cc.cc_inbox (body)
VALUES (cc.cc_sample_postback('the new key', invoice_id => 'LATE', expires_at => statement_timestamp() - interval '1 minute'));
SELECT substring(problem from '^bad_signature: nothing has verified') FROM cc.problems();
SELECT cc.deliver('X6', 'the new key');
SELECT * FROM cc.problems();

-- A clock that is ahead
INSERT INTO cc.cc_inbox (project, body, content_type)
SELECT 'o''ther', cc.cc_sample_postback('the right one', invoice_id => 'T' || n, expires_at => statement_timestamp() - interval '1 minute'),
    'application/json'
  FROM generate_series(1, 6) AS n;
SELECT * FROM cc.problems();
SELECT * FROM cc.cc_reverify('o''ther', leeway => '5 minutes');
SELECT * FROM cc.problems();

-- Silence: on each of the last 10 days a postback came at this time of day, and now none for 2 hours
UPDATE cc.cc_inbox SET received_at = statement_timestamp() - interval '5 days';
SELECT * FROM cc.problems();
WITH day AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM cc.cc_inbox WHERE project = 'default' AND state <> 'rejected')
UPDATE cc.cc_inbox AS i SET received_at = statement_timestamp() - interval '2 hours' + sign(n % 10) * interval '30 minutes' - (n % 10) *
    interval '1 day' FROM day WHERE day.id = i.id;
SELECT * FROM cc.problems();
-- not for 50 minutes
WITH day AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM cc.cc_inbox WHERE project = 'default' AND state <> 'rejected')
UPDATE cc.cc_inbox AS i SET received_at = statement_timestamp() - interval '50 minutes' + sign(n % 10) * interval '30 minutes' - (n % 10) *
    interval '1 day' FROM day WHERE day.id = i.id;
SELECT * FROM cc.problems();
-- not when there was none on two of those days
UPDATE cc.cc_inbox SET received_at = received_at - interval '70 minutes' WHERE project = 'default'
    AND received_at > statement_timestamp() - interval '1 day';
SELECT regexp_replace(problem, ':.*', '') AS problem FROM cc.problems();
UPDATE cc.cc_inbox SET received_at = received_at - interval '20 days' WHERE project = 'default'
    AND received_at BETWEEN statement_timestamp() - interval '3.5 days' AND statement_timestamp() - interval '1.5 days';
SELECT * FROM cc.problems();

-- Postbacks for unknown projects; a stranger chose the names
SELECT cc.deliver('U', 's3cret', E'evil\x1b[31m\nname''; DROP TABLE orders; --' || repeat('x', 100));
SELECT * FROM cc.problems();
SELECT project, received, rejected, last_received_at IS NOT NULL AS has_last FROM cc.cc_health() WHERE project IS NULL;
DELETE FROM cc.cc_inbox WHERE reason = 'unknown_project';

-- A conflict of a project that was deleted; the command has its whole name
INSERT INTO cc.cc_project (name, secret) VALUES (repeat('long', 12), 'long secret');
SELECT cc.deliver('LOST', 'long secret', repeat('long', 12));
INSERT INTO cc.cc_inbox (project, body)
VALUES (repeat('long', 12), cc.cc_sample_postback('long secret', invoice_id => 'LOST', order_id => 'another')) RETURNING state;
DELETE FROM cc.cc_project WHERE name LIKE 'long%';
SELECT * FROM cc.problems();
DELETE FROM cc.cc_inbox WHERE project LIKE 'long%';
DELETE FROM cc.cc_invoice WHERE project LIKE 'long%';

-- A dropped index; an index of another name fixes it
SELECT indexrelid::regclass AS index FROM pg_index WHERE indrelid = 'cc.cc_inbox'::regclass
    AND pg_get_indexdef(indexrelid) LIKE '%(token_digest)%' \gset
ALTER INDEX :index RENAME TO mine;
SELECT * FROM cc.problems();
DROP INDEX cc.mine;
SELECT * FROM cc.problems();
SELECT cc.cc_setup();
SELECT * FROM cc.problems();

-- The sequence is behind
SELECT setval('cc.cc_inbox_id_seq', 1);
SELECT * FROM cc.problems();
SELECT cc.cc_setup();
SELECT * FROM cc.problems();

-- The extension's own triggers
ALTER TABLE cc.cc_inbox DISABLE TRIGGER cc_inbox_insert;
SELECT * FROM cc.problems();
ALTER TABLE cc.cc_inbox ENABLE TRIGGER cc_inbox_insert;
DROP TRIGGER cc_project_check ON cc.cc_project;
SELECT * FROM cc.problems();
-- without it, two projects can share a secret
UPDATE cc.cc_project SET previous_secret = 'the right one', previous_secret_until = 'infinity' WHERE name = 'default';
SET client_min_messages = error;
SELECT cc.cc_setup();
SET client_min_messages = warning;
SELECT * FROM cc.problems();
UPDATE cc.cc_project SET previous_secret = NULL WHERE name = 'default';
SELECT * FROM cc.problems();

-- A setting that lets tests pay
UPDATE cc.cc_project SET accept_test_payments = true WHERE name = 'o''ther';
SELECT * FROM cc.problems();
UPDATE cc.cc_project SET accept_test_payments = false WHERE name = 'o''ther';
SELECT * FROM cc.problems();

-- A project that was removed while its postbacks wait
UPDATE cc.cc_project SET apply = 'deferred' WHERE name = 'o''ther';
SELECT cc.deliver('W', 'the right one', 'o''ther');
DELETE FROM cc.cc_project WHERE name = 'o''ther';
SELECT * FROM cc.problems();
INSERT INTO cc.cc_project (name, secret) VALUES ('o''ther', 'the right one');
SELECT cc.cc_apply();
SELECT * FROM cc.problems();

-- Tables of another version
ALTER TABLE cc.cc_invoice RENAME payment TO underpaid;
SELECT * FROM cc.cc_health();
ALTER TABLE cc.cc_invoice RENAME underpaid TO payment;
SELECT * FROM cc.problems();

-- In a filled table it reads only new and faulty rows, by index: rows read in this transaction
ALTER TABLE cc.cc_inbox DISABLE TRIGGER USER;
INSERT INTO cc.cc_inbox (project, received_at, state, reason, is_purged)
SELECT 'default', statement_timestamp() - n * interval '1 minute', CASE WHEN n % 5 = 0 THEN 'rejected' ELSE 'applied' END,
    CASE WHEN n % 5 = 0 THEN 'bad_signature' END, n > 10000
  FROM generate_series(1, 20000) AS n;
INSERT INTO cc.cc_invoice (project, invoice_id, status, amount_crypto, currency, paid_at, token_expires_at, received_at, updated_at)
SELECT 'default', 'Z' || n, 'success', 1, 'BNB', now(), now(), now(), now() FROM generate_series(1, 20000) AS n;
ALTER TABLE cc.cc_inbox ENABLE TRIGGER USER;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT received FROM cc.cc_health() WHERE project = 'default';
SELECT relname, seq_scan, seq_tup_read, idx_tup_fetch < 3000 AS few FROM pg_stat_xact_user_tables WHERE schemaname = 'cc'
    AND relname IN ('cc_inbox', 'cc_invoice') ORDER BY 1;
COMMIT;

-- No output contains a secret or a part of a body
SELECT count(*) FROM cc.cc_health() AS h WHERE h::text ~ 's3cret|the right one|the new key|0x635D';

-- The owner's code cannot outlive the call of a superuser
CREATE TABLE cc.spy (who text);
CREATE FUNCTION cc.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'runs as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER spy AFTER INSERT ON cc.spy DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cc.spy();
CREATE FUNCTION cc.trap(interval) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO cc.spy
    VALUES (current_user); RETURN true; END $$;
ALTER TABLE cc.cc_project ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY trap ON cc.cc_project USING (cc.trap('1 hour'));
RESET ROLE;
SELECT * FROM cc.cc_health();
SELECT count(*) FROM cc.spy;

DROP SCHEMA cc CASCADE;
DROP ROLE regress_shop, regress_monitor;
