-- Projects: what can be stored, rotation of secrets, leeway, notify. No message shows a secret.
\ir test/sql/shared/begin.sql
\set SHOW_CONTEXT never
INSERT INTO cc_project (name, secret) VALUES ('default', '');
INSERT INTO cc_project (name, secret) VALUES ('default', NULL);
INSERT INTO cc_project (name, secret) VALUES ('default', E'TOPSECRET\n');
INSERT INTO cc_project (name, secret) VALUES (NULL, 'TOPSECRET');
INSERT INTO cc_project (name, secret) VALUES ('', 'TOPSECRET');
INSERT INTO cc_project (name, secret) VALUES (repeat('x', 256), 'TOPSECRET');
INSERT INTO cc_project (name, secret, leeway) VALUES ('default', 'TOPSECRET', '-1 s');
INSERT INTO cc_project (name, secret, apply) VALUES ('default', 'TOPSECRET', 'sometimes');
INSERT INTO cc_project (name, secret, notify) VALUES ('default', 'TOPSECRET', NULL);
\set SHOW_CONTEXT errors
COPY cc_project (name, secret, apply) FROM stdin;
default	TOPSECRET	sometimes
\.
\set SHOW_CONTEXT never
INSERT INTO cc_project (name, secret, previous_secret) VALUES ('default', 'TOPSECRET', 'OLDSECRET');
INSERT INTO cc_project (name, secret) VALUES ('default', 'TOPSECRET');
INSERT INTO cc_project (name, secret) VALUES ('default', 'TOPSECRET');
UPDATE cc_project SET secret = '';
\set VERBOSITY sqlstate
UPDATE cc_project SET secret = '';

-- Rotation: both secrets verify until then, and then one
CREATE FUNCTION try(secret text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    INSERT INTO cc_inbox (body) VALUES (cc_sample_postback(secret, invoice_id => 'I' || clock_timestamp()))
        RETURNING coalesce(reason, state) INTO result;
    RETURN result;
END $$;
SELECT try('TOPSECRET'), try('NEWSECRET');
UPDATE cc_project SET previous_secret = secret, previous_secret_until = now() + interval '1 hour', secret = 'NEWSECRET';
SELECT try('TOPSECRET'), try('NEWSECRET'), try('OTHER');
UPDATE cc_project SET previous_secret_until = now();
SELECT try('TOPSECRET'), try('NEWSECRET');
-- Leeway
INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('NEWSECRET', expires_at => now() - interval '10 s')) RETURNING state, reason;
UPDATE cc_project SET leeway = '1 min';
INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('NEWSECRET', expires_at => now() - interval '10 s')) RETURNING state, reason;
-- NOTIFY fits, whatever the invoice is called (test/t/settle.pl listens)
UPDATE cc_project SET notify = true;
INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('NEWSECRET', invoice_id => repeat('ж', 255))) RETURNING state, error;

\ir test/sql/shared/end.sql
DROP FUNCTION try;
