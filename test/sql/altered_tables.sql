-- The merchant owns the tables. Each change of theirs is supported, or rejected with a clear error; no postback counts twice.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'other');
SELECT format('{"status":"success","invoice_id":"N","amount_crypto":1,"currency":"BNB","token":"%s"}',
              cc_sign_token(jsonb_build_object('id', 13, 'exp', extract(epoch FROM now() + interval '1 min')), 's3cret')) AS unbound \gset
-- Every lookup by index: the token, the content, the invoice, the project
CREATE PROCEDURE deliver(invoice text, unbound text) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cc_inbox (body) VALUES (sample(invoice)), (sample(invoice)), (sample(invoice, 2)), (sample(invoice, 1)),
                                       (replace(unbound, '"N"', format('"%sN"', invoice))),
                                           (replace(unbound, '"N"', format('"%sM"', invoice)));
    INSERT INTO cc_inbox (project, body) VALUES ('second', sample(invoice, secret => 'other')), ('third', sample(invoice));
END $$;
CREATE VIEW states AS SELECT string_agg(concat_ws('/', state, reason), ' ' ORDER BY id) FROM cc_inbox
    WHERE id > (SELECT max(id) - 8 FROM cc_inbox);

CALL deliver('A', :'unbound');
SELECT * FROM states;
-- Without the index on the content; with a different index of that name; with a primary key of another name
DROP INDEX cc_inbox_content;
TRUNCATE cc_inbox;
CALL deliver('B', :'unbound');
SELECT * FROM states;
CREATE INDEX cc_inbox_content ON cc_inbox USING hash (invoice_id);
ALTER INDEX cc_invoice_pkey RENAME TO something;
CREATE VIEW cc_invoice_pkey AS SELECT;
ALTER TABLE cc_project DROP CONSTRAINT cc_project_pkey;
TRUNCATE cc_inbox;
CALL deliver('C', :'unbound');
SELECT * FROM states;
DROP VIEW cc_invoice_pkey;
DROP INDEX cc_inbox_content;
-- Without a unique index on the token, or with one that does not prevent double spending, postbacks wait; nothing is lost
CREATE INDEX other ON cc_inbox (token_digest) WHERE token_digest IS NOT NULL;
DROP INDEX CONCURRENTLY cc_inbox_token;
TRUNCATE cc_inbox;
CALL deliver('W', :'unbound');
SELECT * FROM states;
SELECT DISTINCT error, attempts FROM cc_inbox WHERE state = 'pending';
SELECT cc_apply();
-- cc_work takes no transaction for each of them
SELECT pg_current_xact_id() AS before \gset
CALL cc_work();
SELECT pg_current_xact_id()::text::bigint - :before < 6 AS few;
CREATE UNIQUE INDEX cc_inbox_token ON cc_inbox (token_digest, project) WHERE token_digest IS NOT NULL;
SELECT cc_apply();
DROP INDEX cc_inbox_token;
CREATE UNIQUE INDEX cc_inbox_token ON cc_inbox (token_digest) WHERE state = 'applied';
SELECT cc_apply();
DROP INDEX cc_inbox_token;
-- Its name does not matter, and it need not be partial
CREATE UNIQUE INDEX CONCURRENTLY my_own ON cc_inbox (token_digest);
REINDEX INDEX CONCURRENTLY my_own;
SELECT cc_apply();
SELECT * FROM states;
DROP INDEX my_own, other;
SELECT cc_setup();
-- Indexes of other names are found by their columns, and cc_setup() makes no second one
ALTER INDEX cc_inbox_token RENAME TO my_token;
ALTER INDEX cc_inbox_content RENAME TO my_content;
SELECT cc_setup();
SELECT indexname FROM pg_indexes WHERE tablename = 'cc_inbox' ORDER BY 1;
-- Added columns, and dropped ones
ALTER TABLE cc_inbox ADD seen boolean NOT NULL DEFAULT false, ADD gone text;
ALTER TABLE cc_inbox DROP gone;
ALTER TABLE cc_project ADD note text, DROP CONSTRAINT cc_project_check;
TRUNCATE cc_inbox;
CALL deliver('D', :'unbound');
SELECT * FROM states;
SELECT invoice_id, count(*), sum(amount_crypto) FROM cc_invoice GROUP BY 1 ORDER BY 1;

