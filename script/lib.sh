# Shared by script/demo, script/test, bench/ and the tests of the proxies. Source it:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   install_packages curl       # only missing packages; as root, or through sudo
#   install_postgresql          # the same; uses PG_CONFIG if set
#   enter_workspace "$@"        # continues in a copy of the source, as an ordinary user
#   build_extension
#   start_cluster               # sets PGHOST, PGUSER …
#   psql -Xc 'CREATE EXTENSION cryptocloud_postback'
#
# How it leaves nothing behind, and touches nothing else of the machine:
#
# - enter_workspace copies the source to a temporary folder and runs the script there; the first process stays behind as a
#   guard. However the script ends (success, error, Ctrl-C, kill), the guard ends every process and removes the folder.
# - As root, the script continues as the user `nobody`: PostgreSQL refuses to run as root, and a test should not be able to
#   touch a real cluster. That user may not be able to read the source, hence the copy.
# - The extension is installed into a private copy of the PostgreSQL installation in that folder. PostgreSQL finds its files
#   relative to its programs, so the copy is a complete installation, whatever its version and origin.
# - Clusters listen on a Unix socket in that folder only.
# shellcheck shell=bash
set -euo pipefail

CC_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
[[ ${CC_WORKSPACE-}/source == "$CC_ROOT" ]] || unset CC_WORKSPACE
export LC_ALL=C.UTF-8     # messages are read by scripts

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# sum_tests LOG...: prints "passed failed skipped", the sums of all last lines in there.
sum_tests() {
  awk '/^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { passed += $1; failed += $3; skipped += $5 }
       END                                                 { print passed + 0, failed + 0, skipped + 0 }' "$@"
}

# say_sum PASSED FAILED SKIPPED: prints such a last line.
say_sum() {
  local skipped=", $3 skipped"
  (( $3 > 0 )) || skipped=
  say "$1 passed, $2 failed$skipped"
}

# --- Tests by commands --------------------------------------------------------------------------------------------------

cc_passed=0 cc_failed=0 cc_skipped=0

# check WHAT COMMAND...: a test that passes if the command succeeds; what it prints is shown if not.
check() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then say "ok - $what"; (( ++cc_passed ))
  else say "not ok - $what"; say "$output" | tail -n 100; (( ++cc_failed )); fi
}

# skip WHAT WHY: a test that cannot run here.
skip() { say "ok - $1 # SKIP $2"; (( ++cc_skipped )); }

# is GOT WANTED: a command for check.
is() { [[ $1 == "$2" ]] || { say "Got '$1' instead of '$2'"; false; }; }

# say_checks: the closing line; fails unless tests have passed and none has failed.
say_checks() {
  say_sum "$cc_passed" "$cc_failed" "$cc_skipped"
  (( cc_failed == 0 && cc_passed > 0 ))
}

# --- Packages -----------------------------------------------------------------------------------------------------------

# as_root COMMAND...
as_root() {
  if (( EUID == 0 )); then "$@"
  elif command -v sudo > /dev/null; then sudo "$@"
  else die "This needs root, and there is no sudo. Run as root: $*"; fi
}

