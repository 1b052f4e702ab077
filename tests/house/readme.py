"""readme.py: what the pages promise exists.

Every `./dev WORD` is a command of dev, every path that is named is there, every link leads
somewhere, every test that is named is there, and the C program in the README is examples/quickstart.c to the
letter.
"""

import re
import subprocess
import sys
from pathlib import Path

PAGES = [Path(name) for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md") if Path(name).exists()]
CODE = re.compile(r"`([^`\n]+)`")
TOP_FOLDERS = ("include/", "ipalloc/", "tests/", "examples/", "bench/", "tools/", ".ci/")


def commands_exist():
    answer = subprocess.run(["bash", "dev", "help"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    known = set(re.findall(r"^  ([a-z]+)\b", answer.stdout, re.MULTILINE))
    for page in PAGES:
        for word in re.findall(r"\./dev ([a-z]+)", page.read_text(encoding="utf-8")):
            if word not in known:
                yield "%s: ./dev %s" % (page, word)


def paths_exist():
    for page in PAGES:
        for code in CODE.findall(page.read_text(encoding="utf-8")):
            if code.startswith(TOP_FOLDERS) and " " not in code and not re.search(r"[<>*{}…]|NAME|NN", code):
                if not Path(code).exists():
                    yield "%s: %s" % (page, code)


def links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            if not Path(target).exists():
                yield "%s: %s" % (page, target)


def tests_that_are_named_exist():
    """A link whose text is the name of a test leads to the file that has it."""
    for page in PAGES:
        for name, target in re.findall(r"\[`(\w+)`\]\((tests/[^)]+\.c)\)", page.read_text(encoding="utf-8")):
            if not re.search(r"START_TEST\(%s\)" % name, Path(target).read_text(encoding="utf-8")):
                yield "%s: %s is not in %s" % (page, name, target)


def the_first_program_is_the_example():
    text = Path("README.md").read_text(encoding="utf-8")
    programs = re.findall(r"```c\n(.*?)```", text, re.DOTALL)
    source = Path("examples/quickstart.c")
    if source.exists() and source.read_text(encoding="utf-8") not in programs:
        yield "README.md: its C program differs from %s" % source


RULES = [commands_exist, paths_exist, links_lead_somewhere, tests_that_are_named_exist, the_first_program_is_the_example]


def main():
    broken = 0
    for rule in RULES:
        found = list(rule())
        print("%s: %s" % ("FAILED" if found else "ok", rule.__name__.replace("_", " ")))
        for place in found:
            print("    " + place)
        broken += bool(found)
    return 1 if broken else 0


sys.exit(main())
