#!/usr/bin/python3
"""Trouble under load: chaos.py [--rounds N] [--seed TEXT] [--kinds KIND,...]

Eight clients deliver while an operator, a full disk, the clock or a pooler makes trouble of one kind. A client that gets an error sends
the postback again. Then unanswered postbacks are delivered once more, and cc_work() settles
waiting rows. The model judges as after a crash. Each kind names the errors that it may cause.

PGDATA and PGHOST name the cluster. Its copies are beside it; those for a full disk are on the small file systems below
$CC_WORKSPACE/disk. OLD_PG_CONFIG names a PostgreSQL with 0.1.0, over which this version is installed.
"""
import argparse
import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Callable

import psycopg

from crashes import CLIENTS, Round, Server, run
from sessions import MERCHANT

SECONDS = .8                # how long a kind of trouble goes on
WAYS = ["receive", "receive", "receive bytes", "insert"]
GONE = "no SQLSTATE: |57P0[123]: "          # the connection is lost, or the server refuses it
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


@dataclass
class Kind:
    hit: Callable                           # hit(round) makes the trouble, and decides when it ends
    errors: str = "$^"                      # which errors clients may get, as "SQLSTATE: message"
    place: Callable = contextlib.nullcontext  # place(server) makes the server for it; a context manager
    dress: Callable = None                  # dress(connection, rng) sets parameters of a client
    reconnects: float = 0                   # how often clients begin a new session; 1: before each delivery
    evidence: Callable = None               # evidence(round) tells a problem if the trouble did not happen


class Trouble(Round):
    """A round of clients that do not give up."""
    interrupted = True

    def __init__(self, kind, server, prefix, rng):
        super().__init__(server, prefix, rng)
        self.kind = kind
        self.met = collections.Counter()    # errors

    def client(self, seed, applies):
        rng, message, connection = random.Random(seed), None, None
        while not self.ending.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self.server.connect(user=MERCHANT)
                    if self.kind.dress:
                        self.kind.dress(connection, rng)
                if applies and rng.random() < .1:
                    connection.execute(self.settle)
                message = message or self.message(rng)
                self.deliver(connection, message, rng.choice(WAYS))
                message = None
                if rng.random() < self.kind.reconnects:
                    connection.close()
            except psycopg.Error as error:
                self.meet(error)
        if connection:
            connection.close()

    settle = "CALL cc_work()"

    def meet(self, error):
        text = f"{error.sqlstate or 'no SQLSTATE'}: {error}".splitlines()[0]
        with self.lock:
            self.met[error.sqlstate or "lost"] += 1
            if os.environ.get("CHAOS_ERRORS"):
                print(f"# {text}", flush=True)
            if not re.match(self.kind.errors, text):
                self.errors.append(text)

    def during(self, pause=.005):
        """Yields while the trouble lasts, after a pause of random length each time."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            yield
            time.sleep(self.rng.uniform(0, pause))

    def execute(self, *statements):
        """Runs as the owner of the tables, repeatedly."""
        with self.server.connect(user=MERCHANT) as connection:
            for _ in self.during():
                for statement in statements:
                    connection.execute(statement)


# --- Operators ---------------------------------------------------------------------------------------------------------------

def signal_backends(function):
    def hit(round_):
        with round_.server.connect() as connection:
            for _ in round_.during(.01):
                connection.execute(f"SELECT {function}(pid) FROM pg_stat_activity WHERE usename = '{MERCHANT}' ORDER BY random() LIMIT 1")
    return hit


def set_timeout(connection, rng):
    connection.execute(f"SET {rng.choice(['statement_timeout', 'lock_timeout'])} = {rng.randint(1, 20)}")


def executes(*statements):
    return lambda round_: round_.execute(*statements)


def rebuild_indexes(round_):
    """Drops and makes each of the extension's own indexes, without a lock that would stop deliveries."""
    with round_.server.connect(user=MERCHANT) as connection:
        indexes = connection.execute("SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
                                     "WHERE indrelid IN ('cc_inbox'::regclass, 'cc_invoice'::regclass) AND NOT indisprimary").fetchall()
        round_.rng.shuffle(indexes)
        for name, definition in indexes:
            connection.execute(f"DROP INDEX CONCURRENTLY {name}")
            connection.execute(definition.replace("INDEX", "INDEX CONCURRENTLY", 1))


