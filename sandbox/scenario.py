#!/usr/bin/python3
"""Runs a list of faults without a browser, and checks their results: scenario.py --scenario FILE | --random N [--seed S]

A line of the file is a step:

    FAULT [json|form] [COIN] [PRICE] [USD|RUB]    on a new order: honest, late, twice_at_once ... (faults.py has all)
    again                                         the service sends the current state of the last order again
    repair                                        the first statement that the page offers to fix the last order

faults.py has the expected results; after "again" and "repair" the service's books have them. An order must be paid, and its
parcel sent once, if its whole price was confirmed and was no test. At the end both books must agree.
script/sandbox starts this; CC_SCENARIO has the text of the file.
"""
import argparse
import itertools
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal

import remedies
import words
from currencies import usd_of
from database import Database
from faults import FAULTS
from page import View, make_sandbox
from service import Service
from shop import COINS, FIAT
from web import server_for

LAYOUT = "{:<6} {:<10}  {:<4}  {:<24}  {:<11}  {:<34}  {:<31}  {}"
FOLLOW_UPS = ("again", "repair")


@dataclass(frozen=True)
class Step:
    name: str
    format: str = "json"
    coin: str = "USDT_TRC20"
    price: Decimal = Decimal(20)
    fiat: str = "USD"


# --- The steps ---------------------------------------------------------------------------------------------------------------


def parse(text):
    """Returns the stories of a file: each begins with a fault, and may have steps after it."""
    stories = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.partition("#")[0].split()
        if parts:
            try:
                step = parse_step(*parts)
            except ValueError as problem:
                sys.exit(f"line {number}: {problem}")
            if step.name not in FOLLOW_UPS:
                stories.append([step])
            elif stories:
                stories[-1].append(step)
            else:
                sys.exit(f"line {number}: {step.name} follows a fault")
    return stories


def parse_step(name, *parts):
    if name not in FAULTS and name not in FOLLOW_UPS:
        raise ValueError(f"there is no fault {name}; these there are: {', '.join(FAULTS)}")
    step = Step(name)
    for part in parts:
        if part in ("json", "form"):
            step = replace(step, format=part)
        elif part in COINS:
            step = replace(step, coin=part)
        elif part in FIAT:
            step = replace(step, fiat=part)
        else:
            usd_of(part)
            step = replace(step, price=Decimal(part))
    usd_of(step.price, step.fiat)
    return step


def random_stories(count, seed):
    """Returns random stories; the seed determines them."""
    chance = random.Random(seed)
    for _ in range(count):
        fault = chance.choice([fault for name, fault in FAULTS.items() if name not in FOLLOW_UPS])
        step = Step(
            fault.name,
            chance.choice(fault.formats),
            chance.choice(COINS),
            Decimal(chance.randint(100, 100000)) / 100,
            chance.choice(FIAT),
        )
        yield [step] + [Step(name, step.format) for name in FOLLOW_UPS if chance.random() < 0.3]


# --- Running them ------------------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """The result of a step."""

    mark: str
    order: str
    step: Step
    answers: list
    inbox: list
    state: str
    problem: str = ""

    def __str__(self):
        http = " ".join(str(answer.status or "-") for answer in self.answers)
        said = " / ".join(dict.fromkeys(answer.words for answer in self.answers if answer.status))
        what = words.say("en", f"fault.{self.step.name}") if self.step.name in FAULTS else self.step.name
        line = LAYOUT.format(
            self.mark, self.order, self.step.format, what, http or "-", said or "-", ", ".join(self.inbox) or "-", self.state
        )
        return line + (f"\n       should be: {self.problem}" if self.problem else "")


