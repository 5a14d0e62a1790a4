-- Returns a number that determines the partition of a project. PL/Proxy and the other files here use its last bits: 1 bit for 2
-- partitions, 2 for 4, and so on to 256. So after doubling, the first half of the partitions stays, and the other half moves.
-- NULL means the project `default`, as in cc_receive().
CREATE FUNCTION cc_partition(project text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN get_byte(sha256(convert_to(coalesce(project, 'default'), 'UTF8')), 0);
