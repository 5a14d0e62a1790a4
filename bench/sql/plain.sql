-- The baseline: the same body into a table with one primary key.
CREATE TABLE plain (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT now(),
    content_type text,
    body         text
);

-- The same, compressed like cc_inbox, to show its part of a ratio.
CREATE TABLE plain_lz4 (LIKE plain INCLUDING ALL);
DO $$
BEGIN
    IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE plain_lz4 ALTER body SET COMPRESSION lz4;
    END IF;
END
$$;
