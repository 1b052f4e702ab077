#!/usr/bin/env bash
# bench.sh: `./dev bench`: build with optimization and measure.
#
#   ./dev bench                       everything, into bench/results/: JSON lines, plots, budgets
#   ./dev bench --report              plots and budgets again, from the JSON lines that are there
#   ./dev bench --instructions [CASE] instructions of a pair, counted by valgrind
#   ./dev bench api [ARGUMENTS]       Services made through ipalloc-apiserver, against bare SQLite,
#                                     into bench/results/api.md
#   ./dev bench etcd                  allocations on an etcd of one member and of three, by one, two
#                                     and four servers, into bench/results/etcd.md
#   ./dev bench proxy                 from a create to the first answer on the virtual IP, with 100 to
#                                     10,000 Services programmed, into bench/results/proxy.md (as root)
#   ./dev bench scale [LEASES...]     a thousand servers on one store, simulated, into
#                                     bench/results/scale.md and its plot; and measured on an etcd,
#                                     with so many leases (10000 100000), into scale-etcd.md
#   ./dev bench ARGUMENTS             ipalloc-bench with these arguments; nothing is written
set -euo pipefail
. tools/common.sh
. tools/packages.sh

PROGRAM=build-release/bench/ipalloc-bench
RESULTS=bench/results

build_release() {
    install_missing "${BUILD_NEEDS[@]}"
    install_welcome "${BENCH_WELCOME[@]}"
    configure build-release -Dbuildtype=release -Dsqlite=enabled -Detcd=enabled -Dbench=enabled \
        -Dtests=disabled -Dexamples=enabled >&2
    compile build-release >&2
}

# The table is printed as it comes, and kept when it is whole.
measure_api() {
    local table
    build_release
    mkdir -p "$RESULTS"
    table=$(mktemp "$RESULTS/.running-XXXXXX")
    # shellcheck disable=SC2064 # this very file
    trap "rm -f '$table'" EXIT
    build-release/bench/ipalloc-bench-api build-release/examples/apiserver/ipalloc-apiserver \
        "$@" | tee "$table"
    if [ $# -eq 0 ]; then
        chmod 644 "$table"
        mv "$table" "$RESULTS/api.md"
    fi
}

measure_proxy() {
    local table
    install_missing "${DEMO_NEEDS[@]}" "command:iptables-nft-restore iptables"
    build_release
    mkdir -p "$RESULTS"
    table=$(mktemp "$RESULTS/.running-XXXXXX")
    # shellcheck disable=SC2064 # this very file
    trap "rm -f '$table'" EXIT
    {
        sed '/^|/,$d' "$RESULTS/proxy.md"
        bash bench/proxy/run.sh build-release 200 100 1000 10000
    } | tee "$table"
    chmod 644 "$table"
    mv "$table" "$RESULTS/proxy.md"
}

# Tables of both clusters, one after the other.
measure_etcd() {
    local table members
    install_missing "command:etcd etcd-server" "command:curl curl"
    build_release
    mkdir -p "$RESULTS"
    table=$(mktemp "$RESULTS/.running-XXXXXX")
    # shellcheck disable=SC2064 # this very file
    trap "rm -f '$table'" EXIT
    for members in 1 3; do
        printf '### etcd of %d %s\n\n' "$members" "$([ "$members" = 1 ] && echo member || echo members)"
        bash bench/etcd/run.sh "$members" build-release/bench/etcd/ipalloc-bench-etcd
        printf '\n'
    done | tee "$table"
    chmod 644 "$table"
    mv "$table" "$RESULTS/etcd.md"
}

# The simulation is the same everywhere; what is measured on an etcd is this machine's.
measure_scale() {
    local work
    build_release
    mkdir -p "$RESULTS"
    work=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-scale-XXXXXX")
    # shellcheck disable=SC2064 # this very folder
    trap "rm -rf '$work'" EXIT
    : >"$work/machine.txt" # what the style of all plots asks for
    build-release/bench/ipalloc-bench-scale --plot="$work/conflicts.tsv" | tee "$work/scale.md"
    install_welcome "command:gnuplot gnuplot-nox"
    ! has_command gnuplot ||
        gnuplot -e "data='$work'; results='$RESULTS'" bench/scale/conflicts.gp
    [ $# -gt 0 ] || set -- 10000 100000
    install_missing "command:etcd etcd-server" "command:curl curl"
    bash bench/etcd/run.sh 1 bench/scale/measure.sh build-release/bench "$@" |
        tee "$work/scale-etcd.md"
    cp "$work/scale.md" "$work/scale-etcd.md" "$RESULTS/"
}

# Plots are welcome, not needed: without gnuplot the table of budgets is all.
draw_plots() {
    install_welcome "command:gnuplot gnuplot-nox"
    if ! has_command gnuplot; then
        say "gnuplot is not here: no plots" >&2
        return 0
    fi
    local data script
    data=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-plots-XXXXXX")
    python3 bench/plots/data.py "$RESULTS/results.jsonl" "$data"
    for script in bench/plots/*.gp; do
        [ "$script" = bench/plots/style.gp ] ||
            gnuplot -e "data='$data'; results='$RESULTS'" "$script"
    done
    rm -r "$data"
}

write_report() {
    [ -f "$RESULTS/results.jsonl" ] || die "there are no results yet: run ./dev bench"
    install_missing "command:python3 python3"
    python3 bench/plots/budgets.py "$RESULTS/results.jsonl" >"$RESULTS/budgets.md"
    draw_plots
    say ""
    cat "$RESULTS/budgets.md"
}

# The old results stay until the new ones are whole.
measure_everything() {
    local lines
    build_release
    mkdir -p "$RESULTS"
    lines=$(mktemp "$RESULTS/.running-XXXXXX")
    # shellcheck disable=SC2064 # this very file
    trap "rm -f '$lines'" EXIT
    "$PROGRAM" --output="$lines"
    chmod 644 "$lines"
    mv "$lines" "$RESULTS/results.jsonl"
    write_report
}

main() {
    case ${1:-} in
    "") measure_everything ;;
    --report) write_report ;;
    api)
        shift
        measure_api "$@"
        ;;
    etcd)
        measure_etcd
        ;;
    proxy)
        measure_proxy
        ;;
    scale)
        shift
        measure_scale "$@"
        ;;
    --instructions)
        shift
        build_release
        install_missing "command:valgrind valgrind"
        exec bash tools/instructions.sh "$PROGRAM" "$@"
        ;;
    *)
        build_release
        exec "$PROGRAM" "$@"
        ;;
    esac
}

main "$@"
