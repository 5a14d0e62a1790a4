"""script/sandbox --scenario and --random: their checks pass, and fail for a broken shop."""
import os
import re
import subprocess
import sys
from pathlib import Path

from collect import Cases
from database import Database
from scenario import matches, parse, random_stories

case = CASES = Cases()
RANDOM = os.environ.get("CC_RANDOM", "1000")


def cases():
    return CASES


def run(*options, **environment):
    return subprocess.run(
        [sys.executable, "sandbox/scenario.py", *options], env=os.environ | environment, capture_output=True, text=True
    )


@case("every fault has its expected result")
def _():
    done = run("--scenario", "every-fault", CC_SCENARIO=Path("sandbox/scenarios/every-fault").read_text())
    print(done.stdout.rpartition("\n\n")[0], flush=True)  # without its totals, which script/test would add up
    assert done.returncode == 0 and re.search(r"^\d+ passed, 0 failed", done.stdout, re.M), done.stderr


@case(f"{RANDOM} random ones, and the books agree")
def _():
    done = run("--random", RANDOM, "--seed", "7")
    assert done.returncode == 0, "\n".join(re.findall(r"not ok.*\n.*", done.stdout)) + done.stderr


@case("the same seed gives the same stories")
def _():
    assert list(random_stories(50, 3)) == list(random_stories(50, 3)) != list(random_stories(50, 4))


@case("a wrong end is found: an order that somebody paid by hand")
def _():
    database = Database()
    database.run(
        """CREATE FUNCTION always() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.paid_at = now(); RETURN NEW; END$$"""
    )
    database.run("CREATE TRIGGER always BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION always()")
    try:
        done = run("--scenario", "-", CC_SCENARIO="forged")
    finally:
        database.run("DROP FUNCTION always CASCADE")
    assert done.returncode == 1 and "not ok" in done.stdout and "should be: bad_signature; open" in done.stdout, done.stdout


@case("README's order trigger in place of the shop's: each order is paid once")
def _():
    database = Database()
    function = database.value("SELECT pg_get_functiondef('mark_order_paid()'::regprocedure)")
    trigger = database.value("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'mark_order_paid'")
    readme = re.search(r"<!-- order-trigger -->\n```sql\n(.*?)```", Path("README.md").read_text(), re.S)[1]
    database.run("DROP FUNCTION mark_order_paid CASCADE")
    try:
        database.run(readme)
        done = run(
            "--scenario", "-", CC_SCENARIO="honest\nhonest form BTC\ntwice_at_once\ntwice_later\nunderpaid\nraised\nforged"
        )
    finally:
        database.run("DROP FUNCTION IF EXISTS mark_order_paid CASCADE")
        database.run(function)
        database.run(trigger)
    assert done.returncode == 0, done.stdout + done.stderr


@case("matches: any order, and a star for any accepted postback")
def _():
    assert matches(["duplicate", "applied"], ("applied", "duplicate")) and matches(["applied", "conflict"], ("applied", "*"))
    assert not matches(["applied"], ("applied", "*")) and not matches(["applied", "bad_signature"], ("applied", "*"))
    assert not matches(["applied", "applied"], ("applied",)) and matches([], ())


@case("a file's faults are told by line")
def _():
    for text, words in (
        ("honest\nnonsense", "line 2: there is no fault nonsense"),
        ("repair", "line 1: repair follows a fault"),
        ("lost x", "line 1: x is no price"),
        ("honest 0", "line 1: 0 is no price"),
        ("honest\n\nhonest RUB 0.01", "line 3: 0.01 is no price"),
    ):
        try:
            parse(text)
            raise AssertionError(text)
        except SystemExit as problem:
            assert words in str(problem), problem
