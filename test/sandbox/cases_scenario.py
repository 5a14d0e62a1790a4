"""script/sandbox --scenario and --random, and that what they check is checked."""
import os
import re
import subprocess
import sys
from pathlib import Path

from collect import Cases
from database import Database
from scenario import matches, parse, random_stories

case = CASES = Cases()
RANDOM = os.environ.get("CC_RANDOM", "200")


def cases():
    return CASES


def run(*options, **environment):
    return subprocess.run(
        [sys.executable, "sandbox/scenario.py", *options], env=os.environ | environment, capture_output=True, text=True
    )


@case("every fault becomes what it must")
def _():
    done = run("--scenario", "every-fault", CC_SCENARIO=Path("sandbox/scenarios/every-fault").read_text())
    print(done.stdout, flush=True)
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


@case("matches: any order, and a star for whatever was accepted")
def _():
    assert matches(["duplicate", "applied"], ("applied", "duplicate")) and matches(["applied", "conflict"], ("applied", "*"))
    assert not matches(["applied"], ("applied", "*")) and not matches(["applied", "bad_signature"], ("applied", "*"))
    assert not matches(["applied", "applied"], ("applied",)) and matches([], ())


@case("a file's faults are told by line")
def _():
    for text, words in (
        ("honest\nnonsense", "line 2: there is no fault nonsense"),
        ("repair", "line 1: repair follows a fault"),
        ("lost x", "line 1"),
    ):
        try:
            parse(text)
            raise AssertionError(text)
        except SystemExit as problem:
            assert words in str(problem), problem
