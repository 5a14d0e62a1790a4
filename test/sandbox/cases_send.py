"""script/send-postback: its options, and the answers that count as success."""
import os
import ssl
import subprocess
import tempfile
import threading

from collect import Cases
from database import Database
from web import Handler
from werkzeug.serving import make_server

case = CASES = Cases()
database = Database()


def cases():
    return CASES


def send(*options, url=os.environ["CC_POSTBACK_URL"], **environment):
    command = ["script/send-postback", *options, *([url] if url else [])]
    run = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert os.environ["CC_SECRET"] not in run.stdout + run.stderr
    return run


def newest():
    return database.row("SELECT state, reason, body FROM cc_inbox ORDER BY id DESC LIMIT 1")


@case("honest: the secret from cc_project or from CC_SECRET, JSON and form; it names the row that stays")
def _():
    for options in ((), ("--secret",), ("--format", "form")):
        run = send("--order", "SENT-1", "--amount", "12.25", *options)
        assert run.returncode == 0 and newest().state == "applied" and "12.25" in newest().body, run
        assert "stays in cc_invoice, as paid" in run.stdout, run.stdout


@case("no curl is needed")
def _():
    folder = tempfile.mkdtemp()
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


@case("a wrong option is reported in one line")
def _():
    for options, words in (
        (("--project", "nobody"), "no project nobody"),
        (("--amount", "x"), "number"),
        (("--nonsense",), "--nonsense"),
        (("--format", "xml"), "json or form"),
        (("--order",), "needs a value"),
        (("http://",), "no URL"),
        (("http://127.0.0.1:x/",), "Port"),
    ):
        run = send(*options, url=None if options == ("--order",) else os.environ["CC_POSTBACK_URL"])
        assert run.returncode == 2 and words in run.stderr and "Traceback" not in run.stderr, run


@case("--project: the secret of another project, for the URL of that project")
def _():
    database.run("INSERT INTO cc_project (name, secret) VALUES ('sent', 'the secret of another project')")
    try:
        assert send("--project", "sent", url=os.environ["CC_POSTBACK_URL"] + "/sent").returncode == 0
        assert database.value("SELECT project FROM cc_inbox ORDER BY id DESC LIMIT 1") == "sent" and newest().state == "applied"
        assert send("--project", "sent").returncode == 1 and newest().reason == "bad_signature"
    finally:
        database.run("DELETE FROM cc_project WHERE name = 'sent'")


@case("--insecure takes a certificate that nobody signed; without it there is no answer")
def _():
    folder = tempfile.mkdtemp()
    files = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(
        [*"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -keyout".split(), files[0], "-out", files[1]],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    server = make_server(
        "127.0.0.1", 0, lambda _, answer: answer("200 OK", []) and (), request_handler=Handler, ssl_context=context
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://127.0.0.1:{server.server_port}/"
        assert send("--secret", "--insecure", url=url).returncode == 0
        refused = send("--secret", url=url)
        assert refused.returncode == 1 and "CERTIFICATE_VERIFY_FAILED" in refused.stdout, refused.stdout
    finally:
        server.shutdown()


@case("--help has each option")
def _():
    run = send("--help")
    assert run.returncode == 0
    for (
        option
    ) in "project order invoice amount currency status format test secret dry-run insecure forged expired replay".split():
        assert f"--{option} " in run.stdout, option


@case("a refusal or no answer is a failure")
def _():
    assert send("--secret", CC_SECRET="not the secret").returncode == 1
    assert send(url="http://127.0.0.1:9/").returncode == 1
