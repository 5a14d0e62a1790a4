"""script/sandbox and sandbox/service.py as a person starts them: they listen on loopback only, and Ctrl-C removes everything."""
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from collect import Cases
from database import Database
from shop import Api

case = CASES = Cases()
database = Database()
LISTENING = "0A"


def cases():
    return CASES


def start(*command, **environment):
    """Starts a program in its own session. It obeys Ctrl-C even if this test runs in the background of a shell."""
    return subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def read_until(program, pattern):
    for line in program.stdout:
        if found := re.search(pattern, line):
            return found[0]
    raise AssertionError("it ended")


def press_ctrl_c(program):
    """Interrupts the whole process group, as a terminal does."""
    os.killpg(program.pid, signal.SIGINT)
    program.stdout.read()  # ends when no process has it open
    return program.wait()


def processes(belongs):
    """Returns the processes, as folders of /proc, for which this is true."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if belongs(process):
                found.append(process)
        except OSError:
            pass  # it ended, or is another user's
    return found


def members(session):
    return processes(lambda process: int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session)


def inmates(folder):
    """Returns processes that work in the folder, or name it."""
    return processes(
        lambda process: str((process / "cwd").readlink()).startswith(folder) or folder in (process / "cmdline").read_text()
    )


def listeners(session):
    """Returns the local addresses on which this session listens, as the kernel spells them: {"0100007F:2008"}."""
    own = {str(file.readlink()) for process in members(session) for file in process.glob("fd/*") if file.is_symlink()}
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[3] == LISTENING and f"socket:[{line[9]}]" in own}


def clusters():
    """Returns the servers that run in this workspace."""
    return set(Path(os.environ["CC_WORKSPACE"]).glob("cluster.*/data/postmaster.pid"))


@case("script/sandbox prints one URL, listens on loopback only, and Ctrl-C ends all of it; twice in a row")
def _():
    for _ in range(2):
        before = clusters()
        program = start("script/sandbox")
        try:
            url = read_until(program, "http://[^ ]+/$")
            read_until(program, "Ctrl-C ends it")
            assert "The payment service in a box" in urllib.request.urlopen(url).read().decode()
            addresses = listeners(program.pid)
            assert len(addresses) == 2 and all(address.startswith("0100007F:") for address in addresses), addresses
            assert len(clusters() - before) == 1
        finally:
            status = press_ctrl_c(program)
        assert status == 130 and not members(program.pid) and clusters() == before, (status, members(program.pid), clusters())


@case("a port that is taken is not taken for its own")
def _():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        program = start("script/sandbox", PORT=port)
        said = program.stdout.read()
    assert program.wait() == 1 and f"Something else listens on port {port}." in said and "Ctrl-C ends" not in said, said


@case("what guards it removes the folder and ends every server, PostgreSQL too")
def _():
    program = start("test/sandbox/guarded", CC_WORKSPACE="")
    try:
        folder = read_until(program, "^/.*cryptocloud[.].*$")
        assert len(inmates(folder)) > 5, inmates(folder)
    finally:
        status = press_ctrl_c(program)
    assert status == 130 and not os.path.exists(folder) and not inmates(folder), (status, inmates(folder))


@case("sandbox/service.py: another installation's project by --postback-url and --secret, its API, and the buttons of a checkout")
def _():
    secret = "the secret of another installation"
    database.run("INSERT INTO cc_project (name, secret) VALUES ('other', %s)", secret)
    command = [sys.executable, "-u", "sandbox/service.py", "--postback-url", os.environ["CC_POSTBACK_URL"] + "/other"]
    command += ["--secret", secret, "--format", "form", "--shop-id", "MINE", "--port", str(free_port())]
    with start(*command) as program:
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
            os.killpg(program.pid, signal.SIGINT)
            said = program.stdout.read()
            database.run("DELETE FROM cc_project WHERE name = 'other'")
    assert program.returncode == 0 and not said, (program.returncode, said)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
