# Attacks on money: what an attacker, an accident or an owner's statement could make count twice, or count as paid. The names of the
# tests begin with the finding that they close.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('attack_money');
sign_postbacks($node);
my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my @readme_sql = $readme =~ /^```sql\n(.*?)^```$/msg;

# What the statements print, as the tables' owner.
sub query
{
	my ($statements) = @_;
	return answer_as($node, undef, $statements);
}
# Delivers these fields under the token of an expression, and returns the state, or state/reason.
sub deliver
{
	my ($token, $fields) = @_;
	return query("SELECT deliver(body($token, '$fields'))");
}
sub invoice
{
	my ($invoice, $columns) = @_;
	return query("SELECT $columns FROM cc_invoice WHERE invoice_id = '$invoice'");
}
sub set_project
{
	my ($settings) = @_;
	$node->safe_psql('postgres', "UPDATE cc_project SET $settings WHERE name = 'default'");
	return;
}

# --- M1: the first verified delivery with a token spends it, whatever its outcome ---

is(deliver(q{token('M1', 1)}, '{"invoice_id": "M1"}'), 'applied', 'M1: the first token with content A');
is(deliver(q{token('M1', 2)}, '{"invoice_id": "M1"}'), 'duplicate', 'M1: a second token with content A');
is(deliver(q{token('M1', 2)}, '{"invoice_id": "M1", "amount_crypto": 1000}'),
	'rejected/token_reused', 'M1: the token of a duplicate does not raise the amount');
is(invoice('M1', 'amount_crypto'), '1', 'M1: and the amount stays');
is(deliver(q{token(NULL, 3)}, '{"invoice_id": "M1"}'), 'duplicate', 'M1: a token that binds no invoice, with content A');
is(deliver(q{token(NULL, 3)}, '{"invoice_id": "M1B", "order_id": "ANOTHER"}'),
	'rejected/token_reused', 'M1: the unbound token of a duplicate does not pay another invoice');
is(invoice('M1B', 'count(*)'), '0', 'M1: and that invoice is not made');
is(deliver(q{token('M1', 4)}, '{"invoice_id": "M1", "currency": "TON"}'), 'conflict', 'M1: a contradiction');
is(deliver(q{token('M1', 4)}, '{"invoice_id": "M1", "amount_crypto": 7}'),
	'rejected/token_reused', 'M1: the token of a conflict is spent');
is(deliver(q{token('M1', 4)}, '{"invoice_id": "M1", "currency": "TON"}'), 'duplicate', 'M1: the conflict once more is a duplicate');
like(query(q{SELECT error FROM cc_inbox WHERE state = 'conflict' AND invoice_id = 'M1'}),
	qr/currency.*(?:TON.*BNB|BNB.*TON)/s, 'N8: the error of a conflict names the field and both values');
is(query(q{SELECT count(*) FROM cc_inbox WHERE token_digest IS NOT NULL GROUP BY project, token_digest HAVING count(*) > 1}),
	'', 'M1: the row that spent a token is the only one that has its digest');

is(deliver(q{token('M2R')}, '{"invoice_id": "M2R"}'), 'applied', 'M2: another invoice');
is(deliver(q{token('M2R')}, '{"invoice_id": "M2R", "amount_crypto": 5}'), 'rejected/token_reused', 'M2: its token with a raised amount');
query(q{UPDATE cc_inbox SET state = 'pending', reason = NULL WHERE reason = 'token_reused'; SELECT cc_apply()});
is(invoice('M2R', 'amount_crypto'), '1', 'M2: a reused token that the owner sets to pending raises nothing');

# --- M2, M17: cc_apply applies only verified postbacks ---

my %pending = (
	M2A => q{state = 'pending'},
	M2B => q{state = 'pending', reason = NULL, invoice_id = 'M2B', error = NULL},
	M2C => q{state = 'failed', reason = NULL});
