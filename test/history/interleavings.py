#!/usr/bin/python3
"""Every interleaving of two and of three deliveries: interleavings.py [--long]

Each session begins, delivers, and commits or rolls back. At each point where several sessions could go on, each of them goes first
once: all paths are run, none is random. A session that waits for a lock goes on when it gets it. In READ COMMITTED the start of a
transaction does not matter, so it begins with its delivery. At other levels it takes its snapshot first.
"""
import argparse
import itertools
import sys
import time

from model import Message, Token
from player import OPERATOR, Player
from sessions import World


def message(invoice, content, token, exp=100, bound=True):
    return Message("default", invoice, content, Token(token, exp, bound, "first"))


# Two deliveries differ in invoice, token or content, or in none; one statement has two rows in either order.
KINDS = {
    "first": [message("A", "paid", "T1")],
    "resend": [message("A", "paid", "T2", 101)],
    "raised, same token": [message("A", "raised", "T1")],
    "topped up": [message("A", "raised", "T3", 103)],
    "partial, older": [message("A", "partial", "T4", 50)],
    "canceled, newer": [message("A", "canceled", "T5", 200)],
    "other order": [message("A", "other order", "T6", 104)],
    "unbound": [message("A", "paid", "T7", 100, False)],
    "unbound, other invoice": [message("B", "paid", "T7", 100, False)],
    "A and B": [message("A", "paid form", "T8", 105), message("B", "paid form", "T9", 105)],
    "B and A": [message("B", "raised", "T10", 106), message("A", "raised form", "T11", 106)],
    "cc_apply": None,
}
FEW = ["first", "resend", "raised, same token", "unbound", "unbound, other invoice", "cc_apply"]
FEWEST = ["first", "resend", "raised, same token", "unbound, other invoice"]

DEFERRED = [(0, "deliver", [message("A", "paid form", "T12", 90)], "insert")]
WORLDS = {                                  # the rows before, and how a project applies
    "new": [],
    "failing": [(OPERATOR, "fault", "default", "A", "fail")],
    "waiting": [(OPERATOR, "setting", "default", "apply", "deferred"), *DEFERRED, (OPERATOR, "setting", "default", "apply", "immediate")],
    "deferred": [(OPERATOR, "setting", "default", "apply", "deferred")],
}


def steps_of(kinds, isolation, end):
    """A step of one session."""
    work = [("deliver", KINDS[kind], "insert") if KINDS[kind] else ("apply", 50) for kind in kinds]
    if isolation == "read committed":
        return [[("begin", isolation), work[0]], *([step] for step in work[1:]), [(end,)]]
    return [[("begin", isolation)], *([step] for step in work), [(end,)]]


class Walker:
    """Runs all paths of one case."""

    def __init__(self, player):
        self.player = player
        self.walked = 0

    def walk(self, world, sessions):
        """Takes the steps of each session. Yields each path with its problems."""
        path = []                           # (index of the session that went on, number of sessions that could)
        while True:
            path, taken, problems = self.go(world, sessions, [choice for choice, _ in path])
            self.walked += 1
            if problems:
                yield taken, problems
            while path and path[-1][0] + 1 >= path[-1][1]:
                path.pop()
            if not path:
                return
            path[-1] = path[-1][0] + 1, path[-1][1]

    def go(self, world, sessions, choices, record=None):
        player, path, taken = self.player, [], []
        player.start(record)
        for event in WORLDS[world]:
            player.event(event)
            player.world.quiesce(player.done)
        left = [list(steps) for steps in sessions]
        while any(left):
            free = [i for i, steps in enumerate(left) if steps and not player.sessions[i].busy]
            if not free:
                player.world.quiesce(player.done, stuck=True)
                continue
            choice = min(choices[len(path)], len(free) - 1) if len(path) < len(choices) else 0
            path.append((choice, len(free)))
            index = free[choice]
            for step in left[index].pop(0):
                player.event((index, *step))
                player.world.quiesce(player.done)
            taken.append(index)
        return path, taken, player.judge()

    def show(self, world, sessions, taken):
        """Runs the path once more, and prints it as SQL."""
        record, left = [], [list(steps) for steps in sessions]
        self.player.start(record)
        for event in WORLDS[world] + [(index, *step) for index in taken for step in left[index].pop(0)]:
            self.player.event(event)
            self.player.world.quiesce(self.player.done)
            self.player.pump()
        problems = self.player.judge()
        for name, sql in record:
            print(f"#   -- {name}\n#   " + sql.replace("\n", "\n#   ") + ";")
        for problem in problems or ["(this time nothing was wrong)"]:
            print(f"#   => {problem}")


