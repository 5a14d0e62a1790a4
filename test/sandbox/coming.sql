-- Stand-ins for functions that come with a later version, with the signatures of the design: so that the page's buttons for them
-- can be tested before. They do no more than the tests look at.

CREATE FUNCTION cc_import(answer jsonb, project text DEFAULT 'default') RETURNS TABLE (invoice_id text, outcome text)
    LANGUAGE sql AS $$
    SELECT i ->> 'uuid', (r).http_status::text
      FROM jsonb_array_elements(answer -> 'result') AS i, cc_project AS p,
           cc_receive(cc_sample_postback(p.secret, invoice_id => substr(i ->> 'uuid', 5), order_id => i ->> 'order_id',
                                         amount_crypto => (i -> 'amount_paid')::numeric, currency => i #>> '{currency,fullcode}'),
                      'application/json', p.name) AS r
     WHERE p.name = project
$$;

CREATE FUNCTION cc_reverify(project text DEFAULT NULL, since timestamptz DEFAULT NULL, leeway interval DEFAULT NULL,
                            max_rows integer DEFAULT 50, dry_run boolean DEFAULT false)
    RETURNS TABLE (state text, reason text, postbacks bigint)
    LANGUAGE sql AS $$
    WITH judged AS MATERIALIZED (
        SELECT v.invoice_id, v.order_id, v.amount_crypto, v.currency, p.secret, p.name
          FROM cc_inbox AS b JOIN cc_project AS p ON p.name = b.project,
               LATERAL (VALUES (p.secret), (p.previous_secret)) AS s (secret),
               cc_verify_postback(b.body, b.content_type, s.secret, b.received_at, coalesce(cc_reverify.leeway, '0')) AS v
         WHERE b.state = 'rejected' AND s.secret IS NOT NULL AND v.verified)
    SELECT 'applied', NULL, count(r.http_status)
      FROM judged AS j,
           cc_receive(cc_sample_postback(j.secret, invoice_id => j.invoice_id, order_id => j.order_id,
                                         amount_crypto => j.amount_crypto, currency => j.currency),
                      'application/json', j.name) AS r
$$;

CREATE FUNCTION cc_accept(inbox_id bigint, reassign boolean DEFAULT false) RETURNS text
    LANGUAGE sql AS $$ SELECT 'accepted ' || inbox_id $$;

CREATE FUNCTION cc_timeline(search text, project text DEFAULT NULL)
    RETURNS TABLE (at timestamptz, event text, detail text, inbox_id bigint)
    LANGUAGE sql AS $$ SELECT now(), 'timeline of', search, 1::bigint $$;

CREATE FUNCTION cc_health(period interval DEFAULT '1 hour') RETURNS TABLE (project text, problem text)
    LANGUAGE sql AS $$ VALUES ('default', 'a <b>problem</b>'), ('second', NULL) $$;
