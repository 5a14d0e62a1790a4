"""Each fault by command line: sandbox/service.py --fault NAME, and what the database made of it."""
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter

from collect import Cases
from database import Database
from faults import FAULTS
from scenario import matches
from service import SERVED
from shop import Api

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
        if name == "markup":  # it names an invoice alone
            found = [database.value("SELECT reason FROM cc_inbox ORDER BY id DESC LIMIT 1")]
        expected = Counter(FAULTS[name].inbox)
        assert matches(found, expected), f"{found} instead of {dict(expected)}"


for one in SERVED:
    for how in FAULTS[one].formats:
        if one != "again":
            add(one, how)


@case("as a program of its own: another installation's project by --postback-url and --secret, its API, and the buttons of a checkout")
def _():
    secret = "the secret of another installation"
    database.run("INSERT INTO cc_project (name, secret) VALUES ('other', %s)", secret)
    command = [sys.executable, "-u", "sandbox/service.py", "--postback-url", os.environ["CC_POSTBACK_URL"] + "/other"]
    command += ["--secret", secret, "--format", "form", "--shop-id", "MINE", "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            told = dict(program.stdout.readline().split() for _ in range(2))
            told |= dict(program.stdout.readline().rsplit(maxsplit=1) for _ in range(2))
            api = Api(told["Pages"], told["API KEY"])
            invoice = api.call("create", shop_id=told["shop_id"], amount=5, order_id="OTHER-1")
            urllib.request.urlopen(invoice["link"], b"fault=twice_later&format=form").close()
            rows = "SELECT state, content_type FROM cc_inbox WHERE project = 'other' ORDER BY id"
            until = time.monotonic() + 10
            while len(found := database.rows(rows)) < 2:
                assert time.monotonic() < until, found
                time.sleep(0.05)
            assert [row.state for row in found] == ["applied", "duplicate"] and "form" in found[0].content_type, found
            assert secret not in urllib.request.urlopen(invoice["link"]).read().decode()
        finally:
            program.send_signal(signal.SIGINT)
            said = program.stdout.read()
            database.run("DELETE FROM cc_project WHERE name = 'other'")
    assert program.returncode == 0 and not said, (program.returncode, said)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


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
