"""Measures everything on the cluster that PGHOST … lead to: measure.py [--quick] [PART...]. bench/run calls it.

Costs are CPU time of the backend, less what reading the body alone takes. What is compared is measured by turns, A B A B,
and a ratio is the median of the ratios of all turns: a noisy neighbour then strikes both or is outvoted.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

import plot
import report
from postgres import Connection, run_side_by_side

HERE = pathlib.Path(__file__).parent
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

FULL = {"repetitions": 9, "copies": 100_000, "size_time": 0.3, "turns": 100, "pgbench": 10_000,
        "clients": [1, 2, 4, 8], "table_sizes": [10_000, 100_000, 1_000_000, 5_000_000], "postbacks": 1_000_000}
QUICK = {"repetitions": 7, "copies": 3_000, "size_time": 0.01, "turns": 25, "pgbench": 800,
         "clients": [1, 2, 4], "table_sizes": [10_000, 100_000], "postbacks": 20_000}

# Deliveries in one turn: few, so that a disturbance strikes one turn and not all. The first ones only warm the caches up,
# which others have used meanwhile.
WARM_UP, MEASURED = 40, 100
EACH = WARM_UP + MEASURED


def psql(database, file):
    subprocess.run(["psql", "-Xqb", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", HERE / "sql" / file], check=True)


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def median(values):
    return statistics.median(values)


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


# --- What is delivered ------------------------------------------------------------------------------------------------

def samples():
    """The documented samples by name."""
    with open(HERE.parent / "test/vectors/documentation.jsonl", encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    return {case["name"]: case for case in cases if case["name"] in ("json_sample", "json_sample_compact", "form_twin")}


def token_of(body):
    return re.search(r"eyJ[\w.-]+", body)[0]


def forged(body):
    """The same body with another signature of the same form."""
    token = token_of(body)
    signed, signature = token.rsplit(".", 1)
    return body.replace(token, f"{signed}.{signature[::-1][1:]}{'A' if signature[-1] != 'A' else 'E'}")


def json_body(sample, size):
    """The documented sample, shortened or with more in invoice_info, of exactly this size."""
    body = json.loads(sample["body"])
    info = body["invoice_info"]
    copy = dict(info)

    def length():
        return len(json.dumps(body, indent=4))
    body["pad"] = ""
    while length() > size:
        info.popitem()
    info["history"] = [copy]
    one = length()
    info["history"] = [copy, copy]
    info["history"] = [copy] * max(0, (size - one) // (length() - one))
    if length() > size:
        del info["history"]
    body["pad"] = "x" * (size - length())
    return json.dumps(body, indent=4)


def form_body(sample, size):
    """The form twin with further fields, of exactly this size; every eighth character or so is escaped."""
    value = "Invoice%20paid+by+customer%2C+" * max(1, size // 15_000)
    body = sample["body"]
    number = 0
    while len(body) + len(value) + 20 < size:
        body += f"&field_{number}={value}"
        number += 1
    return body + "&pad=" + "x" * (size - len(body) - 5)


def wire_form(sample, json_sample):
    """The form as the service sends it: invoice_info is repeated, once for each key of the object that it stands for."""
    return sample["body"] + "".join(f"&invoice_info={key}" for key in json.loads(json_sample["body"])["invoice_info"])


def timed_deliveries(connections, name, ids):
    """CPU time of the backends for each, in µs."""
    run_side_by_side(connections, name, ids[:WARM_UP])
    return run_side_by_side(connections, name, ids[WARM_UP:])[0]


# --- Databases --------------------------------------------------------------------------------------------------------

class Bench:
    def __init__(self, scale):
        self.scale = scale
        self.samples = samples()
        self.rows = []         # of the table of ratios
        self.curves = {}       # of the picture
        self.next_id = {}      # the first invoice of each database that is not delivered yet
        self.admin = Connection("postgres")

    def turns(self, variants, count=None):
        """{name: function that returns a cost}: each once by turns; the costs of each, first to last turn."""
        costs = {name: [] for name in variants}
        for turn in range((count or self.scale["repetitions"]) + 1):
            for name, measure in variants.items():
                cost = measure()
                if turn > 0:            # the first one warms up
                    costs[name].append(cost)
        return costs

    def row(self, what, against, costs, base, target=None, at_least=False, unit="µs"):
        ratios = [a / b for a, b in zip(costs, base)]
        self.rows.append({"what": what, "cost": median(costs), "against": against, "base": median(base), "unit": unit,
                          "ratio": median(ratios), "low": quartiles(ratios)[0], "high": quartiles(ratios)[2],
                          "turns": len(ratios), "target": target, "at_least": at_least})
        say(report.row_text(self.rows[-1]))

    def create_database(self, name, template="template0"):
        self.admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        if template == "template0":
            database = Connection(name)
            database.execute("CREATE EXTENSION cryptocloud_postback")
            database.close()
            psql(name, "bodies.sql")
            database = Connection(name)
            for sample, case in self.samples.items():
                database.execute("INSERT INTO sample VALUES ($1, $2, $3, $4, $5, $6)", sample, case["content_type"],
                                 case["secret"], case["at"], case["body"], token_of(case["body"]))
            database.close()

    def create_pipeline(self, name, bodies):
        """A database with the tables of all the variants, each with 10,000 rows, and bodies to deliver."""
        if not self.admin.value("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'pipeline')") == "t":
            self.create_database("pipeline")
            database = Connection("pipeline")
            database.execute("SELECT cc_setup()")
            database.execute("INSERT INTO cc_project (name, secret) SELECT 'default', secret FROM sample LIMIT 1")
            database.close()
            for file in ("plain.sql", "hand_written.sql", "fill.sql"):
                psql("pipeline", file)
            database = Connection("pipeline")
            database.execute("SELECT make_bodies(0, 0, true)")
            for table in ("cc_inbox", "hand_inbox", "plain", "plain_lz4"):
                database.execute(f"INSERT INTO {table} (body, content_type) SELECT body, '{JSON}' FROM bodies")
            psql("pipeline", "stored.sql")
            database.prepare("stored", database.value("SELECT stored_statement()"))
            database.run("stored", [0])
            assert database.value("SELECT state FROM cc_inbox") == "applied"
            assert database.value("SELECT verified FROM hand_inbox") == "t"
            database.execute("SELECT fill(1, 10000)")
            database.execute("VACUUM ANALYZE")
            database.close()
        self.admin.execute(f"CREATE DATABASE {name} TEMPLATE pipeline")
        database = Connection(name)
        database.execute(f"SELECT make_bodies(1, {bodies}, true)")
        database.execute("VACUUM ANALYZE bodies, resends")
        self.next_id[name] = 1
        return database

    def ids(self, key, count):
        """The next so many, not used before under this key."""
        first = self.next_id.get(key, 1)
        self.next_id[key] = first + count
        return range(first, first + count)

    # --- Parts --------------------------------------------------------------------------------------------------------

    def verification(self):
        """The function alone, over a table of copies of the documented sample."""
        self.create_database("verification")
        psql("verification", "hand_written.sql")
        psql("verification", "pyjwt.sql")
        database = Connection("verification")
        json_sample, compact, form = (self.samples[name] for name in ("json_sample", "json_sample_compact", "form_twin"))
        copies = self.scale["copies"]
        bodies = {"json": json_sample["body"], "compact": compact["body"], "form": form["body"],
                  "wire_form": wire_form(form, json_sample), "bad": forged(json_sample["body"]), "bad_form": forged(form["body"])}
        for table, body in bodies.items():
            database.execute(f"CREATE TABLE {table} (body text)")
            database.execute(f"ALTER TABLE {table} ALTER body SET STORAGE PLAIN")
            database.execute(f"INSERT INTO {table} SELECT $1 FROM generate_series(1, {copies})", body)
            database.execute(f"VACUUM ANALYZE {table}")
        secret, at = f"'{json_sample['secret']}'", f"'{json_sample['at']}'"

        def verify(content_type):
            return f"cc_verify_postback(body, '{content_type}', {secret}, {at}, '0')"
        for table, content_type, reason in (("json", JSON, None), ("compact", JSON, None), ("form", FORM, None),
                                            ("wire_form", FORM, None),
                                            ("bad", JSON, "bad_signature"), ("bad_form", FORM, "bad_signature")):
            assert database.value(f"SELECT ({verify(content_type)}).reason FROM {table} LIMIT 1") == reason, table
        hand = f"hand_verify(body, {secret}, {at})"
        pyjwt = f"pyjwt_verify(body, {secret}, extract(epoch FROM timestamptz {at})::double precision)"
        for other in (hand, pyjwt):
            assert database.value(f"SELECT ({other}).verified FROM json LIMIT 1") == "t", other

        def timed(table, expression):
            def measure():
                before = database.cpu()
                database.execute(f"SELECT count({expression}) FROM {table}")
                return (database.cpu() - before) / copies
            return measure
        variants = {"read": timed("json", "body"), "cast": timed("json", "body::jsonb"), "json": timed("json", verify(JSON)),
                    "bad": timed("bad", verify(JSON)),
                    "read form": timed("form", "body"), "form": timed("form", verify(FORM)),
                    "read wire": timed("wire_form", "body"), "wire form": timed("wire_form", verify(FORM)),
                    "bad form": timed("bad_form", verify(FORM)),
                    "read compact": timed("compact", "body"), "cast compact": timed("compact", "body::jsonb"),
                    "compact": timed("compact", verify(JSON)),
                    "hand": timed("json", hand), "pyjwt": timed("json", pyjwt)}
        costs = self.turns(variants)
        reading = {"form": "read form", "wire form": "read wire", "bad form": "read form",
                   "cast compact": "read compact", "compact": "read compact"}
        net = {name: [a - b for a, b in zip(costs[name], costs[reading.get(name, "read")])]
               for name in variants if not name.startswith("read")}
        self.row("cc_verify_postback, JSON", "body::jsonb", net["json"], net["cast"], 0.6)
        self.row("cc_verify_postback, form", "body::jsonb of the JSON", net["form"], net["cast"], 0.25)
        self.row("cc_verify_postback, form as sent", "body::jsonb of the JSON", net["wire form"], net["cast"], 0.25)
        self.row("a bad signature, JSON", "a good one", net["bad"], net["json"], 1.0)
        self.row("a bad signature, form", "a good one", net["bad form"], net["form"], 1.0)
        self.row("cc_verify_postback, JSON without white space", "body::jsonb of it", net["compact"], net["cast compact"])
        self.row("cc_verify_postback, JSON", "PL/pgSQL with pgcrypto", net["json"], net["hand"])
        self.row("cc_verify_postback, JSON", "PL/Python with PyJWT", net["json"], net["pyjwt"])
        database.close()

    def sizes(self):
        """The function alone, by size of the body."""
        self.create_database("sizes")
        database = Connection("sizes")
        database.execute("CREATE TABLE sized (kind text, size int, body text)")
        database.execute("ALTER TABLE sized ALTER body SET STORAGE EXTERNAL")
        json_sample, form = self.samples["json_sample"], self.samples["form_twin"]
        secret = json_sample["secret"]
        sizes = [512 << i for i in range(12)]
        for size in sizes:
            for kind, body in (("json", json_body(json_sample, size)), ("form", form_body(form, size))):
                assert len(body) == size, (kind, size, len(body))
                database.execute("INSERT INTO sized VALUES ($1, $2, $3)", kind, size, body)
        self.curves["sizes"] = {"size": sizes, "cast": [], "json": [], "form": []}
        for size in sizes:
            copies = max(2, int(self.scale["size_time"] * 200e6 / size))

            def timed(kind, expression, size=size, copies=copies):
                def measure():
                    before = database.cpu()
                    database.execute(f"SELECT count({expression}) FROM (SELECT body FROM sized "
                                     f"WHERE kind = '{kind}' AND size = {size} OFFSET 0) s, generate_series(1, {copies})")
                    return (database.cpu() - before) / copies
                return measure
            call = f"cc_verify_postback(body, NULL, '{secret}', '{json_sample['at']}', '0')"
            for kind in ("json", "form"):
                assert database.value(f"SELECT ({call}).verified FROM sized WHERE kind = $1 AND size = $2", kind, size) == "t"
            # starts_with() takes the body out of the TOAST table and looks at one character.
            costs = self.turns({"read": timed("json", "starts_with(body, '~')"), "cast": timed("json", "body::jsonb"),
                                "json": timed("json", call), "form": timed("form", call)})
            net = {name: [a - b for a, b in zip(costs[name], costs["read"])] for name in ("cast", "json", "form")}
            for name, values in net.items():
                self.curves["sizes"][name].append(median(values))
        self.row("cc_verify_postback, 1 MiB of JSON", "body::jsonb of it", net["json"], net["cast"])
        self.row("cc_verify_postback, 1 MiB of form", "body::jsonb of 1 MiB of JSON", net["form"], net["cast"])
        database.close()

    STATEMENTS = {
        "read": "SELECT starts_with(body, '~') FROM bodies WHERE id = $1",
        "plain": f"INSERT INTO plain (body, content_type) SELECT body, '{JSON}' FROM bodies WHERE id = $1",
        "plain_lz4": f"INSERT INTO plain_lz4 (body, content_type) SELECT body, '{JSON}' FROM bodies WHERE id = $1",
        "inbox": f"INSERT INTO cc_inbox (body, content_type) SELECT body, '{JSON}' FROM bodies WHERE id = $1",
        "resend": f"INSERT INTO cc_inbox (body, content_type) SELECT body, '{JSON}' FROM resends WHERE id = $1",
        "receive": f"SELECT r.* FROM bodies, cc_receive(body, '{JSON}') AS r WHERE id = $1",
        "hand": f"INSERT INTO hand_inbox (body, content_type) SELECT body, '{JSON}' FROM bodies WHERE id = $1",
    }

    def connect(self, database, count=1):
        connections = [Connection(database) for _ in range(count)]
        for connection in connections:
            for name, sql in self.STATEMENTS.items():
                connection.prepare(name, sql)
            connection.prepare("stored", connection.value("SELECT stored_statement()"))
        return connections

    def check_states(self, database, **expected):
        """That what was measured is what it is called."""
        states = dict(database.execute("SELECT state, count(*) FROM cc_inbox WHERE id > 10001 GROUP BY 1"))
        states = {state: int(count) for state, count in states.items()}
        assert states == expected, (states, expected)

    def pipeline(self):
        """Deliveries, each a transaction: CPU time of the backends."""
        total = EACH * (self.scale["turns"] + 1)
        small = self.create_pipeline("small", 4 * total)
        orders = self.create_pipeline("orders", total)
        psql("orders", "orders.sql")
        orders.execute(f"INSERT INTO orders SELECT 'ORDER_' || n, 0.1 FROM generate_series(1, {total}) AS n")
        orders.execute("VACUUM ANALYZE orders")
        one, two = self.connect("small"), self.connect("small", 2)
        with_orders = self.connect("orders", 2)
        delivered = {}

        def deliver(connections, name, key=None):
            key = key or f"small {name}"

            def measure():
                ids = delivered["ids"] if name == "resend" else self.ids(key, EACH)
                delivered["ids"] = ids
                return timed_deliveries(connections, name, ids)
            return measure
        costs = self.turns({
            "read 2": deliver(two, "read"), "plain 2": deliver(two, "plain"), "inbox 2": deliver(two, "inbox"),
            "plain_lz4 2": deliver(two, "plain_lz4"), "stored 2": deliver(two, "stored"),
            "resend 2": deliver(two, "resend"), "hand 2": deliver(two, "hand"),
            "receive 2": deliver(two, "receive", "small inbox"),
            "orders 2": deliver(with_orders, "inbox", "orders inbox"),
            "read 1": deliver(one, "read"), "plain 1": deliver(one, "plain"), "inbox 1": deliver(one, "inbox"),
            "resend 1": deliver(one, "resend"), "hand 1": deliver(one, "hand"),
            "receive 1": deliver(one, "receive", "small inbox")}, self.scale["turns"])
        self.check_states(small, applied=4 * total, duplicate=2 * total)
        self.check_states(orders, applied=total)
        assert int(orders.value("SELECT count(*) FROM orders WHERE paid_at IS NOT NULL")) == total
        net = {name: [a - b for a, b in zip(costs[name], costs[f"read {name[-1]}"])] for name in costs}
        for clients, words in ((2, "two clients"), (1, "one client")):
            self.row(f"insert into cc_inbox, {words}", "plain insert", net[f"inbox {clients}"], net[f"plain {clients}"], 2.0)
            self.row(f"insert into cc_inbox, {words}", "hand-written inbox", net[f"inbox {clients}"], net[f"hand {clients}"], 1.0)
            self.row(f"a duplicate, {words}", "the first delivery", net[f"resend {clients}"], net[f"inbox {clients}"], 1.0)
            self.row(f"cc_receive, {words}", "insert into cc_inbox", net[f"receive {clients}"], net[f"inbox {clients}"])
        self.row("insert into cc_inbox, two clients", "plain insert compressed by lz4", net["inbox 2"], net["plain_lz4 2"])
        self.row("the same two rows stored by SQL, nothing else", "plain insert", net["stored 2"], net["plain 2"])
        self.row("… with a trigger that updates an order", "plain insert", net["orders 2"], net["plain 2"])
        self.row("hand-written inbox, two clients", "plain insert", net["hand 2"], net["plain 2"])
        for connection in (*one, *two, *with_orders, small, orders):
            connection.close()

    def throughput(self):
        """Deliveries by pgbench: transactions a second, by wall clock."""
        clients, count = self.scale["clients"], self.scale["pgbench"]
        runs = (self.scale["repetitions"] + 1) * len(clients)
        database = self.create_pipeline("throughput", runs * count)
        folder = pathlib.Path(os.environ["TMPDIR"])
        for name, sql in self.STATEMENTS.items():
            (folder / name).write_text("\\set id :start + :i * :clients + :client_id\n\\set i :i + 1\n"
                                       + sql.replace("$1", ":id") + ";\n", encoding="ascii")

        def throughput(name, number):
            def measure():
                ids = self.ids(f"throughput {name}", count)
                output = subprocess.run(
                    ["pgbench", "-n", "-M", "prepared", "-f", folder / name, "-c", str(number), "-j", str(min(number, 2)),
                     "-t", str(count // number), "-D", f"start={ids[0]}", "-D", "i=0", "-D", f"clients={number}", "throughput"],
                    check=True, text=True, capture_output=True).stdout
                return float(re.search(r"tps = ([\d.]+)", output)[1])
            return measure
        rates = self.turns({f"{name} {number}": throughput(name, number)
                            for number in clients for name in ("read", "plain", "inbox", "hand")})
        self.check_states(database, applied=runs * count)
        self.curves["throughput"] = {"clients": clients, **{name: [median(rates[f"{name} {number}"]) for number in clients]
                                                            for name in ("plain", "inbox", "hand")}}
        for name, words in (("inbox", "insert into cc_inbox, one project"), ("plain", "plain insert")):
            self.row(f"{words}: 2 clients", "1 client", rates[f"{name} 2"], rates[f"{name} 1"],
                     1.7 if name == "inbox" else None, at_least=True, unit="/s")
        wall = {name: [2e6 / a - 2e6 / b for a, b in zip(rates[f"{name} 2"], rates["read 2"])]
                for name in ("plain", "inbox", "hand")}
        self.row("insert into cc_inbox, two clients, wall clock", "plain insert", wall["inbox"], wall["plain"], 2.0)
        self.row("hand-written inbox, two clients, wall clock", "plain insert", wall["hand"], wall["plain"])
        database.close()

    def growth(self):
        """Deliveries into tables of growing size, against the same into tables of 10,000 rows."""
        sizes, turns = self.scale["table_sizes"], self.scale["turns"]
        total = EACH * (turns + 1) * len(sizes)
        self.create_pipeline("growing", total).close()
        self.create_pipeline("steady", total).close()
        growing, steady = self.connect("growing"), self.connect("steady")
        delivered = {}

        def deliver(connections, database, name):
            def measure():
                if name in ("inbox", "plain"):
                    delivered[database] = self.ids(f"{database} {name}", EACH)
                return timed_deliveries(connections, name, delivered[database])
            return measure
        curve = self.curves["growth"] = {"rows": sizes, "plain": [], "inbox": [], "resend": []}
        size = sizes[0]
        for wanted in sizes:
            while size < wanted:        # in steps, so that a transaction stays small
                step = min(wanted - size, 500_000)
                growing[0].execute(f"SELECT fill({size + 1}, {size + step})")
                size += step
            growing[0].execute("VACUUM ANALYZE")
            growing[0].execute("CHECKPOINT")
            costs = self.turns({f"{database} {name}": deliver(connections, database, name)
                                for name in ("read", "plain", "inbox", "resend") if name != "read"
                                for database, connections in (("steady", steady), ("growing", growing))}
                               | {"growing read": deliver(growing, "growing", "read")}, turns)
            net = {name: [a - b for a, b in zip(costs[name], costs["growing read"])] for name in costs}
            for name in ("plain", "inbox", "resend"):
                curve[name].append(median(net[f"growing {name}"]))
            say(f"{wanted:,} rows: {curve['inbox'][-1]:.1f} µs")
        words = f"{sizes[-1]:,} invoices and inbox rows"
        self.row(f"insert into cc_inbox, {words}", "10,000", net["growing inbox"], net["steady inbox"], 1.15)
        self.row(f"a duplicate, {words}", "10,000", net["growing resend"], net["steady resend"], 1.15)
        for connection in (*growing, *steady):
            connection.close()

    def memory(self):
        """A backend's own memory after many postbacks of all kinds: its growth since it was warm."""
        self.create_pipeline("memory", 1).close()
        backend = Connection("memory")
        backend.prepare("mixed", "INSERT INTO cc_inbox (body, content_type) SELECT mixed_body($1), NULL")
        count = self.scale["postbacks"]
        warm = count // 10
        backend.run("mixed", range(2, warm))
        before = backend.memory()
        backend.run("mixed", range(warm, count))
        self.row(f"memory of a backend after {count:,} postbacks", f"after {warm:,}", [backend.memory()], [before], 1.02,
                 unit="kB")
        states = dict(backend.execute("SELECT state, round(4.0 * count(*) / $1, 1) FROM cc_inbox WHERE id > 10001 GROUP BY 1",
                                      count))
        assert states == {"applied": "2.0", "duplicate": "1.0", "rejected": "1.0"}, states
        backend.close()

    PARTS = ("verification", "sizes", "pipeline", "throughput", "growth", "memory")


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures what README.md says of speed. See bench/README.md.")
    parser.add_argument("--quick", action="store_true", help="small numbers, for development; results go to results/quick.*")
    parser.add_argument("part", nargs="*", help=f"some of: {', '.join(Bench.PARTS)} (all)")
    options = parser.parse_args()
    for part in options.part:
        if part not in Bench.PARTS:
            parser.error(f"no such part: {part}")
    if os.environ.get("BENCH_ARGUMENTS_ONLY"):
        return

    bench = Bench(QUICK if options.quick else FULL)
    about = report.about(bench.admin, bench.scale)
    for part in options.part or Bench.PARTS:
        say(f"{part}: {getattr(bench, part).__doc__.splitlines()[0]}")
        getattr(bench, part)()
    complete = not options.part and not options.quick
    report.write(HERE / "results", "latest" if complete else "quick", about, bench.rows, bench.curves)
    if not options.part:
        plot.draw(bench.curves, HERE.parent / "docs/benchmark.svg" if complete else HERE / "results/quick.svg", about)


if __name__ == "__main__":
    main()
