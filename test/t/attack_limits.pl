# What is too long, too much, too slow or cancelled: a row with its state each time, and never an error of the delivery. The names of
# the tests begin with the finding that they close.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('attack_limits', "deadlock_timeout = '100ms'\n");
sign_postbacks($node);

sub query { return answer_as($node, undef, $_[0]) }

# --- L1: a short prefix of an oversized value is kept ---

my %long = (
	'an ASCII body' => [ q{repeat('x', 64 * 1024 * 1024)}, 4096 ],
	'a body of two-byte characters' => [ q{repeat('ж', 32 * 1024 * 1024)}, 4096 ],
	'a body whose 4096th byte is within a character' => [ q{'x' || repeat('ж', 1024 * 1024)}, 4095 ],
	'a body whose 4096th byte is the first of four' => [ q{repeat('x', 4095) || repeat('😀', 1024 * 1024)}, 4095 ],
	'a body of 1 MiB and 1 byte' => [ q{repeat('x', 1048577)}, 4096 ]);
my $last = 'FROM cc_inbox ORDER BY id DESC LIMIT 1';
my $kept = "SELECT octet_length(body), raw IS NULL, state, reason $last";
for my $what (sort keys %long)
{
	my ($body, $length) = @{ $long{$what} };
	is(query("SELECT http_status FROM cc_receive($body, 'application/json'); $kept"), "413\n$length|t|rejected|body_too_large",
		"L1: of $what cc_receive keeps a prefix");
	is(query("SELECT http_status FROM cc_receive(convert_to($body, 'UTF8'), ''); $kept"), "413\n$length|t|rejected|body_too_large",
		"L1: of the bytes of $what too");
	is(query("INSERT INTO cc_inbox (body) VALUES ($body); $kept"), "$length|t|rejected|body_too_large",
		"L1: of $what INSERT keeps a prefix");
}
is(query(q{SELECT http_status FROM cc_receive(decode(repeat('ff', 16 * 1024 * 1024), 'hex'), '')}
	. "; SELECT octet_length(raw), body IS NULL, state, reason $last"), "413\n4096|t|rejected|body_too_large",
		'L1: of bytes that are no text too');
is(query(q{INSERT INTO cc_inbox (body) VALUES (repeat('x', 1048576)); } . "SELECT octet_length(body), reason <> 'body_too_large' $last"),
	'1048576|t',
	'L1: 1 MiB is kept whole');

my $type = q{'application/json; x=' || repeat('%s', %d)};
for my $case ([ 'a', 16 * 1024 * 1024 ], [ 'ж', 1024 * 1024 ], [ '😀', 4000 ], [ ' ', 4000 ], [ 'a', 236 ])
{
	my ($character, $count) = @$case;
	my $long = sprintf $type, $character, $count;
	my $check = "SELECT length(content_type), content_type = left($long, 255), state, reason $last";
	is(query("SELECT http_status FROM cc_receive(body(token('L1'), '{\"invoice_id\": \"L1\"}'), $long); $check"),
		"415\n255|t|rejected|unsupported_content_type", "L1: a content type with $count of '$character': cc_receive keeps 255 characters");
	is(query("INSERT INTO cc_inbox (body, content_type) VALUES (body(token('L1'), '{\"invoice_id\": \"L1\"}'), $long); $check"),
		'255|t|rejected|unsupported_content_type', "L1: a content type with $count of '$character': so does INSERT");
}

$node->safe_psql('postgres', q{INSERT INTO cc_project (name, secret) VALUES (repeat('p', 255), 'LONG')});
my %project = (
	'4,000 letters' => q{repeat('x', 4000)},
	'4,000 characters of four bytes' => q{repeat('😀', 4000)},
	'a million letters' => q{repeat('x', 1024 * 1024)},
	'128,000 letters that compress badly' => q{(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 4000) AS n)},
	'one letter more than one that exists' => q{repeat('p', 256)});
