#!/usr/bin/env bash
# etcds.sh: `./dev etcds DIRECTORY...`: all that is tested with a real etcd, with the `etcd` and
# `etcdctl` of each directory: other versions than the system's. The last line is "N passed, M failed".
set -uo pipefail
. tools/common.sh
. tools/packages.sh

passed=0
failed=0

check_directory() {
    local program
    for program in etcd etcdctl; do
        [ -x "$1/$program" ] || die "there is no program $1/$program"
    done
}

version_of() {
    "$1/etcd" --version | sed -n 's/^etcd Version: //p'
}

run_suites() {
    local directory=$1 log=build/meson-logs/testlog.json counts
    rm -f "$log"
    PATH="$directory:$PATH" CK_VERBOSITY=normal \
        meson test -C build --no-rebuild --print-errorlogs --num-processes "$(nproc)" --suite etcd \
        --suite nemesis
    read -r -a counts <<<"$(python3 tools/tally.py "$log" 3>&1 1>&2)"
    say "etcd $(version_of "$directory"): ${counts[0]:-0} passed, ${counts[1]:-1} failed"
    passed=$((passed + ${counts[0]:-0}))
    failed=$((failed + ${counts[1]:-1}))
}

main() {
    local directory
    [ $# -gt 0 ] || die "which? ./dev etcds DIRECTORY..., each with an etcd and an etcdctl in it"
    for directory in "$@"; do
        check_directory "$directory"
    done
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
    configure build "${EVERYTHING[@]}" || die "the build cannot be configured"
    compile build || die "the build failed"
    for directory in "$@"; do
        step "etcd $(version_of "$directory")"
        run_suites "$(cd "$directory" && pwd)"
    done
    say ""
    say "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
