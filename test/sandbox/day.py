"""A day of two shops, in a minute: 200 orders, every fault, a new SECRET KEY, a broken order trigger, and an operator who uses only
the documented commands and the service's API. The expected result is computed from the service's books.
"""
import os
import random
import re
import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pages
from database import Database
from faults import FAULTS
from service import Service
from shop import COINS, FIAT, Api, Shop, result_of
from web import server_for

ORDERS = 200
PROJECTS = ("default", "second")
CUSTOMERS = 4  # at the same time
HOURS = (("morning", 50), ("a new SECRET KEY", 40), ("noon", 30), ("a broken trigger", 40), ("evening", 40))
# Somebody renamed a column of another table.
BROKEN = """CREATE OR REPLACE FUNCTION mark_order_paid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE warehouse SET reserved = true WHERE order_id = NEW.order_id;
    RETURN NULL;
END
$$"""


@dataclass(frozen=True)
class Story:
    project: str
    fault: str
    format: str
    coin: str
    price: Decimal
    fiat: str
    again: bool  # afterwards, the service sends the invoice's current state once more


def stories(seed):
    """Returns each fault in each format and project at least once; the others are mostly honest. The seed determines them."""
    chance = random.Random(seed)
    faults = [fault for fault in FAULTS.values() if fault.name != "again"]
    deck = [(project, fault.name, format) for project in PROJECTS for fault in faults for format in fault.formats]
    while len(deck) < ORDERS:
        fault = FAULTS["honest"] if chance.random() < 0.6 else chance.choice(faults)
        deck.append((chance.choice(PROJECTS), fault.name, chance.choice(fault.formats)))
    chance.shuffle(deck)
    return [
        Story(*card, chance.choice(COINS), Decimal(chance.randint(100, 100000)) / 100, chance.choice(FIAT), chance.random() < 0.2)
        for card in deck
    ]


class Project:
    """A shop, and its project at the service: its own books and keys, and an API over HTTP."""

    def __init__(self, database, name, secret):
        url = os.environ["CC_POSTBACK_URL"] + ("" if name == "default" else f"/{name}")
        self.name, self.service = name, Service(url, secret, shop_id=f"SHOP-{name}", pace=0.05)
        self.server = server_for(pages.make_app(self.service), "127.0.0.1", 0)
        self.service.base_url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.api = Api(self.service.base_url, self.service.api_key)
        self.shop = Shop(database, self.api, self.service.shop_id, name)


