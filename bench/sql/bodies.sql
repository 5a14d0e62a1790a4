-- Common to every measured database: the documented samples, and signed bodies to deliver.

-- Filled by measure.py from test/vectors/documentation.jsonl.
CREATE TABLE sample (name text PRIMARY KEY, content_type text, secret text, at timestamptz, body text, token text);

-- Stored uncompressed in the table itself, so that reading them costs almost nothing.
CREATE TABLE bodies (id bigint PRIMARY KEY, body text);
CREATE TABLE resends (id bigint PRIMARY KEY, body text);
ALTER TABLE bodies ALTER body SET STORAGE PLAIN;
ALTER TABLE resends ALTER body SET STORAGE PLAIN;

-- The documented JSON sample for another invoice and order, signed afresh; a resend has another token.
CREATE FUNCTION signed_body(n bigint, resend integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(replace(replace(s.body, s.token, cc_sign_token(jsonb_build_object('id', i.id, 'exp', 4070908800 + resend), s.secret)),
                           'ILRAJE1Q', i.id),
                   '"order_id": null', format('"order_id": "ORDER_%s"', n))
      FROM sample AS s, upper(left(md5(n::text), 12)) AS i (id)
     WHERE s.name = 'json_sample'
$$;

CREATE FUNCTION make_bodies(first bigint, last bigint, with_resends boolean) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bodies SELECT n, signed_body(n, 0) FROM generate_series(first, last) AS n;
    INSERT INTO resends SELECT n, signed_body(n, 1) FROM generate_series(first, last) AS n WHERE with_resends;
$$;

-- For the memory test, alternately: a new invoice, the same again, a form, an expired postback.
CREATE FUNCTION mixed_body(n bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE n % 4
               WHEN 0 THEN signed_body(n, 0)
               WHEN 1 THEN signed_body(n - 1, 1)
               WHEN 2 THEN format('status=success&invoice_id=F%s&amount_crypto=0.000113&currency=BNB&token=%s', n,
                                  cc_sign_token(jsonb_build_object('id', 'F' || n, 'exp', 4070908800), s.secret))
               ELSE s.body END     -- expired long ago
      FROM sample AS s WHERE s.name = 'json_sample'
$$;
