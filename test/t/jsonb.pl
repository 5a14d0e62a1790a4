# The jsonb of the extension equals byte for byte that of PostgreSQL's own parser, and both accept the same bodies: the vectors,
# the results of fuzzing, and random JSON, valid or not. With CC_CORPUS=folder also each file in that folder, such as
# build/fuzz/corpus/json.
use strict;
use warnings;
use Cwd;
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use MIME::Base64;
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $node = start_node('jsonb');

# --- Bodies ---

srand(20260127);
sub one_of { return $_[ rand @_ ] }

my @names = ('a' .. 'h', '', 'aa', 'ab', 'token', 'status', 'ключ', '\u0061', '\u00e9', "\x{e9}", 'a b', '\\\\', '\"', "\x{1F600}",
	'\ud83d\ude00');
sub random_name { return rand() < 0.5 ? one_of(@names) : one_of('', 'key', 'the same long beginning ') . int rand 300 }

sub random_number
{
	my $number = one_of('', '-') . one_of(0, 1, 12, 123, 1234, 12345, 99999999, '9' x 17, '1' . '0' x 18, '9' x 19, '7' x int rand 60,
		int rand 1e9);
	$number =~ s/^(-?)$/${1}0/;
	$number .= '.' . one_of(0, '00', 5, '50', '0001', '0' x int(1 + rand 30) . '1', '3' x int(1 + rand 60)) if rand() < 0.4;
	$number .= one_of('e', 'E') . one_of('', '+', '-') . one_of(0, 1, 2, 3, 4, 5, '07', 17, 18, 19, 36, 63, 64, 65, 130, 256) if rand() < 0.3;
	return $number;
}

sub random_string { return '"' . join('', map { one_of(@names, '\n', '\t', '\/', '\u0001', '\uffff', "\x{7f}", ' ', 'x' x rand 200) } 1 ..
	rand 6) . '"' }

sub random_value
{
	my ($depth) = @_;
	my $kind = rand($depth > 5 ? 6 : 9);
	return one_of('null', 'true', 'false') if $kind < 1;
	return random_number() if $kind < 4;
	return random_string() if $kind < 6;
	# Sometimes enough children that offsets are stored among the lengths
	my $size = rand() < 0.1 && $depth < 2 ? 30 + int rand 100 : int rand 4;
	return '[' . join(one_of(',', ' , '), map { random_value($depth + 1) } 1 .. $size) . ']' if $kind < 7.5;
	return random_object($depth, $size);
}

sub random_object
{
	my ($depth, $size) = @_;
	return '{' . join(one_of(',', ",\n"), map { '"' . random_name() . '"' . one_of(':', ' : ') . random_value($depth + 1) } 1 .. $size) . '}';
}

sub mutated
{
	my ($body) = @_;
	for (0 .. rand 3)
	{
		my $at = int rand(1 + length $body);
		my $piece = one_of('{', '}', '[', ']', '"', ':', ',', '\\', '0', '-', '.', 'e', ' ', "\n", "\t", "\x1f", "\x1a", '\u', '\ud800', '\u0000',
			'null', 'tru', "\x{e9}", '1e5', '00');
		substr($body, $at, int rand 3, rand() < 0.3 ? '' : $piece) if $at <= length $body;
	}
	return $body;
}

sub nested { my ($open, $inside, $close, $depth) = @_; return $open x $depth . $inside . $close x $depth }

sub utf8_bytes { my ($text) = @_; utf8::encode($text); return $text }

