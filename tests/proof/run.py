"""run.py [FACTS] FILE.smt2...: prove what the files claim, with z3.

A file is definitions, then sections. "; proved: CLAIM" is followed by the claim's negation: z3 must
find it unsatisfiable. "; refuted: CLAIM" is followed by the negation of something wrong: z3 must find
a counterexample, so a check that proves everything is noticed.

FACTS is a program that prints what the C functions really return, one "FILE.smt2 TERM" a line. With
the definitions of that file all of them must be true together, so the definitions are those
functions at the places looked at; and with one of them denied they must be refuted.
"""

import os
import re
import subprocess
import sys
import time

SECONDS_MAX = 120
SKIPPED = 77


def ask(text):
    """Returns what z3 says: sat, unsat, or why not."""
    command = ["z3", "-smt2", "-in", "-T:%d" % SECONDS_MAX]
    try:
        answer = subprocess.run(command, input=text + "\n(check-sat)\n", capture_output=True,
                                text=True, timeout=SECONDS_MAX + 10, check=False).stdout.strip()
    except FileNotFoundError:
        print("proofs: z3 is not here (Debian package z3)")
        sys.exit(SKIPPED)
    except subprocess.TimeoutExpired:
        answer = "timeout"
    return answer


def split(path):
    """Returns (definitions, [(kind, claim, text)])."""
    with open(path, encoding="utf-8") as source:
        parts = re.split(r"^; (proved|refuted): (.*)$", source.read(), flags=re.MULTILINE)
    return parts[0], list(zip(parts[1::3], parts[2::3], parts[3::3]))


class Report:
    """Prints one line a claim and remembers whether all is as expected."""

    def __init__(self):
        self.right = 0
        self.wrong = 0

    def check(self, kind, claim, text):
        start = time.monotonic()
        answer = ask(text)
        expected = "unsat" if kind == "proved" else "sat"
        if answer == expected:
            self.right += 1
            print("%-8s %6.2f s  %s" % (kind, time.monotonic() - start, claim))
        else:
            self.wrong += 1
            print("NOT %-8s %6.2f s  %s: %s instead of %s"
                  % (kind, time.monotonic() - start, claim, answer.replace("\n", " ")[:200],
                     expected))
        sys.stdout.flush()


def facts_of(program):
    """Returns {file name: [term]}."""
    found = {}
    try:
        said = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=SECONDS_MAX)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        sys.exit("proofs: no facts about the C functions: %s" % problem)
    for line in said.stdout.splitlines():
        name, term = line.split(" ", 1)
        found.setdefault(name, []).append(term)
    return found


def main(arguments):
    report = Report()
    paths = [path for path in arguments if path.endswith(".smt2")]
    facts = {}
    for program in arguments:
        if program not in paths:
            facts = facts_of(program)
            if not facts:
                sys.exit("proofs: %s says nothing" % program)
    for path in paths:
        definitions, sections = split(path)
        name = os.path.basename(path)
        kinds = {kind for kind, _, _ in sections}
        if kinds != {"proved", "refuted"}:
            sys.exit("proofs: %s needs claims of both kinds" % path)
        print("\n%s" % name)
        for kind, claim, text in sections:
            report.check(kind, claim, definitions + text)
        known = facts.pop(name, [])
        if known:
            claim = "%d results of the C functions are those of the definitions" % len(known)
            report.check("proved", claim, "%s(assert (not (and %s)))"
                         % (definitions, " ".join(known)))
            report.check("refuted", claim + ", the first denied", "%s(assert (not (and (not %s) %s)))"
                         % (definitions, known[0], " ".join(known[1:])))
    for name in facts:
        sys.exit("proofs: facts about %s, which is not among the files" % name)
    print("\n%d as expected, %d not" % (report.right, report.wrong))
    sys.exit(0 if report.wrong == 0 and report.right > 0 else 1)


main(sys.argv[1:])
