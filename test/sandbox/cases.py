"""Runs the cases of test/sandbox/run: cases.py [PART...]. PG* name the shop's database, CC_POSTBACK_URL its proxy."""
import importlib
import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sandbox"), str(ROOT / "test" / "sandbox")]
os.chdir(ROOT)

PARTS = ("api", "command", "send", "scenario", "program", "day", "browser")  # and "pictures", only by name


def main():
    passed, failed = 0, 0
    for part in sys.argv[1:] or PARTS:
        for name, case in importlib.import_module(f"cases_{part}").cases():
            try:
                case()
                passed += 1
                print(f"ok      {part:<9} {name}", flush=True)
            except Exception as problem:  # after any error, the other cases go on
                failed += 1
                print(f"not ok  {part:<9} {name}: {type(problem).__name__}: {problem}", flush=True)
                traceback.print_exc()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