my @bodies;
for my $suite (qw(documentation wire rfc wycheproof json_suite))
{
	for my $line (split /\n/, slurp_file("$root/test/vectors/$suite.jsonl"))
	{
		my $vector = decode_json($line);
		push @bodies, exists $vector->{body} ? utf8_bytes($vector->{body}) : decode_base64($vector->{body_b64});
	}
}
my $vectors = @bodies;
for my $folder (glob("$root/test/fuzz/regression/*"), $ENV{CC_CORPUS} // ())
{
	push @bodies, map { slurp_file($_) } grep { -f } glob("$folder/*");
}
for (1 .. 4000)
{
	my $body = random_object(1, int rand one_of(5, 5, 20, 100));
	push @bodies, grep { length() < 100_000 } utf8_bytes($body), utf8_bytes(mutated($body));
}
push @bodies, map { (nested('{"a":', 1, '}', $_), '{"a":' . nested('[', '', ']', $_ - 1) . '}',
	'{"a":' . nested('[{"b":', '[]', '}]', $_ / 2) . '}') } 2 .. 66;
push @bodies, map { '{' . join(',', map { "\"$_\":$_" } 1 .. $_) . '}' } 0 .. 200;
push @bodies, map { '{"a":[' . join(',', 1 .. $_) . ']}' } 0 .. 200;
push @bodies, map { "{\"a\":$_}" } map { ($_, "-$_") } ('9' x 399, '9' x 400, '0.' . '3' x 399, '0.' . '3' x 400, '1e399', '1e-400',
	'0e399', '0.0e-399', '9' x 400 . '.' . '9' x 400);

# --- The results of PostgreSQL and of the extension ---

# The depth of nesting, if it is valid
sub nesting
{
	my ($body) = @_;
	$body =~ s/"(?:[^"\\]|\\.)*"//gs;
	my ($depth, $deepest) = (0, 0);
	for my $bracket ($body =~ /[\[\]{}]/g)
	{
		$depth += $bracket =~ /[\[{]/ ? 1 : -1;
		$deepest = $depth if $depth > $deepest;
	}
	return $deepest;
}

my $folder = Cwd::abs_path(PostgreSQL::Test::Utils::tempdir());     # the server reads from it, and works elsewhere
append_to_file("$folder/bodies", join('', map { join("\t", $_, nesting($bodies[$_]), '\\\\x' . unpack('H*', $bodies[$_])) . "\n" } 0 ..
	$#bodies));
$node->safe_psql('postgres', qq{
	CREATE TABLE body (id int PRIMARY KEY, nesting int, bytes bytea, text text, ours jsonb, theirs jsonb);
	COPY body (id, nesting, bytes) FROM '$folder/bodies';
	CREATE FUNCTION text_or_null(bytes bytea) RETURNS text LANGUAGE plpgsql AS
		\$\$BEGIN RETURN convert_from(bytes, 'UTF8'); EXCEPTION WHEN OTHERS THEN RETURN NULL; END\$\$;
	UPDATE body SET text = text_or_null(bytes);
	-- The stored form itself: byteasend hands out whatever it is given.
	CREATE FUNCTION stored(jsonb) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'byteasend';
} . q{
	CREATE FUNCTION ours(body text) RETURNS jsonb LANGUAGE plpgsql AS
		$$BEGIN RETURN cc_parse_postback(body, 'application/json'); EXCEPTION WHEN invalid_text_representation THEN RETURN NULL; END$$;
	-- A postback is an object; jsonb may be anything.
	CREATE FUNCTION theirs(body text) RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
		RETURN CASE WHEN jsonb_typeof(body::jsonb) = 'object' THEN body::jsonb - 'token' END;
	EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN RETURN NULL;
	END
	$$;
	UPDATE body SET ours = ours(text), theirs = theirs(text) WHERE text IS NOT NULL;
});

# Numbers beyond 400 digits on either side become strings in the extension, and PostgreSQL may refuse them.
sub has_long_number
{
	my ($body) = @_;
	$body =~ s/"(?:[^"\\]|\\.)*"/""/gs;
	while ($body =~ /-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?)0*(\d+))?/g)
	{
		my ($whole, $fraction, $sign, $power) = ($1, $2 // '', $3 // '', $4 // 0);
		return 1 if length $power > 4;
		$power = -$power if $sign eq '-';
		return 1 if $power - length $fraction < -400;
		my $digits = "$whole$fraction";
		$digits =~ s/^(0*)//;
		return 1 if $digits ne '' && length($whole) + $power - length $1 > 400;
	}
	return 0;
}
my @long = grep { has_long_number($bodies[$_]) } 0 .. $#bodies;
$node->safe_psql('postgres', "CREATE TABLE long (id int); INSERT INTO long SELECT unnest('{" . join(',', @long) . "}'::int[]);");

