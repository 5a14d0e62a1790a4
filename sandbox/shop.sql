-- The demo shop. Run as the owner of the database, after CREATE EXTENSION and cc_setup().

CREATE SEQUENCE order_number START 1001;

CREATE TABLE orders (
    id         text PRIMARY KEY DEFAULT 'ORDER-' || nextval('order_number'),
    price      numeric NOT NULL,
    fiat       text NOT NULL,
    invoice_id text,
    amount     numeric,          -- its price in the coin that the customer chose
    currency   text,
    paid_at    timestamptz
);

-- A row for each time that an order becomes paid. An order must never have two.
CREATE TABLE parcels (order_id text NOT NULL);

-- Payments to static wallets.
CREATE TABLE balances (
    customer text NOT NULL,
    currency text NOT NULL,
    amount   numeric NOT NULL,
    deposits integer NOT NULL,
    PRIMARY KEY (customer, currency)
);

-- Orders that the shop's own trigger fails on: the fault "broken trigger".
CREATE TABLE stocktaking (order_id text PRIMARY KEY);

CREATE FUNCTION mark_order_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM stocktaking WHERE order_id = NEW.order_id) THEN
        RAISE 'stocktaking';
    END IF;
    UPDATE orders SET paid_at = NEW.paid_at
     WHERE id = NEW.order_id AND currency = NEW.currency AND amount <= NEW.amount_crypto AND paid_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER mark_order_paid AFTER INSERT OR UPDATE OF paid_at, amount_crypto, order_id ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark_order_paid();

CREATE FUNCTION send_parcel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO parcels VALUES (NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER send_parcel AFTER UPDATE OF paid_at ON orders
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION send_parcel();

CREATE FUNCTION credit_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO balances VALUES (NEW.order_id, NEW.currency, NEW.amount_crypto, 1)
    ON CONFLICT (customer, currency)
    DO UPDATE SET amount = balances.amount + excluded.amount, deposits = balances.deposits + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER credit_balance AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL AND NEW.order_id LIKE 'CUSTOMER-%') EXECUTE FUNCTION credit_balance();
