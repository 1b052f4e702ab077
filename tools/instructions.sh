#!/usr/bin/env bash
# instructions.sh PROGRAM [CASE]: instructions of a pair, of ipalloc and of the bare limit.
#
# Callgrind collects only inside counted_pairs (bench/counted.h), which does a fixed count of pairs
# after the warm-up: what is printed is exact, and the same on every run but for the random numbers.
# The loop around claim and release counts, too: it is the same for all.
set -euo pipefail
. tools/common.sh

PAIRS=100000
DEFAULT_CASES=(
    'range/pair/2^8/50%' 'range/pair/2^16/0%' 'range/pair/2^16/50%' 'range/pair/2^16/90%'
    'range/pair/2^16/99%' 'range/pair/2^16/99.9%' 'range/one-free/2^16'
)

program=$1
shift
directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-instructions-XXXXXX")
trap 'rm -r "$directory"' EXIT

instructions_per_pair() { # CASE SUBJECT
    valgrind --quiet --tool=callgrind --toggle-collect=counted_pairs \
        --callgrind-out-file="$directory/out" "$program" --quick --directory="$directory" \
        --case="$1" --subject="$2" --count-pairs=$PAIRS >"$directory/log" 2>&1 || {
        cat "$directory/log" >&2
        die "valgrind failed at $1"
    }
    awk -v pairs=$PAIRS '/^(totals|summary):/ { total = $2 } END { printf "%.1f", total / pairs }' \
        "$directory/out"
}

main() {
    local cases=("$@") name matching
    [ ${#cases[@]} -gt 0 ] || cases=("${DEFAULT_CASES[@]}")
    printf '%-28s %12s %12s\n' "instructions of a pair" "limit" "ipalloc"
    for name in "${cases[@]}"; do
        while IFS= read -r matching; do
            printf '%-28s %12s %12s\n' "$matching" "$(instructions_per_pair "$matching" limit)" \
                "$(instructions_per_pair "$matching" ipalloc)"
        done < <("$program" --quick --list --case="$name")
    done
}

main "$@"
