# No secret and no token leaks: not into the server's log at its most verbose, a message to a client, NOTIFY, pg_stat_activity,
# the inbox's errors, statistics or any other view.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('secrets_stay_in', <<'CONF');
log_statement = all
log_min_messages = debug1
log_min_error_statement = debug1
log_error_verbosity = verbose
log_min_duration_statement = 0
track_activity_query_size = 10000
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
CONF

# Secrets and bodies arrive by COPY, whose data no log shows. So a leak can only come from the extension itself.
my ($secret, $previous) = ('VERYSECRETKEY0123456789', 'PREVIOUSSECRETKEY0123456789');
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/secrets", "$secret\t$previous\n");
my $output = '';

# Runs statements, successful or not, and keeps all output.
sub run
{
	my ($statements) = @_;
	my ($code, $out, $err) = $node->psql('postgres',
		"SET client_min_messages = debug1; \\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$statements");
	$output .= "$out\n$err\n";
	return $out;
}
$node->safe_psql('postgres', q{
	CREATE TABLE given (secret text, previous text);
	CREATE TABLE body (name text, body text);
	CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE WARNING 'new row: %', NEW;
		IF NEW.invoice_id = 'RAISE' THEN RAISE EXCEPTION 'cannot take %', NEW; END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER talk BEFORE INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION talk();
	ALTER TABLE cc_invoice ADD CONSTRAINT refused CHECK (invoice_id <> 'CHECK');
});
run("\\copy given FROM '$dir/secrets'");
run(q{UPDATE cc_project SET secret = given.secret, previous_secret = given.previous, previous_secret_until = now() + interval '1 hour',
	notify = true FROM given});
# A function that reads the secret from the table makes the bodies
run(q{
	INSERT INTO body SELECT name, cc_sample_postback(secret, format, name, expires_at => now() + ends)
	  FROM given, (VALUES ('GOOD', 'application/json', interval '5 min'), ('FORM', 'application/x-www-form-urlencoded', '5 min'),
	                      ('RAISE', 'application/json', '5 min'), ('CHECK', 'application/json', '5 min'),
	                      	('LATE', 'application/json', '-1 s')) AS v (name, format, ends);
	INSERT INTO body SELECT 'FORGED', cc_sample_postback('guess', invoice_id => 'FORGED');
	INSERT INTO body SELECT 'BROKEN', left(body, -5) FROM body WHERE name = 'GOOD';
	INSERT INTO body SELECT 'REUSED', replace(body, '0.000113', '5') FROM body WHERE name = 'GOOD';
	INSERT INTO body SELECT 'OLD', cc_sample_postback(previous, invoice_id => 'OLD') FROM given;
});
my @tokens = split /\n/, $node->safe_psql('postgres', q{SELECT DISTINCT (regexp_match(body, 'eyJ[A-Za-z0-9_.-]+'))[1] FROM body});
is(scalar @tokens, 7, 'there are tokens to look for');
my $size = -s $node->logfile;  # making them is not under test: from here on the log counts

my $listener = session($node);
ask($listener, 'LISTEN cc_invoice;');
# The pipeline, by insert and by cc_receive, with an error at every step
run('INSERT INTO cc_inbox (body) SELECT body FROM body ORDER BY name;');
run('SELECT a.* FROM body, cc_receive(body, NULL) AS a;');
run(q{SELECT a.* FROM body, cc_receive(convert_to(body, 'UTF8') || '\xff', NULL) AS a;});
run('SELECT cc_apply();');
run(q{SELECT v.verified, v.reason, v.claims, v.payload FROM body, given, cc_verify_postback(body, NULL, secret) AS v;});
run(q{SELECT cc_parse_postback(body, NULL) FROM body WHERE name = 'BROKEN';});
run(q{SELECT cc_verify_postback(body, NULL, secret, now(), '-1 s') FROM body, given;});
run(q{SELECT cc_verify_postback(body, NULL, '') FROM body;});
run(q{SELECT cc_sign_token('[]', secret) FROM given;});
run($_) for
	q{UPDATE cc_project SET leeway = '-1 s';}, q{UPDATE cc_project SET secret = '';}, q{UPDATE cc_project SET secret = NULL;},
		q{UPDATE cc_project SET name = NULL;},
	q{UPDATE cc_project SET previous_secret_until = NULL;}, q{UPDATE cc_project SET apply = 'x';},
		q{INSERT INTO cc_project (name, secret) SELECT 'default', secret FROM given;};
run(q{SET statement_timeout = '1ms'; INSERT INTO cc_inbox (body) SELECT body FROM body, generate_series(1, 1000);});
run('SET transaction_read_only = on; SELECT a.* FROM body, cc_receive(body, NULL) AS a;');
run('VACUUM ANALYZE;');
# All columns and views, except the three columns that hold them by design
my $notified = ask($listener, 'SELECT 1;');
like($notified, qr/cc_invoice.*GOOD/, 'NOTIFY names the invoice');
my $views = $node->safe_psql('postgres', q{
	SELECT query FROM pg_stat_activity;
	SELECT to_jsonb(i) - 'body' FROM cc_inbox i;
	SELECT i FROM cc_invoice i;
	SELECT s FROM pg_stats s WHERE tablename LIKE 'cc\_%';
	SELECT s FROM pg_stat_user_functions s;
	SELECT to_jsonb(p) - ARRAY['secret', 'previous_secret'] FROM cc_project p;
});
like($views, qr/cannot take/, 'the inbox keeps what the trigger said');
my $log = slurp_file($node->logfile, $size);
like($log, qr/cc_receive/, 'the log has the calls');

for my $place ([ 'the log', $log ], [ 'messages', $output ], [ 'NOTIFY', $notified ], [ 'views', $views ])
{
	my ($name, $text) = @$place;
	my @found = grep { index($text, $_) >= 0 } $secret, $previous, @tokens, map { (split /\./)[2] } @tokens;
	is(scalar @found, 0, "no secret and no token in $name");
}

$listener->{run}->finish;
$node->stop;
done_testing();
