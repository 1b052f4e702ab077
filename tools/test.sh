#!/usr/bin/env bash
# test.sh: `./dev test`: build and prove everything that fits into a few minutes.
#
# The whole suite with gcc, short forms of it under ASan+UBSan and under TSan, a build with
# everything optional switched off, and a twentieth of the mutants, another one for each commit
# (./dev mutants runs them all, ./dev soak too). The last line is "N passed, M failed", with
# every single Check test counted, whatever happens before it.
set -uo pipefail
. tools/common.sh
. tools/packages.sh

passed=0
failed=0
skipped=0
MUTANTS_SHARES=20
# Programs that run on one store already, models of the core that have no memory or threads of their
# own, what looks at the sources, and whole clusters with their traffic. Their builds know lines, not
# variables (-g1), to be made sooner.
UNSANITIZED=(--no-suite house --no-suite again --no-suite explorer --no-suite weak --no-suite proof
    --no-suite dataplane)
prefix=() # what every test is started with

finish() {
    local total="$passed passed, $failed failed"
    [ "$skipped" -eq 0 ] || total="$total, $skipped skipped"
    say ""
    say "$total"
    if [ "$failed" -gt 0 ] || [ "$passed" -eq 0 ]; then
        exit 1
    fi
    exit 0
}

fail() {
    failed=$((failed + 1))
    say "FAILED: $*"
}

skip() {
    skipped=$((skipped + 1))
    say "skipped: $*"
}

# check NAME COMMAND...: one check that is no Check program.
check() {
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        say "ok: $name"
    else
        fail "$name"
    fi
}

# add_counts "PASSED FAILED SKIPPED": what a part counted by itself; no answer is a failure.
add_counts() {
    local counts
    read -r -a counts <<<"${1:-0 1 0}"
    passed=$((passed + counts[0]))
    failed=$((failed + counts[1]))
    skipped=$((skipped + counts[2]))
    say "here: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped"
}

# build DIRECTORY OPTIONS...
build() {
    configure "$@" && compile "$1"
}

# run_suite DIRECTORY MESON-TEST-OPTIONS...: run and count. Many tests wait most of their time, so more
# of them run than there are processors. Check must say what it ran, and run all
# of it, each test in a process of its own.
run_suite() {
    local directory=$1 log="$1/meson-logs/testlog.json"
    shift
    rm -f "$log"
    env -u CK_RUN_SUITE -u CK_RUN_CASE -u CK_INCLUDE_TAGS -u CK_EXCLUDE_TAGS -u CK_FORK \
        CK_VERBOSITY=normal "${prefix[@]}" meson test -C "$directory" --no-rebuild --print-errorlogs \
        --num-processes "$((2 * $(nproc)))" "$@"
    add_counts "$(python3 tools/tally.py "$log" 3>&1 1>&2)"
}

test_plain() {
    step "gcc: the whole suite"
    build build "${EVERYTHING[@]}" || return 1
    run_suite build
}

test_address_sanitizer() {
    step "gcc with AddressSanitizer and UndefinedBehaviorSanitizer: short form"
    build build-asan "${EVERYTHING[@]}" -Dbench=disabled -Dc_args=-g1 \
        -Db_sanitize=address,undefined -Db_lundef=false || return 1
    TEST_SCALE=${TEST_SCALE:-10} \
        ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        run_suite build-asan "${UNSANITIZED[@]}" --no-suite slow \
            --timeout-multiplier 4
}

# Some kernels lay out memory in a way that an old ThreadSanitizer refuses, and some containers
# forbid to change that; then there is nothing to run.
choose_thread_sanitizer_prefix() {
    local probe=build-tsan/probe
    printf 'int main(void) { return 0; }\n' | gcc -fsanitize=thread -x c - -o "$probe" || return 1
    prefix=()
    "$probe" 2>/dev/null && return 0
    prefix=(setarch -R)
    "${prefix[@]}" "$probe" 2>/dev/null
}

test_thread_sanitizer() {
    step "gcc with ThreadSanitizer: short form"
    build build-tsan "${EVERYTHING[@]}" -Dbench=disabled -Dc_args=-g1 \
        -Db_sanitize=thread -Db_lundef=false || return 1
    if choose_thread_sanitizer_prefix; then
        TEST_SCALE=${TEST_SCALE:-10} TSAN_OPTIONS=halt_on_error=1:exitcode=66 \
            run_suite build-tsan "${UNSANITIZED[@]}" --no-suite single --no-suite kubernetes \
            --timeout-multiplier 6
    else
        skip "ThreadSanitizer: a program that does nothing cannot run under it here"
    fi
    prefix=()
}

needs_only_libcidr() {
    local libraries
    libraries=$(readelf -d build-bare/libipalloc.so | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
    say "build-bare/libipalloc.so needs: ${libraries//$'\n'/ }"
    ! grep -vqE '^(libcidr|libc|libc\.musl-.*|libpthread|ld-linux.*)\.so' <<<"$libraries"
}

test_bare() {
    step "everything optional switched off"
    build build-bare -Dauto_features=disabled -Dtests=enabled -Dbuildtype=release || return 1
    check "core and memory store alone link nothing but libcidr" needs_only_libcidr
    # What is optional is above the core: its proofs ran with gcc already.
    TEST_SCALE=${TEST_SCALE:-10} run_suite build-bare --no-suite house --no-suite explorer \
        --no-suite weak --no-suite proof
}

test_run() {
    step "the demonstration"
    check "./dev run: every Service keeps its addresses over kill -9" bash tools/run.sh
}

# Which twentieth: by the commit, so that a run can be repeated and all have their turn.
mutants_share() {
    local commit
    commit=$(git rev-parse --short=6 HEAD 2>/dev/null) || commit=0
    echo "$((16#${commit:0:6} % MUTANTS_SHARES))/$MUTANTS_SHARES"
}

test_mutants() {
    local share=${MUTANTS_SHARE:-$(mutants_share)}
    step "mutants: each rule broken on purpose, share $share of them"
    add_counts "$(MUTANTS_SHARE=$share bash tools/mutants.sh 3>&1 1>&2)"
}

main() {
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}" || exit 1
    install_kubectl
    trap finish EXIT
    test_plain || fail "the gcc build"
    test_address_sanitizer || fail "the AddressSanitizer build"
    test_thread_sanitizer || fail "the ThreadSanitizer build"
    test_bare || fail "the bare build"
    test_run
    test_mutants || fail "the mutants"
}

main "$@"
