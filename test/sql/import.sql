-- cc_import: answers of the service's API, and how they change invoices together with postbacks.
\ir test/sql/shared/begin.sql
SET timezone = 'UTC';
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'other s3cret'), ('later', 'later s3cret');
UPDATE cc_project SET apply = 'deferred' WHERE name = 'later';
-- The order trigger inserts a row each time it fires
CREATE TABLE paid (invoice_id text, order_id text);
CREATE TABLE broken (order_id text);
CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id IN (SELECT order_id FROM broken) THEN RAISE EXCEPTION 'no stock for %', NEW.order_id; END IF;
    INSERT INTO paid VALUES (NEW.invoice_id, NEW.order_id);
    RETURN NULL;
END $$;
CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION paid();
-- An element like the API's: it has the shape of the sample's invoice_info
CREATE FUNCTION element(uuid text, order_id text, members jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT cc_sample_postback('s3cret', invoice_id => uuid)::jsonb -> 'invoice_info'
           || jsonb_build_object('uuid', 'INV-' || uuid, 'order_id', order_id, 'status', 'created', 'invoice_status', 'created',
                                 'address', '', 'tx_list', '[]'::jsonb, 'amount', 10, 'amount_usd', 20, 'amount_to_pay', 10,
                                 'amount_to_pay_usd', 20, 'amount_paid', 0, 'amount_paid_usd', 0, 'received', 0, 'received_usd', 0,
                                 'date_finished', NULL, 'expiry_date', '2026-01-02 10:20:04')
           || members;
$$;
CREATE FUNCTION answer(VARIADIC elements jsonb[]) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT jsonb_build_object('status', 'success', 'result', to_jsonb(elements)) $$;
CREATE FUNCTION created(uuid text, order_id text, members jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('status', 'success', 'result', element(uuid, order_id,
        '{"link": "https://pay.example/X", "fiat_currency": "USD", "invoice_id": null}' || members)) $$;
CREATE FUNCTION deliver(invoice text, info jsonb, amount numeric DEFAULT 10, orders text DEFAULT 'O1', minutes int DEFAULT 5,
                        currency text DEFAULT 'BNB', project text DEFAULT 'default')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ends    CONSTANT timestamptz := date_trunc('day', now()) + interval '1 year' + minutes * interval '1 min';
    secret  CONSTANT text := (SELECT p.secret FROM cc_project AS p WHERE p.name = project);
    sample  CONSTANT text := cc_sample_postback(secret, 'application/json', invoice, orders, 20, amount, currency, 'success', info, ends);
    -- Two tokens with the same exp must differ
    token   CONSTANT text := cc_sign_token(jsonb_build_object('id', invoice, 'exp', extract(epoch FROM ends), 'jti', random()), secret);
    result  text;
BEGIN
    INSERT INTO cc_inbox (project, body, content_type)
    VALUES (project, regexp_replace(sample, 'eyJ[A-Za-z0-9._-]+', token), 'application/json')
    RETURNING concat_ws(' ', state, reason, error) INTO result;
    RETURN result;
END $$;
\set success '\'{"status": "paid", "invoice_status": "success", "amount_paid": 10, "amount_paid_usd": 20}\'::jsonb'
\set to_pay '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "amount_paid": 10}'

-- create: the expected amount is known
SELECT * FROM cc_import(created('A', 'O1'));
SELECT c.key, c.value FROM cc_invoice AS i, jsonb_each_text(to_jsonb(i) - ARRAY['info', 'received_at', 'updated_at', 'expected_at']) AS c
 ORDER BY 1;
SELECT info ->> 'link' AS link, expected_at = received_at AND updated_at = received_at AS times FROM cc_invoice;
SELECT * FROM cc_import(created('A', 'O1'));
-- A postback that contradicts it changes nothing: other amounts to pay, another order
SELECT deliver('A', '{"amount_to_pay": 0.01, "amount_to_pay_usd": 0.02, "amount_paid": 0.01}', 0.01);
SELECT deliver('A', '{"amount_to_pay": 10, "amount_to_pay_usd": 0.02, "amount_paid": 10}');
SELECT deliver('A', :'to_pay', orders => 'O2');
SELECT paid_at, status, amount_crypto, amount_to_pay, order_id FROM cc_invoice;
-- The genuine postback pays it, once
SELECT deliver('A', :'to_pay');
SELECT * FROM cc_import(created('A', 'O1'));
SELECT * FROM cc_import(answer(element('A', 'O1', :success)));
SELECT * FROM cc_import(answer(element('A', 'O1', :success)));
SELECT paid_at < updated_at AS kept, status, invoice_status, payment, amount_crypto, amount_to_pay, payment_status FROM cc_invoice;
SELECT * FROM paid;

-- A smaller payment is no conflict, and no postback overwrites the API's amount to pay
SELECT * FROM cc_import(created('UNDER', 'O3'));
SELECT deliver('UNDER', '{"status": "partial", "amount_to_pay": 10.0, "amount_to_pay_usd": null, "amount_paid": 9}', 9, 'O3');
SELECT paid_at IS NOT NULL AS paid, payment, payment_status, amount_crypto, amount_to_pay, amount_to_pay_usd
  FROM cc_invoice WHERE invoice_id = 'UNDER';
-- The customer chose another coin of the same value: no contradiction. The amount belongs to its coin
SELECT * FROM cc_import(created('COIN', 'O4'));
SELECT deliver('COIN', '{"amount_to_pay": 0.0002, "amount_to_pay_usd": 19.99, "amount_paid": 0.0002}', 0.0002, 'O4', 4, 'BTC');
SELECT deliver('COIN', '{"amount_to_pay": 0.0002, "amount_to_pay_usd": 20, "amount_paid": 0.0002}', 0.0002, 'O4', 5, 'BTC');
SELECT currency, amount_to_pay, amount_to_pay_usd, payment FROM cc_invoice WHERE invoice_id = 'COIN';
-- No coin and no price yet: the first values are stored
SELECT * FROM cc_import(created('OPEN', NULL, '{"currency": null, "amount_to_pay": 0, "amount_to_pay_usd": null, "amount": null}'));
SELECT currency, amount_crypto, amount_to_pay, token_expires_at FROM cc_invoice WHERE invoice_id = 'OPEN';
SELECT deliver('OPEN', '{"amount_to_pay": 5, "amount_to_pay_usd": 20, "amount_paid": 5}', 5, 'O5');
SELECT currency, order_id, amount_crypto, amount_to_pay, isfinite(token_expires_at) AS exp FROM cc_invoice WHERE invoice_id = 'OPEN';

-- An answer to info or list replaces a lost postback; then the postback comes after all
SELECT * FROM cc_import(created('LOST', 'O6'));
SELECT * FROM cc_import(answer(element('LOST', 'O6', :success || '{"date_finished": "2026-01-01 10:23:14.000940"}'),
                               element('NEVER', 'O7', :success)));
SELECT invoice_id, paid_at IS NOT NULL AS paid, status, amount_crypto, finished_at, payment FROM cc_invoice
 WHERE invoice_id IN ('LOST', 'NEVER') ORDER BY 1;
SELECT deliver('LOST', :'to_pay', orders => 'O6'), deliver('NEVER', :'to_pay', orders => 'O7');
SELECT invoice_id, count(*) FROM paid GROUP BY 1 ORDER BY 1;

-- Paid has the same meaning as for a postback
SELECT * FROM cc_import(answer(
    element('UNCONFIRMED', 'O8', :success || '{"invoice_status": "created"}'),
    element('OVER', 'O8', :success || '{"status": "overpaid", "amount_paid": 11}'),
    element('PARTIAL', 'O8', '{"status": "partial", "amount_paid": 4}'),
    element('CONFIRMED', 'O8', '{"status": "partial", "amount_paid": 4, "invoice_status": "success"}'),
    element('CANCELED', 'O8', '{"status": "canceled", "invoice_status": "canceled"}'),
    element('TEST', 'O8', :success || '{"test_mode": true}')));
SELECT invoice_id, status, invoice_status, payment_status, paid_at IS NOT NULL AS paid, payment, amount_crypto, is_test
  FROM cc_invoice WHERE order_id = 'O8' ORDER BY 1;
UPDATE cc_project SET accept_test_payments = true WHERE name = 'default';
SELECT * FROM cc_import(answer(element('TEST', 'O8', :success || '{"test_mode": true}')));
SELECT paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'TEST';
UPDATE cc_project SET accept_test_payments = false WHERE name = 'default';

-- An answer is newer than every earlier postback, and older than every later one
SELECT deliver('ORDER', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "amount_paid": 10, "fee": 1}', orders => 'O9', minutes => 9);
SELECT * FROM cc_import(answer(element('ORDER', 'O9', '{"status": "canceled", "invoice_status": "canceled"}')));
SELECT paid_at IS NOT NULL AS paid, status, payment_status, amount_paid, fee FROM cc_invoice WHERE invoice_id = 'ORDER';
SELECT deliver('ORDER', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "amount_paid": 10, "fee": 2}', orders => 'O9', minutes => 10);
SELECT paid_at IS NOT NULL AS paid, status, payment_status, amount_paid, fee FROM cc_invoice WHERE invoice_id = 'ORDER';
-- A postback received before it and applied after it is older; but created undoes nothing
SELECT deliver('BEFORE', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "fee": 1}', orders => 'O9', project => 'later'),
       deliver('BEFORE2', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "fee": 1}', orders => 'O9', project => 'later');
SELECT * FROM cc_import(answer(element('BEFORE', 'O9', '{"status": "canceled", "invoice_status": "canceled", "fee": 3}'),
                               element('BEFORE2', 'O9', '{"fee": 3}')), 'later');
SELECT cc_apply();
SELECT invoice_id, paid_at IS NOT NULL AS paid, status, payment_status, fee FROM cc_invoice WHERE invoice_id LIKE 'BEFORE%' ORDER BY 1;
SELECT * FROM cc_import(created('BEFORE2', 'O9', '{"fee": 4}'), 'later');
SELECT status, fee, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'BEFORE2';

-- Amounts of an answer: an earlier postback's are older, even if it is applied later; a later top-up counts
SELECT deliver('AMOUNTS', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "amount_paid": 11}', 11, 'O9', project => 'later');
SELECT * FROM cc_import(answer(element('AMOUNTS', 'O9', :success)), 'later');
SELECT cc_apply();
SELECT amount_crypto, amount_paid FROM cc_invoice WHERE invoice_id = 'AMOUNTS';
SELECT deliver('AMOUNTS', '{"amount_to_pay": 10, "amount_to_pay_usd": 20, "amount_paid": 12}', 12, 'O9', 6, project => 'later');
SELECT cc_apply();
SELECT amount_crypto, amount_paid FROM cc_invoice WHERE invoice_id = 'AMOUNTS';
SELECT * FROM cc_import(answer(element('AMOUNTS', 'O9', :success || '{"amount_paid": 13}')), 'later');
SELECT amount_crypto, amount_paid FROM cc_invoice WHERE invoice_id = 'AMOUNTS';

-- A contradiction is found whichever came first; once paid, another coin and a smaller amount contradict too
SELECT deliver('FIRST', '{"amount_to_pay": 0.01, "amount_to_pay_usd": 0.02, "amount_paid": 0.01}', 0.01, 'O10');
SELECT * FROM cc_import(created('FIRST', 'O10'));
SELECT deliver('MONEY', :'to_pay', orders => 'O10');
SELECT * FROM cc_import(answer(element('MONEY', 'O11', :success), element('MONEY', 'O10', :success || '{"amount_paid": 9}'),
                               element('MONEY', 'O10', :success || '{"currency": {"fullcode": "BTC"}}'),
                               element('MONEY', 'O10', '{"currency": {"fullcode": "BTC"}, "amount_to_pay": 0.0002}')));
SELECT count(*), min(payment), min(amount_crypto), min(currency), min(amount_to_pay) FROM cc_invoice WHERE invoice_id = 'MONEY';
-- A person accepts a postback: the amount to pay follows it
SELECT * FROM cc_import(created('ACCEPT', 'O19'));
SELECT deliver('ACCEPT', '{"amount_to_pay": 9, "amount_to_pay_usd": 18, "amount_paid": 9}', 9, 'O19');
SELECT cc_accept(id) FROM cc_inbox WHERE invoice_id = 'ACCEPT';
SELECT paid_at IS NOT NULL AS paid, payment, amount_to_pay, amount_to_pay_usd FROM cc_invoice WHERE invoice_id = 'ACCEPT';
-- A correction by the API itself counts
SELECT * FROM cc_import(created('CORRECT', 'O12'));
SELECT * FROM cc_import(created('CORRECT', 'O12', '{"amount_to_pay": 11, "amount_to_pay_usd": 22}'));
SELECT amount_to_pay, amount_to_pay_usd FROM cc_invoice WHERE invoice_id = 'CORRECT';
-- An order that becomes known is stored; a top-up counts
SELECT * FROM cc_import(answer(element('TOPUP', NULL, '{"status": "partial", "invoice_status": "success", "amount_paid": 9}'),
                               element('TOPUP', 'O13', :success)));
SELECT order_id, payment, amount_crypto FROM cc_invoice WHERE invoice_id = 'TOPUP';

-- Invalid elements among valid ones, each with its outcome
SELECT * FROM cc_import('{"status": "success", "result": [null, 1, "ok", [], {}, true, {"uuid": "INV-"},
    {"uuid": "INV-GONE", "status": "expired"}, {"uuid": 5, "status": "created"}]}');
SELECT * FROM cc_import(answer(element('GOOD', 'O14'), 'null', element('DOWN', 'O14', :success || '{"type": "down"}'),
    element('NOPAID', 'O14', :success || '{"amount_paid": null}'),
    element('ODD', 'O14', :success || '{"expiry_date": "2026-01-02T10:20:04Z", "created": "tomorrow", "tx_list": 5, "address": {},
        "fee": "x", "side_commission_cc": "client", "new": [[{}]], "project": null}'),
    element('NOORDER', 'O14', '{"order_id": {}}'), element(E'BAD\t', 'O14'),
    element('DEEP', 'O14', ('{"a": ' || repeat('[', 70) || repeat(']', 70) || '}')::jsonb),
    element('LARGE', 'O14', jsonb_build_object('a', repeat('x', 1048576))), element('GOOD2', 'O14', '{"amount_to_pay": "1e-06"}')));
SELECT invoice_id, paid_at IS NOT NULL AS paid, created_at, expires_at, tx_list, address, fee, amount_to_pay
  FROM cc_invoice WHERE order_id = 'O14' ORDER BY 1;
-- One hundred elements, each once; another hundred and one with one existing invoice
SELECT outcome, count(*) FROM cc_import(answer(VARIADIC ARRAY(
    SELECT element('H' || n, 'O15', :success) FROM generate_series(1, 100) AS n))) GROUP BY 1;
SELECT outcome, count(*) FROM cc_import(answer(VARIADIC ARRAY(
    SELECT element('H' || n, 'O15', :success) FROM generate_series(100, 200) AS n))) GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT invoice_id) FROM paid WHERE order_id = 'O15';
