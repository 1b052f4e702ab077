#!/usr/bin/env bash
# frama.sh: prove contracts.c with Frama-C's WP, z3 and cvc4; and see a wrong contract fail.
# Run from the root of the tree. Exit code 77: not here.
set -euo pipefail

GOALS_MIN=30 # so that an empty run does not pass

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WHY3CONFIG="$work/why3.conf"

functions() {
    sed -n 's/^\(static \)\?\(inline \)\?[a-z0-9_]* \([a-z_]*\)(.*);$/\3/p' tests/proof/contracts.c |
        while read -r name; do
            if grep -qE "^[a-z].*\b$name\(" ipalloc/core/bitmap*.[ch]; then
                printf '%s\n' "$name"
            fi
        done | paste -sd,
}

# What the C library of Frama-C, which knows neither processors nor 128 bits nor alignment, makes of
# the sources; 128-bit numbers are in no function that is proved.
prove() { # EXTRA-ARGUMENTS FUNCTIONS
    frama-c -c11 -machdep gcc_x86_64 \
        -cpp-extra-args="-U__x86_64__ -D_GNU_SOURCE -D__int128=long -D'_Alignas(bytes)=' \
            -DIPALLOC_ATOMIC_HEADER='\"$PWD/tests/proof/plain_atomic.h\"' -Iipalloc -Iinclude $1" \
        tests/proof/contracts.c -wp -wp-rte -wp-prover z3,cvc4,qed -wp-timeout 20 -wp-fct "$2" \
        >"$work/log" 2>&1
}

goals() { # prints "PROVED ALL"
    sed -n 's/^\[wp\] Proved goals: *\([0-9]*\) \/ \([0-9]*\)$/\1 \2/p' "$work/log"
}

fail() {
    grep -A 4 -E 'Failed|Timeout|Unknown|Error|error' "$work/log" | tail -n 40
    printf 'contracts: %s\n' "$*"
    exit 1
}

main() {
    local names proved all
    if ! command -v frama-c >/dev/null || ! command -v why3 >/dev/null; then
        echo "contracts: Frama-C is not here (Debian packages frama-c-base, why3, cvc4, z3)"
        exit 77
    fi
    why3 config detect >"$work/log" 2>&1 || fail "why3 finds no prover"
    names=$(functions)
    prove "" "$names" || fail "Frama-C cannot read the sources"
    read -r proved all <<<"$(goals)" || fail "nothing was proved"
    [ "$proved" -eq "$all" ] || fail "$proved of $all goals proved"
    [ "$all" -ge "$GOALS_MIN" ] || fail "only $all goals"
    prove "-DWRONG" flag_of || fail "Frama-C cannot read the sources with the wrong contract"
    local wrong_proved wrong_all
    read -r wrong_proved wrong_all <<<"$(goals)"
    [ "$wrong_proved" -lt "$wrong_all" ] || fail "a wrong contract was proved"
    printf 'contracts: %d of %d goals proved (%s); a wrong one was not\n' "$proved" "$all" "$names"
}

main
