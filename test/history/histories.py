#!/usr/bin/python3
"""Random histories: histories.py [--count N] [--seconds S] [--seed TEXT] [--only I] [--ignore REGEX]

Each history depends on the seed and its number only. A history that the model does not allow is shrunk and printed as SQL.
"""
import argparse
import collections
import copy
import random
import re
import sys
import time

from model import CONTENTS, EXPIRED, Message, Token, judge as model_judge, outcome_of
from player import COMMANDS, OPERATOR, Player
from sessions import World

ISOLATIONS = ["read committed"] * 4 + ["repeatable read", "serializable"]
LIKELY = ["paid"] * 6 + ["paid form", "partial", "partial", "raised", "canceled", "canceled"]
SETTINGS = [("apply", "deferred"), ("apply", "immediate"), ("require_order_id", True), ("require_order_id", False),
            ("accept_test_payments", True), ("accept_test_payments", False), ("keys", ["second", "first"]), ("keys", ["second"]),
            ("keys", ["first"])]
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
        # Each history has other proportions: all features at once would hide the effect of two of them.
        weights = {"deliver": 30, "begin": 8, "commit": 10, "rollback": rng.choice([0, 2]), "savepoint": rng.choice([0, 2]),
                   "rollback to": rng.choice([0, 2]),
                   "apply": rng.choice([0, 3]), "fault": rng.choice([0, 0, 4]), "setting": rng.choice([0, 0, 3]),
                   "cancel": rng.choice([0, 0, 2]),
                   "terminate": rng.choice([0, 0, 1]), "timeout": rng.choice([0, 0, 2]),
                   "row lock": rng.choice([0, 0, 1]), "command": rng.choice([0, 0, 4])}
        if rng.random() < .3:
            yield OPERATOR, "parallel"
        if rng.random() < .15:                      # rows that the merchant locks crosswise
            weights["row lock"] = 8
            yield from ((OPERATOR, "fault", "default", invoice, rng.choice(["forth", "back"])) for invoice in invoices)
        for _ in range(rng.randint(4, 30)):
            what, = rng.choices(list(weights), weights.values())
            session = rng.randrange(sessions)
            if what == "deliver":
                messages = [self.message(invoices) for _ in range(rng.choice([1] * 8 + [2, 3]))]
                yield session, what, messages, rng.choice(["insert", "insert", "receive",
                    "receive bytes"]) if len(messages) == 1 else "insert"
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
            elif what == "command":
                yield session, what, rng.choice(list(COMMANDS)), rng.randrange(3)
            elif what == "row lock":
                yield session, what, rng.choice([*invoices, 1, 2])
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
            token = rng.choice(known)                                       # other content under a known token
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


def kind_of(problem):
    """Returns a problem without its names and numbers."""
    return re.sub(r"\(.*?\)|\b[hcT]?\d[\w.:+-]*", "", problem).partition(", allowed")[0][:80]


