# Concurrent deliveries: of one postback, of one invoice, of one token, and two calls of cc_apply.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Test::More;

my $node = start_node('concurrency');
my ($one, $two) = (session($node), session($node));

# The postback is made once, so that both sessions deliver the same message.
sub postback
{
	my ($invoice, $amount) = @_;
	return $node->safe_psql('postgres', "SELECT cc_sample_postback('s3cret', invoice_id => '$invoice', amount_crypto => " . ($amount // 1)
		. ')');
}
sub deliver
{
	my ($body) = @_;
	return "INSERT INTO cc_inbox (body) VALUES (\$body\$$body\$body\$) RETURNING coalesce(reason, state);";
}
# The second session waits for the first session's transaction, and continues when that ends.
sub overlap
{
	my ($first, $second, $end) = @_;
	my $answer = ask($one, "BEGIN; $first");
	ask($two, $second, wait => 0);
	wait_for_lock($node, 1);
	ask($one, $end);
	return ($answer, ask($two, ''));
}

my $same = postback('SAME');
is_deeply([ overlap(deliver($same), deliver($same), 'COMMIT;') ], [ 'applied', 'duplicate' ], 'the same postback at once is applied once');
is($node->safe_psql('postgres', "SELECT count(*) FROM paid WHERE invoice_id = 'SAME'"), '1', 'and the trigger fires once');

my $undone = postback('UNDONE');
is_deeply([ overlap(deliver($undone), deliver($undone), 'ROLLBACK;') ], [ 'applied', 'applied' ],
	'a delivery that is rolled back was none');
is($node->safe_psql('postgres', "SELECT count(*) FROM paid WHERE invoice_id = 'UNDONE'"), '1', 'and the trigger has fired once');

is_deeply([ overlap(deliver(postback('GROWS', 1)), deliver(postback('GROWS', 2)), 'COMMIT;') ], [ 'applied', 'applied' ],
	'two postbacks of one invoice are applied one after the other');
is($node->safe_psql('postgres', "SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'GROWS'"), '2', 'and the newer one counts');

# A token that names no invoice, used for two
my $token = $node->safe_psql('postgres',
	"SELECT cc_sign_token(jsonb_build_object('id', 13, 'exp', extract(epoch FROM now() + interval '5 min')), 's3cret')");
my @unbound = map { qq({"status":"success","invoice_id":"$_","amount_crypto":1,"currency":"BNB","token":"$token"}) } qw(UNBOUND1 UNBOUND2);
is_deeply([ overlap(deliver($unbound[0]), deliver($unbound[1]), 'COMMIT;') ], [ 'applied', 'token_reused' ],
	'one token at once for two invoices is used once');

# A token that names its invoice, with another amount
my $bound = postback('BOUND', 1);
(my $raised = $bound) =~ s/("amount_crypto": )1\b/${1}1000/ or die $bound;
is_deeply([ overlap(deliver($bound), deliver($raised), 'COMMIT;') ], [ 'applied', 'token_reused' ],
	'one token at once with two amounts is used once');
is($node->safe_psql('postgres', "SELECT amount_crypto FROM cc_invoice WHERE invoice_id = 'BOUND'"), '1', 'and the first amount stays');

# A lock timeout while another delivery holds the invoice: safe, and applied later
my $slow = postback('SLOW', 1);
is(ask($one, 'BEGIN; ' . deliver($slow)), 'applied', 'a delivery holds its invoice');
is(ask($two, "SET lock_timeout = '10ms'; " . deliver(postback('SLOW', 2)) . ' RESET lock_timeout;'), 'pending',
	'another one runs into its lock timeout');
ask($one, 'COMMIT;');
is(ask($two, 'SELECT cc_apply();'), '1', 'and is applied later');

# Two calls of cc_apply: each row once, and neither waits for the other
$node->safe_psql('postgres', "UPDATE cc_project SET apply = 'deferred'");
ask($one, deliver(postback("LATER$_"))) for 1 .. 3;
is(ask($one, 'BEGIN; SELECT cc_apply(2);'), '2', 'one cc_apply takes two rows');
is(ask($two, 'SELECT cc_apply();'), '1', 'another one takes the rest, without waiting');
ask($one, 'COMMIT;');
# cc_apply skips an invoice that another session has locked
ask($one, deliver(postback('BUSY', 1)));
$node->safe_psql('postgres', "UPDATE cc_project SET apply = 'immediate'");
ask($one, 'BEGIN; ' . deliver(postback('BUSY', 2)));
is(ask($two, 'SELECT cc_apply();'), '0', 'cc_apply does not wait for a delivery under way');
is($node->safe_psql('postgres', q{SELECT error IS NULL FROM cc_inbox WHERE invoice_id = 'BUSY'}), 't', 'nor does it change the row');
ask($one, 'COMMIT;');
is(ask($two, 'SELECT cc_apply();'), '1', 'and takes it afterwards');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT invoice_id) FROM paid'), '10|10', 'every invoice was paid once');

