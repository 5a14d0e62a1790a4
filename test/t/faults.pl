# Out of memory, a cancel, a timeout during the work: a clean error each time, and the session continues.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Test::More;

my $node = start_node('faults');

# Half a megabyte that needs a few megabytes to read and to build: 40,000 members, nested arrays, strings and numbers.
$node->safe_psql('postgres', q~
	CREATE TABLE big AS
	SELECT left(json, -1) || ',"x":{' || string_agg(format('"%s":[%s,"a"]', n, n), ',') || '}}' AS body
	  FROM (SELECT btrim(cc_sample_postback('s3cret', expires_at => '2100-01-01'), E' \n') AS json) AS sample, generate_series(1, 40000) AS n
	 GROUP BY json;
	ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
	CREATE TABLE small AS SELECT cc_sample_postback('s3cret', expires_at => '2100-01-01') AS body;
	CREATE SEQUENCE reached;
~);

my $session = session($node);
my $pid = ask($session, "\\set VERBOSITY terse\nSELECT pg_backend_pid();");
my $verified = q{SELECT (cc_verify_postback(body, '', 's3cret')).verified FROM small;};

sub lives_on
{
	my ($what) = @_;
	is(ask($session, $verified . 'SELECT pg_backend_pid();'), "t\n$pid", "$what: the session goes on, and verifies");
	return;
}

# --- Out of memory ---

# The backend's address space may not grow by more than this many kilobytes.
sub limit_memory
{
	my ($kilobytes) = @_;
	open my $statm, '<', "/proc/$pid/statm" or die $!;
	my ($pages) = split ' ', <$statm>;
	my $limit = defined $kilobytes ? $pages * 4096 + $kilobytes * 1024 : 'unlimited';
	system('prlimit', "--pid=$pid", "--as=$limit:") == 0 or die 'prlimit';
	return;
}

my %statement = (
	'cc_verify_postback' => q{SELECT (cc_verify_postback(body, '', 's3cret')).verified FROM big;},
	'cc_verify_postback of bytes' => q{SELECT (cc_verify_postback(convert_to(body, 'UTF8'), '', 's3cret')).verified FROM big;},
	'cc_parse_postback' => q{SELECT cc_parse_postback(body, '') IS NOT NULL FROM big;},
	'cc_inbox' => q{BEGIN; INSERT INTO cc_inbox (body) SELECT body FROM big RETURNING state = 'applied'; ROLLBACK;});
for my $what (sort keys %statement)
{
	is(ask($session, $statement{$what}), 't', "$what succeeds with all the memory it wants");
	my ($failed, $succeeded, $other) = (0, 0, '');
	for (my $kilobytes = 0; $succeeded < 2 && $kilobytes < 100_000; $kilobytes += 200)
	{
		limit_memory($kilobytes);
		my $answer = ask($session, $statement{$what});
		limit_memory(undef);
		if ($answer eq 't') { $succeeded++ }
		elsif ($answer =~ /^\S+ ERROR:  out of memory/ && $answer !~ /s3cret|eyJ/) { $failed++ }
		else { $other .= "$kilobytes kB: $answer\n" }
	}
	is($other, '', "$what: out of memory is an error like any other");
	cmp_ok($failed, '>', 2, "$what fails for want of memory, at $failed places");
	is($succeeded, 2, "$what succeeds when there is enough");
	lives_on($what);
}

# --- Cancel ---

# A sequence shows how far a statement came: its increments are not undone.
sub came_through
{
	my ($expression) = @_;
	ask($session, q{SELECT setval('reached', 1, false);});
	my $answer = ask($session, "SELECT pg_cancel_backend(pg_backend_pid()), $expression, nextval('reached') FROM small;");
	like($answer, qr/canceling statement due to user request/, "$expression: cancelled");
	return ask($session, q{SELECT is_called FROM reached;}) eq 't';
}
ok(came_through('length(body)'), 'a function that does not look for a cancel goes on to its end');
ok(!came_through($_), "$_ ends at once") for q{cc_parse_postback(body, '')}, q{cc_verify_postback(body, '', 's3cret')};
lives_on('after a cancel');

# --- A timeout ---

my $endless = q{SELECT count(cc_parse_postback(body, '')) FROM big, generate_series(1, 1000000);};
like(ask($session, "SET statement_timeout = 200; $endless RESET statement_timeout;"), qr/canceling statement due to statement timeout/,
	'a time limit ends it');
lives_on('after a time limit');

# --- Errors in between, many times, in one transaction ---

is(ask($session, q{
	DO $$
	BEGIN
		FOR i IN 1 .. 2000 LOOP
			BEGIN PERFORM cc_parse_postback('%', 'application/x-www-form-urlencoded'); EXCEPTION WHEN invalid_text_representation THEN NULL; END;
			BEGIN PERFORM cc_verify_postback(body, '', '') FROM small; EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
			BEGIN PERFORM cc_verify_postback(body, '', 's3cret', 'now', '-1 second') FROM small; EXCEPTION WHEN invalid_parameter_value THEN NULL;
				END;
			IF NOT (SELECT (cc_verify_postback(body, '', 's3cret')).verified FROM small) THEN RAISE 'not verified'; END IF;
		END LOOP;
	END
	$$;}), '', 'an error leaves nothing behind that the next call stumbles over');
lives_on('after many errors');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal|PANIC|server process .* exited/,
	'no backend crashed');
$node->stop;
done_testing();
