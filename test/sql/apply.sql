-- Deferred projects and cc_apply.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret, apply) VALUES ('default', 's3cret', 'deferred');

-- Verified at once, applied later: a fault is known at once
SELECT sample('A') AS body \gset
INSERT INTO cc_inbox (body) VALUES (:'body'), (sample('A')), (replace(:'body', '"amount_crypto": 1', '"amount_crypto": 2')),
    (sample('A', 2)), (sample('B', expires => '-1 s')) RETURNING state, reason;
SELECT count(*) FROM cc_invoice;
SELECT cc_apply();
SELECT id, state, reason, attempts, applied_at >= received_at AS applied FROM cc_inbox ORDER BY id;
SELECT invoice_id, amount_crypto, paid_at = (SELECT min(received_at) FROM cc_inbox) AS paid_when_received FROM cc_invoice;

-- Meanwhile the token has expired and the secret has changed, but the postback was verified at its receipt
INSERT INTO cc_inbox (body) VALUES (sample('C', expires => '3 s')) RETURNING state, reason;
UPDATE cc_project SET secret = 'new';
SELECT pg_sleep_until(token_expires_at) FROM cc_inbox WHERE invoice_id = 'C';
SELECT cc_apply();
SELECT state, reason FROM cc_inbox WHERE invoice_id = 'C';
UPDATE cc_project SET secret = 's3cret';
-- Bytes that are not text cannot be verified, but are kept
SELECT http_status FROM cc_receive('\xff00'::bytea, 'application/json');
SELECT state, reason, body, raw FROM cc_inbox ORDER BY id DESC LIMIT 1;

-- Rows that always fail do not block the others
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'BAD%') EXECUTE FUNCTION refuse();
INSERT INTO cc_inbox (body) VALUES (sample('BAD1')), (sample('BAD2')), (sample('GOOD1')), (sample('GOOD2')), (sample('GOOD3'));
SELECT cc_apply(2), cc_apply(2), cc_apply(2);
SELECT invoice_id, state, attempts, error FROM cc_inbox WHERE invoice_id ~ 'BAD|GOOD' ORDER BY id;
-- A row that times out waits, earlier work is kept, and the rest is left for the next call
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER hang BEFORE INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id = 'HANG') EXECUTE FUNCTION hang();
DELETE FROM cc_inbox WHERE state = 'failed';
INSERT INTO cc_inbox (body) VALUES (sample('BEFORE')), (sample('HANG')), (sample('AFTER'));
-- A server that is slow on purpose needs more time to reach pg_sleep.
\set timeout 1s
\getenv timeout STATEMENT_TIMEOUT
SET statement_timeout = :'timeout';
SELECT cc_apply();
RESET statement_timeout;
SELECT invoice_id, state, attempts, error FROM cc_inbox WHERE invoice_id IN ('BEFORE', 'HANG', 'AFTER') ORDER BY id;
SELECT cc_apply(1);
SELECT invoice_id, state FROM cc_inbox WHERE invoice_id IN ('BEFORE', 'HANG', 'AFTER') ORDER BY id;
-- Postbacks of a deleted project are not lost
UPDATE cc_inbox SET state = 'pending' WHERE invoice_id = 'HANG';
DROP TRIGGER hang ON cc_invoice;
DELETE FROM cc_project;
SELECT cc_apply();
SELECT invoice_id, paid_at IS NOT NULL AS paid FROM cc_invoice ORDER BY 1;
SELECT cc_apply(0);
SELECT cc_apply(-1);
SELECT cc_apply(NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cc_apply();
ROLLBACK;

-- cc_work: all waiting rows, each once, in batches with COMMIT, in any isolation level of the session
TRUNCATE cc_inbox, cc_invoice;
INSERT INTO cc_project (name, secret, apply) VALUES ('default', 's3cret', 'deferred');
INSERT INTO cc_inbox (body) SELECT sample(CASE WHEN n % 3 = 0 THEN 'BAD' ELSE 'GOOD' END || n) FROM generate_series(1, 180) AS n;
SET default_transaction_isolation = 'serializable';
CALL cc_work();
RESET default_transaction_isolation;
SELECT state, attempts, count(*), count(DISTINCT xmin::text) > 1 AS in_batches FROM cc_inbox GROUP BY 1, 2 ORDER BY 1;
DROP TRIGGER refuse ON cc_invoice;
CALL cc_work();
SELECT state, attempts, count(*) FROM cc_inbox GROUP BY 1, 2 ORDER BY 1, 2;
-- Not where COMMIT is impossible
BEGIN;
CALL cc_work();
ROLLBACK;
-- By grant, with the rights of the owner of the tables and no others
CREATE ROLE regress_worker;
SET ROLE regress_worker;
CALL cc_work();
RESET ROLE;
GRANT EXECUTE ON PROCEDURE cc_work() TO regress_worker;
INSERT INTO cc_inbox (body) VALUES (sample('BYWORKER'));
CREATE FUNCTION who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'as the owner: %',
    current_user <> 'regress_worker'; RETURN NEW; END $$;
CREATE TRIGGER who BEFORE INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION who();
SET ROLE regress_worker;
CALL cc_work();
SELECT current_user;
RESET ROLE;
SELECT state FROM cc_inbox WHERE invoice_id = 'BYWORKER';
REVOKE ALL ON PROCEDURE cc_work() FROM regress_worker;
DROP ROLE regress_worker;

\ir test/sql/shared/end.sql
DROP FUNCTION refuse, hang, who;
