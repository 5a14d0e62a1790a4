# Attacks on rights: code of the caller's that would run with the rights of the tables' owner, and what a delivery could leave behind
# in the caller's transaction. The names of the tests begin with the finding that they close.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Test::More;

my $node = start_shop('attack_rights', "max_connections = 40\nmax_prepared_transactions = 5\n");
sign_postbacks($node, 'shop');
my $count = 0;

# Without the warnings of the shop's triggers.
sub as_shop { return answer_as($node, 'shop', "SET client_min_messages = error; $_[0]") }
# A body of an invoice, under a token of its own, as an SQL expression.
sub genuine
{
	my ($invoice, $fields) = @_;
	++$count;
	return "body(token('$invoice', $count), '{\"invoice_id\": \"$invoice\", \"amount_crypto\": $count" . ($fields // '') . "}')";
}
sub state_of
{
	my ($invoice) = @_;
	return as_shop("SELECT state FROM cc_inbox WHERE invoice_id = '$invoice' ORDER BY id DESC LIMIT 1");
}
# A line that psql prints in order with the warnings.
sub mark { return "DO \$\$BEGIN RAISE WARNING '$_[0]'; END\$\$;\n" }

# The shop: a trigger, a log with its own deferred check, and secrets.
$node->safe_psql('postgres', q{
	GRANT EXECUTE ON FUNCTION cc_receive(text, text, text), cc_apply(integer) TO mallory;
	GRANT INSERT (project, body, content_type) ON cc_inbox TO mallory;
	SET ROLE shop;
	INSERT INTO cc_project (name, secret) VALUES ('hidden', 'TOPSECRET');
	CREATE TABLE log (invoice_id text, order_id text);
	GRANT INSERT ON log TO mallory;
	CREATE FUNCTION check_log() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE WARNING 'check_log as % of %', current_user, NEW.invoice_id;
		IF NEW.order_id = 'REFUSED' THEN RAISE 'refused by check_log'; END IF;
		IF current_user = 'shop' AND NOT EXISTS (SELECT FROM public.cc_project) THEN RAISE 'no project'; END IF;
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER check_log AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_log();
	CREATE FUNCTION write_log() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO log VALUES (NEW.invoice_id, NEW.order_id); RETURN NULL; END$$;
	CREATE TRIGGER write_log AFTER INSERT OR UPDATE OF amount_crypto ON cc_invoice FOR EACH ROW
		WHEN (NEW.invoice_id <> 'INNER') EXECUTE FUNCTION write_log();
});

# --- R1: the caller's deferred code runs as the caller, at the end, and never before ---

my $steal = q{
	DECLARE found text;
	BEGIN
		BEGIN SELECT string_agg(secret, ' ') INTO found FROM public.cc_project; EXCEPTION WHEN OTHERS THEN found := SQLSTATE; END;
		RAISE WARNING 'fired as % with %', current_user, found;
		RETURN NULL;
	END };
my $look = q{BEGIN RAISE WARNING 'fired as %', current_user; RETURN i; END};
my $function = "CREATE FUNCTION pg_temp.steal() RETURNS trigger LANGUAGE plpgsql AS \$\$$steal\$\$;
	CREATE FUNCTION pg_temp.look(i integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS \$\$$look\$\$;";
sub constraint_trigger
{
	my ($table, $name, $mode) = @_;
	return "CREATE TABLE $table (i integer); CREATE CONSTRAINT TRIGGER $name AFTER INSERT ON $table DEFERRABLE INITIALLY $mode
		FOR EACH ROW EXECUTE FUNCTION pg_temp.steal();";
}
my $insert = 'INSERT INTO bait VALUES (1);';
# Objects made before the transaction, and statements in it before the delivery
my %trap = (
	'a temporary table' => [ constraint_trigger('pg_temp.bait', 'trap', 'DEFERRED'), $insert ],
	'a temporary table, its constraint named like one of the shop' => [ constraint_trigger('pg_temp.bait', 'check_log',
		'DEFERRED'), $insert ],
	'a constraint that the caller deferred' => [ constraint_trigger('pg_temp.bait', 'trap', 'IMMEDIATE'),
		"SET CONSTRAINTS ALL DEFERRED; $insert" ],
	'a constraint that the caller deferred by name' =>
	  [ constraint_trigger('pg_temp.bait', 'check_log', 'IMMEDIATE'), "SET CONSTRAINTS pg_temp.check_log DEFERRED; $insert" ],
	'an exclusion constraint on a function' => [
		'CREATE TABLE pg_temp.bait (i integer, CONSTRAINT check_log
			EXCLUDE USING btree ((pg_temp.look(i)) WITH =) DEFERRABLE INITIALLY DEFERRED);',
		'INSERT INTO bait VALUES (1); INSERT INTO bait VALUES (1); DELETE FROM bait WHERE ctid = (SELECT min(ctid) FROM bait);' ],
	'a cursor WITH HOLD' => [ '', 'DECLARE held CURSOR WITH HOLD FOR SELECT pg_temp.look(i) FROM generate_series(1, 1) AS i;' ],
	'a savepoint' => [ constraint_trigger('pg_temp.bait', 'check_log', 'DEFERRED'), "SAVEPOINT s; $insert" ],
);
my %entry = (
	'cc_receive(text)' => sub { 'SELECT http_status FROM cc_receive(' . genuine($_[0]) . q{, 'application/json');} },
	'cc_receive(bytea)' => sub { 'SELECT http_status FROM cc_receive(convert_to(' . genuine($_[0]) . q{, 'UTF8'), 'application/json');} },
	'INSERT' => sub { 'INSERT INTO cc_inbox (body) VALUES (' . genuine($_[0]) . ');' },
	'cc_apply' => sub {
		as_shop(q{UPDATE cc_project SET apply = 'deferred' WHERE name = 'default';}
			  . 'SELECT deliver(' . genuine($_[0]) . q{); UPDATE cc_project SET apply = 'immediate'});
		return 'SELECT cc_apply();';
	});

# Nothing ran with other rights or too early. Before the mark, code ran only with the caller's rights.
sub is_harmless
{
	my ($answer, $role, $what) = @_;
	unlike($answer, qr/fired as (?!$role\b)|TOPSECRET/, "R1: $what: nothing of the caller's runs as the shop") or return;
	unlike($answer, qr/ERROR/, "R1: $what: no error");
	return;
}
my $n = 0;
for my $how (sort keys %trap)
{
	for my $by ($how eq 'a temporary table' ? sort keys %entry : 'cc_receive(text)')
	{
		my $invoice = 'TRAP' . ++$n;
		# The first and the second postback of an invoice take different ways
		for my $which ('first', 'second')
		{
			my $enter = $entry{$by}->($invoice);
			my ($before, $inside) = @{ $trap{$how} };
			my $answer = answer_as($node, 'proxy',
				"$function $before BEGIN; $inside\n" . mark('queued') . $enter . mark('entered') . 'COMMIT;');
			is_harmless($answer, 'proxy', "$how, $by, $which postback");
			unlike($answer, qr/queued.*fired.*entered/s, "R1: $how, $by, $which postback: nor is it fired early");
			like($answer, qr/entered.*fired as proxy/s, "R1: $how, $by, $which postback: it fires at the end, as the caller");
		}
		is(state_of($invoice), 'applied', "R1: $how, $by: and the postback is applied");
	}
}
is_harmless(answer_as($node, 'proxy', $function . constraint_trigger('pg_temp.bait', 'check_log', 'DEFERRED')
	. "BEGIN; $insert SAVEPOINT s; " . $entry{'cc_receive(text)'}->('UNDONE') . 'ROLLBACK TO s; ' . $entry{INSERT}->('KEPT') . 'COMMIT;'),
	'proxy', 'rolled back to a savepoint and delivered again');
