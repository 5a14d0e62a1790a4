-- cc_rehearse: the effects of a new order trigger, rolled back.
SET client_min_messages = warning;
CREATE EXTENSION cryptocloud_postback;
CREATE ROLE regress_shop;
GRANT ALL ON SCHEMA public TO regress_shop;
GRANT EXECUTE ON FUNCTION cc_rehearse(regproc, timestamptz) TO regress_shop;
SET ROLE regress_shop;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
CREATE TABLE orders (id text PRIMARY KEY, paid_at timestamptz);
CREATE TABLE shipment (id serial PRIMARY KEY, order_id text NOT NULL REFERENCES orders DEFERRABLE INITIALLY DEFERRED);
INSERT INTO orders VALUES ('O1'), ('O2');
INSERT INTO cc_inbox (body) SELECT cc_sample_postback('s3cret', invoice_id => 'I' || n, order_id => 'O' || n)
    FROM generate_series(1, 3) AS n;
INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret', invoice_id => 'UNPAID', status => 'created'));
UPDATE cc_invoice SET paid_at = paid_at + right(invoice_id, 1)::integer * interval '1 s' WHERE paid_at IS NOT NULL;

CREATE FUNCTION ship() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orders SET paid_at = NEW.paid_at WHERE id = NEW.order_id;
    INSERT INTO shipment (order_id) VALUES (NEW.order_id), (NEW.order_id);
    PERFORM pg_notify('shipped', NEW.order_id);
    RETURN NULL;
END $$;
LISTEN shipped;
SELECT * FROM cc_rehearse('ship', '-infinity');
-- Nothing of it stays except the sequence
SELECT count(paid_at) FROM orders;
SELECT count(*) FROM shipment;
SELECT nextval('shipment_id_seq');
SELECT to_regclass('pg_temp.cc_rehearsal'), current_setting('search_path') AS path, current_setting('lock_timeout') AS lock_timeout;
SELECT invoice_id FROM cc_rehearse('ship', (SELECT paid_at FROM cc_invoice WHERE invoice_id = 'I2'));
-- A trigger that raises, one that changes nothing, and a function that is no trigger
CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such order %', NEW.order_id USING ERRCODE = 'P0002'; END $$;
SELECT * FROM cc_rehearse('raises', '-infinity');
CREATE FUNCTION asserts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ASSERT NEW.invoice_id <> 'I2', 'not I2'; RETURN NULL; END $$;
SELECT * FROM cc_rehearse('asserts', '-infinity');
CREATE FUNCTION idle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
BEGIN;
SELECT * FROM cc_rehearse('idle', '-infinity');
SELECT count(*) FROM cc_rehearse('ship', '-infinity') WHERE error IS NULL;
COMMIT;
SELECT * FROM cc_rehearse('now', '-infinity');
SELECT * FROM cc_rehearse(NULL, '-infinity');
SELECT * FROM cc_rehearse('idle', NULL);
SELECT * FROM cc_rehearse(0, '-infinity');
RESET ROLE;
-- With the caller's rights
SELECT * FROM cc_rehearse('ship', '-infinity');
CREATE ROLE regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM cc_rehearse('ship', '-infinity');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cc_rehearse(regproc, timestamptz) TO regress_clerk;
GRANT SELECT ON cc_invoice TO regress_clerk;
SET ROLE regress_clerk;
SELECT * FROM cc_rehearse('ship', '-infinity');
RESET ROLE;

DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log, orders, shipment;
DROP FUNCTION ship, raises, asserts, idle;
DROP EXTENSION cryptocloud_postback;
DROP OWNED BY regress_shop, regress_clerk;
DROP ROLE regress_shop, regress_clerk;
