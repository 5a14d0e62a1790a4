# Settling beside another session: who waits, for how long, and what a snapshot misses.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('settle', 'log_statement = none');
sign_postbacks($node);
$node->safe_psql('postgres', q{INSERT INTO cc_project (name, secret) VALUES ('second', 'other')});
my ($one, $two) = (session($node), session($node));

# A delivery as an expression of SQL.
sub delivery
{
	my ($invoice, $n, $fields) = @_;
	$fields //= '{}';
	return qq{deliver(body(token('$invoice', $n), '{"invoice_id": "$invoice"}'::jsonb || '$fields'))};
}
sub errors
{
	my ($invoices) = @_;
	return $node->safe_psql('postgres',
		"SELECT state, attempts, error FROM cc_inbox WHERE invoice_id LIKE '$invoices' AND state = 'pending' ORDER BY id");
}

# --- Who ran into its lock timeout once waits for no other lock in that statement, and waits again in the next one ---

ask($one, 'BEGIN; SELECT ' . join(', ', map { delivery($_, 1) } qw(WAIT1 WAIT2 WAIT3)) . ';');
# The statement would end before the three seconds that a delivery waits by itself
ask($two, "BEGIN; SET LOCAL lock_timeout = '10ms'; SET LOCAL statement_timeout = '2s';
	SELECT " . delivery('WAIT1', 2) . ', ' . delivery('WAIT2', 2) . '; SELECT ' . delivery('WAIT3', 2) . '; COMMIT;');
my $timeout = 'pending|0|55P03: canceling statement due to lock timeout';
is(errors('WAIT%'), "$timeout\npending|0|another transaction is settling a postback of this invoice\n$timeout",
	'one wait a statement, and a wait is no attempt');
# Without a lock_timeout the wait has an end as well
is(ask($two, 'SELECT ' . delivery('WAIT1', 3) . ';'), 'pending', 'a delivery does not wait without end');
# An invoice of the same number in another project is another one
my $other = q{SELECT deliver(body(token('WAIT1', 9, 'other'), '{"invoice_id": "WAIT1"}'), 'application/json', 'second');};
is(ask($two, "SET lock_timeout = '10ms'; $other RESET lock_timeout;"), 'applied', 'another project has locks of its own');
my $before = errors('WAIT%');
is(ask($two, 'SELECT cc_apply();'), '0', 'cc_apply settles none of them meanwhile');
is(errors('WAIT%'), $before, 'and leaves the rows as they are');
ask($one, 'COMMIT;');
is(ask($two, 'SELECT cc_apply();'), '4', 'all of them are settled later');

# --- An invoice that came without a postback, after the snapshot was taken ---

ask($two, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM cc_invoice;');
ask($one, q{SELECT outcome FROM cc_import('{"status": "success", "result": {"uuid": "INV-HIDDEN", "status": "created"}}');});
is(ask($two, 'SELECT ' . delivery('HIDDEN', 1) . ';'), 'pending', 'an invoice that is newer than the snapshot makes its postback wait');
ask($two, 'COMMIT;');
like(errors('HIDDEN'), qr/the invoice is newer than the snapshot/, 'and its row says so');
is(ask($two, 'SELECT cc_apply();'), '1', 'it is settled later');

# --- A person changes the invoice at the same moment ---

ask($one, 'SELECT ' . delivery('EDIT', 1) . '; BEGIN; ' . q{UPDATE cc_invoice SET amount_crypto = 5 WHERE invoice_id = 'EDIT';});
ask($two, 'SELECT ' . delivery('EDIT', 2, '{"amount_crypto": 2}') . ';', wait => 0);
wait_for_lock($node, 1);
ask($one, 'COMMIT;');
is(ask($two, ''), 'conflict', 'a postback is judged by what a person has just written');

# --- cc_reverify and a second cc_accept leave rows alone that another session has locked ---

$node->safe_psql('postgres', q{SELECT deliver(body(token('AGAIN', 1, 'later'), '{"invoice_id": "AGAIN"}'));
	UPDATE cc_project SET secret = 'later' WHERE name = 'default'});
my $state = q{SELECT state FROM cc_inbox WHERE body LIKE '%"AGAIN"%' ORDER BY id LIMIT 1;};
ask($one, q{BEGIN; SELECT id FROM cc_inbox WHERE state = 'rejected' FOR UPDATE;});
is(ask($two, "SELECT * FROM cc_reverify(); $state"), 'rejected', 'cc_reverify does not wait for a row, and leaves it');
ask($one, q{ROLLBACK; BEGIN; SELECT deliver(body(token('AGAIN', 2, 'later'), '{"invoice_id": "AGAIN", "amount_crypto": 2}'));});
is(ask($two, "SELECT * FROM cc_reverify(); $state"), "pending||1\npending", 'nor does it wait for an invoice: its row becomes pending');
ask($one, 'ROLLBACK;');
is(ask($two, "SELECT cc_apply(); $state"), "1\napplied", 'cc_apply takes it afterwards');
$node->safe_psql('postgres', q{UPDATE cc_project SET secret = 's3cret' WHERE name = 'default';
	SELECT deliver(body(token('REUSED', 1, 'later'), '{"invoice_id": "REUSED", "amount_crypto": 9}'));
	UPDATE cc_project SET secret = 'later' WHERE name = 'default';
	SELECT deliver(body(token('REUSED', 1, 'later'), '{"invoice_id": "REUSED"}'))});
ask($one, q{BEGIN; SELECT deliver(body(token('REUSED', 2, 'later'), '{"invoice_id": "REUSED", "amount_crypto": 2}'));});
is(ask($two, 'SELECT * FROM cc_reverify();'), '', 'a row whose token is spent stays rejected');
ask($one, 'ROLLBACK;');
is(ask($two, 'SELECT * FROM cc_reverify();'), 'rejected|token_reused|1', 'and is judged afterwards');
$node->safe_psql('postgres', q{UPDATE cc_project SET secret = 's3cret' WHERE name = 'default'});

ask($one, 'SELECT ' . delivery('TWICE', 1) . ', ' . delivery('TWICE', 2, '{"amount_crypto": 0.5}') . ';');
my $accept = q{SELECT cc_accept(id) FROM cc_inbox WHERE id = (SELECT max(id) FROM cc_inbox);};
is(ask($one, "BEGIN; $accept"), 'applied', 'one person accepts a conflict');
ask($two, $accept, wait => 0);
wait_for_lock($node, 1);
ask($one, 'COMMIT;');
like(ask($two, ''), qr/is neither a conflict nor rejected as token_reused/, 'another one, at the same moment, does not');

# --- The server's log has nothing of a postback that fails, nor of the statement that brought it ---

$node->safe_psql('postgres', 'ALTER TABLE cc_invoice ADD CONSTRAINT small CHECK (amount_crypto < 1000)');
for my $invoice (qw(LOGGED1 LOGGED2))
{
	my $body = $node->safe_psql('postgres', qq{SELECT body(token('$invoice'), '{"invoice_id": "$invoice", "amount_crypto": 1000}')});
	ask($one, $invoice eq 'LOGGED1' ? "INSERT INTO cc_inbox (body) VALUES ('$body');" : "COPY cc_inbox (body) FROM stdin;\n$body\n\\.");
}
is($node->safe_psql('postgres', q{SELECT string_agg(state, ' ') FROM cc_inbox WHERE invoice_id LIKE 'LOGGED%'}), 'failed failed',
	'two postbacks fail, by INSERT and by COPY');
my $log = slurp_file($node->logfile);
is(() = $log =~ /was not applied: SQLSTATE 23514/g, 2, 'the log says so');
ok($log !~ /eyJ|LOGGED/, 'and shows neither');
$node->safe_psql('postgres', 'ALTER TABLE cc_invoice DROP CONSTRAINT small');
# Nor has a line about the tables
sub insert_literally
{
	my ($invoice) = @_;
	my $body = $node->safe_psql('postgres', qq{SELECT body(token('$invoice'), '{"invoice_id": "$invoice"}')});
	ask($one, "INSERT INTO cc_inbox (body) VALUES ('$body');");
	return;
}
$node->safe_psql('postgres', 'DROP INDEX cc_inbox_content');
insert_literally('LOGGED3');
$node->safe_psql('postgres', 'SELECT cc_setup(); DROP INDEX cc_inbox_token');
insert_literally('LOGGED4');
$node->safe_psql('postgres', 'SELECT cc_setup(); SELECT cc_apply()');
$log = slurp_file($node->logfile);
like($log, qr/has no usable index on \(.*the tables are not as this version makes them/s,
	'the log names an index and tables that are missing');
ok($log !~ /eyJ|LOGGED/, 'and shows no body either');

# --- NOTIFY: opt-in, once a change, and none for a conflict ---

my $listener = session($node);
sub notified
{
	my ($statement) = @_;
	ask($one, $statement);
	my $answer = ask($listener, 'SELECT;');
	return join ' ', $answer =~ /notification "cc_invoice" with payload "\{"project" : "default", "invoice_id" : "(\w+)"\}"/g;
}
ask($listener, 'LISTEN cc_invoice;');
is(notified('SELECT ' . delivery('QUIET', 1) . ';'), '', 'nobody is notified unless the project wants it');
$node->safe_psql('postgres', 'UPDATE cc_project SET notify = true');
is(notified('SELECT ' . delivery('LOUD', 1) . ';'), 'LOUD', 'an applied postback notifies');
is(notified('SELECT ' . delivery('LOUD', 2, '{"amount_crypto": 0.5}') . ';'), '', 'a conflict does not');

$_->{run}->finish for $one, $two, $listener;
$node->stop;
done_testing();
