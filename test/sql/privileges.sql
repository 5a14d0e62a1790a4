-- A proxy's role: it can do what the two documented grants allow, and nothing else.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'TOPSECRET');
CREATE TABLE orders (id text, paid boolean DEFAULT false);
INSERT INTO orders VALUES ('ORDER_93223');
-- As a merchant writes it: no schema, no search_path
CREATE FUNCTION mark_paid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE orders SET paid = true
    WHERE id = NEW.order_id; RETURN NULL; END $$;
CREATE TRIGGER mark_paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL)
    EXECUTE FUNCTION mark_paid();
SELECT cc_sample_postback('s3cret', invoice_id => 'A') AS a, cc_sample_postback('s3cret', invoice_id => 'B') AS b,
    cc_sample_postback('s3cret', invoice_id => 'C') AS c,
       cc_sample_postback('s3cret', invoice_id => 'D') AS d, cc_sample_postback('s3cret', invoice_id => 'D', amount_crypto => 1,
           expires_at => now() + interval '6 minutes') AS more \gset
CREATE ROLE regress_caller;
CREATE ROLE regress_inserter;
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO regress_caller, regress_inserter;
\set VERBOSITY terse

-- Without a grant: nothing
SET ROLE regress_caller;
SELECT * FROM cc_receive(:'a'::text, 'application/json');
SELECT cc_apply();
INSERT INTO cc_inbox (body, content_type) VALUES (:'a', 'application/json');
SELECT secret FROM cc_project;
RESET ROLE;

-- GRANT EXECUTE: deliver postbacks, see no table
GRANT EXECUTE ON FUNCTION cc_receive(text, text, text), cc_receive(bytea, text, text) TO regress_caller;
SET ROLE regress_caller;
SELECT * FROM cc_receive(:'a'::text, 'application/json');
SELECT * FROM cc_receive(convert_to(:'b', 'UTF8'), 'application/json');
SELECT body FROM cc_inbox;
SELECT * FROM cc_invoice;
SELECT secret FROM cc_project;
SELECT count(*) FROM orders;
INSERT INTO cc_inbox (body) VALUES ('{}');
SELECT cc_apply();
RESET ROLE;
SELECT invoice_id FROM cc_invoice ORDER BY 1;

-- GRANT INSERT on the three input columns: insert those, and nothing else
GRANT INSERT (project, body, content_type) ON cc_inbox TO regress_inserter;
SET ROLE regress_inserter;
INSERT INTO cc_inbox (body, content_type) VALUES (:'c', 'application/json');
INSERT INTO cc_inbox (project, body, content_type) VALUES ('second', :'c', 'application/json');
INSERT INTO cc_inbox (body, state) VALUES ('{}', 'applied');
INSERT INTO cc_inbox (body, received_at) VALUES ('{}', '2020-01-01');
INSERT INTO cc_inbox (body, received_at) VALUES ('{}', '2100-01-01');
INSERT INTO cc_inbox (body, invoice_id, token_digest, content_digest, token_expires_at, applied_at, attempts, error, reason)
    VALUES ('{}', 'X', '', '', now(), now(), 1, '', '');
INSERT INTO cc_inbox (body, raw) VALUES ('{}', '');
INSERT INTO cc_inbox (id, body) OVERRIDING SYSTEM VALUE VALUES (1, '{}');
INSERT INTO cc_inbox (body) VALUES ('{}') RETURNING state;
INSERT INTO cc_inbox DEFAULT VALUES;
SELECT count(*) FROM cc_inbox;
UPDATE cc_inbox SET body = '';
DELETE FROM cc_inbox;
TRUNCATE cc_inbox;
BEGIN;
LOCK cc_inbox IN ACCESS EXCLUSIVE MODE;
ROLLBACK;
\copy cc_inbox (body, state) FROM '/dev/null'
COPY cc_inbox (body) FROM stdin;
copied
\.
COPY cc_inbox TO stdout;
ALTER TABLE cc_inbox DISABLE TRIGGER ALL;
CREATE TRIGGER mine AFTER INSERT ON cc_inbox FOR EACH ROW EXECUTE FUNCTION cc_inbox_insert();
SELECT nextval('cc_inbox_id_seq');
SELECT secret FROM cc_project;
SELECT * FROM cc_invoice;
SELECT * FROM cc_receive('{}'::text, NULL);
INSERT INTO cc_invoice (project, invoice_id) VALUES ('default', 'X');
RESET ROLE;

-- A hostile search_path, with functions, operators and tables of the same names
SET ROLE regress_inserter;
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'epoch'::timestamptz $$;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'got % and %', $1, $2; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
CREATE TABLE evil.orders (id text, paid boolean);
CREATE TABLE evil.cc_project (name text, secret text);
CREATE TEMPORARY TABLE orders (id text, paid boolean);
CREATE TEMPORARY TABLE cc_project (name text, secret text);
SET search_path = evil, pg_temp, public, pg_catalog;
INSERT INTO public.cc_inbox (body, content_type) VALUES (:'d', 'application/json');
INSERT INTO public.cc_inbox (body, content_type) VALUES (:'more', 'application/json');
RESET search_path;
RESET ROLE;
GRANT EXECUTE ON FUNCTION cc_receive(text, text, text) TO regress_inserter;
SET ROLE regress_inserter;
SET search_path = evil, pg_temp, public, pg_catalog;
SELECT * FROM public.cc_receive('{}'::text, NULL);
RESET search_path;
RESET ROLE;
SELECT id, project, state, reason, invoice_id, left(body, 1) AS body FROM cc_inbox ORDER BY id;
SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'D';
SELECT * FROM public.orders;

-- A caller's own table with the inbox's trigger is refused
CREATE TABLE evil.bait (LIKE public.cc_inbox);
ALTER TABLE evil.bait ALTER id SET DEFAULT 1, ALTER project SET DEFAULT 'default', OWNER TO regress_inserter;
SET ROLE regress_inserter;
CREATE TRIGGER bait BEFORE INSERT ON evil.bait FOR EACH ROW EXECUTE FUNCTION public.cc_inbox_insert();
INSERT INTO evil.bait (body) VALUES ('{}');
RESET ROLE;

DROP SCHEMA evil CASCADE;
DROP TABLE pg_temp.orders, pg_temp.cc_project;
\ir test/sql/shared/end.sql
DROP TABLE orders;
DROP FUNCTION mark_paid();
DROP ROLE regress_caller, regress_inserter;
