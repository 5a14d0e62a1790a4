-- Corners of the operator's commands: where they refuse to work, and what they leave alone.
\ir test/sql/shared/begin.sql
\set VERBOSITY terse
INSERT INTO cc_project (name, secret, previous_secret, previous_secret_until) VALUES ('default', 's3cret', '', now());
INSERT INTO cc_project (name, secret, previous_secret, previous_secret_until) VALUES ('default', 's3cret', 'old ', now());
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
CREATE TABLE bait (LIKE cc_project);
CREATE TRIGGER bait BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION cc_project_check();
INSERT INTO bait VALUES ('default', 'mine');
CREATE FUNCTION body(invoice text, fields jsonb DEFAULT '{}', n integer DEFAULT 0, secret text DEFAULT 's3cret')
RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('status', 'success', 'invoice_id', invoice, 'order_id', 'O1', 'amount_crypto', 1, 'currency', 'BNB')
            || fields || jsonb_build_object('token', cc_sign_token(
                jsonb_build_object('id', invoice, 'exp', 4070908800 + n), secret)))::text $$;
CREATE FUNCTION deliver(body text, project text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc_inbox AS i (body, project) VALUES (body, project) RETURNING concat_ws(' ', i.state, i.reason, i.error) $$;
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

-- READ ONLY, and snapshots that are too old
BEGIN READ ONLY;
SELECT * FROM cc_reverify(dry_run => true);
SELECT cc_apply();
ROLLBACK;
BEGIN READ ONLY;
SELECT cc_accept(1);
ROLLBACK;
BEGIN READ ONLY;
SELECT cc_reverify();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cc_accept(1);
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cc_reverify();
ROLLBACK;

-- Arguments of cc_reverify, although no row is there
SELECT cc_reverify(max_rows => -1);
SELECT cc_reverify(max_rows => NULL);
SELECT cc_reverify(leeway => '-1 s');
SELECT cc_reverify(dry_run => NULL);

-- A row that is skipped is an error, and so is a changed column
CREATE TRIGGER a_skip BEFORE INSERT ON cc_inbox FOR EACH ROW EXECUTE FUNCTION skip();
SELECT * FROM cc_receive('{}'::text, NULL);
DROP TRIGGER a_skip ON cc_inbox;
UPDATE cc_project SET apply = 'deferred';
SELECT deliver(body('WAITS'));
CREATE TRIGGER a_skip BEFORE UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION skip();
SELECT cc_apply();
DROP TRIGGER a_skip ON cc_inbox;
BEGIN;
ALTER TABLE cc_inbox ALTER error TYPE varchar(1000);
SELECT cc_apply();
ROLLBACK;
-- What came in is not written again
CREATE TRIGGER a_skip BEFORE UPDATE OF id, project, received_at, content_type, body, raw ON cc_inbox
    FOR EACH ROW EXECUTE FUNCTION skip();
SELECT cc_apply();
DROP TRIGGER a_skip ON cc_inbox;
-- One that raises keeps no other row from being settled. A changed column is an error beside it too
SELECT deliver(body(invoice)) FROM unnest('{BLOCKED,FREE1,FREE2}'::text[]) AS invoice;
CREATE FUNCTION block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.invoice_id = 'BLOCKED' AND NEW.state <> 'pending' THEN RAISE EXCEPTION 'not %', NEW.invoice_id; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER block AFTER UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION block();
SET client_min_messages = warning;
BEGIN;
ALTER TABLE cc_project ALTER name TYPE varchar(300);
SELECT cc_apply();
ROLLBACK;
SELECT cc_apply();
CALL cc_work();
SELECT i.invoice_id, i.state, p.paid_at IS NOT NULL AS paid FROM cc_inbox AS i LEFT JOIN cc_invoice AS p USING (invoice_id)
 WHERE i.invoice_id IN ('BLOCKED', 'FREE1', 'FREE2') ORDER BY 1;
DROP FUNCTION block CASCADE;
SELECT cc_apply();
UPDATE cc_project SET apply = 'immediate';
-- The trigger of cc_inbox serves inserts alone
BEGIN;
CREATE TRIGGER other BEFORE UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION cc_inbox_insert();
UPDATE cc_inbox SET error = '';
ROLLBACK;

-- Nobody accepts what does not verify as of its receipt
SELECT deliver(body('WAITS', '{"order_id": "O2"}', 1));
UPDATE cc_inbox SET body = body('WAITS', '{"order_id": "O2"}', 1, 'guess') WHERE state = 'conflict';
SELECT cc_accept(max(id), true) FROM cc_inbox;
SELECT state, error FROM cc_inbox ORDER BY id DESC LIMIT 1;

-- cc_reverify ends with a cancel; it leaves alone what it cannot settle on these tables, or with so many locks
CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE query_canceled; END';
CREATE TRIGGER cancel BEFORE INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id = 'CANCEL') EXECUTE FUNCTION cancel();
SELECT deliver(body('CANCEL', secret => 'later')), deliver(body('NEXT', secret => 'later'));
UPDATE cc_project SET secret = 'later';
SELECT * FROM cc_reverify();
SELECT * FROM cc_reverify();
UPDATE cc_project SET secret = 's3cret';
SELECT deliver(body('OLD', secret => 'later'));
UPDATE cc_project SET secret = 'later';
BEGIN;
DROP INDEX cc_inbox_token;
SELECT * FROM cc_reverify();
SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1;
ROLLBACK;
UPDATE cc_project SET secret = 's3cret';
INSERT INTO cc_inbox (body) SELECT body('MANY' || n, secret => 'later') FROM generate_series(1, 1100) AS n;
UPDATE cc_project SET secret = 'later';
SELECT state, postbacks > 100 AS many FROM cc_reverify(max_rows => 2000);
SELECT state, reason FROM cc_inbox WHERE body LIKE '%"MANY%' GROUP BY 1, 2 ORDER BY 1;