def set_up_again(round_):
    """Calls cc_setup() with nothing to do, and with an index to make."""
    round_.execute("SELECT cc_setup()", "DROP INDEX cc_inbox_token", "SELECT cc_setup()", "DROP INDEX cc_invoice_order",
                   "SELECT cc_setup()")


def swap_library(round_):
    """Replaces the library as a package does: a new file beside the old one, renamed."""
    folder = pathlib.Path(subprocess.run(["pg_config", "--pkglibdir"], check=True, capture_output=True, text=True).stdout.strip())
    for _ in round_.during(.02):
        for library in sorted(folder.glob("cryptocloud_postback*.so")):
            shutil.copy(library, library.with_suffix(".new"))
            library.with_suffix(".new").rename(library)


def exhaust_connections(round_):
    for _ in round_.during(.02):
        with contextlib.ExitStack() as taken:
            try:
                while True:
                    taken.enter_context(round_.server.connect(user=MERCHANT))
            except psycopg.OperationalError:
                refused, deadline = sum(round_.met.values()), time.monotonic() + 2
                while sum(round_.met.values()) == refused and time.monotonic() < deadline:
                    time.sleep(.005)        # until a client is refused too


# --- Disks -------------------------------------------------------------------------------------------------------------------

def disk(name):
    return pathlib.Path(os.environ["CC_WORKSPACE"]) / "disk" / name


@contextlib.contextmanager
def copied(server, name, *options, data=None):
    """Makes a copy of the cluster, not running, and removes it afterwards."""
    copy = server.copy(f"{name}{time.monotonic_ns()}", *options, data=data)
    try:
        yield copy
    finally:
        copy.stop("immediate")
        copy.wait_until_gone()
        wal = (copy.data / "pg_wal").resolve()
        for folder in copy.data, wal, pathlib.Path(copy.host):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def on_small_disk(server):
    name = f"wal-of-small{time.monotonic_ns()}"
    with copied(server, "small", f"--waldir={pathlib.Path(server.host) / name}", data=disk("data") / "data") as copy:
        copy.start()
        yield copy


