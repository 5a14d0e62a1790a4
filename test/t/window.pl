# No outage: while clients deliver all the time, a newer library replaces 0.1.0, the extension is updated and cc_setup() runs.
# Each postback is answered 200 and kept, none counts twice, and the log says what to run. Then the way back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Release;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $pg_config = old_postgresql('window-postgresql');
my $node = old_node($pg_config, 'window', "log_line_prefix = '%p '\nlog_min_messages = notice");
my $folder = $node->basedir;
my $ends = time + 3000;
$node->safe_psql('postgres', 'CREATE ROLE shop LOGIN; CREATE ROLE proxy LOGIN; GRANT CREATE ON DATABASE postgres TO shop;
	GRANT ALL ON SCHEMA public TO shop');
is(answer_as($node, 'shop', qq{
	CREATE EXTENSION cryptocloud_postback;
	SET client_min_messages = warning;
	SELECT cc_setup();
	INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
	GRANT EXECUTE ON FUNCTION cc_receive(text, text, text), cc_receive(bytea, text, text) TO proxy;
	GRANT INSERT (project, body, content_type), SELECT (state, reason) ON cc_inbox TO proxy;
	CREATE TABLE paid (invoice_id text);
	CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN INSERT INTO paid VALUES (NEW.invoice_id); RETURN NULL; END\$\$;
	CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL)
		EXECUTE FUNCTION paid();
	-- Each tenth body is the one before, sent again
	CREATE FUNCTION body(client text, n integer) RETURNS text LANGUAGE sql STABLE AS
		\$\$SELECT cc_sample_postback('s3cret', invoice_id => concat_ws('-', client, n - (n % 10 = 0)::integer),
			expires_at => to_timestamp($ends))\$\$;
}), '', '0.1.0');

# A client: psql with a script that delivers one body after another and retries each once if it fails. A client that reconnects
# uses a new session for every fifth delivery.
my %call = (
	text => q{SELECT http_status FROM cc_receive(body('%1$s', %2$d), 'application/json') \gset},
	bytea => q{SELECT http_status FROM cc_receive(convert_to(body('%1$s', %2$d), 'UTF8'), 'application/json') \gset},
	insert => q{INSERT INTO cc_inbox (body) VALUES (body('%1$s', %2$d)) RETURNING CASE WHEN state <> 'rejected'
		THEN 200 END AS http_status \gset});
my $stop = "$folder/stop";
my %clients;
sub start_client
{
	my ($name, $kind, $reconnects) = @_;
	my $script = '';
	for my $n (1 .. 20000)
	{
		my $call = sprintf $call{$kind}, $name, $n;
		$script .= "\\unset http_status\n$call\n\\if :ERROR\n\\echo retry :SQLSTATE :LAST_ERROR_MESSAGE\n$call\n\\endif\n"
		  . "\\echo answer $n :http_status\nSELECT pg_sleep(0.004) \\g /dev/null\n";
		$script .= "\\c -\n" if $reconnects && $n % 5 == 0;
		$script .= "\\set stop `test -e $stop && echo true || echo false`\n\\if :stop\n\\q\n\\endif\n" if $n % 10 == 0;
	}
	append_to_file("$folder/$name.sql", $script);
	my %client = (name => $name);
	$client{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-f', "$folder/$name.sql", '-d', $node->connstr('postgres') . ' user=proxy' ],
		'<', \undef, '>', "$folder/$name.out", '2>', "$folder/$name.err");
	$clients{$name} = \%client;
	return;
}
sub count { return $node->safe_psql('postgres', "SELECT count(*) FROM cc_inbox WHERE $_[0]") }
sub until_count
{
	my ($condition, $count) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) >= $count FROM cc_inbox WHERE $condition")
	  or die "never $count rows with $condition";
	return;
}
sub until_more { return until_count($_[0], count($_[0]) + $_[1]) }
my $is_old = q{body ~ '"invoice_id": "old'};
my $is_new = q{body ~ '"invoice_id": "new'};

# Deliveries in progress when ALTER EXTENSION commits: the first one has locked the invoice, the second one waits for it
my ($first, $second) = map { session($node, 'postgres', 'proxy') } 1 .. 2;
sub held
{
	return qq{SELECT http_status
		FROM cc_receive(cc_sample_postback('s3cret', invoice_id => 'held', amount_usd => $_[0],
			expires_at => to_timestamp($ends + $_[0])), 'application/json');};
}
is(ask($_, q{INSERT INTO cc_inbox (body) VALUES ('{}') RETURNING reason;}), 'missing_invoice_id', 'a session loads 0.1.0')
  for $first, $second;

start_client('oldtext', 'text');
start_client('oldbytea', 'bytea');
start_client('oldinsert', 'insert');
until_count("$is_old AND state = 'applied'", 300);

# 1. A newer library; sessions that have loaded the old one continue with it
lay_over($pg_config);
start_client('newtext', 'text');
start_client('newinsert', 'insert');
start_client('newbytea', 'bytea', 1);
until_count("$is_new AND state = 'pending'", 200);
until_more("$is_old AND state = 'applied'", 100);
is(count("$is_new AND state <> 'pending'"), '0', 'new library, old SQL: kept pending');
is(answer_as($node, 'shop', 'SELECT cc_apply()'), '0', 'and cc_apply() of old SQL leaves them');
is(count("body <> '{}' AND state NOT IN ('applied', 'duplicate', 'pending')"), '0', 'nothing fails');