SELECT * FROM cc_import('{"status": "success", "result": []}');
-- One invoice twice in an answer
SELECT * FROM cc_import(answer(element('TWICE', 'O16'), element('TWICE', 'O16', :success), element('TWICE', 'O16', :success)));

-- A failing order trigger, then again
INSERT INTO broken VALUES ('O17');
SELECT * FROM cc_import(answer(element('WELL', 'O18', :success), element('FAIL', 'O17', :success), element('WELL2', 'O18', :success)));
SELECT invoice_id FROM cc_invoice WHERE order_id IN ('O17', 'O18') ORDER BY 1;
DELETE FROM broken;
SELECT * FROM cc_import(answer(element('FAIL', 'O17', :success)));
-- So does a constraint, also one that is deferred
CREATE TABLE known_order (id text PRIMARY KEY);
INSERT INTO known_order SELECT DISTINCT order_id FROM cc_invoice WHERE order_id IS NOT NULL;
ALTER TABLE cc_invoice ADD CONSTRAINT known_order FOREIGN KEY (order_id) REFERENCES known_order DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM cc_import(answer(element('K1', 'O1', :success), element('K2', 'UNKNOWN', :success)));
ALTER TABLE cc_invoice DROP CONSTRAINT known_order;
-- A skipped row is a failure as well
CREATE RULE skip AS ON INSERT TO cc_invoice WHERE NEW.order_id = 'SKIP' DO INSTEAD NOTHING;
SELECT * FROM cc_import(answer(element('S1', 'SKIP', :success), element('S2', 'O1', :success)));
DROP RULE skip ON cc_invoice;

