#!/usr/bin/env bash
# lint.sh: `./dev lint`: every reader that is a program. No finding is allowed.
set -uo pipefail
. tools/common.sh
. tools/packages.sh

LINT_NEEDS=(
    "command:clang-format clang-format"
    "command:clang-tidy clang-tidy"
    "command:cppcheck cppcheck"
    "command:shellcheck shellcheck"
)

broken=0

reader() { # NAME COMMAND...
    local name=$1
    shift
    step "$name"
    if "$@"; then
        say "ok: $name"
    else
        say "FAILED: $name"
        broken=$((broken + 1))
    fi
}

check_format() {
    list_c_files | xargs clang-format --dry-run -Werror
}

check_shell() {
    list_shell_files | xargs shellcheck -x
}

# What Meson compiled, so that every file is read with its own flags.
compiled_files() {
    python3 -c '
import json
for entry in json.load(open("build/compile_commands.json")):
    print(entry["file"].replace("../", "", 1))' | LC_ALL=C sort -u
}

check_cppcheck() {
    cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
        --inline-suppr --suppressions-list=tools/cppcheck.txt -j "$(nproc)" \
        -D_GNU_SOURCE -Iinclude -Iipalloc ipalloc examples bench
}

# One file at a time: within one run, clang-tidy 14 loses track of va_list after the first file.
check_tidy() {
    compiled_files | grep -E '^(ipalloc|examples|bench)/' |
        xargs -n 1 -P "$(nproc)" clang-tidy -p build --quiet --warnings-as-errors='*'
}

# The analyzer needs a compilation of its own; nothing is linked or run.
check_analyzer() {
    compiled_files | grep -E '^ipalloc/' | xargs -n 1 -P "$(nproc)" \
        gcc -std=c17 -D_GNU_SOURCE -Iinclude -Iipalloc -O1 -fanalyzer -Werror -c -o /dev/null
}

main() {
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}" "${LINT_NEEDS[@]}"
    configure build "${EVERYTHING[@]}" || die "the build cannot be configured"
    reader "clang-format" check_format
    reader "shellcheck" check_shell
    reader "cppcheck" check_cppcheck
    reader "clang-tidy" check_tidy
    reader "gcc -fanalyzer" check_analyzer
    [ "$broken" -eq 0 ] || die "$broken readers found something"
    say ""
    say "nothing found"
}

main "$@"
