#!/usr/bin/python3
"""Runs wrk against each NAME=URL in turn, in several rounds, and writes the medians: throughput.py FOLDER NAME=URL..."""
import json
import os
import pathlib
import statistics
import subprocess
import sys

import psycopg

THREADS, CONNECTIONS = 2, 16
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 3)), int(os.environ.get("SECONDS_EACH", 5))
BASELINES = {"gunicorn": "baseline_gunicorn", "express": "baseline_express"}
NAMES = {
    "gunicorn": "Flask under gunicorn (2 workers, 8 threads each)",
    "baseline_gunicorn": "baseline: the same, PyJWT and an INSERT",
    "express": "Express (1 process)",
    "baseline_express": "baseline: the same, jsonwebtoken and an INSERT",
    "php": "PHP's built-in server (1 process, closes each connection)",
    "nginx": "nginx with php-fpm (8 workers), TLS",
    "apache": "Apache with php-fpm (8 workers)",
    "webhook": "webhook and psql",
    "flask": "Flask's development server",
}


def processor_seconds():
    """What the proxies (our process group) and the database have used so far; wrk and this script are left out."""
    with open(os.environ["PGDATA"] + "/postmaster.pid") as file:
        postmaster = int(file.readline())
    used = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            field = stat.read_text().rpartition(")")[2].split()  # from the third on: state, parent, process group, …
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(stat.parent.name)
        if pid != os.getpid() and (int(field[2]) == os.getpgrp() or postmaster in (pid, int(field[1]))):
            used += sum(map(int, field[11:15]))  # user, system, and those of ended children
    return used / os.sysconf("SC_CLK_TCK")


def run(url, seconds):
    with psycopg.connect(autocommit=True) as db:
        db.execute("TRUNCATE cc_inbox, cc_invoice, baseline")
        db.execute("CHECKPOINT")
        command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", "bench/proxies/postbacks.lua", url]
        before = processor_seconds()
        output = subprocess.run(command, env={**os.environ, "THREADS": str(THREADS)}, check=True, capture_output=True, text=True).stdout
        result = json.loads(output.splitlines()[-1])
        result["processor_ms"] = round(1000 * (processor_seconds() - before) / result["requests"], 3)
        stored = db.execute("SELECT (SELECT count(*) FROM cc_inbox WHERE state = 'applied') + (SELECT count(*) FROM baseline)").fetchone()[0]
    # wrk does not count the answers that it no longer waited for.
    assert result["refused"] == 0 and 0 <= stored - result["requests"] <= CONNECTIONS, (url, result, stored)
    return result


def main():
    folder, urls = pathlib.Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:])
    load = round(os.getloadavg()[0], 1)
    for url in urls.values():
        run(url, 1)  # warms up
    measured = {name: [] for name in urls}
    for number in range(ROUNDS):
        for name, url in urls.items():
            measured[name].append(run(url, SECONDS))
            print(f"{number + 1}/{ROUNDS} {name}: {measured[name][-1]}", flush=True)

    table = []
    for name, runs in measured.items():
        rates = [one["requests"] / one["seconds"] for one in runs]
        table.append({"proxy": name, "per_second": round(statistics.median(rates), 1), "per_second_of_rounds": [round(rate, 1) for rate in rates],
                      **{key: statistics.median(one[key] for one in runs) for key in ("processor_ms", "p50_ms", "p99_ms")}})
    rate = {row["proxy"]: row["per_second"] for row in table}
    for row in table:
        other = BASELINES.get(row["proxy"])
        row["to_baseline"] = round(row["per_second"] / rate[other], 2) if other in rate else None
    settings = {"load_of_others": load, "cores": os.cpu_count(), "wrk_threads": THREADS, "wrk_connections": CONNECTIONS, "rounds": ROUNDS, "seconds": SECONDS,
                "postgresql": psycopg.connect().execute("SHOW server_version").fetchone()[0].split()[0], "fsync": False}
    (folder / "throughput.json").write_text(json.dumps({"settings": settings, "proxies": table}, indent=2) + "\n")

    with open(os.environ["POSTBACKS"]) as file:
        size = len(file.readline()) / 1000
    lines = [
        "# Throughput of the proxies",
        "",
        f"`bench/proxies/run`: wrk with {CONNECTIONS} connections, each request another honest JSON postback of {size:.1f} kB; wrk, proxy and",
        f"PostgreSQL {settings['postgresql']} (fsync off) share {settings['cores']} cores. Median of {ROUNDS} rounds of {SECONDS} s, taken in turn. The proxies pass the",
        "body on to `cc_receive`, which verifies it, keeps it raw and makes an invoice of it; the baselines check the token in the web tier",
        "and insert the fields in one row. Processor time is that of proxy and PostgreSQL together, and suffers least when the machine has",
        f"other work: its load was {load} when this began.",
        "",
        "| proxy | postbacks/s | to its baseline | processor ms each | median ms | 99% ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in table:
        ratio = "" if row["to_baseline"] is None else f"{row['to_baseline']:.2f}"
        lines.append(f"| {NAMES[row['proxy']]} | {row['per_second']:.0f} | {ratio} | {row['processor_ms']:.2f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |")
    (folder / "throughput.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
