-- A merchant's own table, and the trigger that marks an order paid.
CREATE TABLE orders (order_id text PRIMARY KEY, amount_usd numeric NOT NULL, paid_at timestamptz);

CREATE FUNCTION order_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orders SET paid_at = NEW.paid_at
     WHERE order_id = NEW.order_id AND amount_usd <= NEW.amount_paid_usd AND paid_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER order_paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION order_paid();
