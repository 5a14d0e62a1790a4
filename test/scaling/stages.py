"""The stages of test/scaling/run: stages.py STAGE [ARGUMENT...]. Prints TAP lines."""
import collections
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import psycopg

from world import DEFERRED, PROJECTS, connect, deliver, name_of, partitions, placement, proxy, rows, run, sample, secret_of, value

RECEIVED = (200, {"message": "Postback received"})


def check(what, got, wanted=True):
    difference = "" if got == wanted else f": {str(got)[:1000]} instead of {str(wanted)[:1000]}"
    print(("not ok" if difference else "ok") + f" - {what}{difference}", flush=True)


def sqlstate(service, query, *arguments, **options):
    """The SQLSTATE that it ends with, or None."""
    try:
        with connect(service, **options) as db:
            db.execute(query, arguments)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def firings(shards):
    """How often the trigger fired for each invoice. A row that was copied to another shard says where it was made, and counts once."""
    found = collections.Counter()
    for made in {(project, invoice, server, number) for shard in shards for project, invoice, server, number in rows(
            shard, "SELECT project, invoice_id, server, row_number() OVER (PARTITION BY project, invoice_id, server) FROM firing")}:
        found[made[:2]] += 1
    return found


def inbox(shards, project, columns="state", **only):
    """Rows of this project by shard, without those that have none."""
    where = "".join(f" AND {name} = %s" for name in only)
    found = {shard: rows(shard, f"SELECT {columns} FROM cc_inbox WHERE project = %s{where} ORDER BY id", project, *only.values())
             for shard in shards}
    return {shard: there for shard, there in found.items() if there}


def place():
    where = placement(PROJECTS + DEFERRED)
    for project, shard in where.items():
        with connect(shard, user="shop") as db:
            db.execute("INSERT INTO cc_project (name, secret, apply) VALUES (%s, %s, %s)",
                       (project, secret_of(project), "deferred" if project in DEFERRED else "immediate"))
    for projects in PROJECTS, DEFERRED:
        check("there are projects of each partition", set(partitions(projects, 4).values()), {0, 1, 2, 3})


def routing():
    where = placement(PROJECTS)
    with proxy() as db:
        for project, shard in where.items():
            answer = deliver(db, project, sample(project, f"FIRST-{project}"))
            check(f"{project} is received", answer, RECEIVED)
            check("on its shard alone", inbox(SHARDS, project), {shard: [("applied",)]})
        status, = db.execute("SELECT http_status FROM cc_receive(%b, 'application/json')", [sample("default", "NO-PROJECT")]).fetchone()
        check("no project is the project default", (status, list(inbox(SHARDS, "default", invoice_id="NO-PROJECT"))),
              (200, [where["default"]]))
        check("a project that is NULL likewise", deliver(db, None, sample("default", "NULL-PROJECT")), RECEIVED)
        check("an unknown project is 404", deliver(db, "nobody's", sample("default", "UNKNOWN"))[0], 404)
        check("and kept once", sum(map(len, inbox(SHARDS, "nobody's").values())), 1)
        check("a forged one is 401", deliver(db, "second", sample("default", "FORGED"))[0], 401)
        noise = bytes(range(256)) * 4096 + b"!"
        check("bytes that are no text, over 1 MiB", deliver(db, "second", noise, None)[0], 413)
        noise = b"{\0\xff}"
        check("bytes that are no text", deliver(db, "second", noise, None)[0], 400)
        kept = inbox(SHARDS, "second", "raw")[where["second"]][-1][0]
        check("are kept as they are", kept, noise)


def once():
    projects = PROJECTS[:4]
    where = placement(projects)
    for project in projects:
        shard, body = where[project], sample(project, "ONCE")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            def send(_):
                with proxy() as db:
                    return deliver(db, project, body)
            answers = list(pool.map(send, range(16)))
        check(f"{project}: 16 at once are all received", answers, [RECEIVED] * 16)
        check("one is applied", sorted(inbox(SHARDS, project, invoice_id="ONCE")[shard]), [("applied",)] + [("duplicate",)] * 15)
        with proxy() as db:
            check("a later resend is received", deliver(db, project, body), RECEIVED)
            raised = json.loads(body) | {"amount_crypto": "1000"}
            check("its token with another amount is not", deliver(db, project, json.dumps(raised).encode())[0], 409)
        with proxy() as db, db.transaction(force_rollback=True):
            check("a delivery is received, and then rolled back", deliver(db, project, sample(project, "UNDONE")), RECEIVED)
        check("and stays", inbox(SHARDS, project, invoice_id="UNDONE"), {shard: [("applied",)]})
        fired = firings(SHARDS)
        check("the trigger fired once for each", (fired[project, "ONCE"], fired[project, "UNDONE"]), (1, 1))


