-- The merchant's part of a shard: orders that are paid, and a record of each firing that says on which server it was.
CREATE TABLE orders (project text, id text, paid_at timestamptz, PRIMARY KEY (project, id));
CREATE TABLE firing (project text, invoice_id text, server text DEFAULT current_setting('cluster_name'));
CREATE FUNCTION mark_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.paid_at IS NULL THEN
        INSERT INTO orders VALUES (NEW.project, NEW.order_id, NEW.paid_at);
        INSERT INTO firing (project, invoice_id) VALUES (NEW.project, NEW.invoice_id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER mark_paid AFTER INSERT OR UPDATE ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark_paid();