for my $name (sort keys %pending)
{
	is(deliver("token('$name')", qq({"invoice_id": "$name", "status": "created"})), 'applied', "M2: $name is not paid yet");
	is(deliver("token('$name', 1, 'guess')", qq({"invoice_id": "$name"})), 'rejected/bad_signature', "M2: $name: a forged payment");
	query("UPDATE cc_inbox SET $pending{$name} WHERE reason = 'bad_signature'; SELECT cc_apply()");
	is(invoice($name, 'paid_at IS NULL'), 't', "M2: a forged row that the owner sets to $pending{$name} pays nothing");
	like(query('SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1'), qr/^(?:rejected|pending|failed)$/, 'M2: it is not applied');
	query(q{DELETE FROM cc_inbox WHERE id = (SELECT max(id) FROM cc_inbox)});
}
is(query(q{SELECT deliver('nonsense')}), 'rejected/invalid_json', 'M2: a body that cannot be read');
query(q{UPDATE cc_inbox SET state = 'pending' WHERE reason = 'invalid_json'});
set_project("apply = 'deferred'");
is(deliver(q{token('M2D')}, '{"invoice_id": "M2D"}'), 'pending', 'M2: a genuine one behind it');
unlike(query('SELECT cc_apply()'), qr/ERROR/, 'M2: a pending row that cannot be read is no ERROR of cc_apply');
is(query(q{SELECT state FROM cc_inbox WHERE invoice_id = 'M2D'}), 'applied', 'M2: and the genuine one behind it is applied');
query(q{DELETE FROM cc_inbox WHERE state IN ('pending', 'failed')});

is(deliver(q{token('M17')}, '{"invoice_id": "M17"}'), 'pending', 'M17: a verified row waits');
query(q{UPDATE cc_inbox SET body = body(token('M17', 0, 'guess'), '{"invoice_id": "M17", "amount_crypto": 1000}')
	 WHERE invoice_id = 'M17'; SELECT cc_apply()});
is(invoice('M17', 'count(*)'), '0', 'M17: the proof of a row does not stand for another body');
is(query(q{SELECT count(*) FROM cc_inbox WHERE state = 'applied' AND body LIKE '%"M17"%'}), '0', 'M17: the row is not applied');
is(deliver(q{token('M17B')}, '{"invoice_id": "M17B"}'), 'pending', 'M17: another verified row waits');
query(q{UPDATE cc_inbox SET body = body(token('M17C', 0, 'guess'), '{"invoice_id": "M17C"}') WHERE invoice_id = 'M17B'; SELECT cc_apply()});
is(invoice('M17C', 'count(*)'), '0', 'M17: nor for the body of another invoice');
is(query(q{SELECT deliver(body(token('M17D'), '{"invoice_id": "M17D"}')); UPDATE cc_project SET secret = 'rotated' WHERE name = 'default';
	SELECT cc_apply() > 0; UPDATE cc_project SET secret = 's3cret' WHERE name = 'default'}),
	"pending\nt", 'M17: a postback verified at its receipt is settled under a new secret');
is(invoice('M17D', 'paid_at IS NOT NULL'), 't', 'M17: and paid');
set_project("apply = 'immediate'");
query(q{DELETE FROM cc_inbox WHERE state IN ('pending', 'failed')});

# --- M3: amounts and currency of a paid invoice are those of the paying postback ---

my $canceled = '"status": "canceled", "amount_crypto": 1000, "currency": "TON", "invoice_info":
	{"status": "canceled", "invoice_status": "canceled", "amount_paid": 1000, "amount_usd": 1000, "amount_to_pay": 1000, "received": 1000}';
my $paid = '"amount_crypto": 1, "invoice_info":
	{"status": "paid", "invoice_status": "success", "amount_paid": 1, "amount_usd": 1, "amount_to_pay": 1, "received": 1}';
my $amounts = 'amount_crypto, currency, amount_paid, amount_usd, amount_to_pay, received, paid_at IS NOT NULL';
is(deliver(q{token('M3', 10)}, qq({"invoice_id": "M3", $canceled})), 'applied', 'M3: a newer canceled that comes first');
is(deliver(q{token('M3', 1)}, qq({"invoice_id": "M3", $paid})), 'applied', 'M3: an older success that comes second');
is(invoice('M3', $amounts), '1|BNB|1|1|1|1|t', 'M3: amounts and currency are what the paying postback said');
is(deliver(q{token('M3B', 1)}, qq({"invoice_id": "M3B", $paid})), 'applied', 'M3: a success that comes first');
like(deliver(q{token('M3B', 10)}, qq({"invoice_id": "M3B", $canceled})), qr/^(?:applied|conflict)$/,
	'M3: a newer canceled that comes second');
