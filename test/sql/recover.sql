-- cc_reverify and cc_accept: recovery from a wrong secret, clock or setting; a person settles a conflict in one command.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'other');
CREATE TABLE orders (id text PRIMARY KEY, amount numeric, paid_at timestamptz, times integer DEFAULT 0);
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id = 'ORDER_TROUBLE' THEN RAISE 'out of stock'; END IF;
    UPDATE orders SET paid_at = NEW.paid_at, times = times + 1 WHERE id = NEW.order_id AND amount <= NEW.amount_crypto AND paid_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER mark AFTER INSERT OR UPDATE OF paid_at, amount_crypto, order_id ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark();

-- The drill: a wrong secret for two hours. 3,000 genuine postbacks, 100 of them twice, 200 resent under a new token; 500 forged ones.
-- Before that 50 of the invoices were known, and 50 others paid
INSERT INTO orders SELECT 'ORDER_N' || n, 1 FROM generate_series(1, 3000) AS n;
INSERT INTO cc_inbox (body) SELECT sample('N' || n, orders => 'ORDER_N' || n, status => 'pending') FROM generate_series(2901, 2950) AS n;
INSERT INTO cc_inbox (body) SELECT sample('N' || n, orders => 'ORDER_N' || n) FROM generate_series(2951, 3000) AS n;
UPDATE cc_project SET secret = 'wrong' WHERE name = 'default';
CREATE TABLE genuine AS SELECT n, sample('N' || n, orders => 'ORDER_N' || n) AS body FROM generate_series(1, 3000) AS n;
INSERT INTO cc_inbox (body) SELECT body FROM genuine ORDER BY n;
INSERT INTO cc_inbox (body) SELECT body FROM genuine WHERE n <= 100 ORDER BY n;
INSERT INTO cc_inbox (body) SELECT sample('N' || n, orders => 'ORDER_N' || n) FROM generate_series(101, 300) AS n;
INSERT INTO cc_inbox (body) SELECT sample('N' || n, orders => 'ORDER_N' || n, secret => 'guess') FROM generate_series(1, 500) AS n;
SELECT state, reason, count(*) FROM cc_inbox GROUP BY 1, 2;
-- The secret is corrected. The dry run shows the outcome, and changes nothing
UPDATE cc_project SET secret = 's3cret' WHERE name = 'default';
CREATE VIEW everything AS
    SELECT (SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM cc_inbox AS i) AS inbox,
           (SELECT md5(string_agg(i::text, ',' ORDER BY invoice_id)) FROM cc_invoice AS i) AS invoices,
           (SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders AS o) AS orders;
CREATE TABLE before AS SELECT * FROM everything;
SELECT * FROM cc_reverify(dry_run => true);
SELECT count(*) AS as_before FROM before NATURAL JOIN everything;
-- At most max_rows a call; forged postbacks never block genuine ones
SELECT * FROM cc_reverify(max_rows => 10) WHERE state <> 'rejected';
SELECT * FROM cc_reverify(max_rows => 400) WHERE state <> 'rejected';
CREATE PROCEDURE recover() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        PERFORM 1 FROM cc_reverify(max_rows => 400) WHERE state <> 'rejected';
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END $$;
CALL recover();
SELECT state, reason, count(*) FROM cc_inbox GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM cc_reverify(dry_run => true);
-- Each order is paid once, as of the receipt
SELECT count(*) AS orders, min(times), max(times), bool_and(o.paid_at = (SELECT min(received_at) FROM cc_inbox i
    WHERE i.invoice_id = v.invoice_id AND i.body::jsonb ->> 'status' = 'success')) AS when_received
  FROM orders o JOIN cc_invoice v ON v.order_id = o.id;
TRUNCATE cc_inbox, cc_invoice, orders;

-- A flood of 100,000 rejected rows around a few genuine ones: each call reads each of them once
UPDATE cc_project SET secret = 'wrong' WHERE name = 'default';
INSERT INTO orders SELECT 'ORDER_F' || n, 1 FROM generate_series(1, 10) AS n;
CREATE PROCEDURE flood(rows integer) LANGUAGE sql AS $$
    ALTER TABLE cc_inbox DISABLE TRIGGER USER;
    INSERT INTO cc_inbox (received_at, body, content_type, state, reason)
    SELECT now(), forged.body, 'application/json', 'rejected', 'bad_signature'
      FROM generate_series(1, rows), (SELECT sample('F1', orders => 'ORDER_F1', secret => 'guess') AS body) AS forged;
    ALTER TABLE cc_inbox ENABLE TRIGGER USER;
$$;
CALL flood(50000);
INSERT INTO cc_inbox (body) SELECT sample('F' || n, orders => 'ORDER_F' || n) FROM generate_series(1, 10) AS n;
CALL flood(50000);
UPDATE cc_project SET secret = 's3cret' WHERE name = 'default';
BEGIN;
SELECT pg_stat_get_xact_tuples_fetched('cc_inbox'::regclass) + pg_stat_get_xact_tuples_returned('cc_inbox'::regclass) AS before \gset
SELECT * FROM cc_reverify();
SELECT (pg_stat_get_xact_tuples_fetched('cc_inbox'::regclass) + pg_stat_get_xact_tuples_returned('cc_inbox'::regclass) - :before)
       <= 3 * count(*) AS few_reads FROM cc_inbox;
