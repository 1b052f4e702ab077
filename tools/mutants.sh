#!/usr/bin/env bash
# mutants.sh: `./dev mutants [NAME]`: break each rule on purpose and see its test fail.
#
# A mutant is a patch in tests/mutants/ whose header names the rule (Invariant:), what is broken
# (Broken:) and the Meson test that must notice (Test:). Each is applied to a copy of the tree, built,
# and only its test is run; the same test has passed on the unbroken copy before. A test that still
# passes is a miss, and so is a patch that no longer applies or compiles.
#
# As many workers as processors, each with a tree of its own; one takes all mutants of a test.
# MUTANTS_SHARE=K/N: only every N-th, from the K-th on, counted from 0.
set -uo pipefail
. tools/common.sh
. tools/packages.sh

caught=0
missed=0
shared= # of all workers: which tests are taken, what came out
work=   # of this worker: its tree, its log

header() { # FIELD PATCH
    sed -n "s/^$1: *//p" "$2" | head -n 1
}

changed_files() {
    sed -n 's|^+++ b/||p' "$1"
}

copy_tree() {
    mkdir -p "$work/tree"
    tar --exclude='./build*' --exclude=./.git -cf - . | tar -xf - -C "$work/tree"
    configure "$work/tree/build" "$work/tree" -Dwerror=false -Dsqlite=enabled -Detcd=enabled -Dtests=enabled \
        -Dbench=disabled >"$work/log" 2>&1 || {
        cat "$work/log"
        die "the copy of the tree cannot be configured"
    }
}

# What Meson would run for a test: "targets" (its program and what else it starts, as ninja names
# them) or "command" (a line for a shell, environment included).
describe_test() { # TEST targets|command
    meson introspect --tests --targets "$work/tree/build" | python3 -c '
import json, os, shlex, sys
name, wanted, build = sys.argv[1:]
known = json.load(sys.stdin)
files = {target["id"]: target["filename"][0] for target in known["targets"]}
for test in known["tests"]:
    if test["name"] != name:
        continue
    if wanted == "targets":
        print(*(os.path.relpath(files[target], build) for target in test["depends"]), sep="\n")
    else:
        environment = ["%s=%s" % pair for pair in test["env"].items()]
        print("cd", shlex.quote(test["workdir"] or build), "&& exec env",
              shlex.join(environment + test["cmd"]))
    break' "$1" "$2" "$work/tree/build"
}

build_test() {
    local targets
    mapfile -t targets < <(describe_test "$1" targets)
    [ ${#targets[@]} -gt 0 ] && ninja -C "$work/tree/build" -j 1 "${targets[@]}" >"$work/log" 2>&1
}

# Hanging is failing: a mutant may take four times what its test takes unbroken, and 20 seconds more.
# Check ends its children when it is told to terminate.
run_test() { # TEST SECONDS
    timeout -k 10 "$2" bash -c "$(describe_test "$1" command)" >"$work/log" 2>&1 </dev/null
}

passes_unbroken() {
    local start
    [ -e "$work/limit-$1" ] && return 0
    build_test "$1" || return 1
    start=$SECONDS
    run_test "$1" 300 && echo $((4 * (SECONDS - start) + 20)) >"$work/limit-$1"
}

# -F0: with lines of context left out, a patch could break some other function than it says.
apply() {
    patch -d "$work/tree" -p1 -F0 -f -s --no-backup-if-mismatch <"$1" >"$work/log" 2>&1
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
    elif CK_VERBOSITY=normal run_test "$test" "$(cat "$work/limit-$test")"; then
        miss "$name" "test '$test' still passes: $(header Broken "$patch")"
    else
        caught=$((caught + 1))
        printf 'caught  %-42s by %s\n' "$name" "$test"
    fi
    restore "$patch"
}

# Take one test after another that no other worker has, and all its mutants.
work_through() { # NUMBER
    local test patch
    work="$shared/worker-$1"
    copy_tree
    for test in "${tests[@]}"; do
        mkdir "$shared/taken-$test" 2>/dev/null || continue
        for patch in "${patches[@]}"; do
            [ "$(header Test "$patch")" != "$test" ] || try_mutant "$patch"
        done
    done
    echo "$caught $missed" >"$work/counts"
}

# A worker that did not come to its end counts as a miss.
add_counts() { # NUMBER
    local counts
    read -r -a counts < <(cat "$shared/worker-$1/counts" 2>/dev/null || echo 0 1)
    caught=$((caught + counts[0]))
    missed=$((missed + counts[1]))
}

report() {
    say "$caught caught, $missed missed"
    if { : >&3; } 2>/dev/null; then
        say "$caught $missed 0" >&3
    fi
    [ "$missed" -eq 0 ] && [ "$caught" -eq ${#patches[@]} ]
}

list_patches() { # NAME
    local share=${MUTANTS_SHARE:-0/1}
    find tests/mutants -name "$1*.patch" | LC_ALL=C sort |
        awk -v first="${share%/*}" -v step="${share#*/}" '(NR - 1) % step == first'
}

main() {
    local patches tests workers number
    mapfile -t patches < <(list_patches "${1:-}")
    [ ${#patches[@]} -gt 0 ] || die "no mutant is called '${1:-}'"
    mapfile -t tests < <(for patch in "${patches[@]}"; do header Test "$patch"; done | LC_ALL=C sort -u)
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
    workers=$(nproc)
    [ "$workers" -le ${#tests[@]} ] || workers=${#tests[@]}
    shared=$(mktemp -d)
    trap 'rm -rf "$shared"' EXIT
    for number in $(seq "$workers"); do
        work_through "$number" 3>&- &
    done
    wait
    for number in $(seq "$workers"); do
        add_counts "$number"
    done
    report
}

main "$@"
