"""Applies the mutants of mutants/ to the source in the current folder, one at a time, and runs their tests. See README.md.

Called by test/mutation/run, which has built and started everything.
"""
import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

MUTANTS = pathlib.Path(__file__).parent / "mutants"
SAMPLE = 6                      # mutants that --sample runs, spread over all of them
SECONDS = 300                   # a test that takes longer counts as hanging
BUILD = "../../build/mutation"  # of test/unit
UNIT_FLAGS = f"-O0 -include {BUILD}/precompiled.hpp"


@dataclasses.dataclass
class Mutant:
    rule: str
    file: str
    tests: list[str]            # unit:NAME, regress:NAME, tap:NAME
    old: str = ""
    new: str = ""

    @property
    def path(self):
        return pathlib.Path(self.file)

    def places(self, source):
        """Returns the places of the old text, ignoring line breaks and comments."""
        return list(re.finditer(r"(?:\s|//[^\n]*)*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", self.old))), source)) if self.old else []

    def applied_to(self, source):
        place = self.places(source)[0]
        return source[:place.start()] + self.new + source[place.end():]


def read_mutants():
    """Reads mutants/, in the format of README.md."""
    mutants, file, tests = [], "", []
    for listing in sorted(MUTANTS.iterdir()):
        for number, line in enumerate(listing.read_text().splitlines(), 1):
            kind, _, rest = line.partition(" ")
            current = mutants[-1] if mutants else None
            if kind == "file":
                file, tests = rest, []
            elif kind == "tests":
                tests = rest.split()
            elif kind == "rule":
                mutants.append(Mutant(rest, file, tests))
            elif kind in ("-", "+") and current:
                name = "old" if kind == "-" else "new"
                before = getattr(current, name)
                setattr(current, name, f"{before}\n{rest}" if before else rest)
            elif kind == "also" and current:
                current.tests = list(dict.fromkeys(rest.split() + current.tests))
            elif line and kind != "#":
                sys.exit(f"{listing.name}:{number}: unknown line: {line}")
    return mutants


def faults_of(mutants):
    """Yields edits that no longer fit the source, and tests that do not exist."""
    folders = {"unit": "test/unit/{}_test.cpp", "regress": "test/sql/{}.sql", "tap": "test/t/{}.pl"}
    for mutant in mutants:
        found = len(mutant.places(mutant.path.read_text())) if mutant.path.exists() else 0
        if found != 1:
            yield f"{mutant.file}: {mutant.rule}: the old text stands there {found} times"
        if mutant.old == mutant.new or not mutant.tests:
            yield f"{mutant.file}: {mutant.rule}: it changes nothing, or names no test"
        for test in mutant.tests:
            kind, _, name = test.partition(":")
            if kind not in folders or not pathlib.Path(folders[kind].format(name)).exists():
                yield f"{mutant.file}: {mutant.rule}: there is no test {test}"