class Judge:
    def __init__(self, ignore):
        self.player = Player(World())
        self.ignore = ignore

    def problems(self, events):
        return [p for p in self.player.play(events) if not (self.ignore and self.ignore.search(p))]

    def shrink(self, events, first, tries=3, seconds=60):
        """Shrinks by delta debugging: removes events while the same problem occurs in one of several tries."""
        deadline, kind = time.monotonic() + seconds, kind_of(first)

        def fails(candidate):
            return any(kind_of(p) == kind for _ in range(tries) for p in self.problems(candidate))

        size = max(len(events) // 2, 1)
        while time.monotonic() < deadline:
            candidates = [events[:start] + events[start + size:] for start in range(0, len(events), size)]
            if size == 1:                           # then single rows of an insert of several rows
                candidates += [events[:i] + [(*event[:2], event[2][:j] + event[2][j + 1:], *event[3:])] + events[i + 1:]
                               for i, event in enumerate(events) if event[1] == "deliver" and len(event[2]) > 1
                               for j in range(len(event[2]))]
            smaller = next((c for c in candidates if time.monotonic() < deadline and fails(c)), None)
            if smaller is not None:
                events = smaller
            elif size == 1:
                break
            else:
                size //= 2
        return events

    def show(self, events, tries=10):
        """Plays it once more and prints it as SQL."""
        for _ in range(tries):
            record = []
            problems = [p for p in self.player.play(events, record=record) if not (self.ignore and self.ignore.search(p))]
            if problems:
                break
        print("#   -- by the role merchant, after test/history/setup.sql")
        for name, sql in record:
            print(f"#   -- {name}\n#   " + sql.replace("\n", "\n#   ") + ";")
        for problem in problems or ["(this time nothing was wrong)"]:
            print(f"#   => {problem}")


# --- Lies that the model must notice ---------------------------------------------------------------------------------------

# Each changes the observation into one that the contract forbids. It returns False if it finds nothing to change.
def loses_a_row(rng, log, inbox, invoices, orders):
    id = rng.choice(list(inbox) or [None])
    log[:] = [entry for entry in log if not (entry[0] == "inbox" and entry[2]["id"] == id)]
    return inbox.pop(id, None)


def changes(kind, column, value, where=lambda data: True):
    def change(rng, log, inbox, invoices, orders):
        found = [data for what, _, data in log if what == kind and where(data) and data[column] != value]
        if not found:
            return False
        data = rng.choice(found)
        data[column] = value
        if kind == "inbox":
            last = [d for what, _, d in log if what == kind and d["id"] == data["id"]][-1]
            inbox[data["id"]] = outcome_of(last)
        return True
    return change


def repeats(kind):
    def repeat(rng, log, inbox, invoices, orders):
        found = [i for i, entry in enumerate(log) if entry[0] == kind]
        if found:
            log.insert(rng.choice(found), log[rng.choice(found)])
        return found
    return repeat


def leaves_out(kind):
    def leave_out(rng, log, inbox, invoices, orders):
        found = [i for i, entry in enumerate(log) if entry[0] == kind]
        if found:
            log.pop(rng.choice(found))
        return found
    return leave_out


def in_state(*states):
    return lambda data: data["state"] in states


LIES = {
    "a row is lost": loses_a_row,
    "a duplicate is applied": changes("inbox", "state", "applied", in_state("duplicate")),
    "an applied one is called a duplicate": changes("inbox", "state", "duplicate", in_state("applied")),
    "a conflict is called a duplicate": changes("inbox", "state", "duplicate", in_state("conflict")),
    "a rejected one is applied": changes("inbox", "state", "applied", in_state("rejected")),
    "a token is not spent": changes("inbox", "token_digest", None, in_state("applied", "conflict", "failed")),
    "the paid trigger fires twice": repeats("fired"),
    "the paid trigger does not fire": leaves_out("fired"),
    "an order is marked twice": repeats("marked"),
    "an order is not marked": leaves_out("marked"),
}


# The column of a log entry that names its delivery, invoice or order.
ABOUT = {"inbox": "content_type", "deleted": "content_type", "invoice": "invoice_id", "fired": "invoice_id", "marked": "id"}


def lies_unnoticed(judge_, deliveries, observed, rng, noticed):
    # The model does not know rows of other histories, which cc_reverify may find.
    prefix = next(iter(deliveries), "").rpartition("-")[0] + "-"
    log = [entry for entry in observed[0] if entry[0] not in ABOUT or prefix in entry[2][ABOUT[entry[0]]]]
    for lie, tell in LIES.items():
        told = copy.deepcopy((log, *observed[1:]))
        if tell(rng, *told):
            if not judge_(deliveries, *told):
                yield lie
            else:
                noticed[lie] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="play this one alone")
    parser.add_argument("--ignore", type=re.compile, help="problems that are known")
    parser.add_argument("--lies", type=int, default=10, help="of every so many histories, lies are told to the model")
    parser.add_argument("--failures", type=int, default=3, help="end after so many")
    options = parser.parse_args()

    noticed, unnoticed = collections.Counter(), 0
    judge, began, failures, played, deliveries = Judge(options.ignore), time.monotonic(), 0, 0, 0
    numbers = range(options.count) if options.only is None else [options.only]
    for number in numbers:
        if time.monotonic() - began > options.seconds or failures >= options.failures:
            break
        events = make(options.seed, number)
        problems = judge.problems(events)
        played += 1
        deliveries += len(judge.player.deliveries)
        if not problems and number % options.lies == 0:
            for lie in lies_unnoticed(model_judge, judge.player.deliveries, judge.player.observed, random.Random(number), noticed):
                unnoticed += 1
                print(f"# history {number} of seed {options.seed}: the model does not notice that {lie}")
        if problems:
            failures += 1
            print(f"# history {number} of seed {options.seed} ({len(events)} events): {problems[0]}")
            events = judge.shrink(events, problems[0])
            print(f"# shrunk to {len(events)} events:")
            judge.show(events)
            sys.stdout.flush()
    seconds = time.monotonic() - began
    print(f"{'not ' if failures or not played else ''}ok - {played} random histories of seed {options.seed}, {deliveries} deliveries, "
          f"{failures} wrong ({seconds:.0f} s, {played / seconds:.0f} a second)")
    print(f"{'ok' if noticed and not unnoticed else 'not ok'} - the model notices {sum(noticed.values())} lies, {unnoticed} it does not")
    return failures > 0 or unnoticed > 0


if __name__ == "__main__":
    sys.exit(main())