class Day:
    def __init__(self, seed):
        self.seed, self.database = seed, Database()
        self.projects = {name: Project(self.database, name, secrets.token_hex(18)) for name in PROJECTS}
        self.began = datetime.now(timezone.utc)
        self.sent, self.statuses, self.is_over = 0, Counter(), False
        self.lock = threading.Lock()
        self.operator = Operator(self.database, self.projects)

    # --- The customers ---------------------------------------------------------------------------------------------------

    def customer(self, story):
        project = self.projects[story.project]
        order = project.shop.place_order(story.price, story.fiat, story.coin)
        if FAULTS[story.fault].breaks_shop:
            project.shop.break_trigger(order)
        invoice = project.service.books.find(self.database.order(order).invoice_id)
        answers = project.service.run(story.fault, invoice, story.format)
        if story.again:
            answers = answers + project.service.run("again", invoice, story.format)
        with self.lock:
            self.sent += len(answers)
            self.statuses.update(answer.status for answer in answers)

    def hour(self, customers):
        """Serves several customers at the same time, while cron settles deferred postbacks."""
        over = threading.Event()
        cron = threading.Thread(target=self.cron, args=(over,))
        cron.start()
        try:
            with ThreadPoolExecutor(CUSTOMERS) as pool:
                list(pool.map(self.customer, customers))
        finally:
            over.set()
            cron.join()
        self.wait_for_the_last()

    def cron(self, over):
        while not over.wait(0.2):
            self.database.run("CALL cc_work()")

    def wait_for_the_last(self):
        """Waits for all postbacks: a client that hung up may have one in transit."""
        until = datetime.now() + timedelta(seconds=20)
        while self.database.value("SELECT count(*) FROM cc_inbox") < self.sent:
            assert datetime.now() < until, "a postback did not arrive"
            time.sleep(0.05)

    # --- The day ---------------------------------------------------------------------------------------------------------

    def run(self):
        self.open()
        rest = stories(self.seed)
        for name, number in HOURS:
            customers, rest = rest[:number], rest[number:]
            if name == "a new SECRET KEY":
                self.projects["default"].service.secret = secrets.token_hex(18)
            if name == "a broken trigger":
                self.database.run(BROKEN)
            self.hour(customers)
            self.operator.look(name)
            if name == "noon":
                self.operator.clock_was_wrong()
            self.operator.report(name, number)
        self.close()
        self.is_over = True

    def open(self):
        database = self.database
        database.run("TRUNCATE cc_inbox, cc_invoice, cc_import_log, orders, parcels, balances, stocktaking")
        database.run("DELETE FROM cc_project")
        for name, project in self.projects.items():
            database.run("INSERT INTO cc_project (name, secret) VALUES (%s, %s)", name, project.service.secret)
        database.run("UPDATE cc_project SET apply = 'deferred' WHERE name = 'second'")

    def close(self):
        """Asks for overdue postbacks, cancels unpaid invoices, and checks the day's list. Then serves a last customer in each shop."""
        self.operator.ask_for_overdue()
        for project in self.projects.values():
            self.operator.cancel_unpaid(project)
            self.operator.go_through_the_list(project, self.began)
        self.hour([Story(name, "honest", "json", "USDT_TRC20", Decimal(20), "USD", False) for name in PROJECTS])
        self.operator.look("closing time")
        self.operator.report("closing time", len(PROJECTS))

    def put_back(self, secret):
        """Restores the database as the other parts of the test expect it."""
        self.database.run(self.operator.trigger)
        self.database.run("DELETE FROM cc_project")
        self.database.run("INSERT INTO cc_project (name, secret) VALUES ('default', %s)", secret)
        for project in self.projects.values():
            project.server.shutdown()