@contextlib.contextmanager
def wal_on_small_disk(server):
    with copied(server, "wal", f"--waldir={disk('wal') / 'wal'}") as copy:
        copy.start()
        copy.stop("fast")
        copy.wait_until_gone()
        run("pg_resetwal", "--wal-segsize=1", f"--pgdata={copy.data}")      # the disk has no room for many segments of 16 MB
        with (copy.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("min_wal_size = 2MB\nmax_wal_size = 4MB\n")
        copy.start()
        yield copy


def fill(name):
    """Fills a disk completely for a while, then frees the space."""
    def hit(round_):
        ballast = disk(name) / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for size in 1 << 20, 1 << 12:
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(bytes(size))
            while not round_.met and not round_.ending.wait(.01) and round_.server.postmaster_lives():
                pass                        # until somebody notices
            time.sleep(SECONDS / 2)
        finally:
            ballast.unlink(missing_ok=True)
        round_.ending.set()
    return hit


# --- Clock, pooler, upgrade --------------------------------------------------------------------------------------------------

def faketime():
    return next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@contextlib.contextmanager
def with_its_own_clock(server):
    with copied(server, "clock") as copy:
        copy.clock = pathlib.Path(copy.host) / "clock"
        copy.clock.write_text("+0")
        copy.environment = {"LD_PRELOAD": str(faketime()), "FAKETIME_TIMESTAMP_FILE": str(copy.clock), "FAKETIME_NO_CACHE": "1",
                            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
        copy.start()
        yield copy


def set_clock(server, seconds):
    new = server.clock.with_suffix(".new")
    new.write_text(f"{seconds:+d}")
    new.rename(server.clock)                # libfaketime ends a process that finds the file empty


def step_clock(round_):
    """Steps the clock by hours and days, forward and back."""
    for _ in round_.during(.05):
        set_clock(round_.server, round_.rng.choice([-172800, -3600, -1, 0, 1, 3600, 172800]))
    set_clock(round_.server, 0)


def clock_was_stepped(round_):
    with round_.server.connect() as connection:
        distance, = connection.execute("SELECT extract(epoch FROM max(received_at) - min(received_at)) FROM cc_inbox").fetchone()
    return [] if distance and distance > 3600 else [f"all deliveries came within {distance} s: the clock was not stepped"]


class Pooled(Server):
    """A server behind pgbouncer; connections of the merchant go through it."""
    pooler = None

    def connect(self, user="postgres", dbname="history"):
        if user != MERCHANT or not self.pooler:
            return super().connect(user, dbname)
        return psycopg.connect(host=self.pooler, port=6432, user=user, dbname=dbname, autocommit=True, prepare_threshold=None)


@contextlib.contextmanager
def behind_pgbouncer(server):
    """Starts pgbouncer in transaction mode, with fewer connections than clients."""
    folder = pathlib.Path(server.host) / "pool"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "users").write_text(f'"{MERCHANT}" ""\n')
    (folder / "ini").write_text(f"""[databases]
history = host={server.host} port={os.environ['PGPORT']}
[pgbouncer]
listen_port = 6432
listen_addr =
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 4
""")
    pooled = Pooled(server.data, server.host)
    with (folder / "log").open("w") as log:
        pooler = subprocess.Popen([shutil.which("pgbouncer"), str(folder / "ini")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not (folder / ".s.PGSQL.6432").exists():
            if pooler.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(.01)
        pooled.pooler = str(folder)
        yield pooled
    finally:
        pooler.terminate()
        pooler.wait()
        shutil.rmtree(folder)


class Upgrade(Trouble):
    """An upgrade from 0.1.0. Its own bugs are not judged: clients deliver plain postbacks; each 200, invoice and order is counted."""
    contents = ["paid"]
    settle = "SELECT cc_apply()"

    def judge(self, server):
        unanswered = [d.message for d in self.deliveries.values() if d.answer is None]
        with server.connect(user=MERCHANT) as connection:
            connection.execute("DELETE FROM fault")
            for message in unanswered:
                self.deliver(connection, message)
            connection.execute("CALL cc_work()")
            wrong = list(self.errors)
            if sum(self.met.values()) > CLIENTS:
                wrong.append(f"more than the call that ALTER EXTENSION meets had to be sent again: {self.met}")
            rows = collections.Counter(n for n, in connection.execute("SELECT substring(content_type FROM 'n=(.*)') FROM cc_inbox"))
            wrong += [f"delivery {n}: answered {d.answer}, {rows[n]} rows" for n, d in self.deliveries.items()
                      if rows[n] > 1 or d.answer is not None and (
                          rows[n] != 1 or d.answer not in ("200", "applied", "duplicate", "pending", "failed"))]
            for what, query in {
                    "not settled": "SELECT id, state, error FROM cc_inbox WHERE state NOT IN ('applied', 'duplicate')",
                    "not applied once": "SELECT invoice_id, count(*) FROM cc_inbox WHERE state = 'applied' GROUP BY 1 HAVING count(*) <> 1",
                    "spent twice": "SELECT token_digest, count(*) FROM cc_inbox WHERE token_digest IS NOT NULL "
                                   "GROUP BY 1 HAVING count(*) <> 1",
                    "not paid once": "SELECT i.invoice_id, count(l.seq) FROM cc_invoice i LEFT JOIN history_log l ON l.what = 'fired' "
                                     "AND l.data ->> 'invoice_id' = i.invoice_id GROUP BY 1 HAVING count(l.seq) <> 1",
                    "not marked once": "SELECT o.id, count(l.seq) FROM orders o JOIN cc_invoice i ON i.order_id = o.id "
                                       "LEFT JOIN history_log l "
                                       "ON l.what = 'marked' AND l.data ->> 'id' = o.id GROUP BY 1 HAVING count(l.seq) <> 1"}.items():
                wrong += [f"{what}: {row}" for row in connection.execute(query)]
        return wrong


def old_bin():
    return pathlib.Path(os.environ["OLD_PG_CONFIG"]).parent if os.environ.get("OLD_PG_CONFIG") else None


@contextlib.contextmanager
def with_old_release(server):
    """Makes a cluster of the PostgreSQL that has 0.1.0."""
    host = pathlib.Path(server.host) / f"old{time.monotonic_ns()}"
    host.mkdir(mode=0o700)
    old = Server(host / "data", str(host))
    old.bin = f"{old_bin()}/"
    make_install(os.environ["OLD_RELEASE"])
    run(f"{old.bin}initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        f"--pgdata={old.data}")
    with (old.data / "postgresql.conf").open("a") as settings:
        settings.write(f"listen_addresses = ''\nunix_socket_directories = '{host}'\nmax_connections = 60\nfsync = off\njit = off\n")
    old.start()
    try:
        for statement in f"CREATE ROLE {MERCHANT} LOGIN", f"CREATE DATABASE history OWNER {MERCHANT}":
            with old.connect(dbname="postgres") as connection:
                connection.execute(statement)
        with old.connect() as connection:
            connection.execute("GRANT ALL ON SCHEMA public TO " + MERCHANT)
        run("psql", "-Xq", "--set=ON_ERROR_STOP=1", f"--host={host}", "--dbname=history", f"--username={MERCHANT}",
            f"--file={SOURCE}/test/history/setup.sql")
        yield old
    finally:
        old.stop("immediate")
        old.wait_until_gone()
        shutil.rmtree(host)


def make_install(source):
    run("make", "-s", "-C", str(source), "with_llvm=no", f"PG_CONFIG={os.environ['OLD_PG_CONFIG']}", "install")


def upgrade(round_):
    make_install(SOURCE)
    time.sleep(SECONDS / 2)
    with round_.server.connect(user=MERCHANT) as connection:
        for statement in "ALTER EXTENSION cryptocloud_postback UPDATE", "SELECT cc_setup()", "CALL cc_work()":
            connection.execute(statement)
            time.sleep(SECONDS / 2)


# --- All kinds ---------------------------------------------------------------------------------------------------------------

KINDS = {
    "cancels": Kind(signal_backends("pg_cancel_backend"), errors="57014: "),
    "terminations": Kind(signal_backends("pg_terminate_backend"), errors=GONE),
    "timeouts of 1 to 20 ms": Kind(lambda round_: time.sleep(SECONDS), errors="57014: |55P03: ", dress=set_timeout),
    "REINDEX CONCURRENTLY": Kind(executes("REINDEX TABLE CONCURRENTLY cc_inbox", "REINDEX TABLE CONCURRENTLY cc_invoice")),
    "VACUUM FULL": Kind(executes("VACUUM FULL cc_inbox", "VACUUM FULL cc_invoice", "VACUUM FULL cc_project")),
    "CLUSTER": Kind(executes("CLUSTER cc_inbox USING cc_inbox_pkey", "CLUSTER cc_invoice USING cc_invoice_pkey")),
    "ALTER TABLE": Kind(executes("ALTER TABLE cc_invoice ADD chaos text DEFAULT 'x'", "ALTER TABLE cc_inbox ADD chaos integer DEFAULT 1",
                                 "ALTER TABLE cc_invoice DISABLE TRIGGER chaos", "ALTER TABLE cc_inbox DROP chaos",
                                 "ALTER TABLE cc_invoice ENABLE TRIGGER chaos", "ALTER TABLE cc_invoice DROP chaos")),
    "DROP and CREATE INDEX CONCURRENTLY": Kind(rebuild_indexes),
    "cc_setup()": Kind(set_up_again),
    "another library": Kind(swap_library, reconnects=.3),
    "no connection left": Kind(exhaust_connections, errors="no SQLSTATE: .*(too many clients|remaining connection slots)", reconnects=1,
                               evidence=lambda round_: [] if round_.met else ["no client was refused"]),
    "pgbouncer": Kind(signal_backends("pg_terminate_backend"), errors=GONE + "|08P01: ", place=behind_pgbouncer),
    "clock stepped": Kind(step_clock, place=with_its_own_clock, evidence=clock_was_stepped),
    "disk full": Kind(fill("data"), errors=GONE + "|53100: ", place=on_small_disk,
                      evidence=lambda round_: [] if round_.met else ["nobody noticed"]),
    "disk of the WAL full": Kind(fill("wal"), errors=GONE + "|53100: ", place=wal_on_small_disk,
                                 evidence=lambda round_: [] if round_.met else ["nobody noticed"]),
    "ALTER EXTENSION UPDATE": Kind(upgrade, errors=".", place=with_old_release, reconnects=.3),
}
MISSING = {                                 # why a kind is skipped here
    "pgbouncer": lambda: not shutil.which("pgbouncer") and "there is no pgbouncer",
    "clock stepped": lambda: not faketime() and "there is no libfaketime",
    "disk full": lambda: not os.path.ismount(disk("data")) and "small file systems need root, and the right to mount",
    "disk of the WAL full": lambda: not os.path.ismount(disk("wal")) and "small file systems need root, and the right to mount",
    "ALTER EXTENSION UPDATE": lambda: not old_bin() and "OLD_PG_CONFIG is not given",
}


def play(name, server, number, rng):
    """Runs one round. Returns it and its problems."""
    kind = KINDS[name]
    with kind.place(server) as place:
        where = place or server
        this = (Upgrade if kind.place is with_old_release else Trouble)(kind, where, f"x{number}-", rng)
        this.load(lambda: kind.hit(this))
        if not where.postmaster_lives():
            where.wait_until_gone()
            where.start()
        where.wait_until_ready()
        problems = kind.evidence(this) if kind.evidence else []
        return this, problems + this.judge(where)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="of each kind")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--kinds", help=", ".join(KINDS))
    options = parser.parse_args()

    server = Server(os.environ["PGDATA"], os.environ["PGHOST"])
    with server.connect(user=MERCHANT) as connection:
        connection.execute("CREATE TRIGGER chaos AFTER INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fault('never')")
    failed, number = False, 0
    for name in options.kinds.split(",") if options.kinds else KINDS:
        missing = MISSING.get(name, lambda: None)()
        if missing:
            print(f"ok - {name} # SKIP {missing}", flush=True)
            continue
        began, wrong, sent, met = time.monotonic(), 0, 0, collections.Counter()
        for round_number in range(options.rounds):
            number += 1
            this, problems = play(name, server, number, random.Random(f"{options.seed}/{name}/{round_number}"))
            sent += len(this.deliveries)
            met += this.met
            wrong += bool(problems)
            if problems:
                print(f"# {name}, round {round_number} of seed {options.seed}:")
                for problem, count in collections.Counter(problems).most_common(20):
                    print(f"#   => {problem}" + (f" ({count} times)" if count > 1 else ""), flush=True)
        failed |= wrong > 0
        errors = ", ".join(f"{count} × {state}" for state, count in sorted(met.items())) or "none"
        print(f"{'not ' if wrong else ''}ok - {name} under {CLIENTS} clients: {options.rounds} rounds, {sent} deliveries, "
              f"errors: {errors}; "
              f"{wrong} wrong ({time.monotonic() - began:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