is(state_of('UNDONE') . state_of('KEPT'), 'applied', 'R1: the rolled back postback is gone, the other one is applied');

# Mallory may make objects in the shop's schema: a constraint there may have any name
(my $public = "$function " . constraint_trigger('public.bait', 'check_log', 'DEFERRED')) =~ s/pg_temp/public/g;
answer_as($node, 'mallory', $public);
for my $by (sort keys %entry)
{
	my $enter = $entry{$by}->('SAMENAME');
	$enter =~ s/convert_to\((.*), 'UTF8'\)/$1/;
	my $answer = answer_as($node, 'mallory', 'BEGIN; INSERT INTO public.bait
		VALUES (1);' . mark('queued') . $enter . mark('entered') . 'COMMIT;');
	is_harmless($answer, 'mallory', "a table in the shop's schema, its constraint named like one of the shop, $by");
	unlike($answer, qr/queued.*fired.*entered/s, "R1: a constraint of the same name in the same schema, $by: nor is it fired early");
}
answer_as($node, 'mallory', 'ALTER TRIGGER check_log ON public.bait RENAME TO innocent');
my $innocent = answer_as($node, 'mallory', 'BEGIN; INSERT INTO public.bait VALUES (1);' . $entry{INSERT}->('SAMENAME') . 'COMMIT;');
is_harmless($innocent, 'mallory', 'a trigger that was renamed, while its constraint was not');
my $prepared = answer_as($node, 'mallory',
	'BEGIN; INSERT INTO public.bait VALUES (1);' . $entry{INSERT}->('PREPARED1') . q{PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';});
is_harmless($prepared, 'mallory', 'PREPARE TRANSACTION');
answer_as($node, 'mallory', 'DROP TABLE public.bait; DROP FUNCTION public.steal, public.look');
as_shop('SELECT cc_apply()');
is(state_of('SAMENAME') . state_of('PREPARED1'), 'appliedapplied', 'R1: all is applied at the latest when that table is gone');
unlike(answer_as($node, 'proxy', 'BEGIN;' . $entry{INSERT}->('PREPARED2') . q{PREPARE TRANSACTION 'p'}), qr/ERROR/,
	'R3: a delivery can be prepared');
is(as_shop("SET lock_timeout = '100ms'; SELECT deliver(" . genuine('PREPARED2') . ')'), 'pending',
	'R3: a prepared transaction keeps its invoice locked');
is(answer_as($node, 'proxy', q{COMMIT PREPARED 'p'}), '', 'R3: it is committed');
is(as_shop('SELECT cc_apply()'), '1', 'R3: then what came meanwhile is settled');
# Triggers of the statement that also delivers
my $same = answer_as($node, 'proxy', $function . constraint_trigger('pg_temp.bait', 'check_log', 'IMMEDIATE')
	  . 'CREATE TRIGGER plain AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.steal();
	WITH queued AS (INSERT INTO bait VALUES (1)) ' . $entry{INSERT}->('CTE'));
is_harmless($same, 'proxy', 'triggers of the statement that delivers');
is(() = $same =~ /fired as proxy/g, 2, 'R1: triggers of the statement that delivers fire as the caller, once each') or diag($same);
is(state_of('CTE'), 'applied', 'R1: and its postback is applied');

# A delivery within a deferred trigger of the caller's, which has queued more events
my $nested = $function . constraint_trigger('pg_temp.bait', 'check_log', 'DEFERRED') . '
	CREATE TABLE pg_temp.nest (i integer);
	CREATE FUNCTION pg_temp.nest() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO bait VALUES (1); ' . $entry{INSERT}->('NESTED')
  . ' RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER nest AFTER INSERT ON nest DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.nest();';
for my $end ('COMMIT;', 'SET CONSTRAINTS ALL IMMEDIATE; COMMIT;')
{
	my $answer = answer_as($node, 'proxy', "$nested BEGIN; INSERT INTO nest VALUES (1); INSERT INTO bait VALUES (1); $end");
	is_harmless($answer, 'proxy', "a delivery within a deferred trigger, $end");
	is(() = $answer =~ /fired as proxy/g, 2,
		"R1: a delivery within a deferred trigger, $end: each fires as the caller, once") or diag($answer);
}

# The shop's own triggers on cc_inbox have the shop's rights in cc_receive and cc_apply. So they find no object of the caller's.
as_shop(q{
	CREATE TABLE seen (id bigint);
	CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NULL; END$$;
	CREATE TRIGGER see AFTER INSERT OR UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION see();
	CREATE CONSTRAINT TRIGGER see_late AFTER INSERT OR UPDATE ON cc_inbox DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION see()});
for my $by ('cc_receive(bytea)', 'cc_receive(text)', 'cc_apply')
{
	my $enter = $entry{$by}->("SEEN$by");
	as_shop('TRUNCATE seen');
	my $answer = answer_as($node, 'proxy', $function . q{
		CREATE TEMPORARY TABLE seen (id bigint);
		CREATE TRIGGER trap AFTER INSERT ON pg_temp.seen FOR EACH ROW EXECUTE FUNCTION pg_temp.steal();
		GRANT ALL ON pg_temp.seen TO PUBLIC;} . $enter . 'SELECT count(*) FROM pg_temp.seen; SHOW search_path');
	is_harmless($answer, 'proxy', "a temporary table with the name of a table of a trigger on cc_inbox, $by");
	like($answer, qr/^0\n"\$user", public\z/m, "R1: $by: that trigger does not find it, and the caller's search_path stays");
	is(as_shop('SELECT count(*) FROM seen'), '2', "R1: $by: it finds the shop's table, also if it is deferred");
	is(state_of("SEEN$by"), 'applied', "R1: $by: and the postback is applied");
}
as_shop('DROP FUNCTION see CASCADE; DROP TABLE seen');

# --- R2, R1: the caller's constraints are unchanged ---

my $tables = q{CREATE TEMPORARY TABLE parent (i integer PRIMARY KEY);
	CREATE TEMPORARY TABLE deferred (i integer CONSTRAINT d REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TEMPORARY TABLE immediate (i integer CONSTRAINT i REFERENCES parent DEFERRABLE INITIALLY IMMEDIATE);};
# Whether a violation is an error at once.
sub probe
{
	my ($table) = @_;
	return "DO \$\$BEGIN INSERT INTO $table VALUES (9); RAISE WARNING '$table is deferred'; DELETE FROM $table;
		EXCEPTION WHEN foreign_key_violation THEN RAISE WARNING '$table is immediate'; END\$\$;\n";
}
for my $fails (0, 1)
{
	my $what = $fails ? 'a failed delivery' : 'a delivery';
	my $invoice = $fails ? 'FAILED' : 'MODE';
	my $receive = sub { $entry{INSERT}->($invoice, $fails) =~ s/"amount_crypto"/($fails ? '"order_id": "REFUSED",
		' : '') . '"amount_crypto"'/er };
	my $unmet = answer_as($node, 'proxy', "$tables BEGIN; INSERT INTO deferred VALUES (1);" . $receive->() . 'INSERT INTO parent
		VALUES (1); COMMIT;');
	unlike($unmet, qr/ERROR/, "R2: an unmet deferred foreign key of the caller's is the caller's own affair: $what");
	is(state_of($invoice), $fails ? 'failed' : 'applied', "R2: and does not change what becomes of $what");
	for my $mode (
		[ '', 'deferred is deferred', 'immediate is immediate' ],
		[ 'SET CONSTRAINTS ALL DEFERRED;', 'deferred is deferred', 'immediate is deferred' ],
		[ 'SET CONSTRAINTS ALL IMMEDIATE;', 'deferred is immediate', 'immediate is immediate' ],
		[ 'SET CONSTRAINTS i DEFERRED; SET CONSTRAINTS d IMMEDIATE;', 'deferred is immediate', 'immediate is deferred' ])
	{
		my ($set, @expected) = @$mode;
		my $answer = answer_as($node, 'proxy', "$tables BEGIN; $set " . $receive->() . probe('deferred') . probe('immediate') . 'COMMIT;');
		my @found = $answer =~ /((?:deferred|immediate) is \w+)/g;
		is("@found", "@expected", 'R2: after ' . $what . ' constraints are as they were: ' . ($set || 'as declared'));
	}
}

# --- R14, R15: the shop's own deferred constraints ---

my $own = answer_as($node, 'proxy', 'BEGIN;' . $entry{INSERT}->('OWN') . mark('entered') . 'COMMIT;');
like($own, qr/check_log as shop of OWN.*entered/s,
	q{R14: the shop's deferred trigger runs as the shop, before the postback counts as applied});
is(() = $own =~ /check_log/g, 1, 'R14: and once') or diag($own);
is(state_of('OWN'), 'applied', 'R14: it has the rights that it needs');
my $refused = answer_as($node, 'proxy', 'BEGIN;' . ($entry{INSERT}->('OWN2') =~ s/"amount_crypto"/"order_id": "REFUSED",
	"amount_crypto"/r) . 'COMMIT;');
unlike($refused, qr/ERROR/, 'R14: a refusal is no error of the caller');
is(state_of('OWN2'), 'failed', 'R14: but a failed row');
like(as_shop(q{SELECT error FROM cc_inbox WHERE invoice_id = 'OWN2'}), qr/refused by check_log/, 'R14: with its message');
my $declared = answer_as($node, 'mallory', 'BEGIN;' . $entry{INSERT}->('OWN3') . mark('entered')
	. q{INSERT INTO log VALUES ('CALLER');} . mark('inserted') . $entry{INSERT}->('OWN4') . 'COMMIT;');
like($declared, qr/check_log as shop of OWN3.*entered.*inserted/s, q{R15: the shop's constraint is checked with each delivery});
unlike($declared, qr/entered.*check_log.*inserted/s, 'R15: and has its declared mode afterwards');
# PostgreSQL 18 fires an event with the rights of the role that queued it
if ($node->pg_version >= 18) { like($declared, qr/check_log as mallory of CALLER/, q{R15: the caller's own event on it is the caller's}) }
else { is(() = $declared =~ /of CALLER/g, 1, q{R15: the caller's own event on it fires once}) }
# A trigger that another role put on a table of the shop
as_shop('GRANT TRIGGER ON log TO mallory');
answer_as($node, 'mallory', q{
	CREATE FUNCTION foreign_check() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'foreign_check'; RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER foreign_check AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION foreign_check()});
like(answer_as($node, 'proxy', 'BEGIN;' . $entry{INSERT}->('OWN5') . mark('entered') . 'COMMIT;'), qr/entered.*foreign_check/s,
	q{R15: another role's trigger on a table of the shop does not fire before the end});
answer_as($node, undef, 'SET ROLE shop;' . $entry{INSERT}->('OWN6'));
like(as_shop(q{SELECT error FROM cc_inbox WHERE invoice_id = 'OWN6'}), qr/would run at commit in the session of a superuser/,
	'R15: nor is it left to the end in the session of a superuser');
answer_as($node, 'mallory', 'DROP FUNCTION foreign_check CASCADE');
as_shop('REVOKE TRIGGER ON log FROM mallory');
# A constraint that is declared immediate, although the caller deferred it
as_shop(q{
	CREATE FUNCTION check_now() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'check_now'; RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER check_now AFTER INSERT ON log DEFERRABLE FOR EACH ROW EXECUTE FUNCTION check_now()});
like(answer_as($node, 'mallory', 'BEGIN; SET CONSTRAINTS ALL DEFERRED;' . $entry{INSERT}->('OWN7') . mark('entered')
	. q{INSERT INTO log VALUES ('CALLER');} . mark('inserted') . 'COMMIT;'), qr/check_now.*entered.*check_now.*inserted/s,
	'R15: a constraint that is declared immediate is immediate afterwards');
as_shop('DROP FUNCTION check_now CASCADE');
# A temporary table of the caller's with the name of one of the shop
answer_as($node, 'proxy', 'CREATE TEMPORARY TABLE log (invoice_id text, order_id text); GRANT ALL ON log TO PUBLIC;'
	. $entry{INSERT}->('OWN8'));
is(as_shop(q{SELECT count(*) FROM log WHERE invoice_id = 'OWN8'}), '1', q{R15: the shop's trigger writes to the shop's table});
$node->safe_psql('postgres', q{
	SET ROLE shop;
	CREATE TABLE goods (id text PRIMARY KEY);
	CREATE TABLE shipment (good text REFERENCES goods DEFERRABLE INITIALLY DEFERRED);
	CREATE FUNCTION ship() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO shipment VALUES (NEW.order_id); RETURN NULL; END$$;
	CREATE TRIGGER ship AFTER INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'SHIP%') EXECUTE FUNCTION ship();
});
my $ship = $entry{INSERT}->('SHIP') =~ s/"amount_crypto"/"order_id": "nothing", "amount_crypto"/r;
unlike(answer_as($node, 'proxy', $ship), qr/ERROR/, 'R14: an unmet deferred foreign key of the shop is no error of the caller');
is(state_of('SHIP'), 'failed', 'R14: but a failed row');

# Other kinds of constraints, and names
$node->safe_psql('postgres', q{
	SET ROLE shop;
	CREATE SCHEMA "Shop's own";
	CREATE TABLE "Shop's own".copy (good text CONSTRAINT "The ""good""" UNIQUE DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE parted (good text, CONSTRAINT check_log FOREIGN KEY (good) REFERENCES goods DEFERRABLE INITIALLY DEFERRED)
		PARTITION BY LIST (good);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN ('parted', 'gone');
	INSERT INTO goods VALUES ('parted');
	CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.invoice_id LIKE 'UNIQUE%' THEN INSERT INTO "Shop's own".copy VALUES (NEW.order_id); END IF;
		IF NEW.invoice_id LIKE 'PARTED%' THEN INSERT INTO parted VALUES (NEW.order_id); END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER keep AFTER INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION keep();
});
for my $case ([ UNIQUE1 => 'once', 'applied' ], [ UNIQUE2 => 'once', 'failed' ], [ UNIQUE3 => 'other', 'applied' ],
	[ PARTED1 => 'parted', 'applied' ], [ PARTED2 => 'gone', 'failed' ])
{
	my ($invoice, $order, $state) = @$case;
	my $deliver = $entry{INSERT}->($invoice) =~ s/"amount_crypto"/"order_id": "$order", "amount_crypto"/r;
	unlike(answer_as($node, 'proxy', "BEGIN; $deliver COMMIT;"), qr/ERROR/, "R14: $invoice with $order is no error");
	is(state_of($invoice), $state, "R14: $invoice with $order: a deferred constraint of the shop is checked in time");
}
as_shop(q{DROP TABLE "Shop's own".copy, parted; DROP SCHEMA "Shop's own"; DROP TRIGGER keep ON cc_invoice;
	DELETE FROM cc_inbox WHERE state = 'failed'});

# --- The caller's session is unchanged ---

$node->safe_psql('postgres', q{
	SET ROLE shop;
	CREATE FUNCTION leak() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		SET work_mem = '77MB';
		SET TimeZone = 'Asia/Tokyo';
		SET search_path = leaked;
		SET LOCAL statement_timeout = '11min';
		SET LOCAL DateStyle = 'German';
		PERFORM set_config('shop.leak', 'leaked', false), set_config('shop.local', 'leaked', true);
		IF NEW.invoice_id LIKE 'LEAKBAD%' THEN RAISE 'leaky'; END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER zz_leak AFTER INSERT OR UPDATE OF amount_crypto ON cc_invoice FOR EACH ROW
		WHEN (NEW.invoice_id LIKE 'LEAK%') EXECUTE FUNCTION leak();
});
my $remember = q{DO 'BEGIN END'; SELECT string_agg(name || '=' || setting,
	';' ORDER BY name) AS had, current_user AS as_user FROM pg_settings \gset
};
my $compare = q{SELECT coalesce(string_agg(name || '=' || setting, ';' ORDER BY name) FILTER
			(WHERE position(';' || name || '=' || setting || ';' IN ';' || :'had' || ';') = 0), 'same'),
		current_user = :'as_user' AND session_user = :'as_user',
		coalesce(current_setting('shop.leak', true), '') || coalesce(current_setting('shop.local', true), '') FROM pg_settings;
};
for my $by (sort keys %entry)
{
	for my $invoice ('LEAK', 'LEAKBAD')
	{
		my $text = $entry{$by}->($invoice);
		my $answer = answer_as($node, 'proxy',
			"SET search_path = pg_catalog, public; SET DateStyle = 'ISO, YMD'; $remember BEGIN; $text $compare COMMIT; $compare");
		$answer =~ s/^(?:\d+|WARNING.*|CONTEXT.*)\n//mg;
		is($answer, "same|t|\nsame|t|", "settings, user and search_path are the caller's after $by, $invoice") or diag($answer);
		as_shop(q{DELETE FROM cc_inbox WHERE state = 'failed'});
	}
}
is(state_of('LEAK'), 'applied', 'a trigger may change any setting');
my $error = answer_as($node, 'proxy', "SET search_path = public, pg_catalog; BEGIN READ ONLY; $remember SAVEPOINT s;"
	. $entry{'cc_receive(text)'}->('READONLY') . "ROLLBACK TO s; $compare COMMIT;");
like($error, qr/ERROR:  25006.*\nsame\|t\|$/s, 'and after an error');

# The caller's settings do not affect the outcome of a postback
my $odd = q{SET plpgsql.extra_errors = 'all'; SET array_nulls = off; SET bytea_output = escape; SET extra_float_digits = -15;
	SET DateStyle = 'German'; SET IntervalStyle = sql_standard; SET TimeZone = 'Asia/Tokyo'; SET transform_null_equals = on;
	SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan;
	SET row_security = off; SET quote_all_identifiers = on; SET standard_conforming_strings = off; SET xmloption = document;
	SET work_mem = '64kB'; SET jit_above_cost = 0; SET client_encoding = 'LATIN1'; SET search_path = '';};
$node->safe_psql('postgres', q{
	SET ROLE shop;
	CREATE TABLE bodies (name text, body text);
	GRANT SELECT ON bodies TO PUBLIC;
	INSERT INTO bodies SELECT name, body(token(name), jsonb_build_object('invoice_id', name, 'order_id', U&'\00FC\5B57', 'invoice_info',
			jsonb '{"created": "2026-01-27 10:20:04.222439", "tx_list": ["null", "NULL", "a b"], "amount_paid": 1.50,
				"amount_to_pay": 1.5}'))
	  FROM unnest(ARRAY['USUAL', 'ODD1', 'ODD2', 'ODD3']) AS name;
});
my $columns_of = q{SELECT status, order_id, created_at, tx_list, payment, amount_paid, info, paid_at IS NOT NULL
	FROM cc_invoice WHERE invoice_id = '%s'};
my $body_of = q{(SELECT body FROM public.bodies WHERE name = '%s')};
answer_as($node, 'proxy', 'INSERT INTO cc_inbox (body) VALUES (' . sprintf($body_of, 'USUAL') . ')');
as_shop(q{UPDATE cc_project SET apply = 'deferred' WHERE name = 'default'; INSERT INTO cc_inbox (body) VALUES (} . sprintf($body_of, 'ODD3')
	. q{); UPDATE cc_project SET apply = 'immediate' WHERE name = 'default'});
my %oddly = (
	ODD1 => 'INSERT INTO public.cc_inbox (body) VALUES (' . sprintf($body_of, 'ODD1') . ')',
	ODD2 => 'SELECT http_status FROM public.cc_receive(' . sprintf($body_of, 'ODD2') . q{, 'application/json')},
	ODD3 => 'SELECT public.cc_apply()');
for my $name (sort keys %oddly)
{
	unlike(answer_as($node, 'proxy', "$odd $oddly{$name}"), qr/ERROR/, "odd settings of the caller are no error: $oddly{$name}");
	is(as_shop(sprintf $columns_of, $name), as_shop(sprintf $columns_of, 'USUAL'), "and change nothing: $name");
}

# --- R10: READ ONLY ---

for my $by (sort keys %entry)
{
	my $text = $entry{$by}->('READONLY');
	like(answer_as($node, 'proxy', "BEGIN READ ONLY; $text COMMIT"), qr/ERROR:  25006/, "R10: $by in a READ ONLY transaction is refused");
}
# What the owner calls, with work for each: a postback that waits, one rejected for its secret, a conflict, an invoice
as_shop(q{UPDATE cc_project SET apply = 'deferred'; INSERT INTO cc_inbox (body) VALUES (} . genuine('INNER') . q{);
	UPDATE cc_project SET apply = 'immediate'; SELECT http_status FROM cc_receive(} . genuine('INNER') . q{, '')});
my $stored = q{SELECT md5(string_agg(i::text, ' ' ORDER BY id)) FROM cc_inbox i UNION ALL
	SELECT md5(string_agg(i::text, ' ' ORDER BY invoice_id)) FROM cc_invoice i};
my $before = as_shop($stored);
for my $call ('SELECT cc_apply()', 'CALL cc_work()', q{SELECT cc_import('{"result": {"uuid": "INNER", "status": "paid"}}')},
	q{SELECT cc_erase('INNER')}, 'SELECT cc_purge(\'1 day\')', 'SELECT * FROM cc_reverify()',
	'SELECT cc_accept(max(id)) FROM cc_inbox')
{
	my $answer = answer_as($node, 'shop', "SET default_transaction_read_only = on; $call");
	like($answer, qr/^ERROR:  25006/, "R10: $call in a READ ONLY transaction is refused");
}
is(as_shop($stored), $before, 'R10: and has written nothing');
as_shop('SELECT cc_apply()');

# --- R8: a superuser, and tables of other roles ---

for my $call ('SELECT * FROM cc_receive(' . genuine('SUPER') . q{, 'application/json')}, 'SELECT cc_apply()',
	'SELECT * FROM cc_receive(convert_to(' . genuine('SUPER') . q{, 'UTF8'), '')})
{
	my ($name) = $call =~ /(cc_\w+)/;
	like(answer_as($node, undef, $call), qr/ERROR:  42501.*HINT:.*SET ROLE/s, "R8: $name refuses a superuser");
	like(answer_as($node, undef, "SET client_min_messages = error; SET ROLE shop; $call"), qr/^(?!ERROR)|^ERROR:  42501/,
		"R8: $name takes one who is the owner for now, or says why not");
	as_shop(q{DELETE FROM cc_inbox WHERE invoice_id = 'SUPER'});
}

# SET ROLE alone is no protection: a cursor WITH HOLD runs at commit, where RESET ROLE works again
$node->safe_psql('postgres', q{
	SET ROLE shop;
	CREATE FUNCTION climb() RETURNS integer LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'RESET ROLE';
		EXECUTE 'RESET SESSION AUTHORIZATION';
		EXECUTE 'ALTER ROLE shop SUPERUSER';
		EXECUTE 'SET ROLE shop';
		RETURN 1;
	EXCEPTION WHEN OTHERS THEN RETURN 0;
	END $$;
	CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT public.climb() FROM generate_series(1, 1)'; RETURN NULL; END$$;
	CREATE TRIGGER hold AFTER INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'HOLD%') EXECUTE FUNCTION hold();
});
sub gains_nothing
{
	my ($become, $call, $how) = @_;
	answer_as($node, undef, "$become $call");
	is(as_shop(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'}), 'f',
		"R8: the shop gains nothing from $how of a superuser: $become");
	$node->safe_psql('postgres', 'ALTER ROLE shop NOSUPERUSER');
	return;
}
for my $by ('cc_receive(text)', 'cc_apply')
{
	my $call = $entry{$by}->("HOLD$by");
	gains_nothing($_, $call, $by) for '', 'SET ROLE shop;', 'SET SESSION AUTHORIZATION shop;';
}
as_shop(q{DROP TRIGGER hold ON cc_invoice; SELECT cc_apply()});
# The same by triggers on the tables that the pipeline writes
as_shop("CREATE TRIGGER hold AFTER INSERT OR UPDATE ON $_ FOR EACH ROW EXECUTE FUNCTION hold()") for 'cc_inbox', 'cc_import_log';
for my $by ('cc_receive(text)', 'cc_apply', 'cc_import')
{
	my $call = $by eq 'cc_import' ? q{SELECT * FROM cc_import('{"result": {"uuid": "INV-HELD", "status": "created"}}')}
	  : $entry{$by}->("HELD$by");
	gains_nothing($_, $call, "$by, trigger on its table") for 'SET ROLE shop;', 'SET SESSION AUTHORIZATION shop;';
}
as_shop(q{DROP TRIGGER hold ON cc_inbox; DROP TRIGGER hold ON cc_import_log; SELECT cc_apply()});
# A cursor WITH HOLD in the place of one of the superuser's
as_shop(q{
	CREATE FUNCTION swap() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'CLOSE ALL';
		EXECUTE 'DECLARE mine CURSOR WITH HOLD FOR SELECT public.climb() FROM generate_series(1, 1)';
		RETURN NULL;
	END $$;
	CREATE TRIGGER swap AFTER INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'SWAP%') EXECUTE FUNCTION swap()});
gains_nothing('BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; SET ROLE shop;', $entry{'cc_receive(text)'}->('SWAP') . 'COMMIT;',
	'a cursor WITH HOLD that it closed and declared');
as_shop('DROP FUNCTION swap CASCADE; SELECT cc_apply()');
# The deferred constraint of another role, on whose table the shop writes: its index calls a function of that role
answer_as($node, 'mallory', q{
	CREATE SCHEMA theirs;
	GRANT USAGE ON SCHEMA theirs TO shop;
	CREATE FUNCTION theirs.climb() RETURNS integer LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE 'RESET ROLE';
		EXECUTE 'ALTER ROLE shop SUPERUSER';
		EXECUTE 'SET ROLE shop';
		RETURN 1;
	EXCEPTION WHEN OTHERS THEN RETURN 0;
	END $$;
	CREATE FUNCTION theirs.same(i integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
		$$BEGIN PERFORM theirs.climb(); RETURN i; END$$;
	CREATE TABLE theirs.orders (i integer, EXCLUDE USING btree ((theirs.same(i)) WITH =) DEFERRABLE INITIALLY DEFERRED);
	GRANT SELECT, INSERT, DELETE ON theirs.orders TO shop});
as_shop(q{
	CREATE FUNCTION write_theirs() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO theirs.orders VALUES (1);
		INSERT INTO theirs.orders VALUES (1);
		DELETE FROM theirs.orders WHERE ctid = (SELECT min(ctid) FROM theirs.orders);
		RETURN NULL;
	END $$;
	CREATE TRIGGER write_theirs AFTER INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id LIKE 'THEIRS%')
		EXECUTE FUNCTION write_theirs()});
gains_nothing('SET ROLE shop;', $entry{'cc_receive(text)'}->('THEIRS'), q{a deferred exclusion constraint});
like(as_shop(q{SELECT error FROM cc_inbox WHERE invoice_id = 'THEIRS'}), qr/would run at commit in the session of a superuser/,
	'R8: which the row says');
is(as_shop('SELECT cc_apply() > 0'), 't', 'R8: the shop itself may leave it to commit');
as_shop('DROP FUNCTION write_theirs CASCADE');
# The trigger of a rehearsal runs as the caller, but must not become the superuser that the session belongs to
as_shop(q{CREATE FUNCTION become() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN EXECUTE 'RESET ROLE'; RAISE WARNING 'became %', current_user; RETURN NULL; END$$});
like(answer_as($node, undef, q{SELECT * FROM cc_rehearse('become', '-infinity')}), qr/ERROR:  42501.*HINT:.*SET ROLE/s,
	'R8: cc_rehearse refuses a superuser');
my $rehearsed = answer_as($node, undef, q{SET ROLE shop; SELECT * FROM cc_rehearse('become', '-infinity')});
unlike($rehearsed, qr/became/, 'R8: the trigger of a rehearsal cannot RESET ROLE');
like($rehearsed, qr/42501: cannot set parameter "role"/, 'R8: which is its error');

# No role can keep cc_setup() from running, except by running it
my ($first, $second) = map { session($node, 'postgres', $_) } 'mallory', 'shop';
ask($first, q{SELECT pg_advisory_lock(hashtextextended('cryptocloud_postback.cc_setup', 0));});
is(ask($second, q{SET lock_timeout = '2s'; SELECT cc_setup(); RESET lock_timeout;}), '', 'M19: an advisory lock stops no cc_setup');
$first->{run}->finish;
my $second_pid = ask($second, 'SELECT pg_backend_pid();');
$first = session($node, 'postgres', 'shop');
ask($first, 'BEGIN; SELECT cc_setup();');
ask($second, 'SELECT cc_setup();', wait => 0);
until_idle_or($node, $second_pid, 'cc_setup', q{wait_event_type = 'Lock'});
is($node->safe_psql('postgres', "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $second_pid"), 'Lock',
	'one session at a time runs cc_setup');
ask($first, 'COMMIT;');
is(ask($second, ''), '', 'the other one then does');
$_->{run}->finish for $first, $second;
# cc_setup() runs the owner's code if it changes rows
as_shop(q{
	CREATE FUNCTION check_climb() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.climb();
		EXECUTE 'DECLARE later CURSOR WITH HOLD FOR SELECT public.climb() FROM generate_series(1, 1)';
		RETURN true;
	END $$;
	ALTER TABLE cc_inbox DISABLE TRIGGER cc_inbox_insert;
	DROP INDEX cc_inbox_token;
	INSERT INTO cc_inbox (state, received_at, token_digest) VALUES ('rejected', now(), 'twice'), ('rejected', now(), 'twice');
	ALTER TABLE cc_inbox ADD CONSTRAINT check_climb CHECK (check_climb()) NOT VALID});
gains_nothing($_, 'SELECT cc_setup();', 'cc_setup') for 'SET ROLE shop;', 'SET SESSION AUTHORIZATION shop;';
is(as_shop(q{DROP FUNCTION check_climb() CASCADE; ALTER TABLE cc_inbox ENABLE TRIGGER cc_inbox_insert;
	DELETE FROM cc_inbox WHERE token_digest = 'twice' OR token_digest IS NULL AND body IS NULL RETURNING state; SELECT cc_setup()}),
	"rejected\nrejected\n", 'R8: the two rows were there');

# --- R5: existing tables of another owner ---

my $columns = join '; ', map { "CREATE TABLE made_$_ (LIKE cc_$_ INCLUDING ALL)" } qw(project inbox invoice import_log);
for my $owner ('the superuser', 'shop')
{
	my $become = $owner eq 'shop' ? 'SET ROLE shop' : 'RESET ROLE';
	for my $table (qw(project inbox invoice import_log))
	{
		my $answer = answer_as($node, undef, "BEGIN; $columns; DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log;
			ALTER TABLE made_$table RENAME TO cc_$table; ALTER TABLE cc_$table OWNER TO mallory; $become; SELECT cc_setup(); ROLLBACK");
		like($answer, qr/ERROR:  (?!XX000)/, "R5: cc_setup() of $owner refuses a table cc_$table of another owner");
	}
	like(answer_as($node, undef, "BEGIN; DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log; SET ROLE mallory;
		CREATE VIEW cc_inbox AS SELECT 1 AS id; $become; SELECT cc_setup(); ROLLBACK"), qr/ERROR:  (?!XX000)/,
			"R5: cc_setup() of $owner refuses a view");
	my @indexes = split /\n/, as_shop(q{SELECT relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE indrelid IN ('cc_inbox'::regclass, 'cc_invoice'::regclass, 'cc_project'::regclass, 'cc_import_log'::regclass)
		AND NOT indisprimary ORDER BY 1});
	my $shape = q{SELECT string_agg(concat_ws(' ', indrelid::regclass, indisunique, indkey),
		'/' ORDER BY indrelid::regclass::text, indkey::text)
		FROM pg_index WHERE indrelid::regclass::text IN ('cc_inbox', 'cc_invoice', 'cc_project', 'cc_import_log')};
	my $expected = as_shop($shape);
	for my $index (@indexes)
	{
		my $answer = answer_as($node, undef, "BEGIN; DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log; SET ROLE mallory;
			CREATE TABLE \"$index\" (); $become; SELECT cc_setup(); $shape; ROLLBACK");
		$answer =~ s/^\n//;
		ok($answer =~ /ERROR/ || $answer eq $expected,
			"R5: another's table named $index does not leave $owner without that index") or diag($answer);
	}
}

# --- R13: each new table is private ---

for my $table (qw(project inbox invoice import_log))
{
	my $sequence = $table =~ /inbox|log/ ? "OR c.oid::regclass::text = pg_get_serial_sequence('cc_$table', 'id')" : '';
	my $answer = answer_as($node, 'shop',
		"BEGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
		DROP TABLE cc_$table; SELECT cc_setup();
		SELECT bool_or(has_table_privilege('mallory', c.oid, 'SELECT, INSERT,
			UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')) FROM pg_class AS c
		 WHERE c.relname = 'cc_$table' $sequence; ROLLBACK");
	is($answer, "\nf", "R13: cc_$table, made again while the others exist, is private");
}

# --- R12: the trigger works only on cc_inbox of its own schema ---

my %alike = (
	'a copy of cc_inbox' => 'CREATE TABLE alike (LIKE cc_inbox INCLUDING ALL)',
	'a child of cc_inbox' => 'CREATE TABLE alike () INHERITS (cc_inbox); ALTER TABLE alike ALTER id SET DEFAULT 1',
	'a cc_inbox in another schema' => 'CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.cc_inbox (LIKE cc_inbox INCLUDING ALL)');
for my $what (sort keys %alike)
{
	my $table = $what =~ /schema/ ? 'elsewhere.cc_inbox' : 'alike';
	my $answer = as_shop("BEGIN; $alike{$what}; CREATE TRIGGER t BEFORE INSERT ON $table FOR EACH ROW EXECUTE FUNCTION cc_inbox_insert();
		INSERT INTO $table (body) VALUES (" . genuine('ALIKE') . ');
			SELECT state FROM ' . "$table; ROLLBACK");
	like($answer, qr/ERROR:  (?!XX000|25P02|23)/, "R12: the trigger refuses $what") or diag($answer);
}

# --- R11: an index of any name ---

as_shop(q{INSERT INTO cc_inbox (body) SELECT body(token('MANY' || n), jsonb_build_object('invoice_id', 'MANY'
	|| n)) FROM generate_series(1, 2000) AS n});
as_shop('ANALYZE cc_inbox, cc_invoice');
my $renamed = answer_as($node, 'shop', q{BEGIN;
	DO $$
	DECLARE index oid;
	BEGIN
		FOR index IN SELECT indexrelid FROM pg_index WHERE indrelid IN ('cc_inbox'::regclass, 'cc_invoice'::regclass,
			'cc_project'::regclass) LOOP
			EXECUTE format('ALTER INDEX %s RENAME TO %I', index::regclass, 'renamed_' || index);
		END LOOP;
	END $$;
	SELECT deliver(} . genuine('MANY1') . q{); SELECT deliver(} . genuine('NEW') . q{);
	SELECT deliver(body(token('MANY2'), '{"invoice_id": "MANY2"}')); SELECT deliver(body(token('MANY3', 1), '{"invoice_id": "MANY3"}'));
	SELECT deliver(body(token(NULL), '{"invoice_id": "MANY4"}'));
	SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_xact_user_tables WHERE relname IN ('cc_inbox', 'cc_invoice');
	ROLLBACK});
is(join(' ', $renamed =~ /^(applied|duplicate)$/mg), 'applied applied duplicate duplicate duplicate',
	'R11: with renamed indexes all works');
ok($renamed =~ /^0$/m || $renamed =~ /WARNING.*index/, 'R11: and no table is read as a whole, or it is said aloud') or diag($renamed);

# --- R9: a limit of locks ---

my $session = session($node, 'postgres', 'shop');
my $held = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';};
my %way = (
	'one statement' => q{INSERT INTO cc_inbox (body) SELECT body(token('%1$s' || n), jsonb_build_object('invoice_id', '%1$s'
		|| n)) FROM generate_series(1, 3000) AS n;},
	'subtransactions' => q{DO $$BEGIN FOR n IN 1 .. 3000 LOOP BEGIN
		PERFORM deliver(body(token('%1$s' || n), jsonb_build_object('invoice_id', '%1$s'
			|| n))); EXCEPTION WHEN OTHERS THEN RAISE; END; END LOOP; END$$;});
$n = 0;
for my $how (sort keys %way)
{
	my $name = 'BULK' . ++$n . 'X';
	unlike(ask($session, 'SET client_min_messages = error; BEGIN;' . sprintf $way{$how}, $name), qr/ERROR/,
		"R9: $how: 3,000 deliveries in one transaction");
	my ($locks) = ask($session, $held);
	cmp_ok($locks, '<=', 1100, "R9: $how: take a bounded number of locks");
	cmp_ok($locks, '>=', 100, "R9: $how: and some");
	my %states = map { split /\|/ } split /\n/, ask($session,
		"SELECT state, count(*) FROM cc_inbox WHERE invoice_id LIKE '$name%' GROUP BY 1;");
	is(join(' ', grep { $_ ne 'applied' && $_ ne 'pending' } sort keys %states), '', "R9: $how: each is applied or pending");
	is(($states{applied} // 0) + ($states{pending} // 0), 3000, "R9: $how: none is lost");
	like(answer_as($node, 'proxy', q{SELECT 'connected'}), qr/^connected$/, "R9: $how: others can connect");
	is(as_shop('SELECT deliver(' . genuine("OTHER$name") . ')'), 'applied', "R9: $how: and deliver");
	ask($session, 'COMMIT;');
	unlike(ask($session, 'BEGIN; SELECT cc_apply(100000);'), qr/ERROR/, "R9: $how: cc_apply of all");
	cmp_ok(ask($session, $held), '<=', 1100, "R9: $how: cc_apply ends by itself before it takes more locks");
	ask($session, 'COMMIT;');
	for (1 .. 30) { last if ask($session, 'SELECT cc_apply(500);') eq '0' }
	is(as_shop("SELECT count(*), count(*) FILTER (WHERE paid_at IS NOT NULL) FROM cc_invoice WHERE invoice_id LIKE '$name%'"), '3000|3000',
		"R9: $how: cc_apply settles the rest");
}
$session->{run}->finish;

# --- R6: overloads by another role in the schema ---

# Functions of the extension and of PostgreSQL that its SQL calls, with types that fit better than the declared ones
my $ours = q{FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension AS e ON e.oid = d.refobjid WHERE extname = 'cryptocloud_postback' AND prokind = 'f'};
my $names = as_shop(qq{SELECT string_agg(DISTINCT proname, ' ') $ours
	AND proname NOT IN ('cc_setup', 'cc_receive', 'cc_apply', 'cc_sample_postback')});
my $signatures = as_shop(qq{SELECT string_agg(format('%s(%s)', proname, oidvectortypes(proargtypes)), ';') $ours});
my $overload = q{
	DO $$
	DECLARE f record;
	BEGIN
		FOR f IN
			SELECT name, arguments FROM unnest(string_to_array('NAMES convert_to encode upper length format concat_ws position
					hashtextextended jsonb_build_object isfinite num_nulls quote_ident regexp_replace string_to_array jsonb_pretty
					date_part digest sha256 octet_length has_table_privilege', ' ')) AS name,
				unnest(ARRAY['text', 'integer', 'text, text', 'text, integer', 'text, text, text', 'boolean, text, text',
					'boolean, numeric, numeric', 'boolean, jsonb, jsonb', 'boolean, timestamptz, timestamptz', 'boolean, text[], text[]',
					'boolean, boolean, boolean', 'text, text, text, text', 'text, varchar', 'varchar, text', 'oid', 'name']) AS arguments
			 WHERE trim(name, E' \n\t') <> ''
		LOOP
			f.name := trim(f.name, E' \n\t');
			CONTINUE WHEN format('%s(%s)', f.name, f.arguments) = ANY (string_to_array('SIGNATURES', ';'));
			EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.name, f.arguments,
				(string_to_array(f.arguments, ', '))[cardinality(string_to_array(f.arguments, ', '))],
				'BEGIN RAISE WARNING ''overload of ' || f.name || ' runs as %'', current_user; RETURN $1; END');
		END LOOP;
	END $$;
};
$overload =~ s/NAMES/$names/;
$overload =~ s/SIGNATURES/$signatures/;
my $use = q~SELECT cc_setup(); INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
	INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret'));
	INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret', amount_crypto => 5));
	INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret', amount_crypto => 7, expires_at => now() + interval '1 min'));
	INSERT INTO cc_inbox (body, content_type) VALUES (cc_sample_postback('s3cret', 'application/x-www-form-urlencoded', order_id => 'a/b'),
		'application/x-www-form-urlencoded');
	SELECT a.* FROM cc_receive('{}'::text, NULL) AS a; SELECT a.* FROM cc_receive('\xff'::bytea, NULL) AS a; SELECT cc_apply();
	UPDATE cc_inbox SET state = 'failed' WHERE id = 2; SELECT cc_apply(); SELECT 'deliveries: ' || count(*) FROM cc_inbox;
	SELECT i.* FROM cc_import('{"status": "success", "result": {"uuid": "INV-ILRAJE1Q", "status": "created"}}'::jsonb) AS i,
		cc_overdue() AS o;~;
for my $when ('before', 'after')
{
	$node->safe_psql('postgres', "CREATE DATABASE $when; GRANT CREATE ON DATABASE $when TO shop, mallory");
	$node->safe_psql($when, 'GRANT ALL ON SCHEMA public TO shop, mallory');
	my $create = 'CREATE EXTENSION cryptocloud_postback;';
	my $first = $when eq 'before' ? '' : answer_as($node, 'shop', $create, $when);
	is($first . answer_as($node, 'mallory', $overload, $when), '', "R6: overloads that are made $when CREATE EXTENSION");
	my $answer = answer_as($node, 'shop', ($when eq 'before' ? $create : '') . $use, $when);
	my %called = map { $_ => 1 } $answer =~ /overload of (\w+) runs as/g;
	is(join(' ', sort keys %called), '', "R6: made $when CREATE EXTENSION, none is called by ours");
	like($answer, qr/deliveries: 6/, "R6: made $when CREATE EXTENSION, all works") or diag($answer);
}

# --- R7: a renamed schema, and another role's schema of the old name ---

$node->safe_psql('postgres', 'CREATE DATABASE renamed; GRANT CREATE ON DATABASE renamed TO shop, mallory');
answer_as($node, 'shop', q{CREATE SCHEMA cc; CREATE EXTENSION cryptocloud_postback SCHEMA cc; SET search_path = cc; SELECT cc_setup();
	INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret'); ALTER SCHEMA cc RENAME TO moved;
	GRANT USAGE ON SCHEMA moved TO mallory, proxy; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA moved TO proxy}, 'renamed');
my $squat = answer_as($node, 'mallory', q~
	CREATE SCHEMA cc; GRANT ALL ON SCHEMA cc TO PUBLIC; SET search_path = pg_catalog;
	CREATE TABLE cc.cc_inbox (id bigint, project text, body text, raw bytea, content_type text, state text, reason text);
	GRANT ALL ON cc.cc_inbox TO PUBLIC;
	DO $$
	DECLARE f record;
	BEGIN
		FOR f IN SELECT proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
		           FROM pg_proc AS p WHERE pronamespace = 'moved'::regnamespace AND prokind = 'f'
		LOOP
			EXECUTE format('CREATE FUNCTION cc.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.arguments, f.result,
				'BEGIN RAISE EXCEPTION ''mallory''''s ' || f.proname || ' runs as %'', current_user; END');
		END LOOP;
	END $$;
	SELECT 'functions: ' || (count(*) > 5) FROM pg_proc WHERE pronamespace = 'cc'::regnamespace;~, 'renamed');
is($squat, 'functions: true', 'R7: another makes the old schema again, with the same functions');
# Signed elsewhere, so that each call shows only its own effect
my @bodies = map { q{'} . as_shop('SELECT ' . genuine($_)) . q{'::text} } qw(A B C C);
for my $call ('SELECT moved.cc_setup()', "SELECT http_status FROM moved.cc_receive($bodies[0], '')",
	"SELECT http_status FROM moved.cc_receive(convert_to($bodies[1], 'UTF8'), '')",
	"INSERT INTO moved.cc_inbox (body) VALUES ($bodies[2])", "INSERT INTO moved.cc_inbox (body) VALUES ($bodies[3])",
	'SELECT moved.cc_apply()', q{SELECT moved.cc_sample_postback('s3cret') <> ''},
	q{UPDATE moved.cc_project SET leeway = '1 s'}, 'SELECT moved.cc_overdue()',
	q{SELECT moved.cc_import('{"status": "success", "result": {"uuid": "INV-A", "status": "canceled"}}')})
{
	my $answer = answer_as($node, 'shop', $call, 'renamed');
	unlike($answer, qr/mallory|ERROR/, 'R7: after a rename ours calls ours: ' . substr $call, 0, 50);
}
is(answer_as($node, 'shop', q{SELECT count(*) FROM moved.cc_invoice}, 'renamed'), '3', 'R7: and postbacks are applied');
is(answer_as($node, 'shop', q{SELECT count(*) FROM cc.cc_inbox}, 'renamed'), '0', 'R7: none went astray');
# "$user" in the search_path of the pipeline is the schema of the owner's name, if it is the owner's
answer_as($node, undef, 'CREATE TABLE public.orders (id text); ALTER TABLE public.orders OWNER TO shop', 'renamed');
answer_as($node, 'shop', q{
	CREATE FUNCTION moved.note() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO orders VALUES (NEW.invoice_id); RETURN NULL; END$$;
	CREATE TRIGGER note AFTER INSERT ON moved.cc_invoice FOR EACH ROW EXECUTE FUNCTION moved.note()}, 'renamed');
my $make_schema = 'CREATE SCHEMA shop; GRANT ALL ON SCHEMA shop TO PUBLIC; CREATE TABLE shop.orders (id text);
	GRANT ALL ON shop.orders TO PUBLIC';
answer_as($node, 'mallory', $make_schema, 'renamed');
my ($d, $e) = map { q{'} . as_shop('SELECT ' . genuine($_)) . q{'::text} } qw(D E);
answer_as($node, 'shop', "INSERT INTO moved.cc_inbox (body) VALUES ($d)", 'renamed');
is(answer_as($node, 'shop', q{SELECT string_agg(id, ' ') FROM public.orders}, 'renamed'), 'D',
	"R7: a trigger does not find the table in another role's schema of the owner's name");
like(answer_as($node, 'shop', q{SELECT * FROM moved.cc_rehearse('moved.note', '-infinity')}, 'renamed'), qr/"public\.orders": 1/,
	'R7: nor does its rehearsal');
answer_as($node, 'mallory', 'DROP SCHEMA shop CASCADE', 'renamed');
answer_as($node, 'shop', "$make_schema; INSERT INTO moved.cc_inbox (body) VALUES ($e)", 'renamed');
is(answer_as($node, 'shop', q{SELECT string_agg(id, ' ') FROM shop.orders}, 'renamed'), 'E', "R7: it finds the one in the owner's schema");
answer_as($node, 'shop', 'DROP TRIGGER note ON moved.cc_invoice; DROP SCHEMA shop CASCADE', 'renamed');
# The owner of the schema may be another role than that of the tables, and chooses its name: here one that calls a function, if it
# ends a text of SQL
answer_as($node, undef, q{ALTER SCHEMA moved OWNER TO mallory}, 'renamed');
my $evil = q{"a'||ev.il()||'%s"};
answer_as($node, 'mallory', qq~
	CREATE SCHEMA ev; GRANT USAGE ON SCHEMA ev TO PUBLIC;
	CREATE FUNCTION ev.il() RETURNS text LANGUAGE plpgsql AS
		\$\$BEGIN RAISE WARNING 'mallory''s function runs as %', current_user; RETURN ''; END\$\$;
	GRANT USAGE, CREATE ON SCHEMA moved TO shop; ALTER SCHEMA moved RENAME TO $evil~, 'renamed');
my $order_trigger = 'CREATE FUNCTION public.pay() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$';
answer_as($node, undef, "$order_trigger; ALTER FUNCTION public.pay() OWNER TO shop", 'renamed');
answer_as($node, 'shop', "COMMENT ON TABLE $evil.cc_inbox IS NULL; COMMENT ON COLUMN $evil.cc_inbox.body IS NULL;
	ALTER TABLE $evil.cc_project DROP COLUMN notify; DROP INDEX $evil.cc_invoice_order", 'renamed');
for my $call ("SELECT $evil.cc_setup()", "SELECT $evil.cc_setup()", "SELECT * FROM $evil.cc_health()",
	"INSERT INTO $evil.cc_inbox (project, body) VALUES ('nobody', '{}')", "SELECT * FROM $evil.cc_health()",
	"SELECT * FROM $evil.cc_timeline('A')", "SELECT * FROM $evil.cc_overdue()", "CALL $evil.cc_work()",
	"SELECT * FROM $evil.cc_rehearse('public.pay', '-infinity')", "SELECT * FROM $evil.cc_reverify()", "SELECT $evil.cc_erase('C')",
	"SELECT $evil.cc_purge('1 day')", "DELETE FROM $evil.cc_project", "SELECT * FROM $evil.cc_health()")
{
	unlike(answer_as($node, 'shop', $call, 'renamed'), qr/mallory|ERROR/, "R7: the name of the schema is no code: $call");
}

# --- R4: a NULL or a missing column where a value is required ---

my $nulls = start_shop('attack_nulls', "restart_after_crash = on\n");
sign_postbacks($nulls, 'shop');
answer_as($nulls, 'shop', q{SELECT deliver(body(token('KNOWN'), '{"invoice_id": "KNOWN"}')); UPDATE cc_project SET apply = 'deferred';
	SELECT deliver(body(token('WAITS'), '{"invoice_id": "WAITS"}')); UPDATE cc_project SET apply = 'immediate'});
my @columns = map { [ split /\|/ ] } split /\n/, answer_as($nulls, 'shop', q{
	SELECT relname, attname, attnotnull FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	 WHERE relname IN ('cc_project', 'cc_inbox', 'cc_invoice', 'cc_import_log') AND relkind = 'r'
	   AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2});
my $keys = q{
	DO $$
	DECLARE k record;
	BEGIN
		FOR k IN SELECT conname, conrelid::regclass AS on_table FROM pg_constraint
		          WHERE conrelid::regclass::text LIKE 'cc\_%' AND contype = 'p'
		LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.on_table, k.conname);
		END LOOP;
	END $$;};
my @calls = ("SELECT deliver(body(token('KNOWN', 1), '{\"invoice_id\": \"KNOWN\", \"amount_crypto\": 2}'))",
	"SELECT deliver(body(token('KNOWN'), '{\"invoice_id\": \"KNOWN\"}'))", "SELECT deliver(body(token(NULL), '{\"invoice_id\": \"N\"}'))",
		'SELECT cc_apply()', q{SELECT cc_import('{"status": "success", "result": [{"uuid": "INV-KNOWN", "status": "canceled"},
			{"uuid": "INV-M", "status": "created"}]}')}, 'SELECT cc_overdue()');
my ($crashed, $unclear) = ('', '');
for my $column (@columns)
{
	my ($table, $name, $not_null) = @$column;
	my %change = (dropped => "ALTER TABLE $table DROP COLUMN $name CASCADE");
	$change{NULL} = "$keys ALTER TABLE $table DISABLE TRIGGER USER; " . ($name eq 'id' ? "ALTER TABLE $table ALTER $name DROP IDENTITY;
		" : '')
	  . "ALTER TABLE $table ALTER $name DROP NOT NULL;
		UPDATE $table SET $name = NULL; ALTER TABLE $table ENABLE TRIGGER USER" if $not_null eq 't';
	for my $how (sort keys %change)
	{
		my $answer = answer_as($nulls, 'shop',
			"BEGIN; $change{$how};\n\\echo changed\n" . join('', map { "SAVEPOINT s; $_; ROLLBACK TO s;\n" } @calls) . 'ROLLBACK;');
		if ($answer =~ /server closed the connection|connection to server/)
		{
			$crashed .= "$table.$name $how; ";
			$nulls->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
		}
		elsif ($answer !~ /\A(?:WARNING.*\n)*changed\n/ || $answer =~ /ERROR:  (?:XX|25P02)/)
		{
			$unclear .= "$table.$name $how: $answer\n";
		}
	}
}
cmp_ok(scalar(@columns), '>', 50, 'R4: there are columns to break');
is($crashed, '', 'R4: no NULL and no missing column crashes the server');
is($unclear, '', 'R4: each is a state, or a clear error');
ok(PostgreSQL::Test::Utils::slurp_file($nulls->logfile) !~ /was terminated by signal|PANIC/, 'R4: no backend crashed');

$_->stop for $node, $nulls;
done_testing();
