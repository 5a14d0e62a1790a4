-- Rows that only fill the tables: copies of a delivered one with other ids and digests, without the long texts, which nothing
-- reads. Triggers are disabled meanwhile.
CREATE FUNCTION fill(first bigint, last bigint) RETURNS void
    LANGUAGE plpgsql SET session_replication_role = replica
AS $$
DECLARE
    target regclass;
    names  text;
    values_ text;
BEGIN
    FOREACH target IN ARRAY '{cc_inbox, cc_invoice, stored_inbox, stored_invoice, hand_inbox, hand_invoice, plain, plain_lz4}'::regclass[] LOOP
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
               string_agg(CASE WHEN attname = 'invoice_id' THEN $e$upper(md5(n || 'invoice'))$e$
                               WHEN attname LIKE '%\_digest' AND atttypid = 'bytea'::regtype
                                   THEN format('sha256(convert_to(n || %L, %L))', attname, 'UTF8')
                               WHEN attname LIKE '%\_digest' THEN format('md5(n || %L)::%s', attname, atttypid::regtype)
                               WHEN attname IN ('body', 'info', 'payload') THEN format('''{}''::%s', atttypid::regtype)
                               ELSE 't.' || quote_ident(attname) END, ', ' ORDER BY attnum)
          INTO names, values_
          FROM pg_attribute
         WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = '';
        EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM generate_series(%s, %s) AS n, (SELECT * FROM %1$s LIMIT 1) AS t',
                       target, names, values_, first, last);
    END LOOP;
END
$$;
