# cc_purge and cc_erase during deliveries, cc_apply and each other; and the section Purge of docs/operations.md.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Chapter;
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_shop('retain', "lock_timeout = 20s\n");
sign_postbacks($node, 'shop');
my ($one, $two) = map { session($node, 'postgres', 'shop') } 1 .. 2;
sub query { return answer_as($node, 'shop', $_[0]) }
sub deliver
{
	my ($token, $fields) = @_;
	return "SELECT deliver(body($token, '$fields'));";
}
sub age { return query(q{UPDATE cc_inbox SET received_at = received_at - interval '3 days'}) }
my $impatient = q{SET lock_timeout = '1ms'; SET statement_timeout = '10s';};
my $patient = 'RESET lock_timeout; RESET statement_timeout;';

query(q{
	CREATE TABLE paid (invoice_id text);
	CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO paid VALUES (NEW.invoice_id); RETURN NULL; END$$;
	CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
		FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION paid()});

# --- Rights ---

like(answer_as($node, undef, q{SELECT cc_purge('1 day')}), qr/ERROR:  42501.*superuser must not call cc_purge/, 'a superuser is refused');
like(answer_as($node, undef, q{SELECT cc_erase('A')}), qr/ERROR:  42501.*superuser must not call cc_erase/, 'by cc_erase as well');
like(answer_as($node, 'proxy', q{SELECT cc_purge('1 day')}), qr/ERROR:  42501/, 'a proxy may not purge');
query('GRANT EXECUTE ON FUNCTION cc_purge(interval, integer), cc_erase(text, text) TO mallory');
is(answer_as($node, 'mallory', q{SELECT cc_purge('1 day'), cc_erase('A')}), '0|0', 'who was granted it may, without rights on the tables');

# --- A delivery does not wait for a running purge ---

is(query(deliver(q{token('A')}, '{"invoice_id": "A"}') . deliver('token(NULL, 5)', '{"invoice_id": "B"}') . deliver(q{token('A')},
	'{"invoice_id": "A"}') . deliver(q{token('X', 0, 'wrong')}, '{"invoice_id": "X"}')), "applied\napplied\nduplicate\nrejected/bad_signature",
	'postbacks');