def rights():
    router = {"user": "postback_proxy"}
    for statement in ("SELECT * FROM cc_health()", "SELECT cc_apply()", "CALL cc_work()", "SELECT * FROM cc_shards()",
                      "SELECT cc_shard_of('default')", "SELECT cc_apply_on(0, 1)", "SELECT * FROM cc_health_on(0, '1 hour')",
                      "SET ROLE postback_router", "SET ROLE postback_operator", "CREATE TABLE t ()",
                      "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE plproxy AS $$ CLUSTER 'cc_shards'; $$",
                      "ALTER SERVER cc_shards OPTIONS (SET p0 'dbname=mine')"):
        check(f"the proxy's role may not: {statement}", sqlstate("router", statement, **router), "42501")
    check("the router has no table", rows("router", "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"), [])
    with open(sys.argv[2]) as file:
        password = file.readline().rstrip("\n").rsplit(":", 1)[1]
    dump = subprocess.run(["pg_dump", "service=router"], capture_output=True, text=True, check=True).stdout
    check("and its dump has the functions", "cc_receive" in dump)
    check("but no secret and no password", [word for word in (password, *map(secret_of, PROJECTS)) if word in dump], [])
    check("a user mapping has only the name",
          rows("router", "SELECT DISTINCT umoptions::text ~ '^.user=[a-z_]+.$' FROM pg_user_mapping"), [(True,)])

    shard = {"user": "postback_router", "password": password}
    there = next(project for project, shard_of in placement(PROJECTS).items() if shard_of == "shard0")
    check("the router's role gets into a shard",
          value("shard0", "SELECT http_status FROM cc_receive('{}'::bytea, NULL, %s)", there, **shard), 400)
    check("but not without its password", sqlstate_of_login("shard0", user="postback_router", password="wrong"), True)
    for statement in ("SELECT secret FROM cc_project", "SELECT body FROM cc_inbox", "SELECT * FROM cc_invoice",
                      "INSERT INTO cc_inbox (body) VALUES ('{}')", "SELECT cc_apply()", "SELECT * FROM cc_health()",
                      "SELECT * FROM cc_timeline('X')", "SELECT * FROM firing"):
        check(f"there it may not: {statement}", sqlstate("shard0", statement, **shard), "42501")
    shard["user"] = "postback_operator"
    check("the operator's role asks for health", value("shard0", "SELECT count(*) > 0 FROM cc_health()", **shard))
    for statement in ("SELECT secret FROM cc_project", "SELECT body FROM cc_inbox", "SELECT * FROM cc_receive('{}'::bytea, NULL)",
                      "SELECT * FROM cc_timeline('X')"):
        check(f"it may not: {statement}", sqlstate("shard0", statement, **shard), "42501")


def sqlstate_of_login(service, **options):
    """Whether it may not log in; libpq tells no SQLSTATE then."""
    try:
        connect(service, **options).close()
    except psycopg.OperationalError as error:
        return "password authentication failed" in str(error)
    return False