is(invoice('M3B', $amounts), '1|BNB|1|1|1|1|t', 'M3: a canceled does not change the amounts of a paid invoice');
(my $canceled_bnb = $canceled) =~ s/TON/BNB/;
is(deliver(q{token('M3C', 1)}, qq({"invoice_id": "M3C", $paid})), 'applied', 'M3: another success');
deliver(q{token('M3C', 10)}, qq({"invoice_id": "M3C", $canceled_bnb}));
is(invoice('M3C', $amounts), '1|BNB|1|1|1|1|t', 'M3: nor does one in the same currency');

# --- M4, M12: README's trigger ---

my ($orders) = grep { /CREATE TABLE orders\b/ } @readme_sql;
my ($trigger) = $readme =~ /^<!-- order-trigger -->\n```sql\n(.*?)^```$/ms;
$node->safe_psql('postgres', $orders . $trigger . q{
	CREATE TABLE marked (id text);
	CREATE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO marked VALUES (NEW.id); RETURN NULL; END$$;
	CREATE TRIGGER marked AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION marked();
	INSERT INTO orders (id, amount, currency) VALUES ('TOPUP', 1, 'BNB'), ('TAKEN', 5, 'TON');
});
is(deliver(q{token('M4', 1)}, '{"invoice_id": "M4", "order_id": "TOPUP", "amount_crypto": 0.4}'), 'applied',
	'M4: a success with too little');