age();
is(ask($one, q{BEGIN; SELECT cc_purge('1 day');}), '4', 'a purge that is not committed yet');
is(ask($two, $impatient . deliver(q{token('A')}, '{"invoice_id": "A"}')), 'duplicate', 'a resend does not wait for it');
is(ask($two, deliver(q{token('A')}, '{"invoice_id": "A", "amount_crypto": 9}')), 'rejected/token_reused', 'nor does a replay');
is(ask($two, deliver(q{token('A', 1)}, '{"invoice_id": "A"}')), 'duplicate', 'nor the same content under a new token');
is(ask($two, deliver(q{token('A', 2)}, '{"invoice_id": "A", "amount_crypto": 2}')), 'applied', 'nor a top-up');
is(ask($two, deliver(q{token('C')}, '{"invoice_id": "C"}')), 'applied', 'nor a new invoice');
is(ask($two, q{SELECT cc_purge('1 day'), cc_apply();}), '0|0', 'nor another purge, which finds the rest, nor cc_apply');
is(ask($two, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM cc_inbox WHERE token_digest IS NOT NULL AND body IS NULL;"), '0',
	'a snapshot from before');
ask($one, 'COMMIT;');
is(ask($two, deliver(q{token('A')}, '{"invoice_id": "A"}') . 'COMMIT;'), 'pending', 'that does not see the purge keeps a resend for later');
is(ask($two, $patient . 'SELECT cc_apply();'), '1', 'and cc_apply settles it');

# --- A replay is always rejected ---

is(query(deliver('token(NULL, 5)', '{"invoice_id": "B2", "order_id": "ANOTHER"}')), 'rejected/token_reused', 'a replay after the purge');
is(query(deliver('token(NULL, 5)', '{"invoice_id": "B"}')), 'duplicate', 'the same message after the purge');
is(query(q{SELECT cc_purge('1 day')}), '0', 'nothing is purged twice');

# --- During cc_apply ---

query(q{UPDATE cc_project SET apply = 'deferred'});
query(join '', map { deliver("token('L$_')", qq({"invoice_id": "L$_"})) } 1 .. 4);
age();
is(ask($one, 'BEGIN; SELECT cc_apply(2);'), '2', 'cc_apply runs');
is(ask($two, "$impatient SELECT cc_purge('1 day');"), '8', 'cc_purge takes what came before, and neither waits nor touches what waits');
is(query(q{SELECT count(*) FROM cc_inbox WHERE invoice_id LIKE 'L%' AND body IS NOT NULL}), '4', 'whose bodies stay');
ask($one, 'COMMIT;');
is(ask($one, q{BEGIN; SELECT cc_purge('1 day');}), '2', 'the settled row is taken next');
is(ask($two, "SELECT cc_apply(); $patient"), '2', 'and cc_apply settles the others meanwhile');
ask($one, 'COMMIT;');
is(query(q{SELECT cc_purge('1 day')}), '2', 'which are taken last');
is(query(q{SELECT count(*), count(body) FROM cc_inbox WHERE invoice_id LIKE 'L%'}), '4|0', 'all of them');
is(query(q{SELECT count(*), count(DISTINCT invoice_id) FROM paid WHERE invoice_id LIKE 'L%'}), '4|4', 'and each was paid once');

# All at once, for some seconds: deliveries, cc_work and two that purge rows of any age (received_at is set back)
query(q{
	CREATE FUNCTION backdate() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN NEW.received_at := NEW.received_at - interval '3 days'; RETURN NEW; END$$;
	CREATE PROCEDURE crowd(client integer) LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. 150 LOOP
			PERFORM deliver(body(token('N' || n, 1), jsonb_build_object('invoice_id', 'N' || n)));
			PERFORM deliver(body(token('N' || n, 2 + client), jsonb_build_object('invoice_id', 'N' || n, 'amount_crypto', 1 + client)));
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE purge_all() LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. 100 LOOP
			UPDATE cc_inbox SET received_at = received_at - interval '3 days'
			 WHERE id IN (SELECT id FROM cc_inbox WHERE received_at > now() - interval '1 day' ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED);
			COMMIT;
			PERFORM cc_purge('1 day', 10);
			COMMIT;
			PERFORM cc_apply();
			COMMIT;
		END LOOP;
	END $$});
query(q{UPDATE cc_project SET apply = 'immediate'});
my @crowd = map { session($node, 'postgres', 'shop') } 1 .. 4;
my @work = ('CALL crowd(1);', 'CALL crowd(2);', 'CALL purge_all();', 'CALL purge_all();');
ask($crowd[$_], $work[$_], wait => 0) for 0 .. 3;
is(join('', map { ask($_, '') } @crowd), '', 'deliveries, two purges and cc_apply at once raise nothing');
query('CALL cc_work()');
is(query(q{SELECT count(*), count(DISTINCT invoice_id) FROM paid WHERE invoice_id LIKE 'N%'}), '150|150', 'and each invoice was paid once');
is(query(q{SELECT count(*) FROM cc_inbox WHERE state NOT IN ('applied', 'duplicate', 'conflict', 'rejected')}), '0',
	'nothing is left to wait');
is(query(q{SELECT count(*) FROM cc_inbox WHERE state = 'conflict' AND body IS NULL}), '0', 'and conflicts have their bodies');

# --- cc_erase during a delivery ---

is(query(deliver(q{token('E')}, '{"invoice_id": "E", "invoice_info": {"address": "0xSECRET"}}')), 'applied', 'an invoice');
is(ask($one, q{BEGIN; SELECT cc_erase('E');}), '2', 'is erased');
my $pid = ask($two, 'SELECT pg_backend_pid();');
ask($two, deliver(q{token('E', 1)}, '{"invoice_id": "E", "amount_crypto": 2, "invoice_info": {"address": "0xSECRET"}}'), wait => 0);
wait_for_lock($node, 1);
ask($one, 'COMMIT;');
is(ask($two, ''), 'applied', 'a delivery of it meanwhile waits');
is(query(q{SELECT amount_crypto, address IS NULL, info IS NULL, (SELECT count(body) FROM cc_inbox WHERE invoice_id = 'E')
	FROM cc_invoice WHERE invoice_id = 'E'}), '2|t|t|0', 'and brings nothing back');
is(ask($one, 'BEGIN;' . deliver(q{token('E', 2)}, '{"invoice_id": "E", "amount_crypto": 3}')), 'applied', 'while a delivery is under way');
like(query(q{SET lock_timeout = '50ms'; SELECT cc_erase('E')}), qr/ERROR:  55P03/, 'cc_erase waits for it, as long as lock_timeout allows');
ask($one, 'COMMIT;');
is(query(q{SELECT cc_erase('E')}), '0', 'behind it there is nothing left');

# --- docs/operations.md ---

my $chapter = Chapter->new("$FindBin::RealBin/../../docs/operations.md");
my $readme = slurp_file("$FindBin::RealBin/../../README.md");
is(query(q{SELECT deliver(cc_sample_postback('s3cret', invoice_id => 'ILRAJE1Q', expires_at => now() + n * interval '1 min'))
	FROM generate_series(1, 2) AS n}), "applied\nduplicate", 'the sample');
my ($shell, @past_year);
for my $block (map { Chapter::take($_) } $chapter->blocks('Purge'))
{
	if ($block =~ /^psql /)
	{
		$shell = $block;
		next;
	}
	if ($block =~ /pg_dump|postback_archive_2026;/)
	{
		push @past_year, $block;
		next;
	}
	if ($block =~ /cron\.schedule/)
	{
		cmp_ok(index($readme, $block), '>', 0, q{the line for pg_cron is README's});
		next;
	}
	unlike(query("SET client_min_messages = warning; $block"), qr/ERROR/, (split /\n/, $block)[0]);
	is(query('SELECT count(*) FROM postback_archive'), '0', 'erased bodies are not archived') if $block =~ /cc_erase\('/;
}
is(query(q{SELECT address, info, erased_at IS NOT NULL FROM cc_invoice WHERE invoice_id = 'ILRAJE1Q'}), '||t', 'the sample is erased');
is(query(deliver(q{token('AR1')}, '{"invoice_id": "AR1"}') . deliver(q{token('AR2')}, '{"invoice_id": "AR2"}') . deliver(q{token('AR2')},
	'{"invoice_id": "AR2"}') . deliver(q{token('AR3', 0, 'wrong')}, '{"invoice_id": "AR3"}')),
	"applied\napplied\nduplicate\nrejected/bad_signature", 'postbacks to archive');
query(q{CREATE TABLE before AS SELECT id, body FROM cc_inbox WHERE invoice_id LIKE 'AR%'});
query(q{ALTER TABLE cc_inbox DISABLE TRIGGER archive_postback; UPDATE cc_inbox SET received_at = received_at - interval '30 years';
	ALTER TABLE cc_inbox ENABLE TRIGGER archive_postback});
sub run_shell
{
	my ($command) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGUSER => 'shop', PGDATABASE => 'postgres');
	return system($command);
}
is(run_shell($shell), 0, 'the line for cron runs');
is(query(q{SELECT count(*) FROM cc_inbox WHERE body IS NOT NULL AND state <> 'conflict'}), '0', 'it purges everything');
is(query(q{SELECT count(*) FROM before JOIN postback_archive USING (id, body)}), '3', 'and the bodies are in the archive');
is(query(q{SELECT count(*) FROM postback_archive WHERE state = 'rejected'}), '0', 'but for rejected ones');
is(query(q{SELECT cc_erase('AR2')}), '1', 'an archived invoice is erased');
is(query(q{SELECT string_agg(invoice_id, ' ') FROM postback_archive WHERE invoice_id LIKE 'AR%'}), 'AR1', 'from the archive as well');
is(query(deliver(q{token('AR2', 1)}, '{"invoice_id": "AR2", "amount_crypto": 2}')), 'applied', 'a later postback of it');
is(query(q{SELECT count(*) FROM postback_archive WHERE invoice_id = 'AR2'}), '0', 'does not come into it');

# A year that is over: its bodies go into a file, and out of the database
my $folder = PostgreSQL::Test::Utils::tempdir();
query(q{INSERT INTO postback_archive
	SELECT id, project, '2026-06-01', content_type, 'BODY OF 2026', raw, state, 'OLD' FROM postback_archive LIMIT 1});
my ($detach, $dump, $drop) = @past_year;
unlike(query($detach), qr/ERROR/, 'a year is detached');
is(run_shell("cd '$folder' && $dump"), 0, 'dumped');
like(slurp_file("$folder/postbacks-2026.sql"), qr/BODY OF 2026/, 'with its bodies');
unlike(query($drop), qr/ERROR/, 'and dropped');
is(query(q{SELECT string_agg(invoice_id, ' ') FROM postback_archive WHERE invoice_id IN ('AR1', 'OLD')}), 'AR1', 'the others stay');
query('DROP TABLE postback_archive');
is(run_shell("cd '$folder' && psql -Xq -v ON_ERROR_STOP=1 -f postbacks-2026.sql > log 2>&1"), 0,
	'the file restores by itself');
is(query(q{SELECT body FROM postback_archive_2026 WHERE invoice_id = 'OLD'}), 'BODY OF 2026', 'with its body');

$chapter->all_run('Purge');

$_->{run}->finish for $one, $two, @crowd;
$node->stop;
done_testing();
