#!/usr/bin/env bash
# soak.sh: `./dev soak`: the long forms. Takes hours; SOAK_SCALE (percent of the usual loops, 1000 by
# default) sets how many. `./dev soak etcd`: half an hour of faults against three etcd members
# (SOAK_SECONDS), and nothing else; its summary is what the README shows.
#
# clang and its sanitizers, release builds, long random loops, all mutants, and a fresh Debian root in
# which the two commands of the README must work.
set -uo pipefail
. tools/common.sh
. tools/packages.sh

SOAK_NEEDS=(
    "command:clang clang"
    "command:valgrind valgrind"
    "command:debootstrap debootstrap"
    "command:git git"
)
# Heavy, and for one stage only.
CONTRACT_NEEDS=(
    "command:frama-c frama-c-base"
    "command:why3 why3"
    "command:cvc4 cvc4"
    "command:z3 z3"
)
SCALE=${SOAK_SCALE:-1000}

broken=0

stage() { # NAME COMMAND...
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

suite() { # DIRECTORY COMPILER SCALE MESON-OPTIONS...
    local directory=$1 compiler=$2 scale=$3
    shift 3
    CC=$compiler configure "$directory" "${EVERYTHING[@]}" "$@" &&
        compile "$directory" &&
        CK_VERBOSITY=normal TEST_SCALE=$scale meson test -C "$directory" --no-rebuild \
            --print-errorlogs --num-processes "$(nproc)" --timeout-multiplier 100 --no-suite house
}

# Valgrind follows no test into a process of its own: it would be fifty times slower. Relacy leaks
# what it has found to be wrong, and proofs are z3's work.
valgrind_suite() {
    CK_FORK=no TEST_SCALE=2 meson test -C build --print-errorlogs --no-suite house \
        --no-suite weak --no-suite proof --timeout-multiplier 50 --num-processes "$(nproc)" \
        --wrapper 'valgrind --quiet --error-exitcode=99 --leak-check=full --trace-children=no'
}

# In a shell of its own, because a package that cannot be installed ends it.
contracts() {
    (install_missing "${CONTRACT_NEEDS[@]}") && bash tests/proof/frama.sh
}

# NEMESIS_KEEP: where the journals of a run go that broke something.
nemesis() {
    CC=gcc configure build "${EVERYTHING[@]}" && ninja -C build tests/etcd/test_nemesis &&
        NEMESIS_SECONDS=${SOAK_SECONDS:-1800} CK_VERBOSITY=normal build/tests/etcd/test_nemesis
}

soak_etcd() {
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
    nemesis || die "the nemesis found something, or did not get to the end"
}

fresh_debian() {
    if [ "$(id -u)" -ne 0 ]; then
        say "only root can make a Debian root: skipped"
        return 0
    fi
    bash tests/fresh/debootstrap.sh
}

main() {
    case ${1:-} in
    "") ;;
    etcd)
        soak_etcd
        return
        ;;
    *) die "there is no soak '$1': nothing for everything, or etcd" ;;
    esac
    install_missing "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}" "${SOAK_NEEDS[@]}"
    stage "everything of ./dev test" env MUTANTS_SHARE=0/1 bash tools/test.sh
    stage "clang" suite build-clang clang 100
    stage "clang with ASan and UBSan" suite build-clang-asan clang 100 \
        -Db_sanitize=address,undefined -Db_lundef=false
    stage "clang with TSan" suite build-clang-tsan clang 100 -Db_sanitize=thread -Db_lundef=false
    stage "gcc, long loops" suite build gcc "$SCALE"
    stage "gcc, release, long loops" suite build-soak gcc "$SCALE" -Dbuildtype=release
    stage "half an hour of faults on etcd" nemesis
    stage "valgrind" valgrind_suite
    stage "contracts of the bitmap, by Frama-C" contracts
    stage "a fresh Debian root" fresh_debian
    say ""
    [ "$broken" -eq 0 ] || die "$broken stages failed"
    say "soaked through"
}

main "$@"