def run(*command):
    """Returns whether the command succeeds, and its output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               text=True, errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        subprocess.run(["pg_ctl", "restart", "--mode=immediate", "--wait", "--silent", f"--log={os.environ['PGHOST']}/log"], check=True)
        return False, process.communicate()[0] + "\nIt does not end."
    return process.returncode == 0, output


def make(*arguments):
    return run("make", f"PG_CONFIG={os.environ['PG_CONFIG']}", "with_llvm=no", "COPT=-O0 -g0 -U_FORTIFY_SOURCE -Wno-error", "--silent",
               *arguments)


def build_extension():
    """Builds and installs the library. New sessions load it."""
    succeeded, output = make()
    if not succeeded:
        return False, output
    folder = subprocess.run([os.environ["PG_CONFIG"], "--pkglibdir"], check=True, capture_output=True, text=True).stdout.strip()
    for target in pathlib.Path(folder).glob("cryptocloud_postback*.so"):
        shutil.copy("cryptocloud_postback.so", f"{target}.new")
        os.replace(f"{target}.new", target)
    return True, output


def build_unit(name):
    """Builds one test of test/unit. The test of a header without a source file does not need the core."""
    pathlib.Path("build/mutation/unit").unlink(missing_ok=True)
    without_core = ["CORE="] if name in ("rules", "reason", "columns") else []
    return run("make", "-C", "test/unit", "--silent", f"BUILD={BUILD}", f"CXXFLAGS={UNIT_FLAGS}", f"TESTS={name}", *without_core,
               f"{BUILD}/unit")


def precompile():
    """Precompiles GoogleTest's headers, which take most of a small test's build time."""
    header = pathlib.Path("build/mutation/precompiled.hpp")
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text("#include <gtest/gtest.h>\n")
    subprocess.run(["g++", "-std=c++20", "-O0", "-fno-semantic-interposition", "-x", "c++-header", header,
                    "-o", f"{header}.gch"], check=True)


def is_noticed(test, output):
    """Tells a failed test from a runner that did not run. A program of GoogleTest is its own runner."""
    if "Bailout called" in output and "Failed test" not in output:      # a TAP test that cannot make its cluster
        return False
    kind = test.partition(":")[0]
    sign = {"unit": "", "regress": r"\.\.\. FAILED|not ok", "tap": r"Failed test|Dubious|Result: FAIL"}
    return re.search(sign[kind], output) or "It does not end." in output


def remove_leftovers():
    """Removes the clusters, databases and roles of earlier tests. A failed test leaves them, and with them it fails again."""
    if not os.environ["PGHOST"].startswith(os.environ["CC_WORKSPACE"] + "/"):
        sys.exit("This is not the throw-away cluster of test/mutation/run.")
    shutil.rmtree(os.environ["TESTDATADIR"], ignore_errors=True)
    made_here = "oid >= 16384"      # PostgreSQL's own have a smaller one
    subprocess.run(["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"], check=True, text=True, input=f"""
        SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE {made_here} \\gexec
        SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE {made_here} \\gexec
    """)


def build_for(test):
    kind, _, name = test.partition(":")
    return build_unit(name) if kind == "unit" else build_extension()


def run_test(test):
    kind, _, name = test.partition(":")
    if kind == "unit":
        return run("env", "--chdir=test/unit", f"{BUILD}/unit", "--gtest_brief=1")
    subprocess.run(["pg_isready", "--quiet", "--timeout=60"], check=False)
    remove_leftovers()
    if kind == "regress":
        return make("installcheck", f"REGRESS={name}")
    return run("prove", "--failures", "-I", os.environ["PERL_TESTS"], f"test/t/{name}.pl")


def killer_of(mutant):
    """Returns the first test that notices it, or None. Text beginning with "nothing" says that a build or a test did not run."""
    built = set()
    for test in mutant.tests:
        kind = test if test.startswith("unit:") else "extension"
        if kind not in built:
            succeeded, output = build_for(test)
            if not succeeded:
                return f"nothing: it does not build\n{output}"
            built.add(kind)
        succeeded, output = run_test(test)
        if not succeeded:
            return test if is_noticed(test, output) else f"nothing: {test} does not run\n{output}"
    return None


def judge(mutant):
    source = mutant.path.read_text()
    mutant.path.write_text(mutant.applied_to(source))
    began = time.monotonic()
    try:
        killer = killer_of(mutant)
    finally:
        mutant.path.write_text(source)
    seconds = round(time.monotonic() - began)
    passed = killer is not None and not killer.startswith("nothing")
    print(f"{'ok' if passed else 'not ok'} - {mutant.file}: {mutant.rule}: "
          f"{'SURVIVED' if killer is None else f'killed by {killer}'} ({seconds} s)", flush=True)
    return passed


def baseline(tests):
    """Runs each test without a mutant: a test that fails there shows nothing. Returns the number of failures."""
    faults = 0
    for test in tests:
        succeeded, output = build_for(test)
        if succeeded:
            succeeded, output = run_test(test)
        if not succeeded:
            print(f"not ok - unchanged: {test} fails\n{output}", flush=True)
            faults += 1
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    mutants = read_mutants()
    faults = list(faults_of(mutants))
    for fault in faults:
        print(f"not ok - {fault}")
    if faults:
        print(f"0 passed, {len(faults)} failed")
        sys.exit(1)
    print(f"# {len(mutants)} mutants fit the source")
    if arguments.words:
        mutants = [m for m in mutants if any(word in f"{m.file} {m.rule}" for word in arguments.words)]
    if arguments.sample:
        cheap = [m for m in mutants if m.tests[0].split(":")[0] != "tap"]
        mutants = cheap[::max(1, len(cheap) // SAMPLE)][:SAMPLE]
    precompile()
    tests = sorted({test for mutant in mutants for test in (mutant.tests[:1] if arguments.sample else mutant.tests)})
    failed = baseline(tests)
    passed = sum(judge(mutant) for mutant in mutants)
    failed += len(mutants) - passed
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
