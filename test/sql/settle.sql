-- Corners of settling: the same content, proofs, another price, the columns of an UPDATE, locks.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'other');
CREATE FUNCTION body(invoice text, fields jsonb DEFAULT '{}', n integer DEFAULT 0, secret text DEFAULT 's3cret')
RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('status', 'success', 'invoice_id', invoice, 'order_id', 'O1', 'amount_crypto', 1, 'currency', 'BNB')
            || fields || jsonb_build_object('token', cc_sign_token(
                jsonb_build_object('id', invoice, 'exp', 4070908800 + n / 10, 'n', n), secret)))::text $$;
CREATE FUNCTION deliver(body text, project text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc_inbox AS i (body, project) VALUES (body, project) RETURNING concat_ws(' ', i.state, i.reason, i.error) $$;

-- The same content for the same invoice number of two projects
SELECT deliver(body('TWO')), deliver(body('TWO', secret => 'other'), 'second');

-- What is kept after a cancel is not decided: it makes no duplicate, and becomes one
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE NEW.order_id
        WHEN 'CANCEL' THEN RAISE query_canceled;
        WHEN 'LONG' THEN RAISE EXCEPTION USING MESSAGE = repeat('é', 5000);
        ELSE NULL;
    END CASE;
    RETURN NEW;
END $$;
CREATE TRIGGER trouble BEFORE INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION trouble();
INSERT INTO cc_inbox (body) VALUES (body('CANCEL', '{"order_id": "CANCEL"}')), (body('KEPT'))
RETURNING invoice_id, state, error, token_digest IS NOT NULL AS spends;
SELECT deliver(body('KEPT', n => 1));
DROP TRIGGER trouble ON cc_invoice;
SELECT cc_apply();
SELECT invoice_id, state FROM cc_inbox WHERE invoice_id IN ('CANCEL', 'KEPT') ORDER BY id;

-- require_order_id: a test payment passes, one that is none does not
UPDATE cc_project SET require_order_id = true WHERE name = 'default';
SELECT deliver(body('TEST', '{"order_id": null, "invoice_info": {"test_mode": true}}')),
       deliver(body('REAL', '{"order_id": null, "invoice_info": {"test_mode": false}}'));
UPDATE cc_project SET require_order_id = false WHERE name = 'default';

-- A proof is that of a body: with another one it proves nothing, and the row waits for a person
UPDATE cc_project SET apply = 'deferred' WHERE name = 'default';
SELECT deliver(body('PROOF')), deliver(body('TOKEN'));
UPDATE cc_inbox SET body = body('PROOF', '{"amount_crypto": 1000}', secret => 'guess') WHERE invoice_id = 'PROOF';
UPDATE cc_inbox SET body = body('TOKEN', n => 1) WHERE invoice_id = 'TOKEN';
SELECT cc_apply();
SELECT invoice_id, state, error FROM cc_inbox WHERE invoice_id IN ('PROOF', 'TOKEN') ORDER BY id;
-- Such rows do not keep cc_apply from the others
SELECT deliver(body('NEXT'));
SELECT cc_apply(2);
SELECT state FROM cc_inbox WHERE invoice_id = 'NEXT';
UPDATE cc_inbox SET body = body('PROOF') WHERE invoice_id = 'PROOF';
UPDATE cc_inbox SET body = body('TOKEN') WHERE invoice_id = 'TOKEN';
SELECT cc_apply();
SELECT invoice_id, state, error, attempts FROM cc_inbox WHERE invoice_id IN ('PROOF', 'TOKEN') ORDER BY id;
UPDATE cc_project SET apply = 'immediate' WHERE name = 'default';

-- Which columns an UPDATE names: amount and currency, and the order, only when they change; key and time of receipt never
CREATE TABLE fired (name text);
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (TG_NAME); RETURN NULL; END $$;
CREATE TRIGGER amount AFTER UPDATE OF amount_crypto, currency ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TRIGGER orders AFTER UPDATE OF order_id ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TRIGGER own AFTER UPDATE OF project, invoice_id, received_at, erased_at ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TRIGGER status AFTER UPDATE OF status ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
SELECT deliver(body('NAMES', '{"order_id": null, "status": "pending"}')),
       deliver(body('NAMES', '{"order_id": null, "status": "pending", "x": 1}', 10));
SELECT * FROM fired;
TRUNCATE fired;
SELECT deliver(body('NAMES', '{"status": "pending", "currency": "TON"}', 20));
SELECT * FROM fired;

-- Of a paid invoice less money is a conflict, whatever the postback says of the payment; of equal exp the second one counts
SELECT deliver(body('PAID', '{"amount_crypto": 5}', 1)), deliver(body('PAID', '{"amount_crypto": 4, "status": "fail"}', 10)),
       deliver(body('PAID', '{"amount_crypto": 6}', 2));
SELECT status, amount_crypto FROM cc_invoice WHERE invoice_id = 'PAID';
-- Of three the newest one says the status, whatever the order of their receipt
SELECT deliver(body('ORDER', '{"status": "newest"}', 30)), deliver(body('ORDER', '{"status": "oldest"}', 10)),
       deliver(body('ORDER', '{"status": "middle"}', 20));
SELECT status FROM cc_invoice WHERE invoice_id = 'ORDER';
-- Of an invoice of 0.1.0, which does not know of which postback its amounts are, they are of the newest one
SELECT deliver(body('OLD', '{"amount_crypto": 5}', 30));
UPDATE cc_invoice SET amounts_expire_at = NULL WHERE invoice_id = 'OLD';
SELECT deliver(body('OLD', '{"amount_crypto": 9}', 20));
SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'OLD';
-- What said that it is a test may turn out to be real
SELECT deliver(body('NOTEST', '{"invoice_info": {"test_mode": true}}')),
       deliver(body('NOTEST', '{"invoice_info": {"test_mode": false}}', 10));
SELECT is_test, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'NOTEST';
-- The time of receipt is that of the row, not of the transaction
BEGIN;
INSERT INTO cc_inbox (body) VALUES ('{}') RETURNING received_at > now() AS later;
COMMIT;
-- The same amount in another currency is another one: a form that is accepted leaves none of the old amounts beside it
SELECT deliver(body('COIN', '{"invoice_info": {"amount_paid": 1, "fee": 0.1}}'));
SELECT deliver('status=success&invoice_id=COIN&amount_crypto=1&currency=TON&order_id=O1&token='
               || cc_sign_token('{"id": "COIN", "exp": 4070908801}', 's3cret'));
SELECT cc_accept(max(id)) FROM cc_inbox;
SELECT currency, amount_crypto, amount_paid, fee FROM cc_invoice WHERE invoice_id = 'COIN';

-- What an error says: no statement of the pipeline's own, nothing of what the caller inserted, and not without end
ALTER TABLE cc_invoice ADD CONSTRAINT no_test CHECK (order_id <> 'REFUSED');
SELECT deliver(body('OWN', '{"order_id": "REFUSED"}'));
CREATE RULE skip AS ON INSERT TO cc_invoice WHERE NEW.order_id = 'SKIPPED' DO INSTEAD NOTHING;
SELECT body('COPIED', '{"order_id": "SKIPPED"}') AS copied \gset
\setenv COPIED :copied
\copy cc_inbox (body) FROM PROGRAM 'printf "%s\n" "$COPIED"'
SELECT state, error FROM cc_inbox ORDER BY id DESC LIMIT 1;
DROP RULE skip ON cc_invoice;
CREATE TRIGGER trouble BEFORE INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION trouble();
SELECT left(deliver(body('LONG', '{"order_id": "LONG"}')), 20) AS long;
SELECT octet_length(error) FROM cc_inbox ORDER BY id DESC LIMIT 1;

-- Of a long text the beginning is kept, cut between characters
INSERT INTO cc_inbox (body) VALUES ('x' || repeat('é', 600000)) RETURNING reason, octet_length(body), length(body);
INSERT INTO cc_inbox (body, content_type, project) VALUES ('{}', repeat('é', 300), repeat('é', 300))
RETURNING reason, length(content_type), length(project);
INSERT INTO cc_inbox (body, content_type) VALUES ('{}', repeat('é', 300)) RETURNING reason, length(content_type);

-- A lock stays when what it was taken for fails; one that is held counts once
BEGIN;
SELECT deliver(body('FAILS', '{"order_id": "REFUSED"}'));
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
ROLLBACK;
CREATE TABLE state AS SELECT 'applied' AS state WHERE false;
BEGIN;
INSERT INTO state SELECT deliver(body('SAME', jsonb_build_object('amount_crypto', n), n * 10)) FROM generate_series(1, 1100) AS n;
SELECT state, count(*) FROM state GROUP BY 1;
SELECT deliver(body('OTHER'));
ROLLBACK;

-- The rights of the owner are taken only where PostgreSQL itself takes them back
BEGIN;
ALTER FUNCTION cc_apply(integer) SECURITY INVOKER;
SELECT cc_apply();
ROLLBACK;
-- A sequence that is behind, as after a restore by hand
SELECT setval(pg_get_serial_sequence('cc_inbox', 'id'), 1, false);
\c -
SET client_min_messages = warning;
INSERT INTO cc_inbox (body) VALUES ('{}');
SELECT cc_setup();
INSERT INTO cc_inbox (body, attempts) VALUES ('{}', 1);
INSERT INTO cc_inbox (body, is_purged) VALUES ('{}', true);

-- A large postback needs no temporary file, whatever the caller's work_mem
CREATE TEMPORARY TABLE large AS
    SELECT body('LARGE', jsonb_build_object('invoice_info', jsonb_build_object('note', string_agg(md5(n::text), '')))) AS body
      FROM generate_series(1, 20000) AS n;
SET temp_file_limit = 0;
SET work_mem = '64kB';
INSERT INTO cc_inbox (body) SELECT body FROM large RETURNING state, error;
RESET temp_file_limit;
RESET work_mem;
DROP TABLE large;

-- A cursor of the caller's own is not one that a trigger left behind in the session of a superuser
CREATE ROLE regress_shop;
GRANT CREATE, USAGE ON SCHEMA public TO regress_shop;
ALTER TABLE cc_project OWNER TO regress_shop;
ALTER TABLE cc_inbox OWNER TO regress_shop;
ALTER TABLE cc_invoice OWNER TO regress_shop;
ALTER TABLE cc_import_log OWNER TO regress_shop;
ALTER TABLE fired OWNER TO regress_shop;
SELECT body('CURSOR') AS body \gset
DECLARE mine CURSOR WITH HOLD FOR SELECT 1;
SET ROLE regress_shop;
INSERT INTO cc_inbox (body) VALUES (:'body') RETURNING state, error;
RESET ROLE;
CLOSE mine;

\ir test/sql/shared/end.sql
DROP TABLE fired, state;
DROP FUNCTION body, deliver, trouble, fired;
REVOKE ALL ON SCHEMA public FROM regress_shop;
DROP ROLE regress_shop;