COMMIT;
SELECT count(*), min(times), max(times) FROM orders WHERE paid_at IS NOT NULL;
TRUNCATE cc_inbox, cc_invoice, orders;

-- A clock that was ahead: a leeway for this call only does not open the project to new replays
INSERT INTO cc_inbox (body) VALUES (sample('LATE', expires => '-1 hour')) RETURNING state, reason;
SELECT * FROM cc_reverify();
SELECT * FROM cc_reverify(leeway => '2 hours');
INSERT INTO cc_inbox (body) VALUES (sample('LATE2', expires => '-1 hour')) RETURNING state, reason;
SELECT * FROM cc_reverify(leeway => '-1 s');
-- A project created later; a setting that is reset
INSERT INTO cc_inbox (project, body) VALUES ('later', sample('LATER', secret => 'later s3cret')) RETURNING state, reason;
INSERT INTO cc_project (name, secret) VALUES ('later', 'later s3cret');
SELECT * FROM cc_reverify(project => 'second');
SELECT * FROM cc_reverify(project => 'later');
UPDATE cc_project SET require_order_id = true WHERE name = 'default';
SELECT sample('NOORDER', orders => '') AS body \gset
INSERT INTO cc_inbox (body) VALUES (:'body') RETURNING state, reason;
SELECT * FROM cc_reverify(since => now() - interval '1 minute') WHERE reason = 'missing_order_id';
UPDATE cc_project SET require_order_id = false WHERE name = 'default';
SELECT * FROM cc_reverify(since => now() + interval '1 hour');
SELECT * FROM cc_reverify() WHERE state <> 'rejected';
-- The token is spent: with another order it pays nothing
INSERT INTO cc_inbox (body) VALUES (replace(:'body', '"order_id": ""', '"order_id": "MINE"')) RETURNING state, reason;
SELECT state, reason, count(*) FROM cc_inbox GROUP BY 1, 2 ORDER BY 1, 2;
-- M18: a thief's content under a wrong secret, then the genuine one under the right one: judged again, the thief's is token_reused
UPDATE cc_project SET secret = 'wrong' WHERE name = 'default';
SELECT sample('M18') AS body \gset
INSERT INTO cc_inbox (body) VALUES (replace(:'body', '"amount_crypto": 1', '"amount_crypto": 1000')) RETURNING state, reason;
UPDATE cc_project SET secret = 's3cret' WHERE name = 'default';
INSERT INTO cc_inbox (body) VALUES (:'body') RETURNING state, reason;
SELECT * FROM cc_reverify() WHERE reason = 'token_reused';
SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'M18';

-- cc_accept: a conflict, order included
TRUNCATE cc_inbox, cc_invoice RESTART IDENTITY;
INSERT INTO orders VALUES ('A', 1), ('B', 1), ('C', 5);
INSERT INTO cc_inbox (body) VALUES (sample('X', 0.5, 'A', status => 'pending')), (sample('X', 1, 'B')) RETURNING id, state, error;
SELECT cc_accept(2);
SELECT order_id, amount_crypto, paid_at IS NOT NULL AS paid FROM cc_invoice;
SELECT id, times FROM orders ORDER BY id;
SELECT id, state, error, attempts FROM cc_inbox ORDER BY id;
-- Only once; anything but a conflict is refused
SELECT cc_accept(2);
SELECT cc_accept(1);
SELECT cc_accept(99);
SELECT cc_accept(NULL);
-- A paid invoice goes to another order with reassign only: one payment would pay two
INSERT INTO cc_inbox (body) VALUES (sample('X', 1, 'A')) RETURNING id, state, error;
SELECT cc_accept(3);
SELECT cc_accept(3, reassign => true);
SELECT order_id FROM cc_invoice;
SELECT id, times FROM orders ORDER BY id;
-- A smaller amount, another currency: the invoice follows, with all amounts
INSERT INTO cc_inbox (body) VALUES (sample('X', 0.25, 'A')) RETURNING id, state, error;
SELECT cc_accept(4);
SELECT amount_crypto, amount_paid, currency FROM cc_invoice;
-- The genuine postback that came second because a thief used its token first
SELECT sample('STOLEN', 5, 'C') AS body \gset
INSERT INTO cc_inbox (body) VALUES (replace(:'body', '"order_id": "C"', '"order_id": "THIEF"')) RETURNING id, state;
INSERT INTO cc_inbox (body) VALUES (:'body') RETURNING id, state, reason;
SELECT cc_accept(6);
SELECT cc_accept(6, true);
SELECT order_id FROM cc_invoice WHERE invoice_id = 'STOLEN';
SELECT id, times FROM orders ORDER BY id;
-- The order trigger raises: failed, and tried again like any failed row
INSERT INTO cc_inbox (body) VALUES (sample('T', 1, 'A', status => 'pending')), (sample('T', 1, 'TROUBLE')),
    (sample('T', 1, 'ORDER_TROUBLE')) RETURNING id, state;
