#!/usr/bin/python3
"""queue.py [--deliveries 8000] [--turns 3] [--clients 1,2,4,8,16,32,64]

Deliveries a second into our tables and into PgQ: the same bodies from the same table, a new invoice each time, each statement a
transaction. PgQ keeps one row; its consumer would still have to read, verify, compare and store.
"""
import argparse
import collections
import os
import re
import statistics
import subprocess
import sys
import time

from postgres import Connection

SETUP = """
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
CREATE EXTENSION pgq;
SELECT pgq.create_queue('postbacks');
CREATE TABLE bodies (id bigint PRIMARY KEY, body text);
ALTER TABLE bodies ALTER body SET STORAGE PLAIN;
CREATE SEQUENCE n;
"""
BODY = "SELECT body FROM bodies WHERE id = (SELECT nextval('n') % {batches} + 1)"
BATCH = "FROM (SELECT nextval('n') % {batches} * {size} AS first OFFSET 0) AS place, bodies WHERE id > first AND id <= first + {size}"
PGQ, RECEIVE, INSERT, READ = "pgq.insert_event", "cc_receive", "insert into cc_inbox", "read the body"
ONE = {
    PGQ: f"SELECT pgq.insert_event('postbacks', 'postback', body) FROM ({BODY}) AS b;",
    RECEIVE: f"SELECT http_status FROM ({BODY}) AS b, cc_receive(b.body, 'application/json');",
    INSERT: f"INSERT INTO cc_inbox (body) {BODY};",
}
MANY = {
    PGQ: f"SELECT count(pgq.insert_event('postbacks', 'postback', body)) {BATCH};",
    INSERT: f"INSERT INTO cc_inbox (body) SELECT body {BATCH};",
}
OURS = "'cc_inbox'::regclass, 'cc_invoice'::regclass"