-- Columns of another type, row-level security that binds the owner, partitions
BEGIN;
ALTER TABLE cc_inbox ALTER content_type TYPE varchar(100);
INSERT INTO cc_inbox (body) VALUES ('{}');
ROLLBACK;
BEGIN;
ALTER TABLE cc_project RENAME leeway TO tolerance;
INSERT INTO cc_inbox (body) VALUES ('{}');
ROLLBACK;
CREATE ROLE regress_shop;
GRANT USAGE, CREATE ON SCHEMA public TO regress_shop;
ALTER TABLE cc_project OWNER TO regress_shop;
ALTER TABLE cc_inbox OWNER TO regress_shop;
ALTER TABLE cc_invoice OWNER TO regress_shop;
ALTER TABLE cc_import_log OWNER TO regress_shop;
GRANT EXECUTE ON FUNCTION cc_apply(integer) TO regress_shop;
ALTER TABLE cc_invoice ENABLE ROW LEVEL SECURITY;
INSERT INTO cc_inbox (body) VALUES (sample('E')) RETURNING state, error;
ALTER TABLE cc_invoice FORCE ROW LEVEL SECURITY;
INSERT INTO cc_inbox (body) VALUES (sample('F')) RETURNING state, error;
ALTER TABLE cc_invoice NO FORCE ROW LEVEL SECURITY;
SET ROLE regress_shop;
SELECT cc_apply();
RESET ROLE;
BEGIN;
ALTER TABLE cc_invoice RENAME TO old_invoice;
CREATE TABLE cc_invoice (LIKE old_invoice) PARTITION BY HASH (invoice_id);
ALTER TABLE cc_invoice OWNER TO regress_shop;
INSERT INTO cc_inbox (body) VALUES (sample('G')) RETURNING state, error;
ROLLBACK;
-- The owner has no INSERT right
REVOKE INSERT ON cc_invoice FROM regress_shop;
INSERT INTO cc_inbox (body) VALUES (sample('H')) RETURNING state, left(error, 46) AS error;
GRANT INSERT ON cc_invoice TO regress_shop;
SET ROLE regress_shop;
SELECT cc_apply();
RESET ROLE;
SELECT invoice_id, state, attempts FROM cc_inbox WHERE invoice_id IN ('E', 'F', 'G', 'H') ORDER BY 1;