# install_packages NAME...: installs the missing ones of these Debian packages.
install_packages() {
  [[ -z ${CC_WORKSPACE-} ]] || return 0     # done by the script that made the workspace
  command -v dpkg-query > /dev/null || { say "Not Debian; expecting to find what it calls: $*"; return; }
  local name missing=() log
  for name; do
    [[ $(dpkg-query -Wf '${db:Status-Status}' "$name" 2> /dev/null) == installed ]] || missing+=("$name")
  done
  (( ${#missing[@]} > 0 )) || return 0
  say "Installing ${missing[*]}"
  log=$(mktemp)
  as_root "$CC_ROOT/script/install-packages" "${missing[@]}" > "$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
}

# install_postgresql [SUFFIX...]: installs server, headers and, for each suffix, the package postgresql-SUFFIX-<version>
# (plpython3). Sets PG_CONFIG, unless the caller has set it.
install_postgresql() {
  [[ -z ${CC_WORKSPACE-} ]] || return 0
  if [[ -z ${PG_CONFIG-} ]]; then
    local version suffix
    version=$(debian_postgresql_version)
    if [[ -z $version ]]; then              # a fresh machine has no lists yet
      as_root "$CC_ROOT/script/install-packages" > /dev/null
      version=$(debian_postgresql_version)
    fi
    [[ -n $version ]] || die "Found no package of PostgreSQL. Set PG_CONFIG to the pg_config of your own."
    install_packages "postgresql-$version" "postgresql-server-dev-$version"
    for suffix; do install_packages "postgresql-$suffix-$version"; done
    PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config
  fi
  # Debian's /usr/bin/pg_config is a wrapper; the real one is among the server's programs.
  PG_CONFIG=$("$PG_CONFIG" --bindir)/pg_config
  export PG_CONFIG
}

# server_package NAME: the Debian package of this extension for the PostgreSQL of PG_CONFIG: postgresql-<version>-NAME.
server_package() { say "postgresql-$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')-$1"; }

debian_postgresql_version() {
  local about
  about=$(apt-cache show --no-all-versions postgresql 2> /dev/null) || true
  [[ ! $about =~ Depends:[^$'\n']*postgresql-([0-9]+) ]] || say "${BASH_REMATCH[1]}"
}

# --- The workspace ------------------------------------------------------------------------------------------------------

# Paths in the source tree that the guard copies back at the end, such as bench/results. Set it before enter_workspace.
BRING_BACK=()

# Small file systems in the workspace, "NAME SIZE" each: CC_WORKSPACE/disk/NAME, for what happens when a disk is full. To be set
# before enter_workspace, like BRING_BACK. They need root, and the right to mount; without it the folder is not there.
SMALL_DISKS=()

# enter_workspace "$@": see above. Returns in the copy, in the folder that holds it, with CC_WORKSPACE set. A script that is
# started within a workspace shares it.
enter_workspace() {
  if [[ -n ${CC_WORKSPACE-} ]]; then
    trap leave_workspace EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    cd "$CC_ROOT"
    return
  fi

  local script name as_user=()
  script=$(realpath "$0")
  [[ $script == "$CC_ROOT"/* ]] || die "$script does not lie in $CC_ROOT"
  for name in "${!PG@}" MAKEFLAGS MAKELEVEL DESTDIR; do     # no server, service file or build of the caller's
    [[ $name == PG_CONFIG ]] || unset "$name"
  done

  if (( EUID == 0 )); then
    as_user=(setpriv --reuid=nobody "--regid=$(id -g nobody)" --clear-groups)
    PATH=/usr/local/bin:/usr/bin:/bin       # root's own may lead to folders closed to others, and so may its TMPDIR
    "${as_user[@]}" test -w "${TMPDIR:-/tmp}" || unset TMPDIR
  fi
  export PATH=$PATH:/usr/sbin:/sbin         # where Debian puts servers

  guarded_folder='' guarded_group=''
  trap end_workspace EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  guarded_folder=$(mktemp -d "$(realpath "${TMPDIR:-/tmp}")/cryptocloud.XXXXXX")
  mkdir "$guarded_folder"/{source,home,tmp,log}
  find "$CC_ROOT" -mindepth 1 -maxdepth 1 ! -name .git -exec cp -R -t "$guarded_folder/source" {} +
  (( EUID != 0 )) || chown -R nobody "$guarded_folder"
  mount_small_disks

  # Its own process group, so that the guard can end all of it, and only the guard gets Ctrl-C.
  set -m
  (
    cd "$guarded_folder/source"
    exec env CC_WORKSPACE="$guarded_folder" HOME="$guarded_folder/home" TMPDIR="$guarded_folder/tmp" \
      "${as_user[@]}" bash "$guarded_folder/source${script#"$CC_ROOT"}" "$@"
  ) < /dev/null &
  guarded_group=$!
  set +m
  wait "$guarded_group" || exit
  for name in "${BRING_BACK[@]}"; do
    mkdir -p "$CC_ROOT/$name"
    cp -R "$guarded_folder/source/$name/." "$CC_ROOT/$name"
  done
  exit
}

# The guard's last act.
end_workspace() {
  trap '' INT TERM HUP
  if [[ -n $guarded_group ]]; then
    kill -TERM -- "-$guarded_group" 2> /dev/null || true
    until_true 10 group_is_gone "$guarded_group" || kill -KILL -- "-$guarded_group" 2> /dev/null || true
  fi
  [[ -n $guarded_folder ]] || return 0
  end_servers "$guarded_folder"
  for name in "$guarded_folder"/disk/*; do umount --lazy "$name" 2> /dev/null || true; done
  rm -rf "$guarded_folder"
}

mount_small_disks() {
  (( EUID == 0 )) || return 0
  local name size folder
  for name in "${SMALL_DISKS[@]}"; do
    size=${name#* } folder=$guarded_folder/disk/${name% *}
    mkdir -p "$folder"
    mount -t tmpfs -o "size=$size,mode=0700,uid=nobody" small_disk "$folder" 2> /dev/null || rmdir "$folder"
  done
}

group_is_gone() { ! kill -0 -- "-$1" 2> /dev/null; }

# end_servers FOLDER: ends every PostgreSQL server with data below FOLDER; servers leave their process group at start.
end_servers() {
  local file pid
  while IFS= read -r file; do
    read -r pid < "$file" || continue
    # The file may be stale and its number that of another process. A server's working folder is its data folder.
    server_is_gone "$pid" "${file%/*}" || kill -QUIT "$pid" 2> /dev/null || true
    until_true 10 server_is_gone "$pid" "${file%/*}" || true
  done < <(find "$1" -name postmaster.pid)
}

server_is_gone() { [[ $(readlink "/proc/$1/cwd") != "$2" ]]; }

# until_true SECONDS COMMAND...: tries ten times a second; fails when the time is over.
until_true() {
  local tries=$(( $1 * 10 ))
  shift
  until "$@"; do
    (( tries-- > 0 )) || return 1
    sleep 0.1
  done
}

# Cleans up at the end of a script; the guard then finds nothing left to do.
leave_workspace() {
  trap '' INT TERM HUP
  local name
  for name in "${!cc_background[@]}"; do stop_background "$name"; done
  stop_clusters
}

# quietly NAME COMMAND...: keeps the output in log/NAME.log and shows it only when the command fails.
quietly() {
  local log=$CC_WORKSPACE/log/$1.log
  shift
  "$@" > "$log" 2>&1 || { tail -n 200 "$log" >&2; die "Failed: $*"; }
}

# --- Building -----------------------------------------------------------------------------------------------------------

# build_extension [MAKE-ARGUMENT...]: builds it and installs it into the private PostgreSQL, whose programs are then first in
# PATH; PG_CONFIG is its pg_config.
build_extension() {
  copy_postgresql
  [[ ! -e $CC_WORKSPACE/built ]] || return 0
  local make=(make -C "$CC_ROOT" PG_CONFIG="$PG_CONFIG" "$@")
  quietly clean "${make[@]}" clean          # what came along may be of another version or made with other flags
  quietly build "${make[@]}" -j "$(nproc)"
  quietly install "${make[@]}" install
  touch "$CC_WORKSPACE/built"
}

copy_postgresql() {
  local copy=$CC_WORKSPACE/postgresql option folder
  if [[ $PG_CONFIG != "$copy"/* ]]; then
    for option in bindir pkglibdir sharedir includedir includedir-server; do
      folder=$("$PG_CONFIG" "--$option")
      [[ ! -d $copy$folder ]] || continue
      mkdir -p "$copy$folder"
      # Headers are only read. The rest is copied, because make install would write through a link.
      if [[ $option == includedir* ]]; then cp -Rs "$folder/." "$copy$folder"; else cp -RL "$folder/." "$copy$folder"; fi
    done
    # Nor should a version of the extension that is installed already come along.
    find "$copy$("$PG_CONFIG" --pkglibdir)" "$copy$("$PG_CONFIG" --sharedir)" \
      -mindepth 1 -name 'cryptocloud_postback*' -prune -exec rm -r {} +
    PG_CONFIG=$copy$PG_CONFIG
    [[ $("$PG_CONFIG" --pkglibdir) == "$copy"/* ]] ||
      die "Programs below $CC_WORKSPACE do not run (mounted noexec? then set TMPDIR), or not by their place."
  fi
  export PG_CONFIG PATH="${PG_CONFIG%/*}:$PATH"
}

# --- Servers ------------------------------------------------------------------------------------------------------------

cc_clusters=()

# start_cluster [LINE-OF-postgresql.conf...]: a new cluster with the superuser postgres, only for this script. Sets PGHOST,
# PGPORT, PGUSER, PGDATABASE, and PGDATA, so that plain pg_ctl works on it; its log is $PGHOST/log. It is fast, not durable: pass
# 'fsync = on' and 'synchronous_commit = on' if that matters.
start_cluster() {
  local folder
  folder=$(mktemp -d "$CC_WORKSPACE/cluster.XXXXXX")      # mode 0700: nobody else reaches the socket
  cc_clusters+=("$folder/data")
  export PGHOST=$folder PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGDATA=$folder/data
  quietly initdb initdb --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync
  {
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$folder'" "port = 5432"
    printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' "$@"
  } >> "$PGDATA/postgresql.conf"
  quietly start-cluster pg_ctl start --wait --silent --log="$folder/log"
}

# What PostgreSQL's TAP tests need to know; then: prove -I "$PERL_TESTS" test/t/NAME.pl
export_tap_environment() {
  local source
  source=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")
  mkdir -p "$TMPDIR/tap"
  # PostgreSQL 15 takes the first, and puts these two below it; later ones take these two.
  export TESTDIR=$TMPDIR/tap TESTDATADIR=$TMPDIR/tap/tmp_check TESTLOGDIR=$TMPDIR/tap/tmp_check/log
  export PG_REGRESS=$source/test/regress/pg_regress PERL_TESTS=$source/test/perl
}

stop_clusters() {
  local data
  for data in "${cc_clusters[@]}"; do
    [[ ! -e $data/postmaster.pid ]] || pg_ctl stop --pgdata="$data" --mode=immediate --silent || true
  done
  cc_clusters=()
}

declare -A cc_background=()

# start_background NAME PORT COMMAND...: starts a server, with its output in log/NAME.log, and waits until it listens on
# 127.0.0.1:PORT. It ends with the script or by stop_background NAME.
start_background() {
  local name=$1 port=$2
  shift 2
  ! listens "$port" || die "Something else listens on port $port."
  "$@" > "$CC_WORKSPACE/log/$name.log" 2>&1 < /dev/null &
  cc_background[$name]=$!
  until_true 20 listens_or_died "${cc_background[$name]}" "$port" && listens "$port" && return
  cat "$CC_WORKSPACE/log/$name.log" >&2
  die "$name does not listen on port $port"
}

stop_background() {
  local pid=${cc_background[$1]}
  unset "cc_background[$1]"
  kill -TERM "$pid" 2> /dev/null || return 0
  until_true 5 died "$pid" || kill -KILL "$pid" 2> /dev/null || true
  wait "$pid" 2> /dev/null || true
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
died() { ! kill -0 "$1" 2> /dev/null; }
listens_or_died() { listens "$2" || died "$1"; }

# Prints a port that is free now. The kernel gives another one each time.
free_port() {
  perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# --- Documents ----------------------------------------------------------------------------------------------------------

# code_block DOCUMENT MARKER: the block of this document that follows the comment <!-- MARKER -->.
code_block() {
  awk -v marker="<!-- $2 -->" '
    $0 == marker        { found = 1 }
    inside && /^```$/   { exit }
    inside              { print; printed = 1 }
    found && /^```/     { inside = 1 }
    END                 { exit !printed }' "$CC_ROOT/$1" || die "$1 has no block after <!-- $2 -->"
}