def operator():
    who = {"user": "operator"}

    def waiting():
        return {name_of(shard): number for shard, number in
                rows("router", "SELECT shard, sum(waiting) FROM cc_health() GROUP BY shard", **who)}

    check("nothing waits", waiting(), {"shard0": 0, "shard1": 0})
    with proxy() as db:
        for project in DEFERRED:
            check(f"{project} is received", deliver(db, project, sample(project, "LATER")), RECEIVED)
    check("the router sees what waits", sum(waiting().values()), len(DEFERRED))
    check("on both", all(waiting().values()))
    check("and who", {p for p, in rows("router", "SELECT project FROM cc_health() WHERE waiting > 0", **who)}, set(DEFERRED))
    check("cc_apply settles on all shards", value("router", "SELECT cc_apply(1)", **who), 2)
    run("router", "CALL cc_work()", **who)
    check("cc_work settles the rest", waiting(), {"shard0": 0, "shard1": 0})
    check("each once", [firings(SHARDS)[project, "LATER"] for project in DEFERRED], [1] * len(DEFERRED))

    def problems():
        return {(name_of(shard), project): problem.split(":")[0] for shard, project, problem in
                rows("router", "SELECT shard, project, problem FROM cc_health() WHERE problem IS NOT NULL", **who) if project}

    check("all is well", problems(), {})
    home = placement(["default"])["default"]
    run(home, "ALTER TABLE firing RENAME TO gone")
    with proxy() as db:
        check("a trigger that fails loses nothing", deliver(db, "default", sample("default", "BROKEN")), RECEIVED)
    check("and needs attention", problems(), {(home, "default"): "failed"})
    run(home, "ALTER TABLE gone RENAME TO firing")
    run("router", "CALL cc_work()", **who)
    check("until it is fixed", (problems(), firings(SHARDS)["default", "BROKEN"]), ({}, 1))

    away = next(shard for shard in SHARDS if shard != home)
    run(away, "INSERT INTO cc_project (name, secret) VALUES ('default', 'another')")
    check("a project on the wrong shard is seen", problems(), {(away, "default"): "wrong_shard"})
    run(away, "DELETE FROM cc_project WHERE name = 'default'")


