# cc_rehearse beside deliveries: it waits for nobody for long, and nobody waits for it; and the section Rehearsal of docs/operations.md.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Chapter;
use Postback;
use Test::More;

my $node = start_shop('rehearse');
sign_postbacks($node, 'shop');
my ($one, $two) = map { session($node, 'postgres', 'shop') } 1 .. 2;
sub query { return answer_as($node, 'shop', $_[0]) }
sub deliver
{
	my ($number, $amount) = @_;
	return qq{SELECT deliver(body(token('R$number', $amount),
		'{"invoice_id": "R$number", "order_id": "O$number", "amount_crypto": $amount}'));};
}
query(q{
	CREATE TABLE orders (id text PRIMARY KEY, amount numeric, currency text, paid_at timestamptz);
	INSERT INTO orders VALUES ('O1', 1, 'BNB'), ('O2', 5, 'BNB'), ('O3', 1, 'BNB');
});
is(query(join '', map { deliver($_, 1) } 1 .. 3), "applied\napplied\napplied", 'three invoices are paid');

# --- docs/operations.md ---

my $chapter = Chapter->new("$FindBin::RealBin/../../docs/operations.md");
my ($rehearse) = map { Chapter::take($_) } $chapter->blocks('Rehearsal');
my %done = map { /^(R\d)\|(.*)/ ? ($1 => $2) : () } split /\n/, query($rehearse);
is_deeply(\%done, { R1 => '{"public.orders": 1}|', R2 => '{}|', R3 => '{"public.orders": 1}|' }, 'it says what a new trigger would do');
is(query('SELECT count(paid_at) FROM orders'), '0', 'and does nothing');
$chapter->all_run('Rehearsal');

# --- Locks ---

query(q{CREATE TRIGGER mark AFTER INSERT OR UPDATE OF paid_at, amount_crypto ON cc_invoice
	FOR EACH ROW EXECUTE FUNCTION mark_order_paid_2()});
my $again = q{SELECT invoice_id, error FROM cc_rehearse('mark_order_paid_2', '-infinity') ORDER BY 1;};
is(ask($one, 'BEGIN;' . deliver(1, 2)), 'applied', 'a delivery is under way, and holds its order');
is(ask($two, "SET statement_timeout = '60s'; $again"), "R1|55P03: canceling statement due to lock timeout\nR2|\nR3|",
	'its invoice is an error after lock_timeout, and no other');
ask($one, 'COMMIT;');

is(ask($two, "BEGIN; $again"), "R1|\nR2|\nR3|", 'a rehearsal whose transaction goes on');
is(ask($one, "SET lock_timeout = '1ms';" . deliver(3, 2)), 'applied', 'holds no order');
ask($two, 'COMMIT;');
query(q{CREATE FUNCTION greedy() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; PERFORM pg_advisory_xact_lock(42); RETURN NULL; END$$});
is(ask($two, q{BEGIN; SELECT count(*), count(error) FROM cc_rehearse('greedy', '-infinity');}), '3|0', 'a trigger that locks a table');
is(ask($one, deliver(3, 3) . 'SELECT pg_try_advisory_lock(42);'), "applied\nt", 'holds neither the table nor an advisory lock');
ask($two, 'COMMIT;');

$_->{run}->finish for $one, $two;
$node->stop;
done_testing();
