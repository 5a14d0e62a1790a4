-- The tables, log and triggers of the histories. Run as the merchant, who owns the extension's tables.
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', 'default-first'), ('second', 'second-first');

-- The log: each version of each row, in the order of decisions. Its number is taken while the delivery holds the lock of its
-- invoice; a rollback leaves nothing.
CREATE SEQUENCE history_seq CACHE 1;
CREATE TABLE history_log (seq bigint DEFAULT nextval('history_seq'), pid integer DEFAULT pg_backend_pid(), what text, data jsonb,
    xid xid8 DEFAULT pg_current_xact_id(), snapshot pg_snapshot DEFAULT pg_current_snapshot());
CREATE FUNCTION history_log() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO public.history_log (what, data) VALUES (TG_ARGV[0], to_jsonb(coalesce(NEW, OLD)) - 'body' - 'raw' - 'info');
        RETURN NEW; END$$;

CREATE TABLE orders (id text PRIMARY KEY, amount numeric NOT NULL DEFAULT 10, currency text NOT NULL DEFAULT 'BNB', paid_at timestamptz);
CREATE FUNCTION mark_order_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.orders SET paid_at = NEW.paid_at
     WHERE id = NEW.order_id AND currency = NEW.currency AND amount <= NEW.amount_crypto AND paid_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER mark_order_paid AFTER INSERT OR UPDATE OF paid_at, amount_crypto, order_id ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark_order_paid();
CREATE TRIGGER history_marked AFTER UPDATE OF paid_at ON orders FOR EACH ROW EXECUTE FUNCTION history_log('marked');

CREATE TRIGGER history_fired AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION history_log('fired');
CREATE TRIGGER history_invoice AFTER INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION history_log('invoice');
-- An insert of several rows decides all of them before it logs the first one. So the log also says where each begins.
CREATE TRIGGER aaa_history BEFORE INSERT ON cc_inbox FOR EACH ROW EXECUTE FUNCTION history_log('arrival');
CREATE TRIGGER history_inbox AFTER INSERT OR UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION history_log('inbox');
CREATE TRIGGER history_deleted AFTER DELETE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION history_log('deleted');

-- Faults in the merchant's trigger, switched by another session.
CREATE TABLE fault (project text, invoice_id text, kind text, PRIMARY KEY (project, invoice_id));
CREATE TABLE hot (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0);
INSERT INTO hot VALUES (1), (2);
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := (SELECT f.kind FROM public.fault f WHERE f.project = NEW.project AND f.invoice_id = NEW.invoice_id);
BEGIN
    CASE kind
        WHEN 'fail', 'late' THEN
            IF (kind = 'late') = (TG_ARGV[0] = 'late') THEN
                RAISE EXCEPTION 'the merchant''s trigger fails';
            END IF;
        WHEN 'sleep' THEN
            PERFORM pg_sleep(0.01);
        WHEN 'forth' THEN
            UPDATE public.hot SET n = n + 1 WHERE id = 1;
            PERFORM pg_sleep(0.002);
            UPDATE public.hot SET n = n + 1 WHERE id = 2;
        WHEN 'back' THEN
            UPDATE public.hot SET n = n + 1 WHERE id = 2;
            PERFORM pg_sleep(0.002);
            UPDATE public.hot SET n = n + 1 WHERE id = 1;
        ELSE NULL;
    END CASE;
    RETURN NULL;
END
$$;
CREATE TRIGGER fault AFTER INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fault('now');
CREATE CONSTRAINT TRIGGER late_fault AFTER INSERT OR UPDATE ON cc_invoice DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fault('late');