class Runner:
    def __init__(self, service, database, shop):
        self.service, self.database, self.shop = service, database, shop

    def story(self, steps):
        first, *further = steps
        order = self.shop.place_order(first.price, first.fiat, first.coin)
        lines = [self.fault(first, order)]
        for step in further:
            lines.append(self.again(step, order) if step.name == "again" else self.repair(step, order))
        return lines

    def fault(self, step, order):
        fault = FAULTS[step.name]
        if fault.breaks_shop:
            self.shop.break_trigger(order)
        answers = self.press(step, order)
        self.wait_for(order, len(fault.inbox))
        line = self.look(step, order, answers)
        if not line.state.startswith(fault.order) or not matches(line.inbox, fault.inbox):
            return wrong(line, f"{', '.join(fault.inbox) or '-'}; {fault.order}")
        if sum(answer.status in (200, None) for answer in answers) != sum(word in ACCEPTED for word in line.inbox):
            return wrong(line, "200 for a verified postback, and a refusal for others")
        return line

    def again(self, step, order):
        answers = self.press(step, order)
        line = self.look(step, order, answers)
        should_be = "paid once" if self.is_due(order) and not self.database.order(order).is_broken else "open"
        return line if should_be in line.state or line.state.startswith("credited") else wrong(line, should_be)

    def repair(self, step, order):
        remedy = self.find_remedy(order)
        if not remedy:
            return replace(self.look(step, order, []), mark="-")
        before = self.look(step, order, []).state
        remedies.carry_out(self.database, remedy)
        line = self.look(step, order, [])
        should_be = "paid once" if self.is_due(order) else before
        return line if line.state == should_be else wrong(line, should_be)

    def press(self, step, order):
        return self.service.run(step.name, self.invoice(order), step.format)

    def invoice(self, order):
        return self.service.books.find(self.database.order(order).invoice_id)

    def is_due(self, order):
        return self.invoice(order).is_due

    def find_remedy(self, order):
        view = View(self.database, self.service, self.shop.api, order)
        found = [*itertools.chain.from_iterable(view.remedies.values()), view.remedy]
        return next(filter(None, found), None)

    def wait_for(self, order, count):
        """Waits for `count` rows, because nobody waited for some answers."""
        order, until = self.database.order(order), time.monotonic() + 5
        while len(self.database.inbox(order)) < count and time.monotonic() < until:
            time.sleep(0.01)

    def look(self, step, order, answers):
        found = self.database.order(order)
        inbox = [row.reason or row.state for row in reversed(self.database.inbox(found))]
        times = {0: "", 1: " once"}.get(found.parcels, f" {found.parcels} times")
        state = f"credited {found.deposits} times" if found.deposits else "paid" + times if found.paid_at else "open" + times
        return Line("ok", order, step, answers, inbox, state)

    def books_agree(self):
        """Tells whether the shop's parcels and balances match the payments to the service."""
        sent_twice = self.database.rows("SELECT order_id FROM parcels GROUP BY order_id HAVING count(*) > 1")
        invoices, credited = self.service.books.all(), Counter()
        for invoice in invoices:
            if invoice.order_id.startswith("CUSTOMER-"):
                credited[invoice.order_id, invoice.coin.code] += invoice.paid
        balances = self.database.rows(
            "SELECT customer, currency, amount FROM balances WHERE customer = ANY (%s)",
            [f"CUSTOMER-{invoice.order_id}" for invoice in invoices],
        )
        return not sent_twice and {(row.customer, row.currency): row.amount for row in balances} == dict(credited)


ACCEPTED = ("applied", "duplicate", "conflict", "failed", "pending")


def wrong(line, should_be):
    return replace(line, mark="not ok", problem=should_be)


def matches(found, expected):
    """Tells whether each postback has its expected outcome, in any order; "*" stands for any accepted postback."""
    free = Counter(found) - Counter(expected)
    missing = Counter(expected) - Counter(found)
    return free.total() == missing["*"] == missing.total() and all(word in ACCEPTED for word in free)


def start_everything():
    service = Service(os.environ["CC_POSTBACK_URL"], os.environ["CC_SECRET"], pace=0.05)
    database = Database()
    server = server_for(lambda *request: app(*request), "127.0.0.1", 0)
    service.base_url = f"http://127.0.0.1:{server.server_port}"
    app, shop = make_sandbox(service, database)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Runner(service, database, shop)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario")
    parser.add_argument("--random", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    stories = parse(os.environ["CC_SCENARIO"]) if given.scenario else random_stories(given.random, given.seed)
    runner = start_everything()
    print(LAYOUT.format("", "Order", "As", "What happens", "HTTP", "Answer", "Inbox", "The order then"))
    marks = Counter()
    for line in itertools.chain.from_iterable(map(runner.story, stories)):  # one by one: cc_reverify fixes all orders
        marks[line.mark] += 1
        print(line, flush=True)
    agree = runner.books_agree()
    print("\nThe shop's books and the service's agree." if agree else "\nnot ok: the shop's books and the service's differ.")
    skipped = f", {marks['-']} skipped" if marks["-"] else ""
    print(f"{marks['ok'] + agree} passed, {marks['not ok'] + (not agree)} failed{skipped}")
    sys.exit(marks["not ok"] > 0 or not agree)


if __name__ == "__main__":
    main()
