"""tally.py LOG: count what a `meson test` run proved, from its testlog.json.

A Check program says "97%: Checks: 31, Failures: 1, Errors: 0"; each of its tests counts. Any other
test counts as one. A program that crashed, hung, leaked or was never started is one failure beside
what it said, and so is a Check program without a test. Details go to stdout; the three numbers
"passed failed skipped" go to file descriptor 3.
"""

import json
import os
import re
import sys

CHECKS = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.MULTILINE)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"


def count(test):
    """Returns (passed, failed, skipped) of one program."""
    lines = CHECKS.findall(test.get("stdout") or "")
    run = sum(int(line[0]) for line in lines)
    broken = sum(int(line[1]) + int(line[2]) for line in lines)
    result = test["result"]
    if result == "SKIP":
        print("skipped: %s: %s" % (test["name"], last_line(test.get("stdout") or "")))
        return 0, 0, 1
    if result in ("OK", "EXPECTEDFAIL") and broken == 0:
        if lines and run == 0:
            print("FAILED: %s has no test" % test["name"])
            return 0, 1, 0
        return (run if lines else 1), 0, 0
    failed = broken if broken > 0 and result == "FAIL" else broken + 1
    print("FAILED: %s: %s, %d of its tests" % (test["name"], result, broken))
    return run - broken, failed, 0


def main(path):
    totals = [0, 0, 0]
    try:
        with open(path, encoding="utf-8") as log:
            tests = [json.loads(line) for line in log]
    except OSError as problem:
        print("FAILED: the tests did not run: %s" % problem)
        tests = []
        totals[1] = 1
    for test in tests:
        totals = [total + part for total, part in zip(totals, count(test))]
    with os.fdopen(3, "w") as answer:
        print(*totals, file=answer)


main(sys.argv[1])
