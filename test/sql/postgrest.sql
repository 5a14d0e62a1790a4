-- The recipe of docs/postgrest.md: its SQL, the settings that PostgREST makes for a request (role, request.headers) and reads
-- after it (response.status). It runs without PostgREST.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', 'secret'), ('shop', 'secret of shop');
CREATE ROLE authenticator NOINHERIT;

-- Exactly the block of the document.
\! sed -n '/^<!-- postgrest -->$/,/^```$/p' docs/postgrest.md | sed '1,/^```sql$/d;/^```$/d' > test_out/postgrest.sql
\i test_out/postgrest.sql

-- One request: the headers as PostgREST gives them (names in lower case), the body; the status and the answer.
CREATE FUNCTION pg_temp.request(body text, headers json, OUT status text, OUT answer jsonb) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.headers', headers::text, true), set_config('response.status', '', true);
    SET LOCAL ROLE postback_anonymous;
    answer := postback_api.postback(body);
    RESET ROLE;
    status := current_setting('response.status');
END
$$;

-- Honest, in both formats, and for another project.
SELECT * FROM pg_temp.request(cc_sample_postback('secret', invoice_id => 'JSON0001'), '{"x-postback-content-type": "application/json"}');
SELECT * FROM pg_temp.request(cc_sample_postback('secret', 'application/x-www-form-urlencoded', 'FORM0001'),
                              '{"x-postback-content-type": "application/x-www-form-urlencoded"}');
SELECT * FROM pg_temp.request(cc_sample_postback('secret of shop', invoice_id => 'SHOP0001'),
                              '{"x-postback-content-type": "application/json", "x-postback-project": "shop"}');
SELECT * FROM pg_temp.request(cc_sample_postback('secret', invoice_id => 'NONE0001'), '{"content-type": "text/plain"}');
-- A rejection has its status, and its row stays.
SELECT * FROM pg_temp.request(cc_sample_postback('another secret'), '{"x-postback-content-type": "application/json"}');
SELECT * FROM pg_temp.request('{', '{"x-postback-content-type": "application/json"}');
SELECT * FROM pg_temp.request('{}', '{"x-postback-content-type": "text/plain"}');
SELECT * FROM pg_temp.request('{}', '{"x-postback-project": "nobody"}');
SELECT project, content_type, state, reason, invoice_id FROM cc_inbox ORDER BY id;

-- The role can do nothing else.
SET ROLE postback_anonymous;
\set VERBOSITY sqlstate
SELECT FROM cc_inbox;
SELECT FROM cc_project;
SELECT FROM cc_invoice;
INSERT INTO cc_inbox (body) VALUES ('{}');
RESET ROLE;

DROP SCHEMA postback_api CASCADE;
DROP OWNED BY postback_anonymous;
DROP ROLE postback_anonymous, authenticator;
DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log;
DROP EXTENSION cryptocloud_postback CASCADE;