-- The log: who, when, what
SELECT invoice_id, outcome, error, jsonb_typeof(element) AS element FROM cc_import_log
 WHERE outcome NOT IN ('created', 'paid', 'updated') ORDER BY id;
SELECT project, imported_by = session_user AS who, imported_at <= clock_timestamp() AS at, outcome, count(*), count(element) AS elements
  FROM cc_import_log GROUP BY 1, 2, 3, 4 ORDER BY 1, 4;

-- A sequence that is behind, as after a data-only restore
SELECT setval(pg_get_serial_sequence('cc_import_log', 'id'), 1) AS sequence;
SELECT cc_setup();

-- An answer to list can have the invoices of all projects. No payment counts in two of them
SELECT * FROM cc_import(created('A', 'O2'), 'second');
SELECT error FROM cc_import_log ORDER BY id DESC LIMIT 1;
SELECT * FROM cc_import(created('A', 'O1'), NULL);
SELECT * FROM cc_import(created('ITSOWN', 'O2'), 'second');

-- Errors: of the service, and of the caller
\set VERBOSITY terse
SELECT * FROM cc_import('{"status": "success", "result": {"status": "created"}}');
SELECT * FROM cc_import(NULL);
SELECT * FROM cc_import(created('A', 'O1'), 'none');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM cc_import(created('A', 'O1'));
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM cc_import(created('A', 'O1'));
ROLLBACK;
\set VERBOSITY default
SELECT * FROM cc_import('{"status": "error", "result": {"validate_error": "Invoice is not created"}}');
SELECT * FROM cc_import('{"detail": "Invalid token."}');
SELECT * FROM cc_import('[]');
SELECT * FROM cc_import('{"status": "success", "result": "ok"}');
SELECT * FROM cc_import(element('A', 'O1'));
SELECT * FROM cc_import(jsonb_build_object('status', repeat('é', 400)));
-- Numbers that are short in jsonb and long as text: 1 GB in 9,000 of them
CREATE TEMPORARY TABLE hostile AS SELECT ('[' || repeat('1e131071, ', 9000) || '0]')::jsonb AS numbers;
SELECT i.* FROM hostile, cc_import(answer(element('N1', 'O'), element('N2', 'O', jsonb_build_object('x', numbers)),
                                          element('N3', 'O'))) AS i;