sub none
{
	my ($what, $condition) = @_;
	is($node->safe_psql('postgres', qq{SELECT id, left(text, 200) FROM body WHERE $condition ORDER BY id LIMIT 5}), '', $what);
	return;
}
my ($accepted, $refused) = split /\|/, $node->safe_psql('postgres', 'SELECT count(ours), count(*) - count(ours) FROM body');
note("$accepted bodies accepted, $refused refused, " . @long . ' with long numbers');
cmp_ok($accepted, '>', 4000, 'many bodies are accepted');
cmp_ok($refused, '>', 2000, 'and many refused');

none('what we accept, PostgreSQL accepts', 'ours IS NOT NULL AND theirs IS NULL AND id NOT IN (SELECT id FROM long)');
none('what PostgreSQL accepts, we accept: an object down to a depth of 64', 'ours IS NULL AND theirs IS NOT NULL AND nesting <= 64');
none('and no deeper', 'ours IS NOT NULL AND nesting > 64');
none('both are the same, byte for byte', 'stored(ours) <> stored(theirs) AND id NOT IN (SELECT id FROM long)');
none('the bytea form reads the same', q{ours IS NOT NULL AND stored(cc_parse_postback(bytes, 'application/json')) <> stored(ours)});

# jsonb cannot hold these numbers, so they become strings.
is($node->safe_psql('postgres',
	q{SELECT cc_parse_postback('{"zero":[0e2147483647,-0.0E+99999999999999999999],"large":[1e400,1e99999999999999999999],"small":1e-131072}',
	'')}),
	'{"zero": [0, 0], "large": ["1e400", "1e99999999999999999999"], "small": "1e-131072"}', 'a number of any size is no error');

# --- Forms ---

my @forms;
for (1 .. 4000)
{
	my @pairs = map { [ map { rand() < 0.5 ? one_of('a' .. 'e', 'token', '') : utf8_bytes(random_name()) } 1, 2 ] } 0 .. rand one_of(3, 10,
		150);
	my (%values, @order);
	for my $pair (@pairs) { push @{ $values{ $pair->[0] } }, $pair->[1] }
	delete $values{token};
	my $encode = sub { my ($text) = @_; $text =~ s/([^A-Za-z0-9])/$1 eq ' ' && rand() < 0.5 ? '+' : sprintf(one_of('%%%02X', '%%%02x'),
		ord $1)/ge; return $text };
	my %expected = map { my $v = $values{$_}; my ($name, @v) = map { my $t = $_; utf8::decode($t); $t } ($_, @$v);
		$name => @v == 1 ? $v[0] : \@v } keys %values;
	push @forms, [ join('&', map { $encode->($_->[0]) . '=' . $encode->($_->[1]) } @pairs), JSON::PP->new->ascii->encode(\%expected) ];
}
append_to_file("$folder/forms", join('', map { my ($form, $json) = @$_; $json =~ s/\\/\\\\/g; "$form\t$json\n" } @forms));
$node->safe_psql('postgres', qq{CREATE TABLE form (form text, json jsonb); COPY form FROM '$folder/forms'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM form WHERE stored(cc_parse_postback(form, 'application/x-www-form-urlencoded')) =
	stored(json)}),
	scalar @forms, 'forms: what jsonb makes of the same pairs, byte for byte');

# --- Claims, and invoice_info in the pipeline: the same code with other callers ---

is($node->safe_psql('postgres', q{
	WITH token AS (
		SELECT claims, format('status=s&invoice_id=x&amount_crypto=1&currency=c&token=%s', cc_sign_token(claims, 's3cret')) AS form
		  FROM (SELECT (theirs - 'id' - 'uuid' - 'nbf' - 'iat') || '{"exp": 4102444800}' AS claims FROM body
		         WHERE length(theirs::text) < 2500 AND nesting <= 64 AND id NOT IN (SELECT id FROM long)) AS c)
	SELECT count(*) > 3000, count(*) FILTER (WHERE NOT p.verified), count(*) FILTER (WHERE stored(p.claims) <> stored(token.claims))
	  FROM token, cc_verify_postback(form, '', 's3cret') AS p}), 't|0|0',
	  	'any signed claims verify, and stay the same, byte for byte');