# Many at the same time, from real clients
my $crowd = postback('CROWD');
my @crowd = map { session($node) } 1 .. 20;
ask($_, deliver($crowd), wait => 0) for @crowd;
my %answers;
$answers{ ask($_, '') }++ for @crowd;
is_deeply(\%answers, { applied => 1, duplicate => 19 }, 'twenty at once: one applied, nineteen duplicates');

# In a stricter isolation level a snapshot can be too old to see the first delivery: the second one is kept, and settled later.
ask($_, "SET default_transaction_isolation = 'repeatable read';") for $one, $two;
is_deeply([ overlap(deliver(postback('STRICT')), deliver(postback('STRICT')), 'COMMIT;') ], [ 'applied', 'pending' ],
	'repeatable read: a resend at the same moment is kept for later');
my $strict = postback('STRICT2');
is_deeply([ overlap(deliver($strict), deliver($strict), 'COMMIT;') ], [ 'applied', 'pending' ],
	'repeatable read: so is the very same message');
like(ask($two, 'SELECT cc_apply();'), qr/ERROR:  waiting postbacks can only be settled in READ COMMITTED/, 'cc_apply wants READ COMMITTED');
ask($two, 'RESET default_transaction_isolation;');
is(ask($two, 'SELECT cc_apply();'), '2', 'the kept postbacks are settled later');
is($node->safe_psql('postgres', "SELECT string_agg(state, ' ' ORDER BY id) FROM cc_inbox WHERE invoice_id LIKE 'STRICT%'"),
	'applied duplicate applied duplicate', 'and a duplicate in the end');
is($node->safe_psql('postgres', "SELECT count(*) FROM paid WHERE invoice_id LIKE 'STRICT%'"), '2', 'paid once each');

# cc_work beside a transaction that stays open: the index keeps entries of settled rows, and no batch reads those again
my $rows = 600;
$node->safe_psql('postgres', "UPDATE cc_project SET apply = 'deferred';
	INSERT INTO cc_inbox (body) SELECT cc_sample_postback('s3cret', invoice_id => 'HELD' || n) FROM generate_series(1, $rows) AS n");
is(ask($one, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) > 0 FROM cc_inbox;'), 't', 'a transaction stays open');
sub entries_read
{
	$node->safe_psql('postgres', 'SELECT pg_stat_force_next_flush()');
	return $node->safe_psql('postgres', q{SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'cc_inbox_unapplied'});
}
my $before = entries_read();
is($node->safe_psql('postgres', 'CALL cc_work(); SELECT pg_stat_force_next_flush()'), '', 'cc_work');
cmp_ok(entries_read() - $before, '<=', 4 * $rows, 'reads each entry of the index a few times at most');
is($node->safe_psql('postgres', "SELECT count(*) FROM cc_inbox WHERE state = 'applied' AND invoice_id LIKE 'HELD%'"), $rows,
	'and settles all');
ask($one, 'COMMIT;');

$_->{run}->finish for $one, $two, @crowd;
$node->stop;
done_testing();