SELECT cc_import(jsonb_build_object('status', 'error', 'result', numbers)) FROM hostile;

-- cc_overdue: open invoices that expired or have been known for long; bodies for info of at most 100
TRUNCATE cc_invoice;
SELECT outcome, count(*) FROM cc_import(answer(VARIADIC ARRAY(
    SELECT element('H' || n, 'O', '{"expiry_date": "2100-01-01 00:00:00"}') FROM generate_series(1, 250) AS n))) GROUP BY 1;
SELECT * FROM cc_overdue();
SELECT jsonb_array_length(b -> 'uuids'), b -> 'uuids' ->> 0 FROM cc_overdue('0') AS b;
SELECT count(*) FROM cc_overdue('0', '0');
SELECT count(*) FROM cc_overdue('0', project => 'second');
SELECT * FROM cc_overdue(NULL);
SELECT * FROM cc_overdue('0', project => NULL);
UPDATE cc_invoice SET expires_at = now() - interval '1 second' WHERE invoice_id IN ('H1', 'H2', 'H3', 'H4');
UPDATE cc_invoice SET received_at = now() - interval '31 minutes' WHERE invoice_id = 'H9';
UPDATE cc_invoice SET received_at = now() - interval '8 days' WHERE invoice_id = 'H10';
SELECT outcome FROM cc_import(answer(element('H1', 'O', '{"status": "canceled"}'), element('H2', 'O', :success)));
SELECT * FROM cc_overdue();
SELECT deliver('H3', '{}', orders => 'O');
SELECT * FROM cc_overdue();
-- A success that invoice_status does not confirm pays nothing, so the invoice is still overdue; a test pays nothing later
SELECT deliver('H4', '{"invoice_status": "created"}', orders => 'O'), deliver('H9', '{"test_mode": true}', orders => 'O');
SELECT * FROM cc_overdue();

-- It has the owner's rights, if the caller has them
CREATE ROLE regress_stranger;
\set VERBOSITY terse
SET ROLE regress_stranger;
SELECT * FROM cc_import(created('R', 'O'));
SELECT * FROM cc_overdue();
SELECT * FROM cc_import_log;
RESET ROLE;
GRANT EXECUTE ON FUNCTION cc_import(jsonb, text), cc_overdue(interval, interval, text) TO regress_stranger;
SET ROLE regress_stranger;
SELECT * FROM cc_import('{"status": "success", "result": []}');
SELECT * FROM cc_overdue();
RESET ROLE;
DROP OWNED BY regress_stranger;
DROP ROLE regress_stranger;

\ir test/sql/shared/end.sql
DROP TABLE paid, broken, known_order;
DROP FUNCTION paid, element, answer, created, deliver;