is(query(q{SELECT paid_at IS NULL FROM orders WHERE id = 'TOPUP'}), 't', 'M4: leaves the order open');
is(deliver(q{token('M4', 2)}, '{"invoice_id": "M4", "order_id": "TOPUP", "amount_crypto": 1}'), 'applied', 'M4: the rest follows');
is(query(q{SELECT paid_at IS NOT NULL FROM orders WHERE id = 'TOPUP'}), 't', q{M4: README's trigger takes a top-up});
deliver(q{token('M4', 3)}, '{"invoice_id": "M4", "order_id": "TOPUP", "amount_crypto": 2}');
is(query(q{SELECT count(*) FROM marked WHERE id = 'TOPUP'}), '1', 'M4: the order is marked once');
is(query(q{SELECT count(*) FROM paid WHERE invoice_id = 'M4'}), '1', 'M4: paid_at is named once');

is(deliver(q{token('M12', 1)}, '{"invoice_id": "M12", "order_id": "TAKEN"}'), 'applied',
	'M12: a payment in another currency than the order');
is(deliver(q{token('M12', 2)}, '{"invoice_id": "M12", "order_id": "TAKEN", "amount_crypto": 5, "currency": "TON"}'),
	'conflict', 'M12: then one in the currency of the order');
is(query(q{UPDATE cc_invoice SET currency = 'TON' WHERE invoice_id = 'M12';
	UPDATE cc_inbox SET state = 'pending' WHERE state = 'conflict' AND invoice_id = 'M12'; DO 'BEGIN PERFORM cc_apply(); END';
	SELECT state FROM cc_inbox WHERE invoice_id = 'M12' ORDER BY id DESC LIMIT 1}), 'applied', 'M12: a person takes it nevertheless');
is(query(q{SELECT paid_at IS NOT NULL FROM orders WHERE id = 'TAKEN'}), 't', 'M12: and the order is paid');

# --- M5: an unreadable value never counts as real or as success ---

# The invoices with paid_at, for each of these members of invoice_info.
sub paid_of
{
	my ($prefix, @infos) = @_;
	my $n = 0;
	my $statements = '';
	for my $info (@infos)
	{
		my $name = $prefix . ++$n;
		$statements .= "SELECT deliver(body(token('$name'), '{\"invoice_id\": \"$name\", \"invoice_info\": $info}'));\n";
	}
	my @states = split /\n/, query($statements);
	is(scalar(grep { $_ eq 'applied' } @states), scalar(@infos), "$prefix: each is kept and applied");
	my %paid = map { $_ => 1 } split /\n/,
		query("SELECT invoice_id FROM cc_invoice WHERE invoice_id LIKE '$prefix%' AND paid_at IS NOT NULL");
	return join ' ', map { $infos[ $_ - 1 ] } grep { $paid{"$prefix$_"} } 1 .. $n;
}
my @real = map { qq({"test_mode": $_}) } 'false', '0', '"false"', '"0"', 'null';
is(paid_of('M5REAL', @real, '{}'), join(' ', @real, '{}'), 'M5: real payments, and those that do not say, count');
is(paid_of('M5TEST', map { qq({"test_mode": $_}) } 'true', '1', '"true"', '"1"', '1.0', '2', '-1', '"yes"', '"on"', '"t"', '[true]', '[]',
	'{}',
		'{"a": 1}', '""', '"maybe"'), '', 'M5: any other test_mode is a test, and pays nothing');
is(paid_of('M5STATUS', map { qq({"invoice_status": $_}) } '[]', '["success"]', '1', 'true', '{}', '{"success": true}', '"Success"',
	'" success"', '""',
		'"canceled"'), '', 'M5: any other invoice_status than the string success pays nothing');
is(paid_of('M5TEXT', '"{\"test_mode\": true}"', '"{\"test_mode\": \"yes\"}"', '"{\"invoice_status\": \"canceled\"}"'),
	'', 'M5: invoice_info as a JSON text in a JSON body is read');
is(query(q~SELECT deliver('status=success&invoice_id=M5FORM&amount_crypto=1&currency=BNB&token=' || token('M5FORM')
		|| '&invoice_info=%7B%22test_mode%22%3A+true%7D', 'application/x-www-form-urlencoded')~), 'applied',
			'M5: a form with invoice_info as JSON');
is(invoice('M5FORM', 'paid_at IS NULL'), 't', 'M5: is a test too');

# --- M6: two projects never share a secret ---

is(query(q{INSERT INTO cc_project (name, secret, previous_secret, previous_secret_until) VALUES ('other', 'OTHER',
	'BEFORE', now() + interval '1 hour')}),
	'', 'M6: another project with a secret of its own');
my %shared = (
	'a secret of another' => q{INSERT INTO cc_project (name, secret) VALUES ('twin', 'OTHER')},
	'a previous secret of another' => q{INSERT INTO cc_project (name, secret) VALUES ('twin', 'BEFORE')},
	'by UPDATE' => q{UPDATE cc_project SET secret = 'OTHER' WHERE name = 'default'},
	'as previous secret' => q{UPDATE cc_project SET previous_secret = 'OTHER', previous_secret_until = now() WHERE name = 'default'},
	'previous against previous' =>
	  q{UPDATE cc_project SET previous_secret = 'BEFORE', previous_secret_until = now() WHERE name = 'default'},
	'twice in one statement' => q{INSERT INTO cc_project (name, secret) VALUES ('twin', 'TWICE'), ('twin2', 'TWICE')},
	'all by one UPDATE' => q{UPDATE cc_project SET secret = 'TWICE'},
	'by COPY' => "COPY cc_project (name, secret) FROM stdin;\ntwin\tOTHER\n\\.\n");
for my $how (sort keys %shared)
{
	my $answer = query("BEGIN; $shared{$how}; ROLLBACK");
	like($answer, qr/ERROR:  23/, "M6: $how is refused");
	next if $how eq 'by COPY';    # PostgreSQL itself shows the line that it copies
	unlike($answer, qr/OTHER|BEFORE|TWICE/, "M6: $how: the refusal does not show it") or diag($answer);
}
is(query(q{BEGIN;
	UPDATE cc_project SET previous_secret = secret, previous_secret_until = now() + interval '1 hour', secret = 'NEW' WHERE name = 'other';
	UPDATE cc_project SET leeway = '1 s'; ROLLBACK}), '', 'M6: a project may rotate its own secret');

my ($one, $two) = (session($node), session($node));
my $two_pid = ask($two, 'SELECT pg_backend_pid();');
ask($one, q{BEGIN; INSERT INTO cc_project (name, secret) VALUES ('twin1', 'SAMETIME');});
ask($two, q{INSERT INTO cc_project (name, secret) VALUES ('twin2', 'SAMETIME');}, wait => 0);
until_idle_or($node, $two_pid, 'SAMETIME', q{wait_event_type = 'Lock'});
ask($one, 'COMMIT;');
ask($two, '');
is(query(q{SELECT count(*) FROM cc_project WHERE secret = 'SAMETIME'}), '1', 'M6: two sessions cannot store one secret at the same moment');
ask($two, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM cc_project;');
ask($one, q{INSERT INTO cc_project (name, secret) VALUES ('twin3', 'SNAPSHOT');});
ask($two, q{INSERT INTO cc_project (name, secret) VALUES ('twin4', 'SNAPSHOT'); COMMIT;});
is(query(q{SELECT count(*) FROM cc_project WHERE secret = 'SNAPSHOT'}), '1', 'M6: nor can one with an older snapshot');
query(q{DELETE FROM cc_project WHERE name LIKE 'twin%'});
# As 0.1.0 could leave them
my $stored = query(q{SET session_replication_role = replica; INSERT INTO cc_project (name, secret) VALUES ('twin', 'OTHER')});
SKIP:
{
	skip 'a constraint refuses it without the trigger', 2 if $stored =~ /ERROR:  23/;
	my $answer = query('SELECT cc_setup()');
	like($answer, qr/(?:WARNING|ERROR).*(?:twin|other)/s, 'M6: cc_setup() reports projects that share a secret already');
	unlike($answer, qr/OTHER/, 'M6: without showing it');
	query(q{DELETE FROM cc_project WHERE name = 'twin'});
}

# --- M7: a rejection for a missing order spends the token ---

set_project('require_order_id = true');
is(deliver(q{token('M7')}, '{"invoice_id": "M7"}'), 'rejected/missing_order_id', 'M7: a postback without its order');
is(deliver(q{token('M7')}, '{"invoice_id": "M7", "order_id": "CHOSEN"}'), 'rejected/token_reused',
	'M7: its token takes no order that came later');
like(deliver(q{token('M7')}, '{"invoice_id": "M7"}'), qr{^rejected/}, 'M7: the same message is rejected again');
set_project('require_order_id = false');
is(deliver(q{token('M7')}, '{"invoice_id": "M7", "order_id": "CHOSEN"}'), 'rejected/token_reused',
	'M7: nor when no order is required any more');
is(invoice('M7', 'count(*)'), '0', 'M7: and nothing is paid');

# --- M8: retention by README keeps spent tokens ---

is(deliver('token(NULL, 80)', '{"invoice_id": "M8"}'), 'applied', 'M8: a token that binds no invoice');
my ($retention) = grep { /DELETE FROM cc_inbox|cc_purge/ } @readme_sql or die 'README says nothing of retention';
query(qq{BEGIN; UPDATE cc_inbox SET received_at = now() - interval '5 years' WHERE invoice_id = 'M8'; $retention; COMMIT});
is(query(q{SELECT count(*) FROM cc_inbox WHERE invoice_id = 'M8'}), '1', q{M8: README's retention keeps a row that spent a token});
is(deliver('token(NULL, 80)', '{"invoice_id": "M8B", "order_id": "ANOTHER"}'), 'rejected/token_reused',
	'M8: a replay with other content pays nothing');
is(deliver('token(NULL, 80)', '{"invoice_id": "M8"}'), 'duplicate', 'M8: the same message is still a duplicate');
is(invoice('M8B', 'count(*)'), '0', 'M8: one token, one invoice');

query(q{UPDATE cc_project SET name = 'renamed' WHERE name = 'default'});
is(query(q~SELECT deliver(body(token(NULL, 80), '{"invoice_id": "M8C", "order_id": "ANOTHER"}'), '', 'renamed')~), 'rejected/token_reused',
	'M8: a project of another name does not make its tokens new');
query(q{UPDATE cc_project SET name = 'default' WHERE name = 'renamed'});

# --- M9: the client's id has no effect ---

$node->safe_psql('postgres',
	'CREATE ROLE inserter LOGIN; GRANT INSERT ON cc_inbox TO inserter; GRANT EXECUTE ON FUNCTION token, body TO inserter');
is(deliver('token(NULL, 90)', '{"invoice_id": "M9"}'), 'applied', 'M9: a token that binds no invoice');
my $id = query(q{SELECT id FROM cc_inbox WHERE invoice_id = 'M9'});
is(answer_as($node, 'inserter', qq{INSERT INTO cc_inbox (id, body) OVERRIDING SYSTEM VALUE
	VALUES ($id, body(token(NULL, 90), '{"invoice_id": "M9B", "order_id": "ANOTHER"}')) ON CONFLICT DO NOTHING}), '',
	'M9: an id that the client chose is replaced, also in the first row of a session');
is(query('SELECT state, reason FROM cc_inbox ORDER BY id DESC LIMIT 1'), 'rejected|token_reused', 'M9: and the row is stored');
is(invoice('M9B', 'count(*)'), '0', q{M9: the id of the token's first row does not get around the check of tokens});
answer_as($node, 'inserter', qq{INSERT INTO cc_inbox (id, body) OVERRIDING SYSTEM VALUE
	VALUES ($id, body(token('M9C'), '{"invoice_id": "M9C"}')) ON CONFLICT DO NOTHING});
is(invoice('M9C', 'count(*)'), query(q{SELECT count(*) FROM cc_inbox WHERE invoice_id = 'M9C'}),
	'M9: an id in use makes no invoice without a row');
my $next = query(q{SELECT last_value + 1 FROM cc_inbox_id_seq});
answer_as($node, 'inserter', qq{INSERT INTO cc_inbox (body) VALUES ('{}'); INSERT INTO cc_inbox (id, body) OVERRIDING SYSTEM VALUE
	VALUES ($next, body(token('M9E'), '{"invoice_id": "M9E"}')) ON CONFLICT DO NOTHING});
is(query(q{SELECT count(*) FROM cc_inbox WHERE invoice_id = 'M9E'}), '1', 'M9: nor does the id that the session has just used');
$next = query(q{SELECT last_value + 1 FROM cc_inbox_id_seq});
answer_as($node, 'inserter', qq{INSERT INTO cc_inbox (id, body) OVERRIDING SYSTEM VALUE VALUES ($next, '{}')});
is(deliver(q{token('M9D')}, '{"invoice_id": "M9D"}'), 'applied',
	'M9: an id that is yet to come does not block the delivery that would get it');

# --- M10: no invoice changes without its inbox row ---

$node->safe_psql('postgres', q{
	CREATE TABLE closed (invoice_id text);
	INSERT INTO closed VALUES ('M10');
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN IF EXISTS (SELECT FROM closed WHERE invoice_id = NEW.invoice_id) THEN RAISE 'closed'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION refuse();
});
is(ask($one, q{BEGIN; SELECT deliver(body(token(NULL, 100), '{"invoice_id": "M10"}'));}), 'failed',
	'M10: a delivery that fails is not committed yet');
ask($two, q{INSERT INTO cc_inbox (body) VALUES (body(token(NULL, 100), '{"invoice_id": "M10B"}')) ON CONFLICT DO NOTHING;}, wait => 0);
until_idle_or($node, $two_pid, 'M10B', q{wait_event_type = 'Lock'});
ask($one, 'COMMIT;');
is(ask($two, ''), '', 'M10: another use of its token, ON CONFLICT DO NOTHING, ends without an ERROR');
query('SELECT cc_apply()');
is(invoice('M10B', 'count(*)'), '0', 'M10: and pays no second invoice');
is(query(q{SELECT count(*) FROM cc_inbox WHERE body LIKE '%"M10B"%'}), '1', 'M10: its row is in the inbox');

# --- M14: the end of time ---

my $expired = q{(cc_verify_postback(body(token('M14'), '{"invoice_id": "M14"}'), 'application/json', 's3cret', '%s', '%s')).reason};
for my $when ([ '294276-12-31', '0' ], [ '294276-12-31 23:59:59.999999+00', '0' ], [ '294276-12-31', '-0' ], [ '294000-01-01', '1 year' ],
	[ '294276-12-31', '100000 years' ])
{
	is(query('SELECT ' . sprintf($expired, @$when)), 'token_expired', "M14: expired at $when->[0] with a leeway of $when->[1]");
}

# --- M15: projects are read as they are now ---

for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	ask($two, "BEGIN ISOLATION LEVEL $level; SELECT FROM cc_project;");
	query(q{UPDATE cc_project SET secret = 'withdrawn' WHERE name = 'default'; INSERT INTO cc_project (name, secret) VALUES ('late',
		'LATE')});
	is(ask($two, q{SELECT deliver(body(token('M15'), '{"invoice_id": "M15"}'));}), 'rejected/bad_signature',
		"M15: $level: a secret that was withdrawn since the snapshot does not verify");
	like(ask($two, qq{SELECT deliver(body(token('$level', 0, 'LATE'), '{"invoice_id": "$level"}'), '', 'late');}),
		qr/^(?:applied|pending)$/,
		"M15: $level: a project that was made since the snapshot is known");
	ask($two, 'ROLLBACK;');
	query(q{UPDATE cc_project SET secret = 's3cret' WHERE name = 'default'; DELETE FROM cc_project WHERE name = 'late'});
}

# --- M19: a lock that SQL cannot take, and a bounded wait ---

ask($one, q{BEGIN; SELECT deliver(body(token(NULL, 190), '{"invoice_id": "M19"}'));});
my $advisory = q{FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()};
cmp_ok(query("SELECT count(*) $advisory"), '>', 0, 'M19: a delivery locks its invoice');
is(query("SELECT count(*) $advisory AND objsubid IN (1, 2)"), '0', 'M19: by no lock that SQL can take');
my @keys = split /\n/, query("SELECT classid, objid $advisory");
ask($one, 'ROLLBACK;');
my $stranger = session($node, 'postgres', 'inserter');
for my $key (@keys)
{
	my ($high, $low) = split /\|/, $key;
	ask($stranger, "SELECT pg_advisory_lock((${high}::bigint << 32) | ${low}::bigint),
		pg_advisory_lock(${high}::bit(32)::integer, ${low}::bit(32)::integer);") if $high =~ /^\d+$/;
}
is(ask($two, q{SET lock_timeout = '200ms'; SELECT deliver(body(token(NULL, 190), '{"invoice_id": "M19"}')); RESET lock_timeout;}),
	'applied',
	q{M19: a stranger's advisory locks with the same keys hold up nobody});
ask($one, q{BEGIN; SELECT deliver(body(token('M19B', 1), '{"invoice_id": "M19B"}'));});
is(ask($two, q{SET lock_timeout = '12s'; SELECT clock_timestamp() AS began \gset
	SELECT deliver(body(token('M19B', 2), '{"invoice_id": "M19B", "amount_crypto": 2}'));
	SELECT clock_timestamp() - :'began' < '9 s'; RESET lock_timeout;}), "pending\nt",
		'M19: a delivery waits 3 seconds at most for its invoice');
ask($one, 'COMMIT;');
query('SELECT cc_apply()');
is(invoice('M19B', 'amount_crypto'), '2', 'M19: and cc_apply settles it');

# --- M20: equal deposits to one static wallet, as documented ---

my $deposit = q{SELECT deliver('status=success&invoice_id=M20&amount_crypto=1&currency=BNB&order_id=customer&token=' || token('M20', %d),
	'application/x-www-form-urlencoded')};
is(query(sprintf $deposit, 1), 'applied', 'M20: a deposit in a form');
is(query(sprintf $deposit, 2), 'duplicate', 'M20: an equal one in a form cannot be told from a resend');
my $wallet = '{"invoice_id": "M20J", "order_id": "customer", "invoice_info": {"tx_list": ["%s"]}}';
is(deliver(q{token('M20J', 1)}, sprintf $wallet, '0x1'), 'applied', 'M20: a deposit in JSON');
is(deliver(q{token('M20J', 2)}, sprintf $wallet, '0x2'), 'applied', 'M20: an equal one in JSON with another transaction counts');
ok((grep { /wallet/i && /JSON/ } split /\n\n|\n- |\n\| /, $readme), 'M20: README says that wallets need JSON');

# --- At the end ---

is(query(q{SELECT invoice_id FROM cc_invoice AS i WHERE NOT EXISTS
	(SELECT FROM cc_inbox AS b WHERE b.state = 'applied' AND b.project = i.project AND b.invoice_id = i.invoice_id)}),
	'', 'each invoice has an applied row in the inbox');
is(query('SELECT invoice_id FROM paid GROUP BY invoice_id HAVING count(*) > 1'), '', 'no invoice was paid twice');

$_->{run}->finish for $one, $two, $stranger;
$node->stop;
done_testing();
