"""Prints what a backend spends its time on. bench/profile calls it."""
import argparse
import os
import pathlib
import re
import subprocess
import threading
import time

from measure import FORM, JSON, QUICK, Bench, forged
from postgres import Connection

RESULTS = pathlib.Path(__file__).parent / "results/profile"
DELIVERIES = {"plain": "plain", "plain_lz4": "plain_lz4", "insert": "inbox", "orders": "inbox", "duplicate": "resend", "hand": "hand", "read": "read", "receive": "receive"}
QUERIES = ("verify", "bad", "form", "cast")
COPIES = 1_000


def prepare(bench, count):
    database = bench.create_pipeline("profile", count)
    samples = bench.samples
    for table, body in (("json", samples["json_sample"]["body"]), ("bad", forged(samples["json_sample"]["body"])),
                        ("form", samples["form_twin"]["body"])):
        database.execute(f"CREATE TABLE sample_{table} (body text)")
        database.execute(f"ALTER TABLE sample_{table} ALTER body SET STORAGE PLAIN")
        database.execute(f"INSERT INTO sample_{table} SELECT $1 FROM generate_series(1, {COPIES})", body)
    database.execute("VACUUM ANALYZE")
    database.close()


def statement(bench, what):
    """What is executed again and again, with $1 the number of a body."""
    if what in DELIVERIES:
        return bench.STATEMENTS[DELIVERIES[what]]
    sample = bench.samples["json_sample"]
    table = {"form": "form", "bad": "bad"}.get(what, "json")
    call = f"cc_verify_postback(body, '{FORM if what == 'form' else JSON}', '{sample['secret']}', '{sample['at']}', '0')"
    return f"SELECT count({'body::jsonb' if what == 'cast' else call}) FROM sample_{table} WHERE $1::bigint > 0"


def orders(database, count):
    subprocess.run(["psql", "-Xqb", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", RESULTS.parent.parent / "sql/orders.sql"],
                   check=True)
    connection = Connection(database)
    connection.execute(f"INSERT INTO orders SELECT 'ORDER_' || n, 0.1 FROM generate_series(1, {count}) AS n")
    connection.close()


def ids_for(what, count, warm_up):
    """Bodies to warm up with, and to measure."""
    if what in QUERIES:
        return [1] * 5, [1] * max(1, count // COPIES)
    return range(1, 1 + warm_up), range(1 + warm_up, 1 + count)


def with_perf(what, sql, warm, ids):
    backend = Connection("work")
    backend.prepare("statement", sql)
    backend.run("statement", warm)
    data = RESULTS / f"{what}.perf"
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "5000", "-g", "-p", str(backend.pid), "-o", data])
    time.sleep(1)
    before, began = backend.cpu(), os.times()
    backend.run("statement", ids)
    used = (backend.cpu() - before) / len(ids)
    perf.terminate()
    perf.wait()
    report = subprocess.run(["perf", "report", "-i", data, "--no-children", "-g", "none", "--percent-limit", "0.3", "--stdio"],
                            capture_output=True, text=True).stdout
    tree = subprocess.run(["perf", "report", "-i", data, "--children", "-g", "none", "--percent-limit", "0.5", "--stdio"],
                          capture_output=True, text=True).stdout
    (RESULTS / f"{what}.txt").write_text(report + tree, encoding="utf-8")
    data.unlink()
    backend.close()
    return f"{used:.1f} µs CPU time each", report


