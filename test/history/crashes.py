#!/usr/bin/python3
"""Crashes under load: crashes.py [--rounds N] [--seed TEXT] [--kinds KIND,...]

Eight clients deliver, with real commits, until the server crashes at a random time: kill -9 of a backend or the postmaster, or an
immediate stop. Or the primary of a synchronous standby gets kill -9, and the standby is promoted. Then unanswered postbacks are
delivered again, cc_work settles waiting rows, and the model judges. Every 200 is there; each invoice and each order counts once.

PGDATA and PGHOST name the cluster; its standbys are beside it.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import psycopg

from model import Delivery, Message, Token, judge
from sessions import MERCHANT, World, deliver_sql

CLIENTS = 8
INVOICES = "ABCDEFGHIJKL"
CONTENTS = ["paid"] * 6 + ["paid form", "partial", "raised", "canceled", "other order", "no order"]
KINDS = ["backend", "postmaster", "immediate", "backend", "postmaster", "immediate", "promote"]


def run(*command, check=True, environment=None):
    return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | (environment or {}))


class Server:
    """A cluster, with its socket beside its data."""
    bin = ""                                # where pg_ctl is, if it is not in PATH
    environment = None                      # variables of the server, added to ours

    def __init__(self, data, host):
        self.data, self.host = pathlib.Path(data), host

    @property
    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def postmaster_lives(self):
        try:
            return os.readlink(f"/proc/{self.postmaster}/cwd") == str(self.data)
        except (OSError, IndexError):
            return False

    def processes(self):
        """Returns all processes that work in this data folder, even without a postmaster."""
        found = []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(proc / "cwd") == str(self.data):
                    found.append(int(proc.name))
            except OSError:
                pass
        return found

    def wait_until_gone(self):
        deadline = time.monotonic() + 30
        while self.processes():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes in {self.data} do not end")
            time.sleep(0.01)

    def start(self):
        # The processes have ended, but their pids remain where nobody reaps them.
        for lock in self.data / "postmaster.pid", *pathlib.Path(self.host).glob(".s.PGSQL.*"):
            lock.unlink(missing_ok=True)
        run(f"{self.bin}pg_ctl", "start", "--wait", "--silent", f"--pgdata={self.data}", f"--log={self.host}/log",
            environment=self.environment)

    def stop(self, mode):
        run(f"{self.bin}pg_ctl", "stop", "--wait", "--silent", f"--pgdata={self.data}", f"--mode={mode}", check=False)

    def connect(self, user="postgres", dbname="history"):
        return psycopg.connect(host=self.host, user=user, dbname=dbname, autocommit=True)

    def wait_until_ready(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.connect() as connection:
                    return connection.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def copy(self, name, *options, settings=(), data=None):
        """Makes a copy with its own socket, not started. The options are those of pg_basebackup."""
        host = pathlib.Path(os.environ["PGDATA"]).parent / name
        host.mkdir(mode=0o700)
        copy = type(self)(data or host / "data", str(host))
        run("pg_basebackup", f"--host={self.host}", "--username=postgres", f"--pgdata={copy.data}", "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync", *options)
        with (copy.data / "postgresql.auto.conf").open("a") as file:
            file.write("".join(f"{setting}\n" for setting in (f"unix_socket_directories = '{host}'", *settings)))
        return copy

    def standby(self, number):
        """Makes a new standby, which each commit waits for."""
        standby = self.copy(f"s{number}", "--write-recovery-conf", settings=["synchronous_standby_names = ''"])
        standby.start()
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + 30
            while not connection.execute("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'").fetchall():
                if time.monotonic() > deadline:
                    raise TimeoutError("the standby does not become synchronous")
                time.sleep(0.01)
        return standby


class Round:
    """Delivers under load, and keeps the answers."""
    contents = CONTENTS                     # names in the model's CONTENTS
    interrupted = False                     # whether anything but another delivery may keep a row pending

    def __init__(self, server, prefix, rng):
        self.server, self.prefix, self.rng = server, prefix, rng
        self.deliveries, self.sent, self.lock, self.ending = {}, [], threading.Lock(), threading.Event()
        self.errors = []

    def message(self, rng):
        with self.lock:
            draw = rng.random()
            if self.sent and draw < .2:
                return rng.choice(self.sent)                        # the same message
            invoice, content = self.prefix + rng.choice(INVOICES), rng.choice(self.contents)
            if self.sent and draw < .4:
                _, invoice, content, _ = rng.choice(self.sent)      # a resend
            name = f"{self.prefix}T{len(self.sent)}"
            message = Message("default", invoice, content, Token(name, rng.randrange(100000), rng.random() < .8, "first"))
            self.sent.append(message)
            return message

    def deliver(self, connection, message, via="receive"):
        with self.lock:
            number = f"{self.prefix}{len(self.deliveries) + 1}"
            delivery = self.deliveries[number] = Delivery(message, statement=number, may_fail=True, interrupted=self.interrupted,
                                                          committed=None)
        began = time.monotonic()
        delivery.answer = str(connection.execute(deliver_sql([(number, message)], via)).fetchone()[0])
        delivery.seconds = time.monotonic() - began
        delivery.committed = True

    def client(self, seed, applies):
        rng = random.Random(seed)
        try:
            with self.server.connect(user=MERCHANT) as connection:
                while not self.ending.is_set():
                    if applies and rng.random() < .1:
                        connection.execute("SELECT cc_apply()")
                    self.deliver(connection, self.message(rng))
        except psycopg.OperationalError:
            pass                                                    # the crash is expected
        except psycopg.Error as error:
            self.errors.append(f"{error.sqlstate}: {error}")

    def load(self, hit):
        with self.server.connect() as connection:
            ids = [f"O-{self.prefix}{i}" for i in INVOICES] + [f"X-{self.prefix}"]
            connection.execute("INSERT INTO orders SELECT unnest(%s::text[])", (ids,))
            self.since, = connection.execute("SELECT nextval('history_seq')").fetchone()
            if self.rng.random() < .5:
                connection.execute("INSERT INTO fault SELECT 'default', %s, %s", (self.prefix + "A", self.rng.choice(["fail", "late"])))
                connection.execute("INSERT INTO history_log (what, data)"
                                   " SELECT 'fault', jsonb_build_object('project', 'default', 'invoice', %s::text)", (self.prefix + "A",))
        threads = [threading.Thread(target=self.client, args=(f"{self.prefix}{i}", i == 0)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(.05, .4))
        hit()
        self.ending.set()
        for thread in threads:
            thread.join()

    def judge(self, server):
        unanswered = [d.message for d in self.deliveries.values() if d.answer is None]
        problems = list(self.errors)
        with server.connect(user=MERCHANT) as connection:
            connection.execute("DELETE FROM fault")
            for message in unanswered:                              # without an answer, the service sends again
                self.deliver(connection, message)
            connection.execute("INSERT INTO history_log (what, data) VALUES ('drain', '{}')")
            connection.execute("CALL cc_work()")
        os.environ["PGHOST"] = server.host
        world = World(sessions=0, reset=False)
        problems += judge(self.deliveries, *world.observe(self.since, self.prefix))
        world.reset()
        world.close()
        return problems


def hit_of(kind, server, rng):
    def backend():
        with server.connect() as connection:
            pids = [pid for pid, in connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (MERCHANT,))]
            own = connection.info.backend_pid
        os.kill(rng.choice(pids), signal.SIGKILL)
        # The postmaster ends all other backends, recovers, and goes on.
        deadline = time.monotonic() + 30
        while os.path.exists(f"/proc/{own}") and time.monotonic() < deadline:
            time.sleep(0.01)

    def postmaster():
        os.kill(server.postmaster, signal.SIGKILL)

    return {"backend": backend, "postmaster": postmaster, "promote": postmaster, "immediate": lambda: server.stop("immediate")}[kind]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()

    kinds, rng = options.kinds.split(","), random.Random(options.seed)
    server = Server(os.environ["PGDATA"], os.environ["PGHOST"])
    began, rounds, wrong, answered, unanswered, counted = time.monotonic(), 0, 0, 0, 0, collections.Counter()
    for number in range(options.rounds):
        kind = kinds[number % len(kinds)]
        this = Round(server, f"c{number}-", rng)
        standby = server.standby(number) if kind == "promote" else None
        this.load(hit_of(kind, server, rng))
        if kind == "promote":
            server.wait_until_gone()
            run("pg_ctl", "promote", "--wait", "--silent", f"--pgdata={standby.data}")
            shutil.rmtree(server.data)
            server = standby
        elif kind != "backend":
            server.wait_until_gone()
            server.start()
        server.wait_until_ready()
        answered += sum(d.answer is not None for d in this.deliveries.values())
        unanswered += sum(d.answer is None for d in this.deliveries.values())
        problems = this.judge(server)
        rounds += 1
        counted[kind] += 1
        wrong += bool(problems)
        if problems:
            print(f"# round {number} of seed {options.seed}, {kind}:")
            for problem in problems[:20]:
                print(f"#   => {problem}")
            sys.stdout.flush()
    server.stop("immediate")
    kinds = ', '.join(f'{n} {kind}' for kind, n in counted.items())
    print(f"{'not ' if wrong else ''}ok - {rounds} crashes under {CLIENTS} clients ({kinds}): {answered} deliveries answered, "
          f"{unanswered} not, {wrong} rounds wrong ({time.monotonic() - began:.0f} s, seed {options.seed})")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