def post(url, project, body):
    request = urllib.request.Request(f"{url}/postback/{urllib.parse.quote(project)}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def down():
    """By way of a proxy that knows nothing of shards."""
    url, data = sys.argv[2], value("shard1", "SHOW data_directory")
    where = placement(PROJECTS)

    def answers(invoice):
        return {project: post(url, project, bodies[project, invoice]) for project in PROJECTS}

    def by_shard(down):
        return {project: 503 if where[project] == down else 200 for project in PROJECTS}

    bodies = {(project, invoice): sample(project, invoice) for project in PROJECTS for invoice in ("UP", "DOWN", "SHUT")}
    everything = dict.fromkeys(PROJECTS, 200)
    check("a proxy works by way of the router", answers("UP"), everything)
    subprocess.run(["pg_ctl", "stop", "--silent", "--mode=immediate", "--pgdata", data], check=True)
    check("a shard that is down is 503 for its projects only", answers("DOWN"), by_shard("shard1"))
    check("also for the next postback", answers("DOWN"), by_shard("shard1"))
    health = rows("router", "SELECT shard, problem FROM cc_health()", user="operator")
    silent = {name_of(shard) for shard, problem in health if (problem or "").startswith("shard: no answer: ")}
    check("the router says which", silent, {"shard1"})
    check("and still asks the other", len([1 for shard, _ in health if name_of(shard) == "shard0"]) > 1)
    later = next(project for project in DEFERRED if placement([project])[project] == "shard0")
    with proxy() as db:
        deliver(db, later, sample(later, "DOWN"))
    check("the other settles what waits", value("router", "SELECT cc_apply()", user="operator"), 1)
    subprocess.run(["pg_ctl", "start", "--silent", "--wait", "--pgdata", data, "--log", data + "/../log"], check=True,
                   stdout=subprocess.DEVNULL)
    check("when it is up again, all are received", answers("DOWN"), everything)
    check("once", [firings(SHARDS)[project, "DOWN"] for project in PROJECTS], [1] * len(PROJECTS))

    run("shard0", "ALTER DATABASE shop CONNECTION LIMIT 0",
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'postback_router'")
    check("a closed shard is 503 for its projects only", answers("SHUT"), by_shard("shard0"))
    run("shard0", "ALTER DATABASE shop CONNECTION LIMIT -1")
    check("until it is open", answers("SHUT"), everything)
    check("and once", [firings(SHARDS)[project, "SHUT"] for project in PROJECTS], [1] * len(PROJECTS))


@contextlib.contextmanager
def stopped(data):
    """A server whose processes do nothing, as if its machine hung. The first one is stopped first, and starts no others then."""
    with open(data + "/postmaster.pid") as file:
        processes = [int(file.readline())]
    try:
        os.kill(processes[0], signal.SIGSTOP)
        with open(f"/proc/{processes[0]}/task/{processes[0]}/children") as file:
            processes += map(int, file.read().split())
        for process in processes[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def haproxy():
    """HAProxy by path, with a proxy for each shard: what hangs holds up nobody else."""
    url, where = sys.argv[2], placement(PROJECTS)
    bodies = {project: sample(project, "PATH") for project in PROJECTS}
    for project, shard in where.items():
        check(f"{project} is received by its path", post(url, project, bodies[project]), 200)
        check("on its shard alone", inbox(SHARDS, project, invoice_id="PATH"), {shard: [("applied",)]})
    other, hangs = (next(project for project in PROJECTS if where[project] == shard) for shard in SHARDS)
    data = value("shard1", "SHOW data_directory")
    bodies = {number: (sample(hangs, f"HANGS-{number}"), sample(other, f"HANGS-NOT-{number}")) for number in range(20)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool, stopped(data):
        waiting = [pool.submit(post, url, hangs, bodies[number][0]) for number in range(8)]
        answers = [post(url, other, bodies[number][1]) for number in range(20)]
        check("while a shard hangs, the other receives", answers, [200] * 20)
        check("and it receives nothing", [call.result() for call in waiting if call.done() and call.result() == 200], [])
    check("when it goes on, all are received", [post(url, hangs, bodies[number][0]) for number in range(8)], [200] * 8)
    check("once", [firings(SHARDS)[hangs, f"HANGS-{number}"] for number in range(8)], [1] * 8)


def shards_map():
    """Not tests: the lines of shards.map for the projects of shard1."""
    for project, shard in placement(PROJECTS).items():
        if shard == "shard1":
            print(urllib.parse.quote(project), shard)


def citus():
    """Citus is not in Debian: its catalog alone, which says that cc_inbox is a table of its own."""
    run("router", "CREATE DATABASE citus")
    with connect("router", dbname="citus") as db:
        db.execute("CREATE EXTENSION cryptocloud_postback")
        db.execute("SELECT cc_setup()")
        db.execute("INSERT INTO cc_project (name, secret) VALUES ('default', 'secret of default')")
        body = sample("default", "CITUS")
        check("an ordinary table receives", deliver(db, "default", body), RECEIVED)
        db.execute("SET allow_system_table_mods = on")
        db.execute("CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass)")
        db.execute("INSERT INTO pg_dist_partition VALUES ('cc_inbox')")
        try:
            got = deliver(db, "default", body)
        except psycopg.Error as error:
            got = (error.sqlstate, error.diag.message_primary)
        check("a table of Citus is refused", got, ("42809", '"cc_inbox" is a Citus table'))


def doubled():
    check("more partitions move nothing", set(placement(PROJECTS).values()), {"shard0", "shard1"})
    check("two partitions of one shard are one shard", len(rows("router", "SELECT shard FROM cc_shards()")), 2)
    check("and asked once", len(rows("router", "SELECT * FROM cc_health() WHERE project = 'default'")), 1)
    with proxy() as db:
        for project in PROJECTS:
            check(f"{project} is received", deliver(db, project, sample(project, "DOUBLED")), RECEIVED)


def standby():
    copy = sys.argv[2]
    check("a standby shows the invoices", value(copy, "SELECT count(*) > 0 FROM cc_invoice", user="shop"))
    check("asks for health", value(copy, "SELECT count(*) > 0 FROM cc_health()", user="shop"))
    check("tells a timeline", value(copy, "SELECT count(*) > 0 FROM cc_timeline('ORDER-ONCE')", user="shop"))
    verified = "SELECT verified FROM cc_verify_postback(cc_sample_postback('s3cret'), 'application/json', 's3cret')"
    check("verifies", value(copy, verified))
    check("and receives nothing", sqlstate(copy, "SELECT * FROM cc_receive('{}'::bytea, NULL)", user="shop"), "25006")


def before_sweep():
    """Both copies have everything, but each has only its own projects, and only theirs can wait."""
    old, new, partition = sys.argv[2], sys.argv[3], int(sys.argv[4])
    moved = {p for p, n in partitions(PROJECTS + DEFERRED, 4).items() if n == partition}
    names = {shard: {p for p, in rows(shard, "SELECT name FROM cc_project")} for shard in (old, new)}
    check(f"{new} has the projects that moved", names[new], moved)
    check(f"{old} has the others", (names[old] & moved, len(names[old]) > 0), (set(), True))
    for shard in old, new:
        waits = {p for p, in rows(shard, "SELECT DISTINCT project FROM cc_inbox WHERE state = 'pending'")}
        check(f"on {shard} only its own wait", waits - names[shard], set())
    check("they waited while it was split", value(new, "SELECT count(*) > 0 FROM cc_inbox WHERE state = 'pending'"))


def after_split():
    old, new, partition = sys.argv[2], sys.argv[3], int(sys.argv[4])
    with open(sys.argv[5]) as file:
        load = json.load(file)
    shards = sorted({*SHARDS, "shard2", old, new})
    run("router", "CALL cc_work()")
    where = placement(PROJECTS + DEFERRED)
    answered = collections.Counter(map(tuple, load["answered"]))
    print(f"# {len(answered)} answered with 200, {sum(load['errors'].values())} errors")

    check("every answer was 200", load["wrong"], [])
    number = partitions(PROJECTS + DEFERRED, 4)
    check("errors came", sum(load["errors"].values()) > 0)
    check("only for the projects of the shard that was split", {p for p in load["errors"] if number[p] & 1 != partition & 1}, set())

    found = collections.defaultdict(list)
    for shard in shards:
        for project, invoice, paid in rows(shard, "SELECT project, invoice_id, paid_at IS NOT NULL FROM cc_invoice"):
            found[project, invoice].append((shard, paid))
    check("nothing was lost", [key for key in answered if key not in found], [])
    check("each invoice is on the shard of its project alone, and paid",
          {key: there for key, there in found.items() if there != [(where[key[0]], True)]}, {})
    check("each was applied once", [row for shard in shards for row in rows(
        shard, "SELECT project, invoice_id, count(*) FROM cc_inbox WHERE state = 'applied' GROUP BY 1, 2 HAVING count(*) > 1")], [])
    check("the trigger fired once for each", {key: n for key, n in firings(shards).items() if n != 1}, {})
    check("and for each", set(found) - set(firings(shards)), set())
    for table in "cc_inbox", "cc_invoice", "orders":
        strangers = {shard: rows(shard, f"SELECT DISTINCT project FROM {table} WHERE public.cc_partition(project) & 3 <> ALL (%s)", [here])
                     for shard, here in ((new, [partition]), (old, [partition & 1]))}
        check(f"no shard has rows of another's in {table}", strangers, {old: [], new: []})
    check("nothing waits", {shard: value(shard, "SELECT count(*) FROM cc_inbox WHERE state IN ('pending', 'failed', 'conflict')")
                            for shard in shards}, dict.fromkeys(shards, 0))

    # What was received before the split is known after it
    moved = next(project for project in PROJECTS if where[project] == new)
    body = value(new, "SELECT body FROM cc_inbox WHERE project = %s AND invoice_id = 'DOUBLED' AND state = 'applied'", moved)
    with proxy() as db:
        check("a resend after the split is a duplicate", deliver(db, moved, body.encode()), RECEIVED)
        raised = json.dumps(json.loads(body) | {"amount_crypto": "1000"}).encode()
        check("a token that was spent before it stays spent", deliver(db, moved, raised)[0], 409)
    check("and fires nothing", firings(shards)[moved, "DOUBLED"], 1)


def warehouse():
    shards = ["shard0", "shard1", "shard2", "shard3"]
    columns = "project, invoice_id, status, amount_crypto, paid_at, received_at"
    wanted = {row for shard in shards for row in rows(shard, f"SELECT {columns} FROM cc_invoice")}
    for shard in shards:        # until it has everything
        run(shard, f"SELECT pg_logical_emit_message(true, '', '')")
        reached = value(shard, "SELECT pg_current_wal_lsn()")
        while not value(shard, "SELECT bool_and(confirmed_flush_lsn >= %s) FROM pg_replication_slots WHERE slot_type = 'logical'", reached):
            pass
    check("the warehouse has the invoices of all shards", {row for row in rows("warehouse", f"SELECT {columns} FROM cc_invoice")} == wanted)
    check("and nothing else", [value("warehouse", f"SELECT count(*) FROM {table}") for table in ("cc_inbox", "cc_project")], [0, 0])


SHARDS = ["shard0", "shard1"]
globals()[sys.argv[1]]()
