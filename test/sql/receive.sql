-- cc_receive: the HTTP status and the text that a proxy sends back.
\ir test/sql/shared/begin.sql
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'), ('strict', 'strict s3cret'), ('later', 'later s3cret');
UPDATE cc_project SET require_order_id = true WHERE name = 'strict';
UPDATE cc_project SET apply = 'deferred' WHERE name = 'later';

SELECT cc_sample_postback('s3cret') AS body \gset
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id = 'FAIL') EXECUTE FUNCTION refuse();
-- One call a line, in this order
CREATE TABLE request (n int, project text, content_type text, body text);
INSERT INTO request VALUES
    (1, 'default', 'application/json', :'body'),
    (2, 'default', 'application/json', :'body'),
    (3, 'default', 'application/json', replace(:'body', '0.000113', '5')),
    (4, 'default', 'application/json', cc_sample_postback('s3cret', order_id => 'OTHER')),
    (5, 'default', 'application/json', cc_sample_postback('s3cret', invoice_id => 'FAIL')),
    (6, 'later', 'application/json', cc_sample_postback('later s3cret')),
    (7, 'nobody', 'application/json', :'body'),
    (8, 'default', 'application/json', ''),
    (9, 'default', 'application/json', repeat('{', 1048577)),
    (10, 'default', 'text/html', '<html>'),
    (11, 'default', 'application/json', '{'),
    (12, 'default', NULL, '%'),
    (13, 'default', NULL, 'status=1&status=1'),
    (14, 'default', NULL, '{}'),
    (15, 'strict', NULL, cc_sample_postback('strict s3cret', order_id => NULL)),
    (16, 'default', NULL, '{"invoice_id": "A", "status": 1}'),
    (17, 'default', NULL, 'invoice_id=A&status=success&currency=BNB&amount_crypto=x'),
    (18, 'default', NULL, 'invoice_id=A&status=success&currency=BNB&amount_crypto=1'),
    (19, 'default', NULL, 'invoice_id=A&status=success&currency=BNB&amount_crypto=1&token=a'),
    (20, 'default', NULL, 'invoice_id=A&status=success&currency=BNB&amount_crypto=1&token=' || cc_sign_token('{}', 's3cret')),
    (21, 'default', NULL, cc_sample_postback('guess')),
    (22, 'default', NULL, cc_sample_postback('s3cret', expires_at => now()));
CREATE FUNCTION answers() RETURNS TABLE (n int, http_status int, response jsonb, state text, reason text) LANGUAGE plpgsql AS $$
DECLARE r request;
BEGIN
    FOR r IN SELECT * FROM request ORDER BY request.n LOOP
        SELECT r.n, a.* INTO answers.n, answers.http_status, answers.response FROM cc_receive(r.body, r.content_type, r.project) AS a;
        SELECT i.state, i.reason INTO answers.state, answers.reason FROM cc_inbox AS i ORDER BY id DESC LIMIT 1;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM answers();
-- Bytes: stored as text if they are text, else unchanged
SELECT http_status, response FROM cc_receive(convert_to(cc_sample_postback('s3cret', invoice_id => 'ж'), 'UTF8'), 'application/json');
SELECT http_status, response FROM cc_receive('\x7b22ff227d'::bytea, 'application/json');
SELECT http_status, response FROM cc_receive('\x7b7d00'::bytea, 'application/json');
SELECT http_status, response FROM cc_receive(NULL::bytea, NULL, NULL);
SELECT http_status, response FROM cc_receive(''::bytea, NULL);
SELECT project, left(invoice_id, 3) AS invoice_id, left(body, 1) AS body, raw, reason FROM cc_inbox ORDER BY id DESC LIMIT 5;
-- Every reason has an answer; all faults of a token have the same one
SELECT reason, (cc_http_answer('rejected', reason)).* FROM unnest(ARRAY['missing_token', 'malformed_token', 'unsupported_algorithm',
    'bad_signature', 'invalid_claims',
    'token_not_yet_valid', 'token_expired', 'invoice_mismatch']) AS reason;

\ir test/sql/shared/end.sql
DROP TABLE request;
DROP FUNCTION answers, refuse;