# 2. ALTER EXTENSION UPDATE under load
is(ask($first, 'BEGIN; ' . held(1)), '200', 'a delivery in a transaction');
ask($second, held(2), wait => 0);
wait_for_lock($node, 1);
is(answer_as($node, 'shop', 'ALTER EXTENSION cryptocloud_postback UPDATE'), '', 'ALTER EXTENSION UPDATE');
is(ask($first, held(3) . ' COMMIT;'), '200', 'the same transaction goes on in new SQL');
my $met = ask($second, q{\\echo});
note("the delivery that ALTER EXTENSION met: $met, and now "
	  . $node->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', state, attempts, error), ', ' ORDER BY id) FROM cc_inbox
	  	WHERE invoice_id = 'held'}));
is(ask($second, held(2)), '200', 'that one again') if $met !~ /^200/;
until_more("$is_old AND state = 'pending'", 100);
my $pending = count(q{state = 'pending'});
until_more("$is_new AND state = 'pending'", 100);

# 3. cc_setup() under load
like(answer_as($node, 'shop', 'SELECT cc_setup()'), qr/token digest was removed/, 'cc_setup()');
until_more("$is_old AND state = 'applied'", 100);
until_more("$is_new AND state = 'applied'", 100);

# 4. Waiting rows are settled under load, and after it
is(answer_as($node, 'shop', 'CALL cc_work()'), '', 'cc_work()');
append_to_file($stop, '');
$_->{run}->finish for values %clients;
is(answer_as($node, 'shop', 'CALL cc_work()'), '', 'cc_work() again');

my ($answers, $retries) = (0, 0);
for my $name (sort keys %clients)
{
	my $out = slurp_file("$folder/$name.out");
	my @refused = grep { !/ 200$/ } $out =~ /^(answer .*)$/mg;
	is("@refused", '', "$name: each delivery is answered 200, at the second try at the latest");
	my @retries = $out =~ /^retry (.*)$/mg;
	cmp_ok(scalar @retries, '<=', 1, "$name: no more than the call that ALTER EXTENSION meets is tried again") or diag(join "\n", @retries);
	note("$name: $_") for @retries;
	$retries += @retries;
	$answers += () = $out =~ /^answer /mg;
}
note("$answers deliveries, $retries tried again, $pending waited for cc_setup()");
is(count(q{body <> '{}' AND body !~ '"held"'}), $answers, 'each answer 200 is a row');
is(count(q{body ~ '"held"'}), '3', 'also the calls during ALTER EXTENSION');
is($node->safe_psql('postgres', q{SELECT amount_usd FROM cc_invoice WHERE invoice_id = 'held'}), '3', 'and the last one counts');
is(count(q{body <> '{}' AND state NOT IN ('applied', 'duplicate')}), '0', 'all are settled');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT cc_parse_postback(body, content_type) ->> 'invoice_id' AS invoice, count(*) AS deliveries,
			count(*) FILTER (WHERE state = 'applied') AS applied FROM cc_inbox WHERE body <> '{}' AND body !~ '"held"' GROUP BY 1) AS i
	 WHERE applied <> 1 OR deliveries > 2}), '0', 'of each invoice one delivery is applied');
is($node->safe_psql('postgres', q{SELECT count(*) - count(DISTINCT invoice_id), (SELECT count(*) FROM cc_invoice) - count(*)
	FROM paid}), '0|0',
	'each invoice is paid once');

# The log
my $log = slurp_file($node->logfile);
my %told;
$told{$_}++
  for $log =~ /^(\d+) LOG:  cryptocloud_postback: the tables are not as this version makes them, so postbacks are kept pending$/mg;
cmp_ok(scalar keys %told, '>=', 6, 'the log says why postbacks wait');
is((grep { $_ > 2 } values %told), 0, 'in one line for each session and library');
like($log, qr/HINT:  Run ALTER EXTENSION cryptocloud_postback UPDATE, SELECT cc_setup\(\) and CALL cc_work\(\)\./, 'and what to run');
unlike($log, qr/no usable index/, 'no delivery reads a whole table');
unlike($log, qr/PANIC|terminated by signal/, 'nothing crashes');

# The way back. 0.1.0 is installed over it: the SQL of 0.2.0 continues with its own library
lay_over($pg_config, '0.1.0');
my @body = map { $node->safe_psql('postgres', "SELECT quote_literal(body('back', $_))") } 0 .. 3;
sub receive { return "SELECT http_status FROM cc_receive($body[$_[0]], 'application/json');" }
sub deliver { return answer_as($node, 'proxy', receive($_[0])) }
my $session = session($node, 'postgres', 'proxy');
is(ask($session, receive(1)), '200', '0.1.0 over 0.2.0: no harm');
is(count(q{state = 'applied' AND body ~ '"back-1"'}), '1', 'it is applied');
# 0.2.0 is removed, as by a downgrade of the package
my $library = `$pg_config --pkglibdir`;
chomp $library;
rename "$library/cryptocloud_postback-0.2.0.so", "$library/kept" or die $!;
like(deliver(2), qr{^ERROR:  58P01: could not access file "(?:\$libdir/)?cryptocloud_postback-0\.2\.0": No such file or directory$},
	'without its library: a clear refusal');
is(ask($session, receive(3)), '200', 'sessions that have it go on');
like(answer_as($node, 'shop', q{ALTER EXTENSION cryptocloud_postback UPDATE TO '0.1.0'}),
	qr/^ERROR:  22023: extension "cryptocloud_postback" has no update path from version "0\.2\.0" to version "0\.1\.0"/,
		'there is no way back in SQL');
rename "$library/kept", "$library/cryptocloud_postback-0.2.0.so" or die $!;
is(deliver(2), '200', 'and all is well when it is back');

$node->stop;
done_testing();
