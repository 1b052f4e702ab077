#!/usr/bin/env bash
# bench.sh: `./dev bench [ARGUMENTS]`: build with optimization and run the benchmark.
set -euo pipefail
. tools/common.sh
. tools/packages.sh

install_missing "${BUILD_NEEDS[@]}"
configure build-release -Dbuildtype=release -Dsqlite=enabled -Dbench=enabled -Dtests=disabled \
    -Dexamples=disabled
compile build-release
exec build-release/bench/ipalloc-bench "$@"
