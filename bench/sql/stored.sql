-- Only the storage: the two rows of a delivery, with their indexes, by one SQL statement. Nothing is verified or looked up, and
-- an error also loses the postback.
CREATE TABLE stored_inbox (LIKE cc_inbox INCLUDING ALL);
CREATE TABLE stored_invoice (LIKE cc_invoice INCLUDING ALL);
-- Compressed as the pipeline compresses, or the statement would pay for another algorithm.
DO $$
BEGIN
    IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE stored_inbox ALTER body SET COMPRESSION lz4;
        ALTER TABLE stored_invoice ALTER info SET COMPRESSION lz4;
    END IF;
END
$$;

-- The source of the invoice's other columns; not compressed, as in a body.
CREATE TABLE stored_sample (LIKE cc_invoice);
ALTER TABLE stored_sample ALTER info SET STORAGE PLAIN;
INSERT INTO stored_sample SELECT * FROM cc_invoice;

CREATE FUNCTION stored_statement() RETURNS text LANGUAGE sql AS $$
    SELECT format($f$
        WITH inbox AS (
            INSERT INTO stored_inbox (project, received_at, content_type, body, state, invoice_id, token_digest, content_digest,
                                      token_expires_at, attempts, applied_at)
            SELECT 'default', now(), 'application/json', body, 'applied', upper(left(md5(id::text), 12)), sha256(int8send(id)),
                   sha256(int8send(-id)), now(), 1, now()
              FROM bodies WHERE id = $1)
        INSERT INTO stored_invoice SELECT %s FROM stored_sample AS s$f$,
        string_agg(CASE WHEN attname = 'invoice_id' THEN 'upper(left(md5($1::text), 12))' ELSE 's.' || quote_ident(attname) END, ', '
                   ORDER BY attnum))
      FROM pg_attribute WHERE attrelid = 'stored_invoice'::regclass AND attnum > 0
$$;
