EXTENSION  = cryptocloud_postback
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" cryptocloud_postback.control)

MODULE_big = cryptocloud_postback
SOURCES    = $(sort $(wildcard src/core/*.cpp src/pg/*.cpp))
OBJS       = $(SOURCES:.cpp=.o)
HEADERS_   = $(wildcard src/core/*.hpp src/pg/*.hpp)
# The functions of this version, for its base script and for the upgrade to it. Scripts of released versions are kept as they were.
SQL        = sql/verify.sql sql/setup.sql sql/pipeline.sql sql/recover.sql sql/retain.sql sql/import.sql sql/operate.sql sql/rehearse.sql
BASE       = sql/$(EXTENSION)--$(EXTVERSION).sql
UPGRADE    = sql/$(EXTENSION)--0.1.0--$(EXTVERSION).sql
DATA_built = $(BASE) $(UPGRADE)
DATA       = $(filter-out $(DATA_built),$(wildcard sql/$(EXTENSION)--*.sql))
# The SQL of each version calls a library of its own name: a session that runs the old one loads the new one beside it.
VERSIONED  = $(EXTENSION)-$(EXTVERSION)$(DLSUFFIX)
EXTRA_CLEAN = $(OBJS:.o=.d) $(DATA_built) test/expected test_out build

REGRESS      = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=test_out $(if $(filter 15,$(PGVER)),,--expecteddir=.)
REGRESS_PREP = regress-prep

PG_CONFIG ?= pg_config
PGVER     := $(shell $(PG_CONFIG) --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')

# -isystem: PostgreSQL's headers do not compile without warnings under ours.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) -Isrc
PG_CXXFLAGS = -std=c++20 -O3 -fno-semantic-interposition -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
              -Wold-style-cast $(WERROR)
# PGXS tracks header dependencies only if PostgreSQL itself was built so.
PG_CXXFLAGS += -MMD -MP
# PGXS links with the C compiler. Only what SQL calls is exported.
SHLIB_LINK = -lcrypto -lstdc++ -Wl,--version-script=src/exports.map

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# make install prefix=…: PostgreSQL's own makefiles do it, but for Debian's, whose folders do not depend on the prefix.
ifdef prefix
ifeq (,$(filter $(prefix)/%,$(datadir)))
override datadir := $(prefix)/share
override pkglibdir := $(prefix)/lib
endif
endif

# clang compiles the bitcode for JIT, and knows nothing of PG_CXXFLAGS.
BITCODE_CXXFLAGS += -std=c++20
$(OBJS:.o=.bc): $(HEADERS_)

-include $(OBJS:.o=.d)
$(OBJS): Makefile

$(BASE): sql/types.sql $(SQL) sql/rights.sql Makefile
	cat $(filter %.sql,$^) > $@

$(UPGRADE): sql/upgrade-0.1.0.sql $(SQL) Makefile
	cat $(filter %.sql,$^) > $@

install: install-versioned
.PHONY: install-versioned
install-versioned: $(shlib) installdirs
	$(INSTALL_SHLIB) $(shlib) '$(DESTDIR)$(pkglibdir)/$(VERSIONED)'

uninstall: uninstall-versioned
.PHONY: uninstall-versioned
uninstall-versioned:
	rm -f '$(DESTDIR)$(pkglibdir)/$(VERSIONED)'

# pg_regress before 16 looks for expected/ beside its inputs only.
.PHONY: regress-prep
regress-prep:
	mkdir -p test_out
	$(if $(filter 15,$(PGVER)),ln -sfn ../expected test/expected)

# Tests of src/core alone, without PostgreSQL.
.PHONY: unit
unit:
	$(MAKE) -C test/unit

# The pictures of README, by graphviz.
.PHONY: pictures
pictures: docs/overview.svg docs/overview.ru.svg
docs/overview%svg: docs/overview%dot
	dot -Tsvg $< > $@

# The archive for PGXN: the committed files, the SQL, and META.json made from the control file.
EXTCOMMENT = $(shell sed -n "s/^comment = '\(.*\)'/\1/p" $(EXTENSION).control)
DIST       = $(EXTENSION)-$(EXTVERSION)
.PHONY: dist
dist: $(DATA_built)
	mkdir -p build
	sed -e 's/@NAME@/$(EXTENSION)/g; s/@VERSION@/$(EXTVERSION)/g; s/@COMMENT@/$(EXTCOMMENT)/' META.json.in > build/META.json
	git archive --format=zip --output=build/$(DIST).zip $(DATA_built:%=--prefix=$(DIST)/sql/ --add-file=%) \
	  --prefix=$(DIST)/ --add-file=build/META.json HEAD

# make SANITIZE=-fsanitize=address,undefined: see script/test-sanitized.
override CXXFLAGS += $(SANITIZE)
override LDFLAGS_SL += $(SANITIZE)
