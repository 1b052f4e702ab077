"""budgets.py RESULTS: the budgets and what was measured against them, as a Markdown table.

A row is a promise; its cases are all held to the figure that the benchmark itself has for them, and
the row is met where every one of them is. Measured is the best and the worst of its cases.
"""

import re
import sys

import results


def times(line):
    return "%.2f ×" % line["ratio_to_limit"]


def bits_per_address(line):
    size = 2 ** int(re.search(r"2\^(\d+)", line["case"]).group(1))
    return "%.2f bits" % (line["median"] * 8 / size)


def bytes_per_held(line):
    held = 2 ** int(re.search(r"2\^(\d+)", line["case"]).group(1))
    return "%.1f bytes" % (line["median"] / held)


def plain(unit, digits=2):
    return lambda line: "%.*f%s" % (digits, line["median"], unit)


# What is promised, the budget in words, the cases, and how a figure of theirs is shown.
ROWS = [
    ("pair (release one, allocate one), 2^8 to 2^24, 0–90 % full", "≤ 2 × limit", r"range/pair/2\^\d+/(0|50|90)%", times),
    ("pair, 99 % full", "≤ 3 × limit", r"range/pair/2\^\d+/99%", times),
    ("pair, 99.9 % full", "≤ 5 × limit", r"range/pair/2\^\d+/99\.9%", times),
    ("pair, one single free address", "≤ 12 × limit", r"range/one-free/.*", times),
    ("FULL, asked again", "≤ 2 × limit at 2^8", r"range/full-again/.*", times),
    ("dynamic band full, pick from the static band", "≤ 5 × limit", r"range/dynamic-band-full/.*", times),
    ("two threads, one range, 50–90 % full", "≤ 2 × limit of two threads", r"range/two-threads/2\^\d+/(50|90)%", times),
    ("two threads, one range, 99 % full", "≤ 4 × limit of two threads", r"range/two-threads/2\^\d+/99%", times),
    ("two threads, a range each: gain", "≥ 0.95 × gain of the limit", r"range/two-threads-own-ranges/.*", times),
    ("a freed address comes back at once, 99 % full", "≤ 1.2 × uniform choice", r"range/returned-at-once/2\^\d+/99%", times),
    ("memory, dense", "≤ 1.1 bits per address + 4 KiB", r"range/memory/dense/.*", bits_per_address),
    ("memory, dense with cool-down", "≤ 3.1 bits per address + 4 KiB", r"range/memory/cool-down/.*", bits_per_address),
    ("memory, sparse, random /64", "≤ 64 bytes per held address", r"range/memory/sparse/.*", bytes_per_held),
    ("heap allocations per 1,000 claims, dense", "0", r"range/heap/dense", plain("", 0)),
    ("heap allocations per 1,000 claims, sparse", "≤ 1", r"range/heap/sparse", plain("")),
    ("sparse /64, 2^16 and 2^20 held: pair", "≤ 1.3 × a plain set", r"range/sparse-pair/.*", times),
    ("snapshot of 2^20", "≤ 3 × memcpy", r"range/snapshot/.*", times),
    ("walk of 2^20, per held address", "≤ 1.2 ns", r"range/walk/.*", plain(" ns")),
    ("claim and release many at once, per address", "≤ 3 ns", r"range/bulk/.*", plain(" ns")),
    ("durable one-shot, SQLite, 1 thread", "≥ 0.9 × bare SQLite", r"durable/one-shot/1-threads", times),
    ("durable one-shot, SQLite, 8 threads", "≥ 2.5 × bare SQLite", r"durable/one-shot/8-threads", times),
    ("durable one-shot, SQLite, 64 threads", "≥ 5 × bare SQLite", r"durable/one-shot/64-threads", times),
    ("reopen with 10^6 leases", "≤ 500 ms", r"registry/reopen/10\^6-leases", plain(" ms", 0)),
]


def share(line):
    """How much of its budget a case uses: 1 is all of it, more is too much."""
    kind, figure = results.budget(line)
    ratio = line["ratio_to_limit"]
    if kind == "at least":
        return figure / ratio if ratio > 0 else float("inf")
    if figure == 0:
        return 0 if ratio == 0 else float("inf")
    return ratio / figure


def lines_of(cases, pattern):
    """ipalloc's measured lines, from the one that uses the least of its budget to the worst."""
    chosen = [results.ours(case) for name, case in cases.items() if re.fullmatch(pattern, name)]
    measured = [line for line in chosen if results.budget(line) and line["ratio_to_limit"] is not None]
    return sorted(measured, key=share)


def measured_text(lines, show):
    best, worst = show(lines[0]), show(lines[-1])
    return worst if best == worst else "%s to %s" % (best, worst)


def verdict_text(lines):
    missed = [line["case"] for line in reversed(lines) if line["verdict"] != "met"]
    if not missed:
        return "met"
    places = ", ".join(name.split("/", 2)[-1] for name in missed[:4]) + (", …" if len(missed) > 4 else "")
    return "**missed**" if len(lines) == 1 else "**missed** in %d of %d: %s" % (len(missed), len(lines), places)


def table(cases):
    yield "| what | budget | measured | verdict |"
    yield "|---|---|---|---|"
    for what, budget, pattern, show in ROWS:
        lines = lines_of(cases, pattern)
        if lines:
            yield "| %s | %s | %s | %s |" % (what, budget, measured_text(lines, show), verdict_text(lines))
        else:
            yield "| %s | %s | not measured | |" % (what, budget)


def main(path):
    machine, cases = results.read(path)
    print("\n".join(table(cases)))
    print()
    print("Measured on %s, by `./dev bench`." % results.machine_text(machine))


if __name__ == "__main__":
    main(sys.argv[1])
