#!/usr/bin/python3
"""Random histories: histories.py [--count N] [--seconds S] [--seed TEXT] [--only I] [--ignore REGEX]

Each is made from the seed and its number alone. One that the model does not allow is shrunk to a smallest one, and printed as SQL.
"""
import argparse
import random
import re
import sys
import time

from model import CONTENTS, EXPIRED, Message, Token
from player import OPERATOR, OPERATOR_COMMANDS, Player
from sessions import World

ISOLATIONS = ["read committed"] * 4 + ["repeatable read", "serializable"]
LIKELY = ["paid"] * 6 + ["paid form", "partial", "partial", "raised", "canceled", "canceled"]
SETTINGS = [("apply", "deferred"), ("apply", "immediate"), ("require_order_id", True), ("require_order_id", False),
            ("accept_test_payments", True), ("accept_test_payments", False), ("keys", ["second", "first"]), ("keys", ["second"]), ("keys", ["first"])]
FAULTS = ["fail", "fail", "late", "sleep", "forth", "back", None, None]


class Maker:
    """Makes one history."""

    def __init__(self, rng):
        self.rng = rng
        self.sent, self.tokens = [], []

    def events(self):
        rng = self.rng
        sessions = rng.choice([1, 2, 2, 3, 3, 4, 8])
        invoices = "ABC"[:rng.choice([1, 1, 2, 3])]
        # How much of each there is differs from history to history: all at once would hide what two of them do.
        weights = {"deliver": 30, "begin": 8, "commit": 10, "rollback": rng.choice([0, 2]), "savepoint": rng.choice([0, 2]), "rollback to": rng.choice([0, 2]),
                   "apply": rng.choice([0, 3]), "fault": rng.choice([0, 0, 4]), "setting": rng.choice([0, 0, 3]), "cancel": rng.choice([0, 0, 2]),
                   "terminate": rng.choice([0, 0, 1]), "timeout": rng.choice([0, 0, 2]), "row lock": rng.choice([0, 0, 1])}
        for _ in range(rng.randint(4, 30)):
            what, = rng.choices(list(weights), weights.values())
            session = rng.randrange(sessions)
            if what == "deliver":
                messages = [self.message(invoices) for _ in range(rng.choice([1] * 8 + [2, 3]))]
                yield session, what, messages, "receive" if len(messages) == 1 and rng.random() < .3 else "insert"
            elif what == "begin":
                yield session, what, rng.choice(ISOLATIONS)
            elif what == "apply":
                yield session, what, rng.choice([1, 2, 50])
            elif what == "fault":
                yield OPERATOR, what, self.project(), rng.choice(invoices), rng.choice(FAULTS)
            elif what == "setting":
                yield OPERATOR, what, self.project(), *rng.choice(SETTINGS)
            elif what in ("cancel", "terminate"):
                yield OPERATOR, what, session
            elif what == "timeout":
                yield session, what, rng.choice(["lock_timeout", "statement_timeout"]), rng.choice([1, 3, 10])
            elif what == "row lock":
                yield session, what, rng.choice(invoices)
            else:
                yield session, what

    def project(self):
        return "default" if self.rng.random() < .85 else "second"

    def message(self, invoices):
        rng, draw = self.rng, self.rng.random()
        if self.sent and draw < .15:
            return rng.choice(self.sent)                                    # the same message
        project, invoice = self.project(), rng.choice(invoices)
        content = rng.choice(LIKELY if rng.random() < .6 else list(CONTENTS))
        if self.sent and draw < .35:
            project, invoice, content, _ = rng.choice(self.sent)            # a resend
        token = self.token(project, invoice)
        known = [t for p, i, t in self.tokens if p == project and (i == invoice or not t.bound)]
        if known and draw > .8:
            token = rng.choice(known)                                       # another content under a known token
        else:
            self.tokens.append((project, invoice, token))
        if rng.random() < .01:
            project = "unknown"
        message = Message(project, invoice, content, token)
        self.sent.append(message)
        return message

    def token(self, project, invoice):
        rng = self.rng
        exp = rng.randrange(1000)
        if self.tokens and rng.random() < .1:
            exp = rng.choice(self.tokens)[2].exp
        if rng.random() < .02:
            exp = 2 * EXPIRED
        key = rng.choices(["first", "second", "forged"], [92, 5, 3])[0]
        return Token(f"T{len(self.tokens) + 1}", exp, rng.random() < .75, key)


def make(seed, number):
    return list(Maker(random.Random(f"{seed}/{number}")).events())


class Judge:
    def __init__(self, ignore):
        self.player = Player(World())
        self.ignore = ignore

    def problems(self, events):
        return [p for p in self.player.play(events) if not (self.ignore and self.ignore.search(p))]

    def shrink(self, events, tries=3, seconds=60):
        """Delta debugging: leaves out as much as one can, as long as something is wrong (at one of so many tries)."""
        deadline = time.monotonic() + seconds
        fails = lambda candidate: any(self.problems(candidate) for _ in range(tries))
        size = max(len(events) // 2, 1)
        while time.monotonic() < deadline:
            for start in range(0, len(events), size):
                candidate = events[:start] + events[start + size:]
                if fails(candidate):
                    events = candidate
                    break
            else:
                if size == 1:
                    break
                size //= 2
        return events

    def show(self, events, tries=10):
        """Plays it once more and prints it as SQL."""
        for _ in range(tries):
            record = []
            problems = [p for p in self.player.play(events, record=record) if not (self.ignore and self.ignore.search(p))]
            if problems:
                break
        for name, sql in record:
            print(f"#   -- {name}\n#   " + sql.replace("\n", "\n#   ") + ";")
        for problem in problems or ["(this time nothing was wrong)"]:
            print(f"#   => {problem}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="play this one alone")
    parser.add_argument("--ignore", type=re.compile, help="problems that are known")
    parser.add_argument("--failures", type=int, default=3, help="end after so many")
    options = parser.parse_args()

    judge, began, failures, played, deliveries = Judge(options.ignore), time.monotonic(), 0, 0, 0
    numbers = range(options.count) if options.only is None else [options.only]
    for number in numbers:
        if time.monotonic() - began > options.seconds or failures >= options.failures:
            break
        events = make(options.seed, number)
        problems = judge.problems(events)
        played += 1
        deliveries += len(judge.player.deliveries)
        if problems:
            failures += 1
            print(f"# history {number} of seed {options.seed} ({len(events)} events): {problems[0]}")
            events = judge.shrink(events)
            print(f"# shrunk to {len(events)} events:")
            judge.show(events)
            sys.stdout.flush()
    seconds = time.monotonic() - began
    print(f"{'not ' if failures or not played else ''}ok - {played} random histories of seed {options.seed}, {deliveries} deliveries, "
          f"{failures} wrong ({seconds:.0f} s, {played / seconds:.0f} a second)")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