$node->safe_psql('postgres', q~
	INSERT INTO cc_inbox (body)
	SELECT format('{"status":"success","invoice_id":"J%s","amount_crypto":1,"currency":"BNB","token":"%s","invoice_info":%s}',
	              id, cc_sign_token(jsonb_build_object('id', 'J' || id, 'exp', 4102444800), 's3cret'), ours)
	  FROM body WHERE ours IS NOT NULL AND nesting < 64 AND id % 10 = 0~);
# A transaction settles only a limited number
$node->safe_psql('postgres', 'CALL cc_work()');
is($node->safe_psql('postgres', q~
	SELECT count(*) > 300, count(*) FILTER (WHERE i.info IS NULL OR stored(i.info) <> stored(b.ours))
	  FROM body AS b LEFT JOIN cc_invoice AS i ON i.invoice_id = 'J' || b.id
	 WHERE b.ours IS NOT NULL AND b.nesting < 64 AND b.id % 10 = 0~),
	't|0', 'invoice_info in the pipeline is the same, byte for byte');

# --- No body raises an error ---

is($node->safe_psql('postgres', q~
	SELECT count(*) FILTER (WHERE p.verified IS NULL OR r.http_status IS NULL)
	  FROM body, (VALUES ('application/json'), ('application/x-www-form-urlencoded'), ('')) AS type (name),
	       cc_verify_postback(bytes, type.name, 's3cret') AS p, cc_receive(bytes, type.name) AS r~), '0',
	       	'each body gets a verdict and an answer');
is($node->safe_psql('postgres', q~
	WITH value (json) AS (SELECT format('%s', v) FROM unnest(ARRAY['null', 'true', '""', '"x"', '[]', '{}', '["a",null]', '["a"]', '[[]]', '0',
		'-0', '1e399', '1e-400', '1e400',
		'1e-401', '0e2147483647', '0e99999999999999999999', '0e-99999999999999999999', '1e99999999999999999999', '"0e99999999999999999999"',
			'"NaN"', '"Infinity"', '" 1.5 "',
		'"2026-02-30 00:00:00"', '"0001-01-01 00:00:00"', '"9999-12-31 23:59:59.999999999"', '"9999-12-31 24:00:00"', '"infinity"', '"\\u0001"',
			repeat('9', 400), repeat('9', 401), '0.' || repeat('0', 500) || '1e500',
		'"' || repeat('x', 100000) || '"', '{"network":{"code":["BSC"]}}', '{"network":{"code":"BSC"}}']) AS v),
	info (json) AS (SELECT format('{"%s":%s}', name, json)
		FROM value, unnest(ARRAY(SELECT jsonb_object_keys(cc_sample_postback('s3cret')::jsonb -> 'invoice_info'))) AS name),
	sent AS (SELECT row_number() OVER () AS n, json FROM info),
	-- The functions of a row run before those of the next one: received is what became of each
	received AS MATERIALIZED (SELECT n, r.http_status FROM sent, cc_receive(format(
		'{"status":"s","invoice_id":"V%s","amount_crypto":0e99999999999999999999,"currency":"c","token":"%s","invoice_info":%s}',
		n, cc_sign_token(jsonb_build_object('id', 'V' || n, 'exp', 4102444800), 's3cret'), json), '') AS r)
	SELECT count(*) > 1000, count(*) FILTER (WHERE http_status <> 200) FROM received~), 't|0',
	'no content of invoice_info loses the payment');
$node->safe_psql('postgres', 'CALL cc_work()');
is($node->safe_psql('postgres', q{SELECT count(*) > 1000, count(*) FILTER (WHERE info IS NULL) FROM cc_invoice WHERE invoice_id LIKE 'V%'}),
	't|0',
	'and is kept');

note("$vectors of the bodies are vectors");
$node->stop;
done_testing();
