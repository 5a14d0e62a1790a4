-- Which partition a project belongs to. PL/Proxy and the other files here take the last bits of this number, as many as there are
-- partitions: 2, 4, 8 … 256. The first half of 2n partitions thus stays where n partitions were, and the other half moves.
-- A project that is not named is `default`, as in cc_receive().
CREATE FUNCTION cc_partition(project text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN get_byte(sha256(convert_to(coalesce(project, 'default'), 'UTF8')), 0);
