"""data.py RESULTS DIRECTORY: the tables that the gnuplot scripts beside it draw.

Every table has a first line of column names; "?" is what was not measured.
"""

import re
import sys
from pathlib import Path

import budgets
import results

SUBJECTS = ["limit", "ipalloc", "mutex", "kubernetes", "roaring", "judy", "free-list"]
SIZES = [8, 12, 16, 20, 24]
FILLS = ["0%", "50%", "90%", "99%", "99.9%"]
SHARE_MAX = 4  # a bar ends there


SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(text):
    """2^16 as it is printed."""
    return re.sub(r"\^(\d+)", lambda power: power.group(1).translate(SUPERSCRIPTS), text)


def cost(cases, name, subject):
    line = cases.get(name, {}).get(subject)
    return "?" if line is None or line["median"] is None else "%.6g" % line["median"]


def costs(cases, name):
    return [cost(cases, name, subject) for subject in SUBJECTS]


def write(path, head, rows):
    with open(path, "w", encoding="utf-8") as out:
        for row in [head, *rows]:
            print("\t".join('"%s"' % cell if " " in str(cell) else str(cell) for cell in row), file=out)


def pairs_by_fill(cases, directory):
    for size in SIZES:
        names = ["range/pair/2^%d/%s" % (size, fill) for fill in FILLS] + ["range/one-free/2^%d" % size]
        rows = [[place, *costs(cases, name)] for place, name in enumerate(names)]
        write(directory / ("fill-%d.tsv" % size), ["place", *SUBJECTS], rows)


def pairs_by_size(cases, directory):
    for fill in ("50%", "99%"):
        rows = [[size, *costs(cases, "range/pair/2^%d/%s" % (size, fill))] for size in SIZES]
        write(directory / ("size-%s.tsv" % fill.rstrip("%")), ["bits", *SUBJECTS], rows)


def pairs_by_two_threads(cases, directory):
    for size in (8, 16, 20):
        names = ["range/two-threads/2^%d/%s" % (size, fill) for fill in ("50%", "90%", "99%")]
        rows = [[place, *costs(cases, name)] for place, name in enumerate(names)]
        write(directory / ("threads-%d.tsv" % size), ["place", *SUBJECTS], rows)


def budget_shares(cases, directory):
    rows = []
    for what, budget, pattern, show in budgets.ROWS:
        lines = budgets.lines_of(cases, pattern)
        if lines:
            worst = budgets.share(lines[-1])
            text = "%s;  budget %s" % (budgets.measured_text(lines, show), budget)
            rows.append([typeset(what), min(worst, SHARE_MAX), 1 if worst <= 1 else 0, typeset(text)])
    write(directory / "budgets.tsv", ["what", "share", "met", "text"], rows)


def main(path, directory):
    machine, cases = results.read(path)
    for tables in (pairs_by_fill, pairs_by_size, pairs_by_two_threads, budget_shares):
        tables(cases, Path(directory))
    (Path(directory) / "machine.txt").write_text(results.machine_text(machine) + "\n", encoding="utf-8")


main(sys.argv[1], sys.argv[2])
