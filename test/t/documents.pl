# No link of a document is broken. Each X.ru.md is the Russian edition of X.md: the same code blocks, headings of the same levels, tables
# of the same size, and links to the same places. Only the English README has the tables of figures, which each measurement changes.
use strict;
use utf8;
use warnings;
use File::Basename;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Document;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";

my %text;
sub text_of
{
	my ($path) = @_;
	$text{$path} //= do { my $bytes = slurp_file($path); utf8::decode($bytes); $bytes };
	return $text{$path};
}

# The targets of the links, without those of code blocks.
sub links
{
	my ($text) = @_;
	$text =~ s/^```.*?^```$//msg;
	return $text =~ /\]\(([^)]*)\)/g;
}

sub broken_links
{
	my ($file) = @_;
	my @broken;
	for my $link (grep { !/^https?:/ } links(text_of($file)))
	{
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $file : dirname($file) . "/$path";
		my %anchors = defined $anchor && -f $target ? anchors(text_of($target)) : ();
		push @broken, $link unless -e $target && (!defined $anchor || $anchors{$anchor});
	}
	utf8::encode($_) for @broken;
	return "@broken";
}

# One line for each block, heading, table and link, in order of kind.
sub outline
{
	my ($text) = @_;
	my @outline = map { "block $_->{language} <$_->{note}>\n$_->{code}" } code_blocks($text);
	push @outline, map { "heading $_->[0]" } headings($text);
	my @links = links($text);
	s/#.*//, s/\.ru\.(?=md|svg)/./, s/-ru\./-en./ for @links;
	push @outline, map { "link $_" } sort grep { !/^README/ } @links;
	$text =~ s/^```.*?^```$//msg;
	$text =~ s/^## (?:Performance|Производительность)\n.*?(?=^## )//ms;
	push @outline, 'table of ' . (() = $1 =~ /\n/g) . ' rows' while $text =~ /((?:^\|.*\n)+)/mg;
	utf8::encode($_) for @outline;    # to be printed
	return @outline;
}

my @documents = grep { !/node_modules/ } glob("$root/*.md $root/{docs,sandbox,bench,monitoring,test}/*.md $root/{proxies,test}/*/*.md");
cmp_ok(scalar @documents, '>', 10, 'there are documents');
for my $file (@documents)
{
	my $name = $file =~ s/^\Q$root\E\///r;
	is(broken_links($file), '', "$name: no link is broken");
	next unless $name =~ /\.ru\.md$/;
	is_deeply([ outline(text_of($file)) ], [ outline(text_of($file =~ s/\.ru\.md$/.md/r)) ], "$name is like the English edition");
	# An edition that nobody translated would pass as well.
	my @letters = text_of($file) =~ /\p{Cyrillic}/g;
	cmp_ok(scalar @letters, '>', length(text_of($file)) / 8, "$name is in Russian");
}
ok((grep { /README\.ru\.md$/ } @documents), 'there is a Russian README');
done_testing();
