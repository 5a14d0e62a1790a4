"""script/send-postback: its options, and what it takes for success."""
import os
import subprocess

from collect import Cases
from database import Database

case = CASES = Cases()
database = Database()


def cases():
    return CASES


def send(*options, url=None, **environment):
    command = ["script/send-postback", *options, url or os.environ["CC_POSTBACK_URL"]]
    run = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert os.environ["CC_SECRET"] not in run.stdout + run.stderr
    return run


def newest():
    return database.row("SELECT state, reason, body FROM cc_inbox ORDER BY id DESC LIMIT 1")


@case("honest: the secret from cc_project or from CC_SECRET, JSON and form; it says what it leaves behind")
def _():
    for options in ((), ("--secret",), ("--format", "form")):
        run = send("--order", "SENT-1", "--amount", "12.25", *options)
        assert run.returncode == 0 and newest().state == "applied" and "12.25" in newest().body, run
        assert "behind in cc_invoice" in run.stdout, run.stdout


@case("no curl is needed")
def _():
    folder = os.environ["TMPDIR"] + "/no-curl"
    os.makedirs(folder)
    os.symlink("/usr/bin/python3", folder + "/python3")
    assert send("--secret", PATH=folder).returncode == 0


@case("forged, expired and replay succeed when they are refused")
def _():
    for option, reason in (("--forged", "bad_signature"), ("--expired", "token_expired"), ("--replay", "token_reused")):
        run = send(option)
        assert run.returncode == 0 and newest().reason == reason, run


@case("--status, --invoice, --currency and --test reach the body")
def _():
    assert send("--status", "canceled", "--invoice", "INVOICE7", "--currency", "TON", "--test").returncode == 0
    for part in ('"canceled"', "INVOICE7", "TON", '"test_mode": true'):
        assert part in newest().body, part


@case("--dry-run sends nothing, and shows no token")
def _():
    before = database.value("SELECT count(*) FROM cc_inbox")
    run = send("--dry-run", "--order", "DRY-1")
    assert run.returncode == 0 and "DRY-1" in run.stdout and "eyJ0eXAi…" in run.stdout
    assert database.value("SELECT count(*) FROM cc_inbox") == before


@case("a test payment as a form is refused: it would count as paid")
def _():
    run = send("--test", "--format", "form")
    assert run.returncode == 2 and "form" in run.stderr


@case("what is wrong is said in a line")
def _():
    for options, words in (
        (("--project", "nobody"), "no project nobody"),
        (("--amount", "x"), "number"),
        (("--nonsense",), "--nonsense"),
    ):
        run = send(*options)
        assert run.returncode == 2 and words in run.stderr and "Traceback" not in run.stderr, run


@case("a refusal or no answer is a failure")
def _():
    assert send("--secret", CC_SECRET="not the secret").returncode == 1
    assert send(url="http://127.0.0.1:9/").returncode == 1
