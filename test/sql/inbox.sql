-- The states of an inbox row. A plain insert does everything.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'other s3cret');
CREATE VIEW inbox AS SELECT id, project, state, reason, invoice_id, attempts, applied_at IS NOT NULL AS applied,
    error FROM cc_inbox ORDER BY id;
-- How often an invoice is paid, as the merchant's trigger sees it
CREATE TABLE paid (project text, invoice_id text, order_id text, amount numeric);
CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO paid VALUES (NEW.project, NEW.invoice_id, NEW.order_id, NEW.amount_crypto); RETURN NULL; END $$;
CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION paid();

-- applied; the same message again; the same content with a new token
SELECT sample('A') AS body \gset
INSERT INTO cc_inbox (body, content_type) VALUES (:'body', 'application/json') RETURNING state, reason;
INSERT INTO cc_inbox (body, content_type) VALUES (:'body', 'application/json') RETURNING state, reason;
INSERT INTO cc_inbox (body) VALUES (sample('A')) RETURNING state, reason;
-- White space and the order of members do not count as content
INSERT INTO cc_inbox (body) VALUES ((sample('A')::jsonb)::text) RETURNING state, reason;
-- Same token, other content: the first use counts, also for another invoice if the token names none
INSERT INTO cc_inbox (body) VALUES (replace(:'body', '"amount_crypto": 1', '"amount_crypto": 2')) RETURNING state, reason;
SELECT format('{"status":"success","invoice_id":"N1","amount_crypto":1,"currency":"BNB","token":"%s"}',
              cc_sign_token(jsonb_build_object('id', 13, 'exp', extract(epoch FROM now() + interval '1 min')), 's3cret')) AS unbound \gset
INSERT INTO cc_inbox (body) VALUES (:'unbound') RETURNING state, reason;
INSERT INTO cc_inbox (body) VALUES (replace(:'unbound', '"N1"', '"N2"')) RETURNING state, reason;
-- New content: a form after JSON adds nothing and blanks nothing
INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret', 'application/x-www-form-urlencoded', 'A', 'O1', 0.1, 1)) RETURNING state,
    reason;
SELECT network, address, payment, cardinality(tx_list) AS transactions FROM cc_invoice WHERE invoice_id = 'A';
-- conflict: another order; once paid, another currency or less; more is no conflict
INSERT INTO cc_inbox (body) VALUES (sample('A', orders => 'O2')), (sample('A', currency => 'BTC')), (sample('A', 0.5)),
    (sample('A', 2)) RETURNING state, reason;
SELECT order_id, currency, amount_crypto FROM cc_invoice WHERE invoice_id = 'A';
SELECT * FROM paid;
SELECT * FROM inbox;
-- A conflict that a person resolves
UPDATE cc_invoice SET order_id = 'O2', amount_crypto = 1 WHERE invoice_id = 'A';
UPDATE cc_inbox SET state = 'pending' WHERE state = 'conflict' AND body LIKE '%"O2"%';
SELECT cc_apply();
SELECT state, reason, attempts FROM cc_inbox WHERE body LIKE '%"O2"%';

-- rejected: reason and body are kept, and no other value is stored
TRUNCATE cc_inbox, cc_invoice, paid RESTART IDENTITY;
INSERT INTO cc_inbox (body, content_type) VALUES (NULL, NULL), ('', 'application/json'), ('{"x": 1', 'application/json'),
    ('x', 'image/png'),
    (cc_sample_postback('guess', invoice_id => 'B'), 'application/json'), (sample('B', expires => '-1 second'), NULL);
INSERT INTO cc_inbox (project, body) VALUES ('third', sample('B')), (NULL, '{}'), ('', ''), (repeat('p', 10000), '{}');
INSERT INTO cc_inbox (body) VALUES (rpad(sample('B'), 1048577));
SELECT id, left(project, 10) AS project, state, reason, invoice_id, left(regexp_replace(body, '\s+', '', 'g'), 20) AS body,
    num_nonnulls(token_digest, content_digest, applied_at, error) AS believed FROM cc_inbox ORDER BY id;
SELECT count(*) FROM cc_invoice;
-- Each project has its own secret
INSERT INTO cc_inbox (project, body) VALUES ('second', sample('B')), ('second', cc_sample_postback('other s3cret', invoice_id => 'B'))
    RETURNING project, state, reason;
