# The fenced blocks of a document, for a test that runs each of them. A block that no test runs is a failure.
package Chapter;
use strict;
use warnings;
use Test::More;

# Of a Markdown file. Each block knows its section (##), its language, its text, and the comment <!-- … --> right above it.
sub new
{
	my ($class, $path) = @_;
	open my $file, '<', $path or die "$path: $!";
	my ($section, $comment, $block, @blocks) = ('', '');
	while (my $line = <$file>)
	{
		if ($block)
		{
			if ($line =~ /^```$/) { $block = undef }
			else { $block->{text} .= $line }
			next;
		}
		$section = $1 if $line =~ /^## (.*)/;
		if ($line =~ /^\s*```(.*)/)
		{
			$block = { section => $section, language => $1, comment => $comment, text => '', line => $. };
			push @blocks, $block;
		}
		$comment = $line =~ /^<!-- (.*) -->$/ ? $1 : '';
	}
	return bless { path => $path, blocks => \@blocks }, $class;
}

# The blocks of these sections.
sub blocks
{
	my ($self, @sections) = @_;
	my %is_wanted = map { $_ => 1 } @sections;
	return grep { $is_wanted{ $_->{section} } } @{ $self->{blocks} };
}

# The sections that have blocks.
sub sections
{
	my ($self) = @_;
	my %seen;
	return grep { !$seen{$_}++ } map { $_->{section} } @{ $self->{blocks} };
}

# The text of a block, which counts as run from then on.
sub take
{
	my ($block) = @_;
	$block->{is_run} = 1;
	return $block->{text};
}

# A test: each block of these sections was run.
sub all_run
{
	my ($self, @sections) = @_;
	my @left = map { "line $_->{line}: " . (split /\n/, $_->{text})[0] } grep { !$_->{is_run} } $self->blocks(@sections);
	return is(join("\n", @left), '', "each block of these sections was run: @sections");
}

1;
