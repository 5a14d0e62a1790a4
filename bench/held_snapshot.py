#!/usr/bin/python3
"""held_snapshot.py [--minutes 30] [--rate 100] [--every 150] [--at-once]

pgbench delivers at a modest rate, a transaction with a snapshot stays open, and every so often each kind of delivery is measured: CPU
time of the backend, and deliveries a second of two sessions. Then the transaction ends, and each kind is measured once more. A plain
insert of the body is measured by turns with them: it tells how busy the machine was, and each ratio is also given against it.

Half of the load are new invoices, two in ten are deferred and settled every second, one in ten each is a resend, the same message, an
update of one of 10,000 invoices. In half an hour each of these is updated two to three times, as a partial payment and its rest do.

--at-once: what comes in that time comes as fast as it can, and is measured before and after. What a transaction that stays open costs are
the rows that nobody may remove meanwhile, so that two quiet minutes tell as much as half an hour on a busy machine.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from postgres import Connection, run_side_by_side

CLIENTS = 8
CALLS = 400             # of each kind in one measurement, by turns of a tenth
TURNS = 10
CHANGED = 10_000        # invoices that the load updates
OLD = 300_000           # invoices to begin with: the tables must not become several times as large meanwhile
FAR = "timestamptz '2100-01-01'"
KINDS = {               # what a body is made of; n numbers all bodies that are measured
    "a new invoice": f"invoice_id => 'new' || n, expires_at => {FAR}",
    "a resend: another token, the same content": f"invoice_id => 'known' || n % 1000, expires_at => {FAR} + (n + 1) * interval '1 s'",
    "the same message": f"invoice_id => 'known' || n % 1000, expires_at => {FAR}",
    "an update of an invoice": f"invoice_id => 'changed' || n % {CHANGED}, amount_crypto => 1 + n, expires_at => {FAR} + (n + 1) * interval '1 s'",
}
APPLY = "cc_apply, a deferred delivery"
PLAIN = "a plain insert of the body"

LOAD = {                # weight: script of pgbench
    "new": (50, "SELECT http_status FROM cc_receive(cc_sample_postback('s3cret', invoice_id => 'l' || :client_id || '-' || :n), 'application/json')"),
    "deferred": (20, "SELECT http_status FROM cc_receive(cc_sample_postback('deferred', invoice_id => 'd' || :client_id || '-' || :n), 'application/json', 'later')"),
    "resend": (10, f"SELECT http_status FROM cc_receive(cc_sample_postback('s3cret', invoice_id => 'known' || :n % 1000, "
                   f"expires_at => {FAR} + :n * interval '1 ms'), 'application/json')"),
    "same": (10, f"SELECT http_status FROM cc_receive(cc_sample_postback('s3cret', invoice_id => 'known' || :n % 1000, expires_at => {FAR}), 'application/json')"),
    "update": (10, f"SELECT http_status FROM cc_receive(cc_sample_postback('s3cret', invoice_id => 'changed' || :n % {CHANGED}, "
                   f"amount_crypto => 1 + extract(epoch FROM clock_timestamp())::numeric / 1e6, expires_at => {FAR} - interval '1 year' "
                   "+ (clock_timestamp() - timestamptz '2026-01-01') / 1000), 'application/json')"),
}
SETUP = f"""
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret, apply) VALUES ('default', 's3cret', 'immediate'), ('later', 'deferred', 'deferred');
CREATE TABLE orders (id text PRIMARY KEY, paid_at timestamptz);
CREATE TABLE plain (id bigserial PRIMARY KEY, body text);
CREATE TABLE probe (kind text, n bigint, project text, body text, PRIMARY KEY (kind, n));
ALTER TABLE probe ALTER body SET STORAGE PLAIN;
INSERT INTO cc_inbox (body) SELECT cc_sample_postback('s3cret', invoice_id => 'known' || n, expires_at => {FAR}) FROM generate_series(0, 999) AS n;
INSERT INTO cc_inbox (body) SELECT cc_sample_postback('s3cret', invoice_id => 'changed' || n, expires_at => {FAR}) FROM generate_series(0, {CHANGED - 1}) AS n;
INSERT INTO cc_inbox (body) SELECT cc_sample_postback('s3cret', invoice_id => 'old' || n, expires_at => {FAR}) FROM generate_series(1, {OLD}) AS n;
VACUUM ANALYZE;
"""


class Probe:
    def __init__(self, sessions):
        self.sessions = [Connection("postgres") for _ in range(sessions)]
        self.at = {kind: 0 for kind in (*KINDS, APPLY, PLAIN)}
        for session in self.sessions:
            session.execute("SET plan_cache_mode = force_generic_plan")
            for number, kind in enumerate(KINDS):
                session.prepare(f"kind{number}", f"INSERT INTO cc_inbox (body) SELECT body FROM probe WHERE kind = '{kind}' AND n = $1")
            session.prepare("defer", f"INSERT INTO cc_inbox (project, body) SELECT 'later', body FROM probe WHERE kind = '{APPLY}' AND n = $1")
            session.prepare("plain", f"INSERT INTO plain (body) SELECT body FROM probe WHERE kind = '{PLAIN}' AND n = $1")
        self.maker = Connection("postgres")

    def make(self, count):
        """Bodies for so many calls of each kind; signed beforehand, so that only the delivery is measured."""
        for kind, arguments in (*KINDS.items(), (APPLY, f"invoice_id => 'later' || n, expires_at => {FAR}"),
                                (PLAIN, f"invoice_id => 'plain' || n, expires_at => {FAR}")):
            secret = "deferred" if kind == APPLY else "s3cret"
            self.maker.execute(f"INSERT INTO probe SELECT $1, n, NULL, cc_sample_postback('{secret}', {arguments}) FROM generate_series(1, $2::bigint) AS n", kind, count)
        self.maker.execute("VACUUM ANALYZE probe")

    def take(self, kind, count):
        first = self.at[kind] + 1
        self.at[kind] += count
        return range(first, first + count)

    def pages(self, kind, calls=20):
        """How many pages of tables and indexes a delivery looks at; that is the same however busy the machine is."""
        session, total = self.sessions[0], 0
        for n in self.take(kind, calls):
            target = {PLAIN: "plain (body) SELECT", APPLY: "cc_inbox (project, body) SELECT 'later',"}.get(kind, "cc_inbox (body) SELECT")
            sql = f"INSERT INTO {target} body FROM probe WHERE kind = '{kind}' AND n = {n}"
            if kind == APPLY:
                session.execute(sql)
                sql = "SELECT cc_apply(50)"
            plan, = json.loads(session.value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"))
            total += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        return total / calls

    def measure(self):
        """Of each kind: median CPU time in us of a delivery, deliveries a second of all sessions together, and pages."""
        cpu, wall = {kind: [] for kind in (*KINDS, APPLY, PLAIN)}, {kind: [] for kind in (*KINDS, APPLY, PLAIN)}
        for _ in range(TURNS):
            for number, kind in enumerate(KINDS):
                used, took = run_side_by_side(self.sessions, f"kind{number}", self.take(kind, CALLS // TURNS))
                cpu[kind].append(used)
                wall[kind].append(took)
            used, took = run_side_by_side(self.sessions, "plain", self.take(PLAIN, CALLS // TURNS))
            cpu[PLAIN].append(used)
            wall[PLAIN].append(took)
            # 50 rows wait, and one session settles them, as it may happen a few of the load's as well.
            session = self.sessions[0]
            session.run("defer", self.take(APPLY, 50))
            before, began = session.cpu(), time.perf_counter()
            settled = 0
            while settled < 50:
                count = int(session.value("SELECT cc_apply(50)"))
                settled += count or 50
            cpu[APPLY].append((session.cpu() - before) / settled)
            wall[APPLY].append((time.perf_counter() - began) * 1e6 / settled)
        return {kind: (statistics.median(cpu[kind]), 1e6 / statistics.median(wall[kind]), self.pages(kind)) for kind in cpu}


def load_average():
    return os.getloadavg()[0]


def start_load(folder, *how):
    """pgbench that delivers, and pgbench that calls cc_work every second."""
    scripts = []
    for name, (weight, sql) in LOAD.items():
        path = f"{folder}/{name}.sql"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"\\set n random(1, 1000000000)\n{sql};\n")
        scripts += ["-f", f"{path}@{weight}"]
    work = f"{folder}/work.sql"
    with open(work, "w", encoding="ascii") as file:
        file.write("CALL cc_work();\n")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return [subprocess.Popen(["pgbench", "-n", "-c", str(CLIENTS), "-j", "1", *how, *scripts, "postgres"], **quiet),
            subprocess.Popen(["pgbench", "-n", "-c", "1", "-T", "100000", "--rate=1", "-f", work, "postgres"], **quiet)]


def end(load):
    for process in load:
        process.terminate()
    for process in load:
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=100, help="deliveries a second")
    parser.add_argument("--every", type=float, default=150, help="seconds between two measurements")
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args()

    maker = Connection("postgres")
    for statement in filter(str.strip, SETUP.split(";\n")):
        maker.execute(statement)
    times = 2 if options.at_once else int(options.minutes * 60 / options.every) + 1
    probe = Probe(2)
    probe.make((times + 5) * (max(CALLS, TURNS * 50) + 20))
    host, load = os.environ["PGHOST"], []
    if not options.at_once:
        load = start_load(host, "-T", "100000", f"--rate={options.rate}")
        time.sleep(min(30, options.every))                       # until autovacuum, plans and caches are as they stay
    holder = Connection("postgres")
    try:
        probe.measure()
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM cc_invoice")
        began, results = time.monotonic(), []

        def take(title):
            average = load_average()
            results.append((title, probe.measure()))
            dead, size = maker.execute("SELECT sum(n_dead_tup)::bigint, pg_size_pretty(pg_indexes_size('cc_inbox')) FROM pg_stat_user_tables WHERE relname IN ('cc_inbox', 'cc_invoice')")[0]
            print(f"# {title}: " + ", ".join(f"{kind} {cpu:.0f} us {rate:.0f}/s {pages:.0f} pages" for kind, (cpu, rate, pages) in results[-1][1].items())
                  + f"; {dead} dead rows, indexes of cc_inbox {size}, load average {average:.1f}")
            sys.stdout.flush()

        take("0 min")
        if options.at_once:
            load = start_load(host, "-t", str(int(options.minutes * 60 * options.rate / CLIENTS)))
            load[0].wait()
            end(load)
            take(f"after {options.minutes:g} minutes' deliveries at once")
        for number in range(1, 0 if options.at_once else times):
            time.sleep(max(0, began + number * options.every - time.monotonic()))
            take(f"{number * options.every / 60:g} min")
        held = time.monotonic() - began
        holder.execute("COMMIT")
        for table in "cc_inbox", "cc_invoice":
            maker.execute(f"VACUUM ANALYZE {table}")
        take("after it ended, and VACUUM")
    finally:
        end(load)
    rows, invoices, versions = maker.execute("SELECT count(*), (SELECT count(*) FROM cc_invoice), (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'cc_invoice') FROM cc_inbox")[0]
    print(f"\nA transaction open for {held / 60:.0f} minutes, with the deliveries of {options.minutes:g} at {options.rate} a second; at the end {rows} rows in cc_inbox, {invoices} in cc_invoice, "
          f"{versions} updates of invoices.\n")
    first, last, after = results[0][1], results[-2][1], results[-1][1]
    print("| | CPU time at the start | at the end | ratio | against a plain insert | after it | pages at the start | at the end | after it | a second, start | end |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    yardstick = last[PLAIN][0] / first[PLAIN][0]
    for kind in first:
        ratio = last[kind][0] / first[kind][0]
        print(f"| {kind} | {first[kind][0]:.0f} µs | {last[kind][0]:.0f} µs | {ratio:.2f} | {ratio / yardstick:.2f} | {after[kind][0]:.0f} µs "
              f"| {first[kind][2]:.0f} | {last[kind][2]:.0f} | {after[kind][2]:.0f} | {first[kind][1]:.0f} | {last[kind][1]:.0f} |")


if __name__ == "__main__":
    main()
