"""orders.py: tests/weak/relacy_atomic.h gives every operation the orders of ipalloc/base/atomic.h.

The weak-memory check replaces that header, so it would not notice a weaker order there by itself.
Run from the root of the tree.
"""

import re
import sys

REAL = "ipalloc/base/atomic.h"
RELACY = "tests/weak/relacy_atomic.h"


def orders(path, pattern):
    """Returns {function: [orders, as written]} of the functions on an atomic_word."""
    with open(path, encoding="utf-8") as source:
        text = source.read()
    found = {}
    for function in re.finditer(r"^static inline [\w ]+?\b(atomic_\w+)\(.*?^}", text, re.S | re.M):
        found[function[1]] = re.findall(pattern, function[0])
    found.pop("atomic_word_init", None)  # nobody else knows the word yet
    return found


def main():
    real = orders(REAL, r"memory_order_(\w+)")
    relacy = orders(RELACY, r"rl::mo_(\w+)")
    wrong = sorted(name for name in real.keys() | relacy.keys()
                   if real.get(name) != relacy.get(name))
    for name in wrong:
        print("%s: %s in %s, %s in %s"
              % (name, real.get(name), REAL, relacy.get(name), RELACY))
    if not real or wrong:
        sys.exit(1)
    print("%d operations have the same orders" % len(real))


main()
