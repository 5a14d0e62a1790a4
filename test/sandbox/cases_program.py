"""script/sandbox as a person starts it: one URL, on loopback only, and Ctrl-C leaves nothing behind, twice in a row."""
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

from collect import Cases

case = CASES = Cases()
LISTENING = "0A"


def cases():
    return CASES


def start(script, **environment):
    """(program, what it printed until its first line with `until`)"""
    return subprocess.Popen(
        [script], env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def read_until(program, pattern):
    for line in program.stdout:
        if found := re.search(pattern, line):
            return found[0]
    raise AssertionError("it ended")


def press_ctrl_c(program):
    """As a terminal does: to the whole group."""
    os.killpg(program.pid, signal.SIGINT)
    program.stdout.read()  # ends when no process has it open any more
    return program.wait()


def processes(session=None, folder=None):
    """The command lines of this session's processes, or of those that have the folder in their command line or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_text().replace("\0", " ")
            belongs = folder and (folder in words or str(process.joinpath("cwd").readlink()).startswith(folder))
            if belongs or int(process.joinpath("stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.append(words)
        except OSError:
            pass  # it ended, or is another user's
    return found


def listeners():
    """Local addresses of all sockets that listen, as the kernel spells them: {"0100007F:2008"}."""
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[3] == LISTENING}


@case("script/sandbox prints one URL, listens on loopback only, and Ctrl-C ends all of it; twice in a row")
def _():
    for _ in range(2):
        before = listeners()
        program = start("script/sandbox")
        try:
            url = read_until(program, "http://[^ ]+/$")
            read_until(program, "Ctrl-C ends it")
            assert "The payment service in a box" in urllib.request.urlopen(url).read().decode()
            added = listeners() - before
            assert len(added) >= 2 and all(address.startswith("0100007F:") for address in added), added
            assert any("page.py" in words for words in processes(program.pid))
        finally:
            status = press_ctrl_c(program)
        assert status == 130 and not processes(program.pid), (status, processes(program.pid))
        assert not added & listeners(), added & listeners()


@case("what guards it removes the folder and ends every server, PostgreSQL too")
def _():
    program = start("test/sandbox/guarded", CC_WORKSPACE="")
    try:
        folder = read_until(program, "^/.*cryptocloud[.].*$")
        assert len(processes(folder=folder)) > 5, processes(folder=folder)
    finally:
        status = press_ctrl_c(program)
    assert status == 130 and not os.path.exists(folder) and not processes(folder=folder), (status, processes(folder=folder))
