-- The yardstick: the same body into a table with one primary key.
CREATE TABLE plain (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT now(),
    content_type text,
    body         text
);
