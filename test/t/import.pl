# cc_import during deliveries, its rights, and the commands of docs/operations.md, "Reconcile".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Chapter;
use IPC::Run ();
use Postback;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_shop('import');
sign_postbacks($node, 'shop');
sub as_shop { return answer_as($node, 'shop', @_) }
$node->safe_psql('postgres', q{
	CREATE ROLE boss LOGIN IN ROLE shop;
	SET ROLE shop;
	CREATE TABLE paid (invoice_id text, who text);
	CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO paid VALUES (NEW.invoice_id, current_user); RETURN NULL; END$$;
	CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
		FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION paid();
	CREATE FUNCTION element(uuid text, members jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
		$$SELECT jsonb_build_object('uuid', 'INV-' || uuid, 'status', 'paid', 'invoice_status', 'success', 'order_id', 'O1',
			'currency', '{"fullcode": "BNB"}'::jsonb, 'amount_to_pay', 1, 'amount_paid', 1, 'test_mode', false) || members$$;
	CREATE FUNCTION answer(VARIADIC elements jsonb[]) RETURNS jsonb LANGUAGE sql AS
		$$SELECT jsonb_build_object('status', 'success', 'result', to_jsonb(elements))$$;
	GRANT EXECUTE ON FUNCTION cc_import(jsonb, text) TO proxy, mallory;
});

# --- Rights ---

is(answer_as($node, 'boss', q{SELECT * FROM cc_import(answer(element('BOSS')))}), 'BOSS|paid', 'a member of the owner may import');
is(as_shop(q{SELECT who FROM paid; SELECT imported_by FROM cc_import_log}), "shop\nboss",
	'the trigger runs as the owner, and the log names who was there');
is(answer_as($node, 'boss', q{SELECT count(*) FROM cc_import(answer(element('BOSS2'))); SELECT current_user}), "1\nboss",
	'the user is as before');
like(answer_as($node, 'boss', q{DO $$BEGIN PERFORM cc_import(answer(element('X')), 'none'); EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'still %', current_user; END$$}), qr/still boss/, 'also after an ERROR');
for my $role ('proxy', 'mallory')
{
	like(answer_as($node, $role, q{SELECT * FROM cc_import('{"status": "success", "result": []}')}),
		qr/ERROR:  42501: must be owner of the tables/, "$role may not, even with EXECUTE");
}
as_shop(q{CREATE FUNCTION import(answer jsonb) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER SET search_path = public
	AS 'SELECT outcome FROM cc_import(answer)'});
is(answer_as($node, 'proxy', q{SELECT import(answer(element('WRAPPED')))}), 'paid', 'unless the owner lets it, by a function');
like(answer_as($node, undef, q{SELECT * FROM cc_import(answer(element('SUPER')))}), qr/ERROR:  42501: a superuser must not call cc_import/,
	'a superuser is refused');
is(answer_as($node, undef, q{SET ROLE shop; SELECT * FROM cc_import(answer(element('SUPER')))}), 'SUPER|paid', 'and may SET ROLE');

# Names that mallory created are found before those of the shop
answer_as($node, 'mallory', q{CREATE SCHEMA mallory; GRANT USAGE ON SCHEMA mallory TO PUBLIC;
	CREATE TABLE mallory.paid (invoice_id text, who text); GRANT ALL ON mallory.paid TO PUBLIC;
	CREATE TABLE mallory.cc_import_log (id bigint); GRANT ALL ON mallory.cc_import_log TO PUBLIC});
is(answer_as($node, 'boss', q{SET search_path = mallory, public; SELECT outcome FROM cc_import(answer(element('PATH')));
	SELECT count(*) FROM mallory.paid; SELECT count(*) FROM mallory.cc_import_log; SHOW search_path}),
	"paid\n0\n0\nmallory, public", 'no name resolves by the search_path of the caller, which stays');

# A table that existed before cc_setup() made its own
like(answer_as($node, undef, q{BEGIN; ALTER TABLE cc_import_log RENAME TO old_log; GRANT SELECT ON old_log TO mallory; SET ROLE mallory;
	CREATE TABLE public.cc_import_log (LIKE public.old_log); GRANT ALL ON public.cc_import_log TO PUBLIC; SET ROLE shop;
	SELECT * FROM cc_import(answer(element('BAIT'))); ROLLBACK}),
	qr/ERROR:  42501: table "cc_import_log" does not belong to "shop"/,
	q{another's cc_import_log is refused});
like(as_shop(q{BEGIN; DROP TABLE cc_import_log; SELECT * FROM cc_import(answer(element('GONE'))); ROLLBACK}),
	qr/ERROR:  42P01: .*cc_import_log/, 'a missing one is said');
like(as_shop(q{BEGIN; ALTER TABLE cc_invoice DROP expected_at; SELECT * FROM cc_import(answer(element('OLD'))); ROLLBACK}),
	qr/ERROR:  55000: the tables of cryptocloud_postback are of an earlier version\n.*cc_setup/, 'so are tables of an earlier version');
like(as_shop(q{CREATE RULE skip AS ON INSERT TO cc_import_log DO INSTEAD NOTHING; SELECT * FROM cc_import(answer(element('SKIP')));
	DROP RULE skip ON cc_import_log; SELECT 'made', count(*) FROM cc_invoice WHERE invoice_id = 'SKIP'}),
	qr/ERROR:  09000: an import was not recorded\n(?:.*\n)*made\|0/, 'nothing is imported without evidence');

# --- During deliveries ---

my ($one, $two) = map { session($node, 'postgres', 'shop') } 1 .. 2;
ask($one, 'BEGIN;');
is(ask($one, qq{SELECT deliver(body(token('$_'), '{"invoice_id": "$_"}'));}), 'applied', "a delivery is under way: $_") for qw(BUSY BUSY2);
is(ask($two, q{SET lock_timeout = '100ms'; SELECT * FROM cc_import(answer(element('FREE'), element('BUSY'), element('FREE2'),
	element('BUSY2')));}), "FREE|paid\nBUSY|failed\nFREE2|paid\nBUSY2|failed", 'their invoices fail after lock_timeout, and no other');
is(as_shop(q{SELECT error FROM cc_import_log WHERE invoice_id LIKE 'BUSY%' ORDER BY id}),
	"55P03: canceling statement due to lock timeout\nanother transaction has locked this invoice", 'the log says why: one wait a call');
ask($one, 'COMMIT;');
is(ask($two, q{SELECT * FROM cc_import(answer(element('BUSY', '{"order_id": null}')));}), 'BUSY|updated', 'and can be tried again');

ask($one, 'BEGIN;');
is(ask($one, q{SELECT * FROM cc_import(answer(element('WAIT')));}), 'WAIT|paid', 'an import is under way');
is(ask($two, q{SELECT deliver(body(token('WAIT'), '{"invoice_id": "WAIT", "order_id": "O1"}'));}), 'pending', 'a delivery is kept');
ask($one, 'COMMIT;');
is(as_shop(q{SELECT cc_apply(); SELECT count(*) FROM paid WHERE invoice_id = 'WAIT'}), "1\n1", 'and is applied later, the order once');

# The same two in opposite order: a deadlock fails an element, not the import
my $all = q{SELECT count(*) FILTER (WHERE outcome IN ('paid', 'unchanged', 'failed')) FROM
	cc_import(answer(VARIADIC ARRAY(SELECT element('M' || n) FROM generate_series(1, 50) AS n ORDER BY n %s)));};
ask($_, q{RESET lock_timeout; SET deadlock_timeout = '50ms';}) for $one, $two;
ask($one, sprintf($all, 'ASC'), wait => 0);
is(ask($two, sprintf($all, 'DESC')), '50', 'opposite imports: one');
is(ask($one, ''), '50', 'and the other');
as_shop(sprintf $all, 'ASC');
is(as_shop(q{SELECT count(*), count(DISTINCT invoice_id) FROM paid WHERE invoice_id ~ '^M\d'}), '50|50', 'each is paid once');

# A timeout is the caller's: the whole call is undone
as_shop(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(5); RETURN NULL; END$$;
	CREATE TRIGGER slow AFTER INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id = 'SLOW') EXECUTE FUNCTION slow()});
like(as_shop(q{SET statement_timeout = '200ms'; SELECT * FROM cc_import(answer(element('QUICK'), element('SLOW')));
	RESET statement_timeout; SELECT 'stays', count(*) FROM cc_invoice WHERE invoice_id IN ('QUICK', 'SLOW')}),
	qr/ERROR:  57014: .*\n(?:.*\n)*stays\|0/, 'statement_timeout undoes the call');

# More locks than a transaction may hold: the others fail, and can be tried again
my $many = q{SELECT count(*) FILTER (WHERE outcome = 'paid') > 100, count(*) FILTER (WHERE outcome NOT IN ('paid', 'failed', 'unchanged'))
	FROM cc_import(answer(VARIADIC ARRAY(SELECT element('L' || n) FROM generate_series(1, 3000) AS n)))};
is(as_shop($many), 't|0', '3000 in one call');
is(as_shop(q{SELECT DISTINCT error FROM cc_import_log WHERE outcome = 'failed' AND invoice_id ~ '^L\d'}),
	'the transaction has locked too many invoices', 'and the log says so');

# NOTIFY for each change
as_shop(q{UPDATE cc_project SET notify = true});
my $notified = answer_as($node, 'shop', q{LISTEN cc_invoice; SELECT outcome FROM cc_import(answer(element('NOTE'), element('NOTE')))});
is(scalar(() = $notified =~ /"invoice_id" : "NOTE"/g), 1, 'NOTIFY for an element that changed something') or diag($notified);
as_shop(q{UPDATE cc_project SET notify = false});

# --- The log of the server ---

my $log = slurp_file($node->logfile);
like($log, qr/LOG:  cryptocloud_postback: invoice "BUSY" of project "default" was not imported: SQLSTATE 55P03/,
	'the log names what failed');

# --- docs/operations.md ---

my $chapter = Chapter->new("$FindBin::RealBin/../../docs/operations.md");
my ($create, $overdue, $one_invoice, $list, $look, $correct, $delete) = $chapter->blocks('Reconcile');

# A curl that answers like the service, according to the request, and records how it was called
my $folder = PostgreSQL::Test::Utils::tempdir();
my $curl = q{#!/usr/bin/perl
	use strict; use warnings;
	my ($body, $url) = @ARGV[-2, -1];
	open my $log, '>>', 'calls' or die; print $log "@ARGV\n";
	my @uuids = $url =~ /info$/ ? $body =~ /"(INV-[^"]+)"/g : $body =~ /"offset":0,/ ? map { "INV-LIST$_" } 1 .. 100 : ('INV-LIST101');
	die "$url $body" if $url !~ m{^https://api.test/v2/invoice/merchant/(info|list)$} || ($1 eq 'list' && $body !~ /"limit":100/);
	print '{"status":"success","result":[' . join(',', map { qq({"uuid":"$_","status":"paid","invoice_status":"success",
		"order_id":"ORDER_93223","currency":{"fullcode":"BNB"},"amount_to_pay":0.000113,"amount_to_pay_usd":0.1,
		"amount_paid":0.000113,"padding":"@{[ q(it's ) x 500 ]}"}) } @uuids) . "]}\n";
};
append_to_file("$folder/curl", $curl);
chmod 0755, "$folder/curl";
as_shop(q{DELETE FROM cc_invoice; DELETE FROM cc_import_log});
sub run_block
{
	my ($block) = @_;
	my $text = Chapter::take($block);
	return as_shop($text) if $block->{language} eq 'sql';
	local %ENV = (%ENV, PATH => "$folder:$ENV{PATH}", PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres',
		PGUSER => 'shop', API_URL => 'https://api.test');
	my $answer = '';
	IPC::Run::run([ 'sh', '-euc', "cd '$folder'; $text" ], '>&', \$answer);
	return $answer;
}
is(run_block($create), 'DOCS0001|created', 'docs: create');
as_shop(q{SELECT count(*) FROM cc_import(answer(VARIADIC ARRAY(SELECT element('OPEN' || n, '{"status": "created", "invoice_status": null,
	"amount_to_pay": 0.000113, "order_id": null, "expiry_date": "2026-01-01 00:00:00"}') FROM generate_series(1, 150) AS n)))});
my $paid = run_block($overdue);
is(scalar(() = $paid =~ /\|paid$/mg), 151, 'docs: overdue ones are paid') or diag($paid);
is(run_block($overdue), '', 'docs: then nothing is overdue');
like(run_block($one_invoice), qr/ILRAJE1Q *\| paid$/m, 'docs: one invoice');
is(run_block($list), '', 'docs: list');
is(as_shop(q{SELECT count(*), count(paid_at) FROM cc_invoice WHERE invoice_id ~ '^LIST'}), '101|101', 'docs: all pages of it');
my @calls = split /\n/, slurp_file("$folder/calls");
is(scalar @calls, 5, 'docs: three calls of info, two of list');
is(scalar(grep { /-H \@api-key/ } @calls), 5, 'docs: with the key in a file');
as_shop(q{SELECT count(*) FROM cc_import('{"status": "success", "result": ["ok"]}')});
like(run_block($look), qr/\|shop\|default\|\|invalid\|the element is not an object/, 'docs: what needs attention');
as_shop(q{UPDATE cc_invoice SET expected_at = NULL, amount_to_pay = 5 WHERE invoice_id = 'DOCS0001'});
my $again = q{SELECT * FROM cc_import(answer(element('DOCS0001',
	'{"order_id": "ORDER_93223", "amount_paid": 0.000113, "amount_to_pay": 0.000113}')))};
is(as_shop($again), 'DOCS0001|conflict', 'docs: a conflict');
run_block($correct);
is(as_shop($again), 'DOCS0001|updated', 'docs: is settled');
as_shop(q{UPDATE cc_import_log SET imported_at = now() - interval '91 days' WHERE outcome = 'invalid'});
run_block($delete);
is(as_shop(q{SELECT count(*) FROM cc_import_log WHERE outcome = 'invalid'}), '0', 'docs: old evidence goes');
$chapter->all_run('Reconcile');

$_->{run}->finish for $one, $two;
$node->stop;
done_testing();