class Operator:
    """Knows only cc_health, the documented commands, and the service's API and pages."""

    def __init__(self, database, projects):
        self.database, self.projects = database, projects
        self.trigger = database.value("SELECT pg_get_functiondef('mark_order_paid()'::regprocedure)")
        self.did = Counter()  # how many postbacks or invoices each command settled
        self.heard = {}  # by hour: the problems of cc_health, as (project, word)

    def note(self, command, number):
        self.did[command] += number
        return number

    def report(self, hour, orders):
        """Prints a line of the day's table: the problems of cc_health, and how much each command had settled by then."""
        heard = ", ".join(sorted(f"{project}: {word}" for project, word in self.heard.get(hour, ())))
        done = ", ".join(f"{command} {number}" for command, number in self.did.items() if number)
        print(f"  {hour:<17} {orders:>3} orders   cc_health: {heard or 'nothing'}; {done}", flush=True)

    # --- Problems of cc_health -----------------------------------------------------------------------------------------

    def problems(self):
        return self.database.rows("SELECT project, problem FROM cc_health() WHERE problem IS NOT NULL")

    def look(self, hour):
        """Acts on the problems of cc_health as long as that changes anything."""
        heard = self.heard.setdefault(hour, set())
        answers = {
            "bad_signature": self.new_key,
            "failed": self.repair_trigger,
            "conflict": self.settle_conflict,
            "pending": self.work,
        }
        self.work()
        for _ in range(100):
            problems = self.problems()
            heard.update((row.project, row.problem.partition(":")[0]) for row in problems)
            if not sum(answers[row.problem.partition(":")[0]](row) for row in problems):
                break
        self.take_stolen_back()

    def new_key(self, problem):
        """Stores a new key of the service, and verifies again. If the key is the same, the postbacks are forged."""
        key = self.projects[problem.project].service.secret
        if key == self.database.value("SELECT secret FROM cc_project WHERE name = %s", problem.project):
            return 0
        self.database.run(
            """UPDATE cc_project SET previous_secret = secret, previous_secret_until = now() + interval '1 hour', secret = %s
                WHERE name = %s""",
            key,
            problem.project,
        )
        return self.reverify("SELECT * FROM cc_reverify(%s, max_rows => 1000)", problem.project)

    def clock_was_wrong(self):
        self.reverify("SELECT * FROM cc_reverify(leeway => '10 minutes', max_rows => 1000)")
        self.work()

    def reverify(self, query, *values):
        rows = self.database.rows(query, *values)
        return self.note("cc_reverify", sum(row.postbacks for row in rows if row.state != "rejected"))

    def repair_trigger(self, problem):
        self.database.run(self.trigger)
        self.database.run("DELETE FROM stocktaking")
        return self.work()

    def work(self, _=None):
        waiting = "SELECT count(*) FROM cc_inbox WHERE state IN ('pending', 'failed')"
        before = self.database.value(waiting)
        self.database.run("CALL cc_work()")
        return self.note("cc_work", before - self.database.value(waiting))

    def settle_conflict(self, problem):
        """Settles a conflict: the API knows the order of the invoice."""
        id = re.search(r"the first is (\d+)", problem.problem)[1]
        if self.is_right(id):
            return self.accept(id)
        self.database.run("UPDATE cc_inbox SET state = 'duplicate' WHERE id = %s AND state = 'conflict'", id)
        return self.note("declined", 1)

    def take_stolen_back(self):
        """Accepts a genuine postback that was rejected because a thief used its token first."""
        for row in self.database.rows("SELECT id FROM cc_inbox WHERE reason = 'token_reused'"):
            if self.is_right(row.id):
                self.accept(row.id)

    def is_right(self, id):
        """Tells whether order and amount of a postback equal those of the API."""
        row = self.database.row(
            """SELECT project, said ->> 'invoice_id' AS invoice_id, said ->> 'order_id' AS order_id,
                      (said ->> 'amount_crypto')::numeric AS amount
                 FROM cc_inbox, cc_parse_postback(body, content_type) AS said WHERE id = %s""",
            id,
        )
        (answer,) = self.projects[row.project].api.call("merchant/info", uuids=[row.invoice_id])
        return (row.order_id, row.amount) == (answer["order_id"], answer["amount_paid"])

    def accept(self, id):
        assert self.database.value("SELECT cc_accept(%s)", id) == "applied", id
        return self.note("cc_accept", 1)

    # --- Missing postbacks ---------------------------------------------------------------------------------------------

    def ask_for_overdue(self):
        for name, project in self.projects.items():
            for (uuids,) in self.database.rows("SELECT cc_overdue('0 seconds', project => %s)", name):
                self.take(project, project.api.ask("merchant/info", **uuids))

    def cancel_unpaid(self, project):
        for (uuids,) in self.database.rows("SELECT cc_overdue('0 seconds', project => %s)", project.name):
            for uuid in uuids["uuids"]:
                assert project.api.call("merchant/canceled", uuid=uuid) == ["ok"]

    def go_through_the_list(self, project, began):
        days = {"start": began.strftime("%d.%m.%Y"), "end": datetime.now(timezone.utc).strftime("%d.%m.%Y")}
        for offset in range(0, 10 * ORDERS, 100):
            answer = project.api.ask("merchant/list", **days, offset=offset, limit=100)
            if self.take(project, answer) < 100:
                return

    def take(self, project, answer):
        """Imports the answer. Returns the number of its invoices."""
        outcomes = Counter(row.outcome for row in self.database.rows("SELECT * FROM cc_import(%s, %s)", answer, project.name))
        assert set(outcomes) <= {"paid", "updated", "unchanged"}, outcomes
        self.note("cc_import", outcomes["paid"])
        return len(result_of(answer))