INSERT INTO cc_inbox (project, body) VALUES ('default', sample('B')) RETURNING project, state, reason;
SELECT project, invoice_id FROM cc_invoice ORDER BY 1;
-- require_order_id
UPDATE cc_project SET require_order_id = true WHERE name = 'default';
INSERT INTO cc_inbox (body) VALUES (sample('C', orders => NULL)), (sample('C', orders => '')), (sample('C')) RETURNING state, reason;
UPDATE cc_project SET require_order_id = false WHERE name = 'default';
-- One order, several invoices
INSERT INTO cc_inbox (body) VALUES (sample('D', orders => 'customer')), (sample('E', orders => 'customer')) RETURNING state, reason;
SELECT invoice_id FROM paid WHERE order_id = 'customer' ORDER BY 1;
-- With and without INV-: one invoice
INSERT INTO cc_inbox (body) VALUES (sample('F')), (sample('INV-F')) RETURNING state, invoice_id;
SELECT count(*) FROM cc_invoice WHERE invoice_id LIKE '%F';

-- failed: the merchant's trigger raises; the row is safe, and applied after the trigger is fixed
TRUNCATE cc_inbox, cc_invoice, paid RESTART IDENTITY;
CREATE TABLE trouble (kind text);
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE (SELECT kind FROM trouble)
        WHEN 'raise' THEN RAISE EXCEPTION 'out of stock' USING ERRCODE = 'P0042';
        WHEN 'division' THEN PERFORM 1 / 0;
        WHEN 'assert' THEN ASSERT false, 'asserted';
        WHEN 'cancel' THEN RAISE query_canceled;
        WHEN 'timeout' THEN PERFORM pg_sleep(60);
        ELSE NULL;
    END CASE;
    RETURN NEW;
END $$;
CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION trouble();
INSERT INTO trouble VALUES ('raise');
INSERT INTO cc_inbox (body) VALUES (sample('raise')) RETURNING state, reason;
UPDATE trouble SET kind = 'division';
INSERT INTO cc_inbox (body) VALUES (sample('division')) RETURNING state, reason;
UPDATE trouble SET kind = 'assert';
INSERT INTO cc_inbox (body) VALUES (sample('assert')) RETURNING state, reason;
UPDATE trouble SET kind = 'cancel';
INSERT INTO cc_inbox (body) VALUES (sample('cancel')) RETURNING state, reason;
UPDATE trouble SET kind = 'timeout';
-- A server that is slow on purpose needs more time to reach pg_sleep.
\set timeout 1s
\getenv timeout STATEMENT_TIMEOUT
SET statement_timeout = :'timeout';
INSERT INTO cc_inbox (body) VALUES (sample('timeout')) RETURNING state, reason;
-- and the later rows of the statement are kept too, untried
INSERT INTO cc_inbox (body) VALUES (sample('timeout2')), (sample('timeout3')) RETURNING state, reason;
RESET statement_timeout;
UPDATE trouble SET kind = NULL;
-- A deferred constraint, which would otherwise fail only at commit
CREATE TABLE known_order (id text PRIMARY KEY);
ALTER TABLE cc_invoice ADD CONSTRAINT known_order FOREIGN KEY (order_id) REFERENCES known_order DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO cc_inbox (body) VALUES (sample('deferred')) RETURNING state, reason;
COMMIT;
-- The transaction's own deferred constraints stay deferred
BEGIN;
CREATE TABLE later (id text REFERENCES known_order DEFERRABLE INITIALLY DEFERRED);
INSERT INTO known_order VALUES ('O1');
INSERT INTO cc_inbox (body) VALUES (sample('own')) RETURNING state, reason;
INSERT INTO later VALUES ('O2');
INSERT INTO known_order VALUES ('O2');
COMMIT;
SELECT id, state, attempts, error FROM cc_inbox ORDER BY id;
SELECT count(*) AS invoices, (SELECT count(*) FROM paid) AS paid FROM cc_invoice;
-- Delivered again with a new token, it is tried again; cc_apply then finds the first row a duplicate
INSERT INTO cc_inbox (body) VALUES (sample('raise')) RETURNING state, reason;
SELECT cc_apply();
SELECT cc_apply();
SELECT id, state, attempts, error FROM cc_inbox ORDER BY id;
SELECT invoice_id FROM paid ORDER BY 1;

DROP VIEW inbox;
\ir test/sql/shared/end.sql
DROP TABLE paid, trouble, later, known_order;
DROP FUNCTION paid(), trouble();