SELECT cc_accept(9);
SELECT state, error FROM cc_inbox WHERE id = 9;
-- A person's decision is not undone by an older postback
INSERT INTO cc_inbox (body) VALUES (sample('W', 10, 'A', expires => '9 min')), (sample('W', 4, 'A', expires => '5 min')) RETURNING id,
    state, error;
SELECT cc_accept(11);
INSERT INTO cc_inbox (body) VALUES (sample('W', 1000, 'A', expires => '6 min')) RETURNING state;
SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'W';
-- A conflict that is wrong stays without effect: its token is spent, and its invoice can be erased
INSERT INTO orders VALUES ('D', 1);
SELECT sample('WRONG', 1, 'THIEF') AS body \gset
INSERT INTO cc_inbox (body) VALUES (sample('WRONG', 1, 'D')), (:'body') RETURNING id, state, error;
UPDATE cc_inbox SET state = 'duplicate' WHERE id = 14 AND state = 'conflict';
SELECT cc_accept(14, true);
SELECT cc_apply();
INSERT INTO cc_inbox (body) VALUES (:'body'), (replace(:'body', '"order_id": "THIEF"', '"order_id": "D"')) RETURNING state, reason;
SELECT order_id FROM cc_invoice WHERE invoice_id = 'WRONG';
SELECT id, times FROM orders WHERE id = 'D';
SELECT cc_erase('WRONG');
SELECT state, error, body IS NULL AS without_body FROM cc_inbox WHERE id = 14;
-- A postback that does not say paid, or a test, changes no amount of a paid invoice: its order is not paid by amounts that nobody paid
INSERT INTO orders VALUES ('UNPAID', 500), ('TEST', 500);
INSERT INTO cc_inbox (body) VALUES (sample('V', 1, 'A')), (sample('V', 500, 'UNPAID', status => 'pending')),
    (sample('V', 500, 'TEST', info => '{"test_mode": true}')) RETURNING id, state, error;
SELECT cc_accept(18, reassign => true), cc_accept(19, reassign => true);
SELECT order_id, status, amount_crypto, amount_to_pay, amount_paid, is_test FROM cc_invoice WHERE invoice_id = 'V';
SELECT id, times FROM orders WHERE amount = 500 ORDER BY id;
-- A token that names no invoice: a person accepts the postback that came second
CREATE FUNCTION unbound(invoice text, orders text, token text) RETURNS text LANGUAGE sql AS $$
    SELECT json_build_object('status', 'success', 'invoice_id', invoice, 'amount_crypto', 1, 'currency', 'BNB', 'order_id', orders,
                             'token', token)
$$;
SELECT cc_sign_token(jsonb_build_object('id', 13, 'exp', extract(epoch FROM now()) + 300), 's3cret') AS token \gset
INSERT INTO orders VALUES ('FIRST', 1), ('SECOND', 1);
INSERT INTO cc_inbox (body) VALUES (unbound('UB1', 'FIRST', :'token')), (unbound('UB2', 'SECOND', :'token')) RETURNING state, reason;
SELECT max(id) AS reused FROM cc_inbox \gset
SELECT cc_accept(:reused);
SELECT id, times FROM orders WHERE id IN ('FIRST', 'SECOND') ORDER BY id;
-- An accepted postback whose order trigger raised is for a person again, and not rejected silently
INSERT INTO orders VALUES ('LATER', 1);
ALTER TABLE orders ADD CONSTRAINT later CHECK (id <> 'LATER' OR times = 0);
SELECT sample('STOLEN2', 5, 'LATER') AS body \gset
INSERT INTO cc_inbox (body) VALUES (replace(:'body', '"order_id": "LATER"', '"order_id": "THIEF"')), (:'body') RETURNING state, reason;
SELECT max(id) AS stolen FROM cc_inbox \gset
SELECT cc_accept(:stolen, reassign => true);
ALTER TABLE orders DROP CONSTRAINT later;
CALL cc_work();
SELECT state, reason, error FROM cc_inbox WHERE id = :stolen;
SELECT cc_accept(:stolen, reassign => true);
SELECT id, times FROM orders WHERE id = 'LATER';
-- A transaction that holds as many locks as it may accepts nothing more
INSERT INTO cc_inbox (body) VALUES (sample('MANY', 1, 'D')), (sample('MANY', 1, 'A')) RETURNING state, error;
SELECT max(id) AS id FROM cc_inbox WHERE state = 'conflict' \gset
BEGIN;
INSERT INTO cc_inbox (body) SELECT sample('LOCK' || n) FROM generate_series(1, 1100) AS n;
SELECT cc_accept(:id, reassign => true);
ROLLBACK;
SELECT cc_accept(:id, reassign => true);
-- Not without a grant
CREATE ROLE regress_nobody;
SET ROLE regress_nobody;
SELECT cc_accept(1);
SELECT cc_reverify();
RESET ROLE;
DROP ROLE regress_nobody;

DROP VIEW everything;
\ir test/sql/shared/end.sql
DROP TABLE orders, genuine, before;
DROP PROCEDURE recover, flood;
DROP FUNCTION mark();