def cases(long):
    """Yields (title, world, sessions' kinds, isolation of each, end of each)."""
    both = ["commit", "rollback"]
    levels = ["read committed", "repeatable read", "serializable"]
    pairs = [p for p in itertools.combinations_with_replacement(KINDS, 2) if p != ("cc_apply", "cc_apply")]

    def two(worlds, isolations, kinds=pairs, ends=tuple(itertools.product(both, repeat=2))):
        for world, pair, isolation, end in itertools.product(worlds, kinds, isolations, ends):
            if "cc_apply" in pair and any(i != "read committed" for i in isolation):
                continue                    # this world is for read committed only
            yield world, [(kind,) for kind in pair], isolation, end

    rc = ("read committed",)
    commits = [("commit", "commit")]
    few = [p for p in itertools.combinations_with_replacement(FEW, 2) if p != ("cc_apply", "cc_apply")]
    if not long:
        yield "two, read committed", two(["new", "failing", "waiting"], [rc * 2], ends=[("commit", "commit"), ("rollback", "commit")])
        yield "two, stricter", two(["new"], [(level,) * 2 for level in levels[1:]], few, commits)
        yield "three", ((w, [(k,) for k in kinds], rc * 3, ("commit",) * 3) for w in ["new"]
                        for kinds in itertools.combinations_with_replacement(FEWEST, 3))
        return
    yield "two, read committed", two(WORLDS, [rc * 2])
    yield "two, stricter", two(["new", "failing"], [i for i in itertools.product(levels, repeat=2) if i != rc * 2])
    yield "three in two sessions", ((w, [kinds[:2], kinds[2:]], rc * 2, e) for w in ["new", "failing"]
                                    for kinds in itertools.product(FEW, repeat=3) for e in itertools.product(both, repeat=2))
    yield "three, read committed", ((w, [(k,) for k in kinds], rc * 3, e) for w in ["new", "failing", "waiting"]
                                    for kinds in itertools.combinations_with_replacement(FEW, 3)
                                    for e in [("commit",) * 3, ("rollback", "commit", "commit"), ("commit", "rollback", "commit"),
                                        ("commit", "commit", "rollback")])
    yield "three, repeatable read", (("new", [(k,) for k in kinds], (levels[1],) * 3, ("commit",) * 3)
                                     for kinds in itertools.combinations_with_replacement(FEWEST[:3], 3))


def waits(player):
    """Shows that a delivery waits a limited time for a transaction that does not end. Then it is pending, and settled later."""
    held = [(0, "begin", "read committed"), (0, "deliver", KINDS["A and B"], "insert")]
    three = KINDS["first"] + KINDS["unbound, other invoice"] + KINDS["resend"]
    failed = False
    for title, events, shortest, longest in [
            ("a delivery waits 3 seconds for its invoice", [(1, "deliver", KINDS["first"], "insert")], 2.5, 4),
            ("a statement_timeout ends all waiting of a statement", [(1, "timeout", "statement_timeout", 300),
                (1, "deliver", three, "insert")], .2, 1),
            ("a lock_timeout ends all waiting of a statement", [(1, "timeout", "lock_timeout", 300),
                (1, "deliver", three, "insert")], .2, 1)]:
        player.start()
        for event in held + events:
            player.event(event)
            player.world.quiesce(player.done)
        began = time.monotonic()
        while player.sessions[1].busy and time.monotonic() - began < 6:
            player.world.quiesce(player.done)
            time.sleep(0.01)
        seconds, answers = time.monotonic() - began, [d.answer for d in player.deliveries.values()][2:]
        problems = player.judge()
        if not shortest < seconds < longest or set(answers) != {"pending"}:
            problems.append(f"answered {answers} after {seconds:.1f} s")
        print(f"{'not ' if problems else ''}ok - {title}, and leaves it pending")
        for problem in problems:
            print(f"#   => {problem}")
        failed |= bool(problems)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="all isolation levels, all ends, all worlds")
    parser.add_argument("--show", type=int, default=3, help="so many failures a group are shown as SQL")
    parser.add_argument("--group", help="only the groups whose title has this")
    options = parser.parse_args()

    player = Player(World(sessions=3))
    failed = waits(player)
    for title, group in cases(options.long):
        if options.group and options.group not in title:
            continue
        walker, began, wrong, cases_of_group = Walker(player), time.monotonic(), 0, 0
        for world, kinds, isolations, ends in group:
            cases_of_group += 1
            sessions = [steps_of(*of_one) for of_one in zip(kinds, isolations, ends)]
            for taken, problems in walker.walk(world, sessions):
                wrong += 1
                if wrong <= options.show:
                    print(f"# {world}: {kinds}, {isolations}, {ends}, in the order {taken}: {problems[0]}")
                    walker.show(world, sessions, taken)
                    sys.stdout.flush()
        failed |= wrong > 0
        print(f"{'not ' if wrong else ''}ok - {title}: {walker.walked} interleavings of {cases_of_group} cases, {wrong} wrong"
              f" ({time.monotonic() - began:.0f} s)")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