-- As of its receipt: also when the token has expired since
TRUNCATE cc_inbox;
SELECT deliver((body('PAST')::jsonb || jsonb_build_object('token', cc_sign_token(
    jsonb_build_object('id', 'PAST', 'exp', floor(extract(epoch FROM now() - interval '1 hour'))), 'later')))::text);
UPDATE cc_inbox SET received_at = now() - interval '2 hours';
SELECT * FROM cc_reverify();

-- The API corrects its own price, also of a paid invoice, and that of a postback as long as nothing is paid
CREATE FUNCTION import(invoice text, members jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT outcome FROM cc_import(jsonb_build_object('status', 'success', 'result',
        jsonb_build_object('uuid', 'INV-' || invoice, 'order_id', 'O1', 'currency', 'BNB') || members)) $$;
SELECT import('PRICE', '{"status": "created", "amount_to_pay": 5}'), import('PRICE', '{"status": "paid", "amount_paid": 5}'),
       import('PRICE', '{"status": "paid", "amount_paid": 5, "amount_to_pay": 6}');
SELECT deliver(body('OPEN', '{"status": "pending", "invoice_info": {"amount_to_pay": 1}}', secret => 'later')),
       import('OPEN', '{"status": "created", "amount_to_pay": 2}');
SELECT invoice_id, amount_to_pay, payment FROM cc_invoice WHERE invoice_id IN ('PRICE', 'OPEN') ORDER BY 1;

-- Two contents under one token: a preview says what comes of it, and the second one is token_reused from then on
UPDATE cc_project SET secret = 's3cret';
SELECT deliver(body('TOKEN', secret => 'later')), deliver(body('TOKEN', '{"amount_crypto": 9}', secret => 'later'));
UPDATE cc_project SET secret = 'later';
SELECT * FROM cc_reverify(dry_run => true) WHERE reason IS DISTINCT FROM 'bad_signature';
SELECT * FROM cc_reverify() WHERE reason IS DISTINCT FROM 'bad_signature';
SELECT state, reason FROM cc_inbox WHERE body LIKE '%"TOKEN"%' ORDER BY id;

-- A preview also compares with what was settled before
UPDATE cc_project SET secret = 's3cret';
SELECT deliver(body('SEEN', secret => 'later'));
UPDATE cc_project SET secret = 'later';
SELECT deliver(body('SEEN', n => 1, secret => 'later'));
SELECT * FROM cc_reverify(dry_run => true);
DELETE FROM cc_inbox WHERE state = 'rejected';

-- What failed stays so while the tables are of an earlier version
SELECT deliver(body('TOKEN', '{"amount_crypto": 9}', 1, 'later'));
ALTER TABLE cc_invoice ADD CONSTRAINT small CHECK (amount_crypto < 10);
SELECT deliver(body('TOKEN', '{"amount_crypto": 10}', 2, 'later'));
BEGIN;
DROP INDEX cc_inbox_token;
SELECT cc_apply();
SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1;
ROLLBACK;
-- Nor are they purged or changed by an import
BEGIN;
ALTER TABLE cc_invoice DROP fee;
SELECT cc_purge('1 day');
ROLLBACK;
BEGIN;
ALTER TABLE cc_invoice DROP fee;
SELECT import('OLD', '{"status": "created"}');
ROLLBACK;

-- An import of the order only is written; the expected values are known since the first one
SELECT import('E', '{"status": "canceled", "order_id": null}'), import('E', '{"status": "created", "order_id": "O9"}');
SELECT order_id, expected_at = received_at AND expected_at < updated_at AS since FROM cc_invoice WHERE invoice_id = 'E';

-- The oldest rows are purged first; they are looked for by the index, however few rows there are
TRUNCATE cc_inbox;
ANALYZE cc_inbox;
SELECT deliver('{}'), deliver('{}');
UPDATE cc_inbox SET received_at = now() - CASE WHEN id = (SELECT max(id) FROM cc_inbox) THEN interval '9 days' ELSE interval '3 days' END;
BEGIN;
SELECT pg_stat_get_xact_numscans('cc_inbox'::regclass) AS before \gset
SELECT cc_purge('30 days');
SELECT pg_stat_get_xact_numscans('cc_inbox'::regclass) - :before AS scans_of_the_table;
COMMIT;
SELECT cc_purge('1 day', 1);
SELECT count(*), max(now() - received_at) < interval '4 days' AS younger FROM cc_inbox;

-- The lock of an import stays when the import fails
CREATE TRIGGER skip BEFORE INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION skip();
BEGIN;
SELECT import('LOCKED', '{"status": "created"}');
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
ROLLBACK;

DROP TABLE bait;
\ir test/sql/shared/end.sql
DROP FUNCTION body, deliver, import, skip, cancel;