class Bench:
    def __init__(self, options):
        self.options, self.admin = options, Connection("postgres")
        for statement in filter(str.strip, SETUP.split(";\n")):
            self.admin.execute(statement)
        self.admin.execute("INSERT INTO bodies SELECT n, cc_sample_postback('s3cret', invoice_id => 'I' || n, expires_at => '2100-01-01') "
                           "FROM generate_series(1, $1::bigint) AS n", options.bodies)
        self.admin.execute("VACUUM (ANALYZE, FREEZE) bodies")
        self.events = [name for name, in self.admin.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace "
            "WHERE nspname = 'pgq' AND relkind = 'r' AND relname LIKE 'event\\_%\\_%'")]

    def empty(self):
        self.admin.execute("TRUNCATE cc_inbox, cc_invoice RESTART IDENTITY")
        for table in self.events:
            self.admin.execute(f"TRUNCATE {table}")
        self.admin.execute("ALTER SEQUENCE n RESTART")
        self.admin.execute("CHECKPOINT")

    def size(self, method):
        relations = self.events if method == PGQ else ["cc_inbox", "cc_invoice"]
        return sum(int(self.admin.value("SELECT pg_total_relation_size($1::regclass)", name)) for name in relations)

    def kept(self, method):
        relations = self.events if method == PGQ else ["cc_inbox"]
        return sum(int(self.admin.value(f"SELECT count(*) FROM {name}")) for name in relations)

    def run(self, method, sql, clients, synchronous, rows=1):
        """Deliveries a second, and bytes of WAL and of the tables for each. Fewer than 8 clients deliver less in all."""
        self.empty()
        empty, wal = self.size(method), self.admin.value("SELECT pg_current_wal_insert_lsn()")
        path = os.path.join(os.environ["PGHOST"], "script.sql")
        with open(path, "w", encoding="ascii") as file:
            file.write(sql + "\n")
        done = subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-t", str(max(1, self.options.deliveries // rows // max(clients, 8))), "-f", path, "postgres"],
                              check=True, capture_output=True, text=True, env=os.environ | {"PGOPTIONS": f"-c synchronous_commit={synchronous}"}).stdout
        rate = float(re.search(r"^tps = ([\d.]+)", done, re.M)[1]) * rows
        if method == READ:
            return rate, 0, 0
        wal = int(self.admin.value("SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint", wal))
        kept = self.kept(method)
        if method != PGQ:
            applied = int(self.admin.value("SELECT count(*) FROM cc_inbox WHERE state = 'applied'"))
            if applied != kept:
                print(f"# {method}, {clients} clients: {kept - applied} of {kept} deliveries were not new", flush=True)
        return rate, wal / kept, (self.size(method) - empty) / kept

    def compare(self, methods, clients, synchronous, rows=1):
        """By turns; of each method the medians."""
        figures = collections.defaultdict(list)
        for _ in range(self.options.turns):
            for method, sql in methods.items():
                figures[method].append(self.run(method, sql.format(size=rows, batches=self.options.bodies // rows), clients, synchronous, rows))
        return {method: [statistics.median(column) for column in zip(*taken)] for method, taken in figures.items()}

    def cpu(self, turns=40, calls=50):
        """CPU time of one backend for a delivery, in us: of each method one figure a turn, less that of reading the body."""
        self.empty()
        session = Connection("postgres")
        session.execute("SET synchronous_commit = off")
        for number, (method, sql) in enumerate((ONE | {READ: BODY}).items()):
            place = BODY[BODY.index("(SELECT"):]
            session.prepare(f"m{number}", sql.rstrip(";").replace(place, "$1"))
        figures, at = collections.defaultdict(list), 0
        for turn in range(turns + 2):
            for number, method in enumerate((*ONE, READ)):
                before = session.cpu()
                session.run(f"m{number}", range(at + 1, at + calls + 1))
                if turn > 1:                # until plans and caches are as they stay
                    figures[method].append((session.cpu() - before) / calls)
                at += calls
        session.close()
        reading = figures.pop(READ)
        return {method: [value - read for value, read in zip(values, reading)] for method, values in figures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=8000, help="of a measurement with 8 clients or more")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--clients", default="1,2,4,8,16,32,64")
    options = parser.parse_args()
    options.bodies = max(2 * options.deliveries, 10000)      # no measurement delivers one twice; turns of CPU time take 8,400

    began, bench = time.monotonic(), Bench(options)
    print(f"PostgreSQL {bench.admin.value('SHOW server_version')}, PgQ {bench.admin.value('SELECT pgq.version()')}, {os.cpu_count()} cores, "
          f"load average {os.getloadavg()[0]:.1f} before; {options.turns} turns of {options.deliveries} deliveries; bodies of "
          f"{bench.admin.value('SELECT round(avg(octet_length(body))) FROM bodies')} bytes, a new invoice each time.\n")
    print_cpu(bench)
    print_rates(bench, options)
    print(f"\n{time.monotonic() - began:.0f} s, load average {os.getloadavg()[0]:.1f} after.")


def print_cpu(bench):
    figures = bench.cpu()
    print("| one client, by turns | CPU time of a delivery | PgQ's against it, middle half |\n|---|---:|---:|")
    for method, values in figures.items():
        ratios = sorted(pgq / value for pgq, value in zip(figures[PGQ], values))
        print(f"| {method} | {statistics.median(values):.0f} µs | {statistics.median(ratios):.2f} "
              f"({ratios[len(ratios) // 4]:.2f} to {ratios[-len(ratios) // 4]:.2f}) |", flush=True)


def print_rates(bench, options):
    print("\n| synchronous_commit | clients | " + " | ".join(ONE) + " | cc_receive : PgQ | insert : PgQ | insert : PgQ, without reading the body |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    bytes_ = {}
    clients = [int(number) for number in options.clients.split(",")]
    reading = {number: bench.run(READ, BODY.format(batches=options.bodies) + ";", number, "on")[0] for number in clients}
    for synchronous in "on", "off":
        for number in clients:
            result = bench.compare(ONE, number, synchronous)
            rate = {method: figures[0] for method, figures in result.items()}
            net = {method: 1 / value - 1 / reading[number] for method, value in rate.items()}
            print(f"| {synchronous} | {number} | " + " | ".join(f"{rate[method]:.0f}" for method in ONE)
                  + f" | {rate[RECEIVE] / rate[PGQ]:.2f} | {rate[INSERT] / rate[PGQ]:.2f} | {net[PGQ] / net[INSERT]:.2f} |", flush=True)
            bytes_.setdefault((synchronous, number), result)
    print("\n| rows a statement | synchronous_commit | clients | pgq.insert_event, rows a second | insert into cc_inbox | ratio |\n|---:|---|---:|---:|---:|---:|")
    for size in 10, 100:
        for synchronous in "on", "off":
            for number in 1, 8:
                result = bench.compare(MANY, number, synchronous, size)
                print(f"| {size} | {synchronous} | {number} | {result[PGQ][0]:.0f} | {result[INSERT][0]:.0f} | {result[INSERT][0] / result[PGQ][0]:.2f} |", flush=True)
    print("\n| a delivery, one client | " + " | ".join(ONE) + " |\n|---|---:|---:|---:|")
    result = bytes_["off", clients[0]]
    print("| bytes of WAL, images of whole pages included | " + " | ".join(f"{result[method][1]:.0f}" for method in ONE) + " |")
    print("| bytes of tables and indexes | " + " | ".join(f"{result[method][2]:.0f}" for method in ONE) + " |")


if __name__ == "__main__":
    main()