def with_callgrind(what, sql, warm, ids):
    """In single-user mode: one process, its own client, and so the same instructions each time."""
    output = RESULTS / f"{what}.callgrind"
    process = subprocess.Popen(
        ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}",
         "postgres", "--single", "-D", os.environ["PGDATA"], "work"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    done = threading.Event()

    def watch():
        for line in process.stdout:
            if "reached" in line:
                done.set()
    threading.Thread(target=watch, daemon=True).start()

    def send(lines):
        done.clear()
        process.stdin.write("".join(f"{line}\n" for line in lines) + "SELECT 'reached'\n")
        process.stdin.flush()
        if not done.wait(3600):
            raise RuntimeError("callgrind does not come back")
    send([f"PREPARE statement (bigint) AS {sql}"] + [f"EXECUTE statement({i})" for i in warm])
    subprocess.run(["callgrind_control", "-i", "on", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    send([f"EXECUTE statement({i})" for i in ids])
    subprocess.run(["callgrind_control", "-i", "off", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    process.stdin.close()
    process.wait()
    text = {}
    for inclusive in ("no", "yes"):
        text[inclusive] = subprocess.run(["callgrind_annotate", f"--inclusive={inclusive}", "--auto=no", "--threshold=97", output],
                                         capture_output=True, text=True).stdout
    total = int(re.search(r"([\d,]+) .*PROGRAM TOTALS", text["no"])[1].replace(",", ""))

    def table(text):
        """Lines of instructions for each execution."""
        for line in text.splitlines():
            match = re.match(r" *([\d,]+) \( *([\d.]+)%\) +\S*?:(.*?)(?: \[.*/(.*)\])?$", line)
            if match:
                each = int(match[1].replace(",", "")) / len(ids)
                if each >= total / len(ids) / 300:
                    yield f"{each:12,.0f} {float(match[2]):6.2f} %  {match[3][:90]} ({match[4]})"
    own, inclusive = "\n".join(table(text["no"])), "\n".join(table(text["yes"]))
    report = f"Own:\n{own}\n\nWith what they call:\n{inclusive}\n"
    (RESULTS / f"{what}.txt").write_text(report, encoding="utf-8")
    return f"{total / len(ids):,.0f} instructions each", report


def check(what):
    """That it did what it is called."""
    database = Connection("work")
    states = {state for state, in database.execute("SELECT DISTINCT state FROM cc_inbox WHERE id > 10001")}
    error = database.execute("SELECT error FROM cc_inbox WHERE id > 10001 AND error IS NOT NULL LIMIT 1")
    expected = {"insert": {"applied"}, "orders": {"applied"}, "receive": {"applied"}, "duplicate": {"applied", "duplicate"}}.get(what, set())
    database.close()
    if states != expected:
        raise RuntimeError(f"{what}: {states} {error}")


def main():
    parser = argparse.ArgumentParser(prog="bench/profile")
    parser.add_argument("--callgrind", action="store_true")
    parser.add_argument("--count", type=int, help="executions (of a query: rows)")
    parser.add_argument("--lines", type=int, default=60)
    parser.add_argument("what", nargs="+", choices=[*DELIVERIES, *QUERIES])
    options = parser.parse_args()
    count = options.count or (1_000 if options.callgrind else 20_000)
    warm_up = min(count // 5, 200)
    bench = Bench(QUICK)
    prepare(bench, count)
    summary = []
    changes = ["as it is", *(os.environ[name] for name in sorted(os.environ, key=len) if name.startswith("BENCH_SQL_"))]
    for what, change in ((what, change) for what in options.what for change in changes):
        bench.admin.execute("CREATE DATABASE work TEMPLATE profile")
        if change != changes[0]:
            subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", "work"], input=change, text=True, check=True)
        if what == "orders":
            orders("work", count)
        if what == "duplicate":
            first, = bench.connect("work")
            first.run("inbox", range(1, 1 + count))
            first.close()
        warm, ids = ids_for(what, count * (100 if what in QUERIES and not options.callgrind else 1), warm_up)
        if options.callgrind:
            bench.admin.close()
            subprocess.run(["pg_ctl", "stop", "--silent", "--wait", "--mode=fast"], check=True)
            used, report = with_callgrind(what, statement(bench, what), warm, ids)
            subprocess.run(["pg_ctl", "start", "--silent", "--wait", f"--log={os.environ['TMPDIR']}/log"], check=True)
            bench.admin = Connection("postgres")
        else:
            used, report = with_perf(what, statement(bench, what), warm, ids)
        check(what)
        bench.admin.execute("DROP DATABASE work")
        summary.append(f"{what:10} {used:32} {change.splitlines()[0].removeprefix('-- ')}")
        print(f"=== {summary[-1]}", *report.splitlines()[:options.lines if change == changes[0] else 0], sep="\n", flush=True)
    print("\n".join(["=== Summary (of a query: for each 1,000 rows)", *summary]))


if __name__ == "__main__":
    main()
