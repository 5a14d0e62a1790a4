"""Each fault by command line: sandbox/service.py --fault NAME, and its result in the database."""
import os
import subprocess
import sys
from collections import Counter

from collect import Cases
from database import Database
from faults import FAULTS
from scenario import matches
from service import SERVED

case = CASES = Cases()
database = Database()


def cases():
    return CASES


def service(*options, secret=None):
    environment = os.environ | {"CC_SECRET": secret or os.environ["CC_SECRET"]}
    command = [sys.executable, "sandbox/service.py", "--postback-url", os.environ["CC_POSTBACK_URL"], "--pace", "0.1", *options]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def add(name, format):
    @case(f"{name}, {format}")
    def _():
        order = f"BY-COMMAND-{name}-{format}"
        run = service("--fault", name, "--format", format, "--order", order)
        assert run.returncode == 0, run.stdout + run.stderr
        assert os.environ["CC_SECRET"] not in run.stdout + run.stderr
        found = [
            row.reason or row.state
            for row in database.rows("SELECT reason, state FROM cc_inbox WHERE strpos(body, %s) > 0 ORDER BY id", order)
        ]
        if name == "markup":  # it names only an invoice
            found = [database.value("SELECT reason FROM cc_inbox ORDER BY id DESC LIMIT 1")]
        expected = Counter(FAULTS[name].inbox)
        assert matches(found, expected), f"{found} instead of {dict(expected)}"


for one in SERVED:
    for how in FAULTS[one].formats:
        if one != "again":
            add(one, how)


@case("a wrong option is said in a line")
def _():
    for options, words in (
        (("--postback-url", "nonsense"), "--postback-url"),
        (("--postback-url", "http://"), "--postback-url"),
        (("--amount-usd", "0"), "--amount-usd"),
        (("--amount-usd", "NaN"), "--amount-usd"),
    ):
        run = service("--fault", "honest", *options)
        assert run.returncode == 2 and words in run.stderr.splitlines()[-1], run


@case("nobody there: it says so, and fails")
def _():
    run = service("--fault", "honest", "--postback-url", "http://127.0.0.1:9/")
    assert run.returncode == 1 and "no answer" in run.stdout, run


@case("an unknown fault is refused, and the known ones are named")
def _():
    run = service("--fault", "nonsense")
    assert run.returncode == 2 and "twice_at_once" in run.stderr, run
