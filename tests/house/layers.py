"""layers.py: the walls of the house, checked on the text of the source files.

Each rule is a function that yields what it finds; anything found is a failure. Comments and the
text of string literals do not count, except for notes of unfinished work, which count anywhere.
"""

import re
import sys
from pathlib import Path

# Which layers a layer may include, and which public headers.
LAYERS = {
    "base": ({"base"}, {"status", "addr"}),
    "core": ({"core", "base"}, {"status", "addr", "range"}),
    "store": ({"store", "base"}, {"status", "store"}),
    "registry": ({"registry", "core", "store", "base"}, {"status", "addr", "range", "store", "registry", "repair"}),
    "kubernetes": (
        {"kubernetes", "registry", "core", "store", "base"},
        {"status", "addr", "range", "store", "registry", "repair", "service", "kubernetes"},
    ),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
FORBIDDEN_CALLS = re.compile(
    r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|_Exit|abort|"
    r"quick_exit|getenv|secure_getenv|setenv|pthread_create|thrd_create|signal|sigaction|fork|"
    r"syslog)\s*\("
)
FORBIDDEN_STREAMS = re.compile(r"\b(stdout|stderr)\b")
MEMORY_CALLS = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|asprintf)\s*\(")
CLOCK_CALLS = re.compile(r"(?<![\w.>])(clock_gettime|gettimeofday|time|getrandom|rand|random)\s*\(")
ATOMIC_WORDS = re.compile(r"stdatomic\.h|\b_Atomic\b|\b__(atomic|sync)_\w+")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
DEPENDENCY_WORDS = re.compile(r"\b(sqlite3\w*|cidr_(?!count\b)\w+|CIDR|CURL\w*|json_object|AF_INET6?|nghttp2\w*)\b")


def without_comments(text):
    """The same text with comments and the contents of literals blanked, line numbers kept."""

    def blank(match):
        token = match.group(0)
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return token

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.DOTALL)


def without_literals(code):
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code)


def c_files(*folders):
    for folder in folders:
        yield from sorted(path for path in Path(folder).rglob("*.[ch]"))


def at(path, text, match):
    return "%s:%d: %s" % (path, text.count("\n", 0, match.start()) + 1, match.group(0).strip())


def includes(path):
    code = without_comments(path.read_text(encoding="utf-8"))
    for match in INCLUDE.finditer(code):
        yield match.group(1) == '"', match.group(2), at(path, code, match)


def layers_include_downwards_only():
    for layer, (below, public) in LAYERS.items():
        for path in c_files("ipalloc/" + layer):
            for quoted, name, place in includes(path):
                first = name.split("/")[0]
                if not quoted and first == "ipalloc" and Path(name).stem not in public:
                    yield place
                if quoted and first not in below and not ("/" not in name and (path.parent / name).exists()):
                    yield place


def the_library_does_not_print_exit_or_start_threads():
    for path in c_files("ipalloc"):
        code = without_literals(without_comments(path.read_text(encoding="utf-8")))
        for pattern in (FORBIDDEN_CALLS, FORBIDDEN_STREAMS):
            for match in pattern.finditer(code):
                yield at(path, code, match)


def memory_clocks_and_random_numbers_come_through_the_hooks():
    for path in c_files("ipalloc"):
        if path == Path("ipalloc/base/hooks.c"):
            continue
        code = without_literals(without_comments(path.read_text(encoding="utf-8")))
        for pattern in (MEMORY_CALLS, CLOCK_CALLS):
            for match in pattern.finditer(code):
                yield at(path, code, match)


def atomics_are_spelled_in_one_header():
    for path in c_files("ipalloc", "include"):
        if path == Path("ipalloc/base/atomic.h"):
            continue
        code = without_comments(path.read_text(encoding="utf-8"))
        for match in ATOMIC_WORDS.finditer(code):
            yield at(path, code, match)


def public_headers_show_no_dependency():
    for path in c_files("include"):
        for quoted, name, place in includes(path):
            if quoted or name not in ("stdbool.h", "stddef.h", "stdint.h") and not name.startswith("ipalloc/"):
                yield place
        code = without_comments(path.read_text(encoding="utf-8"))
        for match in DEPENDENCY_WORDS.finditer(code):
            yield at(path, code, match)


# What is sent to etcd without the store has to go through the store's own client to be comparable.
LOOKS_INSIDE = Path("bench/etcd/inside")


def examples_and_bench_use_public_headers_only():
    private = set(LAYERS)
    for path in c_files("examples", "bench"):
        if path.parent == LOOKS_INSIDE:
            continue
        for quoted, name, place in includes(path):
            parts = name.split("/")
            if quoted and (parts[0] in private or "ipalloc" in parts or "tests" in parts):
                yield place
    for path in [p for folder in ("examples", "bench") for p in Path(folder).rglob("meson.build")]:
        if path.parent == LOOKS_INSIDE:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "white_box" in line or "private_include" in line:
                yield "%s:%d: %s" % (path, number, line.strip())


def nothing_is_left_open():
    own = Path("tests/house/layers.py")
    folders = ("ipalloc", "include", "examples", "bench", "tests", "tools")
    for path in sorted(p for folder in folders for p in Path(folder).rglob("*") if p.is_file() and p != own):
        if path.suffix not in (".c", ".h", ".py", ".sh", ".build", ".md"):
            continue
        text = path.read_text(encoding="utf-8")
        for match in UNFINISHED.finditer(text):
            yield at(path, text, match)


RULES = [
    layers_include_downwards_only,
    the_library_does_not_print_exit_or_start_threads,
    memory_clocks_and_random_numbers_come_through_the_hooks,
    atomics_are_spelled_in_one_header,
    public_headers_show_no_dependency,
    examples_and_bench_use_public_headers_only,
    nothing_is_left_open,
]


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
