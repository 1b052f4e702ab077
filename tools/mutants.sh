#!/usr/bin/env bash
# mutants.sh: `./dev mutants [NAME]`: break each rule on purpose and see its test fail.
#
# A mutant is a patch in tests/mutants/ whose header names the rule (Invariant:), what is broken
# (Broken:) and the Meson test that must notice (Test:). Each is applied to a copy of the tree, built,
# and only its test is run; the same test has passed on the unbroken copy before. A test that still
# passes is a miss, and so is a patch that no longer applies or compiles.
set -uo pipefail
. tools/common.sh
. tools/packages.sh

caught=0
missed=0
work=

header() { # FIELD PATCH
    sed -n "s/^$1: *//p" "$2" | head -n 1
}

changed_files() {
    sed -n 's|^+++ b/||p' "$1"
}

copy_tree() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/tree"
    tar --exclude='./build*' --exclude=./.git -cf - . | tar -xf - -C "$work/tree"
    configure "$work/tree/build" "$work/tree" -Dwerror=false -Dsqlite=enabled -Dtests=enabled \
        -Dbench=disabled >"$work/log" 2>&1 || {
        cat "$work/log"
        die "the copy of the tree cannot be configured"
    }
}

# The program of a Meson test, as ninja names it.
target_of() {
    meson introspect --tests "$work/tree/build" | python3 -c '
import json, os, sys
name, build = sys.argv[1:]
for test in json.load(sys.stdin):
    if test["name"] == name:
        print(os.path.relpath(test["cmd"][0], build))
        break' "$1" "$work/tree/build"
}

build_test() {
    local target
    target=$(target_of "$1")
    [ -n "$target" ] && ninja -C "$work/tree/build" -j "$(nproc)" "$target" >"$work/log" 2>&1
}

run_test() {
    meson test -C "$work/tree/build" --no-rebuild "$1" >"$work/log" 2>&1
}

passes_unbroken() {
    [ -e "$work/passed-$1" ] && return 0
    build_test "$1" && run_test "$1" && touch "$work/passed-$1"
}

apply() {
    patch -d "$work/tree" -p1 -f -s --no-backup-if-mismatch <"$1" >"$work/log" 2>&1
}

restore() {
    local file
    while read -r file; do
        cp "$file" "$work/tree/$file"
    done < <(changed_files "$1")
}

miss() { # NAME WHY
    missed=$((missed + 1))
    printf 'MISSED  %-42s %s\n' "$1" "$2"
    tail -n 15 "$work/log" | sed 's/^/        /'
}

try_mutant() {
    local patch=$1 name test
    name=$(basename "$patch" .patch)
    test=$(header Test "$patch")
    if ! passes_unbroken "$test"; then
        miss "$name" "its test '$test' does not pass unbroken"
    elif ! apply "$patch"; then
        miss "$name" "the patch does not apply"
    elif ! build_test "$test"; then
        miss "$name" "the broken tree does not build"
    elif run_test "$test"; then
        miss "$name" "test '$test' still passes: $(header Broken "$patch")"
    else
        caught=$((caught + 1))
        printf 'caught  %-42s by %s\n' "$name" "$test"
    fi
    restore "$patch"
}

report() {
    say "$caught caught, $missed missed"
    if { : >&3; } 2>/dev/null; then
        say "$caught $missed 0" >&3
    fi
    [ "$missed" -eq 0 ] && [ "$caught" -gt 0 ]
}

main() {
    local patches
    mapfile -t patches < <(find tests/mutants -name "${1:-}*.patch" | LC_ALL=C sort)
    [ ${#patches[@]} -gt 0 ] || die "no mutant is called '${1:-}'"
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
    copy_tree
    local patch
    for patch in "${patches[@]}"; do
        try_mutant "$patch"
    done
    report
}

main "$@"
