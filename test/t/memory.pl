# Verifications (accepted, rejected and with an error) do not leak memory: the backend is no larger after many of them. A million
# with CC_MEMORY_TEST_COUNT=1000000.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Test::More;

my $count = $ENV{CC_MEMORY_TEST_COUNT} // 100_000;
my $node = start_node('memory');
my $session = session($node);

# One round is ten calls: five verified (two keys in turn, JSON and form, text and bytea), three rejected, two errors.
ask($session, q~
	CREATE TABLE sample AS
	SELECT cc_sample_postback('s3cret', expires_at => '2100-01-01') AS json, cc_sample_postback('other', expires_at => '2100-01-01') AS other,
	       cc_sample_postback('s3cret', 'application/x-www-form-urlencoded', expires_at => '2100-01-01') AS form,
	       convert_to(cc_sample_postback('s3cret', expires_at => '2100-01-01'), 'UTF8') AS bytes;
	CREATE PROCEDURE rounds(rounds bigint) LANGUAGE plpgsql AS $$
	DECLARE
		s sample;
		verified bigint := 0;
		errors bigint := 0;
	BEGIN
		SELECT * INTO s FROM sample;
		FOR i IN 1 .. rounds LOOP
			verified := verified + (cc_verify_postback(s.json, '', 's3cret')).verified::int +
				(cc_verify_postback(s.other, '', 'other')).verified::int
				+ (cc_verify_postback(s.form, '', 's3cret')).verified::int + (cc_verify_postback(s.bytes, '', 's3cret')).verified::int
				+ (cc_verify_postback(s.json, '', 's3cret', statement_timestamp())).verified::int
				+ (cc_verify_postback(s.json, '', repeat('long', 100))).verified::int + (cc_verify_postback(s.json || '}', '', 's3cret')).verified::int
				+ (cc_verify_postback(s.json, '', 's3cret', '2100-01-02')).verified::int;
			BEGIN PERFORM cc_parse_postback('{"x":', ''); EXCEPTION WHEN invalid_text_representation THEN errors := errors + 1; END;
			BEGIN PERFORM cc_verify_postback(s.json, '', ''); EXCEPTION WHEN invalid_parameter_value THEN errors := errors + 1; END;
		END LOOP;
		IF verified <> 5 * rounds OR errors <> 2 * rounds THEN RAISE '% verified, % errors', verified, errors; END IF;
	END
	$$;~);

sub resident_kilobytes { return ask($session, q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmRSS:\s+(\d+)');}) }

is(ask($session, 'CALL rounds(2000);'), '', 'warmed up');
my $before = resident_kilobytes();
is(ask($session, 'CALL rounds(' . int($count / 10) . ');'), '', "$count calls");
my $after = resident_kilobytes();
cmp_ok($after - $before, '<', 4096, "the backend grew by less than 4 MiB: from $before to $after kB");

$node->stop;
done_testing();
