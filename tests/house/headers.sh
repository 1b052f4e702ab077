#!/usr/bin/env bash
# headers.sh: every header compiles alone, twice over, and the public ones as old C and as C++ too.
set -euo pipefail
CC=${CC:-cc}
CXX=${CXX:-c++}
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Werror)

compile_twice() { # HEADER COMPILER-WORDS...
    local header=$1
    shift
    printf '#include <%s>\n#include <%s>\nextern int used;\n' "$header" "$header" |
        "$@" "${warnings[@]}" -fsyntax-only -
    printf 'ok: %s with %s\n' "$header" "$*"
}

public_headers() {
    local path standard
    for path in include/ipalloc/*.h; do
        for standard in c99 c11 c17; do
            # shellcheck disable=SC2086 # CC may be several words
            compile_twice "ipalloc/${path##*/}" $CC -std=$standard -Iinclude -x c
        done
        command -v "$CXX" >/dev/null || continue
        for standard in c++11 c++17 c++20; do
            compile_twice "ipalloc/${path##*/}" "$CXX" -std=$standard -Iinclude -x c++
        done
    done
}

private_headers() {
    local path generated=$BUILD_DIRECTORY/ipalloc
    while read -r path; do
        # What was not built has no generated header to include.
        if grep -q 'etcd.pb-c.h' "$path" && [ ! -f "$generated/store/etcd.pb-c.h" ]; then continue; fi
        # shellcheck disable=SC2086
        compile_twice "${path#ipalloc/}" $CC -std=c17 -D_GNU_SOURCE -Iinclude -Iipalloc -I"$generated" -x c
    done < <(find ipalloc -name '*.h' | LC_ALL=C sort)
}

public_headers
private_headers
