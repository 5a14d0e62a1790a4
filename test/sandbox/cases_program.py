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


def processes(belongs):
    """The processes, as folders of /proc, for which this is true."""
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
    """Processes that work in the folder, or name it."""
    return processes(lambda process: str((process / "cwd").readlink()).startswith(folder) or folder in (process / "cmdline").read_text())


def listeners(session):
    """Local addresses of the sockets on which this session listens, as the kernel spells them: {"0100007F:2008"}."""
    own = {str(file.readlink()) for process in members(session) for file in process.glob("fd/*") if file.is_symlink()}
    lines = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]]
    return {line[1] for line in lines if line[3] == LISTENING and f"socket:[{line[9]}]" in own}


def clusters():
    """Servers that run in this workspace."""
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


@case("what guards it removes the folder and ends every server, PostgreSQL too")
def _():
    program = start("test/sandbox/guarded", CC_WORKSPACE="")
    try:
        folder = read_until(program, "^/.*cryptocloud[.].*$")
        assert len(inmates(folder)) > 5, inmates(folder)
    finally:
        status = press_ctrl_c(program)
    assert status == 130 and not os.path.exists(folder) and not inmates(folder), (status, inmates(folder))
