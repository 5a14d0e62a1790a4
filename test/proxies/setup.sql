-- The database of conformance.py: four projects, and an order trigger that counts how often it fired.
CREATE EXTENSION cryptocloud_postback;
SELECT FROM cc_setup();

INSERT INTO cc_project (name, secret) VALUES
    ('default', 'secret-of-default'), ('shop', 'secret-of-shop'), ('zwei Läden', 'secret-of-both')
ON CONFLICT (name) DO UPDATE SET secret = excluded.secret;
INSERT INTO cc_project (name, secret, require_order_id) VALUES ('strict', 'secret-of-strict', true);

CREATE TABLE paid (invoice_id text);
CREATE FUNCTION mark_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.paid_at IS NULL THEN
        INSERT INTO paid VALUES (NEW.invoice_id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER mark_paid AFTER INSERT OR UPDATE ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark_paid();