-- Tables of different owners: one owner's trigger would run with the rights of the other
CREATE ROLE regress_other;
ALTER TABLE cc_project OWNER TO regress_other;
INSERT INTO cc_inbox (body) VALUES (sample('I')) RETURNING state;
ALTER TABLE cc_project OWNER TO regress_shop;
-- Whatever a merchant adds to cc_invoice, a delivery still creates one row
SET ROLE regress_shop;
CREATE TABLE variant (n integer GENERATED ALWAYS AS IDENTITY, make text, undo text);
INSERT INTO variant (make, undo) VALUES
    ('ALTER TABLE cc_invoice ADD shipped boolean NOT NULL DEFAULT false', 'ALTER TABLE cc_invoice DROP shipped'),
    ('ALTER TABLE cc_invoice ADD shipped bigint GENERATED ALWAYS AS IDENTITY', 'ALTER TABLE cc_invoice DROP shipped'),
    ('ALTER TABLE cc_invoice ADD twice numeric GENERATED ALWAYS AS (amount_crypto * 2) STORED', 'ALTER TABLE cc_invoice DROP twice'),
    ('ALTER TABLE cc_invoice ALTER fee TYPE numeric(20, 10)', 'ALTER TABLE cc_invoice ALTER fee TYPE numeric'),
    ('ALTER TABLE cc_invoice ADD CONSTRAINT positive CHECK (amount_crypto >= 0)', 'ALTER TABLE cc_invoice DROP CONSTRAINT positive'),
    ('CREATE INDEX by_order ON cc_invoice (lower(order_id))', 'DROP INDEX by_order'),
    ('CREATE RULE also AS ON INSERT TO cc_invoice DO ALSO SELECT 1', 'DROP RULE also ON cc_invoice'),
    ('CREATE RULE never AS ON INSERT TO cc_invoice DO INSTEAD NOTHING', 'DROP RULE never ON cc_invoice'),
    ('ALTER TABLE cc_invoice ALTER status TYPE varchar(255)', 'ALTER TABLE cc_invoice ALTER status TYPE text'),
    ('ALTER TABLE cc_invoice ALTER amount_crypto TYPE numeric(20, 8)', 'ALTER TABLE cc_invoice ALTER amount_crypto TYPE numeric'),
    ('ALTER TABLE cc_invoice ALTER amount_crypto TYPE float', 'ALTER TABLE cc_invoice ALTER amount_crypto TYPE numeric'),
    ('ALTER TABLE cc_invoice DROP fee', 'SELECT cc_setup()'),
    ('CREATE UNIQUE INDEX once ON cc_inbox (body)', 'DROP INDEX once'),
    ('CREATE TRIGGER pass BEFORE INSERT ON cc_inbox FOR EACH ROW EXECUTE FUNCTION pass()', 'DROP TRIGGER pass ON cc_inbox');
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE PROCEDURE deliver_variants() LANGUAGE plpgsql AS $$
DECLARE v variant;
BEGIN
    FOR v IN SELECT * FROM variant ORDER BY n LOOP
        EXECUTE v.make;
        INSERT INTO cc_inbox (body) VALUES (sample('V' || v.n)), (sample('V' || v.n, 2));
        EXECUTE v.undo;
    END LOOP;
END $$;
TRUNCATE cc_inbox, cc_invoice;
CALL deliver_variants();
SELECT v.n, i.state, i.error, inv.amount_crypto
  FROM variant v JOIN cc_inbox i ON i.invoice_id = 'V' || v.n LEFT JOIN cc_invoice inv ON inv.invoice_id = i.invoice_id ORDER BY v.n, i.id;
SELECT cc_apply();
SELECT state, count(*), (SELECT count(*) FROM cc_invoice WHERE amount_crypto = 2) AS invoices FROM cc_inbox GROUP BY 1;
RESET ROLE;

-- A function of the merchant's in an index or a constraint does not get the caller's search_path
SET ROLE regress_shop;
CREATE FUNCTION path_of(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    ASSERT pg_catalog.current_setting('search_path') NOT LIKE 'pg\_temp%', 'it is the caller''s';
    RETURN $1;
END $$;
CREATE INDEX by_path ON cc_invoice (path_of(order_id));
SET search_path = pg_temp, public;
INSERT INTO public.cc_inbox (body) VALUES (public.sample('PATH')) RETURNING state, error;
DROP INDEX public.by_path;
ALTER TABLE public.cc_invoice ADD CONSTRAINT by_path CHECK (public.path_of(order_id) <> '') NOT VALID;
INSERT INTO public.cc_inbox (body) VALUES (public.sample('PATH2')) RETURNING state, error;
RESET search_path;
ALTER TABLE cc_invoice DROP CONSTRAINT by_path;
DROP FUNCTION path_of, pass;
RESET ROLE;

DROP VIEW states;
DROP PROCEDURE deliver_variants;
DROP TABLE variant;
-- The type of the result
BEGIN;
ALTER TYPE cc_postback ALTER ATTRIBUTE verified TYPE text;
SELECT verified FROM cc_verify_postback('{}'::text, NULL, 's3cret');
ROLLBACK;
BEGIN;
ALTER TYPE cc_postback ADD ATTRIBUTE more text;
SELECT verified FROM cc_verify_postback('{}'::text, NULL, 's3cret');
ROLLBACK;
BEGIN;
ALTER TYPE cc_postback DROP ATTRIBUTE payload;
SELECT verified FROM cc_verify_postback('{}'::text, NULL, 's3cret');
ROLLBACK;

\ir test/sql/shared/end.sql
DROP PROCEDURE deliver;
REVOKE ALL ON SCHEMA public FROM regress_shop;
DROP ROLE regress_shop, regress_other;
