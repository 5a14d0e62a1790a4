-- Two shops of the role shop, which is not a superuser; 40 days of postbacks, one each half hour.
CREATE ROLE shop LOGIN;
GRANT CREATE ON DATABASE shop TO shop;
GRANT ALL ON SCHEMA public TO shop;
SET ROLE shop;
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'TOPSECRET');
CREATE TABLE orders (id text PRIMARY KEY, paid_at timestamptz);
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE orders SET paid_at = NEW.paid_at WHERE id = NEW.order_id; RETURN NULL; END $$;
CREATE TRIGGER mark AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark();
CREATE FUNCTION deliver(invoice text, secret text DEFAULT 's3cret', project text DEFAULT 'default', order_id text DEFAULT 'ORDER',
    expires_at timestamptz DEFAULT now() + interval '5 minutes')
    RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc_inbox AS i (project, body, content_type)
    VALUES ($3, cc_sample_postback(secret, invoice_id => invoice, order_id => $4, expires_at => $5), 'application/json')
    RETURNING concat_ws('/', i.state, i.reason) $$;
ALTER TABLE cc_inbox DISABLE TRIGGER USER;
INSERT INTO cc_inbox (received_at, state) SELECT now() - n * interval '30 minutes', 'applied' FROM generate_series(2, 1920) AS n;
ALTER TABLE cc_inbox ENABLE TRIGGER USER;
SELECT deliver('FIRST'), deliver('OTHER', 'TOPSECRET', 'second');
