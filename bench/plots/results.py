"""results.py: read what ipalloc-bench --output wrote. Shared by the scripts beside it."""

import json
import re

PAIR = re.compile(r"range/(pair|two-threads)/2\^(\d+)/([\d.]+)%$")


def read(path):
    """The machine, and {case: {subject: line}} in the order of the file."""
    machine, cases = {}, {}
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if "case" in line:
                cases.setdefault(line["case"], {})[line["subject"]] = line
            else:
                machine = line
    return machine, cases


def machine_text(machine):
    text = "%s, %s cores, %s" % tuple(machine.get(key, "?") for key in ("processor", "cores", "compiler"))
    return text + (", quick form" if machine.get("form") == "quick" else "")


def ours(case):
    """ipalloc's line of a case."""
    return case["ipalloc"]


def budget(line):
    """("at most" or "at least", figure), or None."""
    if line.get("budget_max") is not None:
        return "at most", line["budget_max"]
    if line.get("budget_min") is not None:
        return "at least", line["budget_min"]
    return None
