# kill -9: committed postbacks are kept, others can be delivered again, and nothing is paid twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Test::More;
use Time::HiRes qw(usleep);

my $node = start_node('crash', "fsync = on\nsynchronous_commit = on\n");
my $session = session($node);
my @bodies = map { $node->safe_psql('postgres', "SELECT cc_sample_postback('s3cret', invoice_id => '$_')") } qw(COMMITTED OPEN);
my ($committed, $open) = map { "INSERT INTO cc_inbox (body) VALUES (\$body\$$_\$body\$) RETURNING coalesce(reason, state);" } @bodies;

is(ask($session, $committed), 'applied', 'one delivery is committed');
is(ask($session, "BEGIN; $open"), 'applied', 'another one is not');
$node->kill9;
$session->{run}->kill_kill;
# The server's orphans hold its shared memory until they notice
my $tries = 0;
until ($node->start(fail_ok => 1))
{
	die 'the server does not come back' if ++$tries == 600;
	$node->stop('fast', fail_ok => 1);
	usleep(100_000);
}

is($node->safe_psql('postgres', 'SELECT state, invoice_id FROM cc_inbox'), 'applied|COMMITTED', 'a committed postback is in the inbox');
is($node->safe_psql('postgres', 'SELECT invoice_id FROM paid'), 'COMMITTED', 'and its invoice is paid');
is($node->safe_psql('postgres', $committed), 'duplicate', 'delivered again it is a duplicate');
is($node->safe_psql('postgres', $open), 'applied', 'an uncommitted postback is applied when it is sent again');
is($node->safe_psql('postgres', 'SELECT invoice_id FROM paid ORDER BY 1'), "COMMITTED\nOPEN", 'each is paid once');

$node->stop;
done_testing();