for my $what (sort keys %project)
{
	my $name = $project{$what};
	my $check = "SELECT length(project), project = left($name, 255), state, reason, token_digest IS NULL $last";
	my $body = q{body(token('L1P', 0, 'LONG'), '{"invoice_id": "L1P"}')};
	is(query("SELECT http_status FROM cc_receive($body, '', $name); $check"), "404\n255|t|rejected|unknown_project|t",
		"L1: a project name of $what: cc_receive keeps 255 characters");
	is(query("INSERT INTO cc_inbox (project, body) VALUES ($name, $body); $check"), '255|t|rejected|unknown_project|t',
		"L1: a project name of $what: so does INSERT, and verifies nothing under the shorter name");
}
is(query(q{SELECT deliver(body(token('L1P', 0, 'LONG'), '{"invoice_id": "L1P"}'), '', repeat('p', 255))}), 'applied',
	'L1: a project with a name of 255 characters works');
is(query(q{SELECT invoice_id FROM cc_invoice}), 'L1P', 'L1: nothing else was applied');

# --- L2: the cost of a delivery does not depend on earlier ones of its invoice and token ---

# Blocks of 8 kB that a delivery touches, with the caches of its session filled.
sub blocks
{
	my ($deliveries) = @_;
	my $explain = 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON) INSERT INTO cc_inbox (body) VALUES (%s);';
	my $answer = query(join '', map { sprintf "$explain\n", $_ } @$deliveries);
	my @hits = $answer =~ /"Plan": \{.*?"Shared Hit Blocks": (\d+)/sg;
	my @reads = $answer =~ /"Plan": \{.*?"Shared Read Blocks": (\d+)/sg;
	return $hits[-1] + $reads[-1];
}
my $n = 0;
my %before = (
	'token_reused' => q{SELECT body(token('%1$s'), jsonb_build_object('invoice_id', '%1$s',
		'amount_crypto', n + 1)) FROM generate_series(1, 10000) AS n},
	'duplicate' => q{SELECT body(token('%1$s', n), '{"invoice_id": "%1$s"}') FROM generate_series(1, 10000) AS n},
	'the same message' => q{SELECT body(token('%1$s'), '{"invoice_id": "%1$s"}') FROM generate_series(1, 10000) AS n},
	'conflict' => q{SELECT body(token('%1$s', n), jsonb_build_object('invoice_id', '%1$s',
		'order_id', n)) FROM generate_series(1, 3000) AS n});
for my $what (sort keys %before)
{
	my $name = 'L2' . ++$n;
	my $order = $what eq 'conflict' ? ', "order_id": "first"' : '';
	is(query("SELECT deliver(body(token('$name'), '{\"invoice_id\": \"$name\"$order}'))"), 'applied',
		"L2: the invoice that gets many: $what");
	my %next = (
		'with a new token and content' => sub { map { "body(token('$name', $_[0] + $_),
			'{\"invoice_id\": \"$name\", \"status\": \"$_[0]$_\"}')" } 1 .. 4 },
		'with the first token and content' => sub { ("body(token('$name'), '{\"invoice_id\": \"$name\"}')") x 4 },
		'with the first token and other content' => sub { map { "body(token('$name'),
			'{\"invoice_id\": \"$name\", \"status\": \"$_[0]$_\"}')" } 1 .. 4 });
	my %few = map { $_ => blocks([ $next{$_}->(20000) ]) } keys %next;
	query('INSERT INTO cc_inbox (body) ' . sprintf $before{$what}, $name);
	cmp_ok(query("SELECT count(*) FROM cc_inbox WHERE body LIKE '%\"$name\"%'"), '>=', 3000, "L2: many of one invoice: $what");
	for my $how (sort keys %next)
	{
		cmp_ok(blocks([ $next{$how}->(30000) ]), '<', 2 * $few{$how} + 60,
			"L2: after many, $what, a delivery $how costs no more than before");
	}
}

# --- L4: the server's log ---

$node->safe_psql('postgres', q{
	CREATE TABLE closed (invoice_id text);
	INSERT INTO closed VALUES ('L4');
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM closed WHERE invoice_id = NEW.invoice_id) THEN RAISE 'shop is closed' USING ERRCODE = 'CC042'; END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER a_refuse BEFORE INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION refuse();
	CREATE TABLE waiting (body text);
	INSERT INTO waiting SELECT body(token('L4'), '{"invoice_id": "L4", "address": "WHOLEBODY"}');
});
my $size = -s $node->logfile;
is(query('INSERT INTO cc_inbox (body) SELECT body FROM waiting RETURNING state'), 'failed', 'L4: a row that fails');
my $log = slurp_file($node->logfile, $size);
my $id = query("SELECT id $last");
my ($line) = $log =~ /^([^\n]*CC042.*)/ms;
ok(defined $line, 'L4: is in the log, with its SQLSTATE');
like($line // '', qr/LOG:  cryptocloud_postback: postback $id of project "default" was not applied/, 'L4: with its row and its project');
unlike($log, qr/WHOLEBODY|eyJ/, 'L4: without body and token');
$size = -s $node->logfile;
query('SELECT cc_apply()');
like(slurp_file($node->logfile, $size), qr/CC042/, 'L4: another attempt that fails is in the log too');
query(q{DELETE FROM closed; SELECT cc_apply()});

# --- L5: white space around a secret ---

for my $secret (q{' a'}, q{'a '}, q{E'a\n'}, q{E'\ta'}, q{E'a\r\n'}, q{' '}, q{E'\n'}, q{E'a\f'}, q{E'a\x0b'})
{
	my $refusal = query("INSERT INTO cc_project (name, secret) VALUES ('blank', $secret || '')");
	like($refusal, qr/^ERROR:  23514/, "L5: the secret $secret is refused");
	query(q{DELETE FROM cc_project WHERE name = 'blank'});
}
for my $change (q{secret = 'BLANKSECRET '}, q{previous_secret = E'BLANKSECRET\n', previous_secret_until = now()},
	q{previous_secret = ' BLANKSECRET', previous_secret_until = now()})
{
	my $refusal = query("UPDATE cc_project SET $change WHERE name = 'default'");
	like($refusal, qr/^ERROR:  23514/, "L5: $change is refused");
	unlike($refusal, qr/BLANKSECRET/, "L5: $change: without showing it");
}
is(query(q{BEGIN; UPDATE cc_project SET secret = 'a blank within' WHERE name = 'default'; ROLLBACK}), '',
	'L5: white space within a secret is fine');
query(q{UPDATE cc_project SET secret = 's3cret', previous_secret = NULL, previous_secret_until = NULL WHERE name = 'default'});

# --- Timeouts and cancels: pending, and settled later ---

# The shop's trigger waits for the advisory lock 42 for invoices whose name begins with HANG.
$node->safe_psql('postgres', q{
	CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END$$;
	CREATE TRIGGER hang BEFORE INSERT OR UPDATE ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'HANG%') EXECUTE FUNCTION hang();
});
my ($one, $two) = (session($node), session($node));
my ($one_pid, $two_pid) = map { ask($_, 'SELECT pg_backend_pid();') } $one, $two;
sub body
{
	my ($invoice, $number) = @_;
	$number //= 1;
	return "body(token('$invoice', $number), '{\"invoice_id\": \"$invoice\", \"amount_crypto\": $number}')";
}
sub insert { return 'INSERT INTO cc_inbox (body) VALUES ' . join(', ', map { "($_)" } @_) . ' RETURNING state;' }
# The states of an invoice's rows, and the SQLSTATE at the beginning of their errors.
sub states
{
	my ($invoice) = @_;
	return query(qq{SELECT string_agg(concat_ws(':', state, substring(error FROM '57014|55P03|40P01')), ' ' ORDER BY id)
		FROM cc_inbox WHERE body LIKE '%"invoice_id": "$invoice"%'});
}
# cc_apply settles all waiting rows.
sub settle
{
	my ($what) = @_;
	unlike(query('SELECT cc_apply(); SELECT cc_apply()'), qr/ERROR/, "$what: cc_apply settles it");
	is(query(q{SELECT invoice_id, state, error FROM cc_inbox WHERE state IN ('pending', 'failed')}), '', "$what: nothing is left");
	is(query('SELECT invoice_id FROM paid GROUP BY invoice_id HAVING count(*) > 1'), '', "$what: nothing is paid twice");
	return;
}

my $holder = session($node);
ask($holder, 'SELECT pg_advisory_lock(42);');
is(ask($two,
	q{SET statement_timeout = '500ms'; } . insert(body('BEFORE1'), body('HANG1'), body('AFTER1'), body('AFTER2'))
	  . ' RESET statement_timeout;'),
	"applied\npending\npending\npending", 'R3: statement_timeout in the second of four rows is no ERROR');
is(states('HANG1'), 'pending:57014', 'R3: the row that ran out of time says so');
ask($two, insert(body('BEFORE2'), body('HANG2'), body('AFTER3')), wait => 0);
until_idle_or($node, $two_pid, 'HANG2', q{wait_event = 'advisory'});
query("SELECT pg_cancel_backend($two_pid)");
is(ask($two, ''), "applied\npending\npending", 'R3: a cancel in the second of three rows is no ERROR');
is(states('HANG2'), 'pending:57014', 'R3: the row that was cancelled says so');
is(ask($two, q{SET lock_timeout = '100ms'; } . insert(body('HANG3')) . ' RESET lock_timeout;'), 'pending',
	'R3: a lock_timeout in the trigger is no ERROR');
is(states('HANG3'), 'pending:55P03', 'R3: its row says so');
is(ask($two, insert(body('AFTER4'))), 'applied', 'R3: the next statement works as ever');
is(query(q{SET statement_timeout = '300ms'; SELECT cc_apply() >= 0}), 't', 'R3: statement_timeout in cc_apply is no ERROR');
unlike(query(q{SELECT string_agg(DISTINCT state, ' ') FROM cc_inbox WHERE body LIKE '%HANG%'}), qr/failed/, 'R3: and makes nothing failed');
my $attempts = q{SELECT sum(attempts) FROM cc_inbox WHERE body LIKE '%HANG%'};
my $before = query($attempts);
ask($two, q{SET statement_timeout = '300ms';});
ask($two, 'CALL cc_work();', wait => 0);
until_idle_or($node, $two_pid, 'cc_work', "wait_event = 'advisory' AND ($attempts) > $before");
is(query("SELECT state FROM pg_stat_activity WHERE pid = $two_pid"), 'idle', 'R3: cc_work ends after a statement_timeout');
is(query($attempts) - $before, 1, 'R3: and keeps the row that ran out of time');
ask($holder, 'SELECT pg_advisory_unlock(42);');
is(ask($two, 'RESET statement_timeout;'), '', 'R3: without an ERROR');
settle('R3: after timeouts and a cancel');
is(query(q{SELECT count(*) FROM paid WHERE invoice_id ~ '^(BEFORE|HANG|AFTER)[0-9]'}), '9', 'R3: and all nine are paid');

# --- Waiting for a lock on the table, as CREATE INDEX takes it ---

query(q{UPDATE cc_project SET apply = 'deferred'});
query(insert(body('TABLE1')));
query(q{UPDATE cc_project SET apply = 'immediate'});
ask($holder, 'BEGIN; LOCK TABLE cc_inbox IN SHARE MODE;');
like(query(q{SET statement_timeout = '300ms'; SELECT cc_apply()}), qr/57014/,
	'R3: statement_timeout ends cc_apply while the table is locked');
ask($holder, 'COMMIT;');
settle('R3: after the lock on the table');
is(states('TABLE1'), 'applied', 'R3: and the row that waited is applied');

# --- Waiting for another delivery ---

# One session has delivered but not committed; returns what the other session does meanwhile.
sub meanwhile
{
	my ($first, $second, $what, $expected) = @_;
	my $answer = ask($one, "BEGIN; $first");
	is(ask($two, $second), $expected, $what);
	ask($one, 'COMMIT;');
	return $answer;
}
meanwhile(insert(body('WAIT1', 1)), q{SET lock_timeout = '100ms'; } . insert(body('WAIT1', 2)) . ' RESET lock_timeout;',
	'R3: lock_timeout while another delivery holds the invoice', 'pending');
is(states('WAIT1'), 'applied pending:55P03', 'R3: its row says so');
meanwhile(insert(body('WAIT2', 1)),
	q{SET statement_timeout = '200ms'; } . insert(body('WAIT2', 2), body('WAIT2B')) . ' RESET statement_timeout;',
	'R3: statement_timeout while another delivery holds the invoice', "pending\npending");
is(states('WAIT2'), 'applied pending:57014', 'R3: its row says so');
meanwhile(insert(body('WAIT3')), q{SET lock_timeout = '100ms'; } . insert(body('WAIT3')) . ' RESET lock_timeout;',
	'R3: the same message while the first one is not committed', 'pending');
my $unbound = q{body(token(NULL, 7), '{"invoice_id": "%s"}')};
meanwhile(insert(sprintf $unbound, 'WAIT4'), q{SET lock_timeout = '100ms'; } . insert(sprintf $unbound, 'WAIT5') . ' RESET lock_timeout;',
	'R3: a token that binds no invoice while its first use is not committed', 'pending');
settle('R3: after waits');
is(states('WAIT3'), 'applied duplicate', 'R3: the same message is a duplicate then');
is(states('WAIT5'), 'rejected', 'R3: and the token was spent');

# --- The first delivery fails: its locks last ---

my @limits = ([ 'lock_timeout', '100ms' ], [ 'statement_timeout', '200ms' ]);
for my $limit (@limits)
{
	my ($setting, $value) = @$limit;
	my $name = $setting eq 'lock_timeout' ? 'FAIL1' : 'FAIL2';
	query("INSERT INTO closed VALUES ('$name')");
	is(meanwhile(insert(body($name)), "SET $setting = '$value'; " . insert(body($name)) . " RESET $setting;",
		"R3: the same message while the first one, which failed, is not committed, $setting", 'pending'), 'failed', 'R3: which fails');
	is(states($name), 'failed pending:' . ($setting eq 'lock_timeout' ? '55P03' : '57014'), 'R3: both rows are kept');
	query("DELETE FROM closed; SELECT cc_apply(); SELECT cc_apply()");
	is(states($name), 'applied duplicate', 'R3: the first one is applied, the second one is its duplicate');
}
query(q{INSERT INTO closed VALUES ('FAIL3')});
ask($one, 'BEGIN;' . insert(body('FAIL3')));
ask($two, insert(body('FAIL3')), wait => 0);
until_idle_or($node, $two_pid, 'FAIL3', q{wait_event_type = 'Lock'});
ask($one, 'COMMIT;');
like(ask($two, ''), qr/^(?:duplicate|pending)$/, 'R3: the same message that waits for the first one, which failed, is no ERROR');
query(q{DELETE FROM closed});
settle('R3: after a failed one');
# The first session's delivery fails at once, the second session's trigger times out: no timeout would end another wait
ask($holder, 'SELECT pg_advisory_lock(42);');
query(q{INSERT INTO closed VALUES ('HANG9')});
is(ask($one, 'BEGIN;' . insert(body('HANG9'))), 'failed', 'R3: a delivery that fails is not committed yet');
query(q{DELETE FROM closed});
ask($two, q{SET statement_timeout = '300ms'; } . insert(body('HANG9')), wait => 0);
until_idle_or($node, $two_pid, 'HANG9', q{wait_event = 'transactionid'});
is(query("SELECT state FROM pg_stat_activity WHERE pid = $two_pid"), 'idle', 'R3: after a timeout nothing waits again');
ask($one, 'COMMIT;');
is(ask($two, ' RESET statement_timeout;'), 'pending', 'R3: its row is kept');
ask($holder, 'SELECT pg_advisory_unlock(42);');
settle('R3: after a timeout');

# --- Opposite order ---

# Longer than a delivery may wait
ask($_, q{SET lock_timeout = '8s';}) for $one, $two;
for my $case ([ 'postbacks of the same invoices', 2, 0 ], [ 'the same messages', 1, 0 ], [ 'the same messages, which fail', 1, 1 ])
{
	my ($what, $second, $fails) = @$case;
	my ($a, $b) = map { "CROSS$_$second$fails" } qw(A B);
	query("INSERT INTO closed VALUES ('$a'), ('$b')") if $fails;
	my $first = $fails ? 'failed' : 'applied';
	is(ask($one, 'BEGIN;' . insert(body($a))) . ask($two, 'BEGIN;' . insert(body($b))), "$first$first",
		"R3: $what: each session holds one");
	ask($one, insert(body($b, $second)), wait => 0);
	until_idle_or($node, $one_pid, $b, q{wait_event_type = 'Lock'});
	ask($two, insert(body($a, $second)), wait => 0);
	# At least one gives up, and both continue
	my @answers = map { ask($_, '') } $one, $two;
	unlike("@answers", qr/ERROR/, "R3: $what in opposite order are no ERROR");
	ask($_, 'COMMIT;') for $one, $two;
	is(query("SELECT count(*) FROM cc_inbox WHERE body LIKE '%CROSS_$second$fails%'"), '4',
		"R3: $what in opposite order: all rows are kept");
	query('DELETE FROM closed');
	settle("R3: $what in opposite order");
}
ask($_, 'RESET lock_timeout;') for $one, $two;
# Both at the same time, many rows each
my $rows = q{INSERT INTO cc_inbox (body) SELECT body(token('MANY' || n, %1$s), jsonb_build_object('invoice_id', 'MANY' || n,
	'amount_crypto', %1$s::integer))
	FROM generate_series(1, 300) AS n ORDER BY n %2$s;};
ask($one, sprintf($rows, 1, 'ASC'), wait => 0);
ask($two, sprintf($rows, 2, 'DESC'), wait => 0);
unlike(join('', map { ask($_, '') } $one, $two), qr/ERROR/, 'R3: 300 rows each in opposite order at the same moment are no ERROR');
is(query(q{SELECT count(*) FROM cc_inbox WHERE body LIKE '%MANY%'}), '600', 'R3: and all are kept');
query('SELECT cc_apply(1000)');
settle('R3: 300 rows each in opposite order');

# --- Stricter isolation: a snapshot that misses the first delivery ---

for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	(my $name = $level) =~ s/ //;
	ask($two, "BEGIN ISOLATION LEVEL $level; SELECT FROM cc_inbox LIMIT 1;");
	ask($one, insert(body($name)));
	is(ask($two, insert(body($name))), 'pending', "$level: the same message that the snapshot misses is kept for later");
	is(ask($two, insert(body($name, 2))), 'pending', "$level: so is another one of its invoice");
	is(ask($two, insert(body("OTHER$name"))), 'applied', "$level: one of another invoice is applied");
	is(ask($two, 'COMMIT;'), '', "$level: and all of it is committed");
	settle($level);
	is(query("SELECT amount_crypto FROM cc_invoice WHERE invoice_id = '$name'"), '2', "$level: the newer one counts in the end");
	ask($two, "BEGIN ISOLATION LEVEL $level; SELECT FROM cc_inbox LIMIT 1;");
	like(ask($two, 'SELECT cc_apply();'), qr/ERROR/, "$level: cc_apply refuses to run there");
	ask($two, 'ROLLBACK;');
}

$_->{run}->finish for $one, $two, $holder;
$node->stop;
done_testing();
