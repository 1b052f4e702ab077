#!/usr/bin/env bash
# install.sh: install into an empty directory, then build programs against that alone, as a
# stranger would: with pkg-config, shared and static, in C and in C++.
#
# Needs BUILD_DIRECTORY (already built).
set -euo pipefail
CC=${CC:-cc}
CXX=${CXX:-c++}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

install_into_root() {
    meson install -C "$BUILD_DIRECTORY" --no-rebuild --quiet --destdir "$root"
    PKG_CONFIG_SYSROOT_DIR=$root
    PKG_CONFIG_PATH=$(dirname "$(find "$root" -name ipalloc.pc)")
    export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH
    library=$(dirname "$(find "$root" -name libipalloc.a)")
}

run_shared() { # COMPILER-WORDS... SOURCE
    # shellcheck disable=SC2046 # pkg-config prints words
    "$@" -Wall -Wextra -Werror $(pkg-config --cflags ipalloc) -o "$root/program" $(pkg-config --libs ipalloc)
    LD_LIBRARY_PATH=$library "$root/program"
    readelf -d "$root/program" | grep -q 'NEEDED.*libipalloc\.so\.0'
    printf 'ok: shared: %s\n' "$*"
}

run_static() { # COMPILER-WORDS... SOURCE
    local libraries
    libraries=$(pkg-config --static --libs ipalloc)
    # shellcheck disable=SC2046,SC2086
    "$@" -Wall -Wextra -Werror $(pkg-config --cflags ipalloc) -o "$root/program" ${libraries/-lipalloc/-l:libipalloc.a}
    "$root/program"
    if readelf -d "$root/program" | grep -q 'NEEDED.*libipalloc'; then
        return 1
    fi
    printf 'ok: static: %s\n' "$*"
}

the_version_is_the_same_everywhere() {
    [ "$(pkg-config --modversion ipalloc)" = "$("$root/program")" ]
    printf 'ok: the version is %s everywhere\n' "$("$root/program")"
}

nothing_private_is_installed() {
    diff <(cd include && find ipalloc -type f | LC_ALL=C sort) \
        <(cd "$(dirname "$(find "$root" -path '*include/ipalloc')")" && find ipalloc -type f | LC_ALL=C sort)
    printf 'ok: the installed headers are those of include/ipalloc\n'
}

install_into_root
nothing_private_is_installed
for source in tests/install/*.c; do
    # shellcheck disable=SC2086 # CC may be several words
    run_shared $CC -std=c17 "$source"
    # shellcheck disable=SC2086
    run_static $CC -std=c17 "$source"
done
if command -v "$CXX" >/dev/null; then
    for source in tests/install/*.cpp; do
        run_shared "$CXX" -std=c++11 "$source"
        run_static "$CXX" -std=c++11 "$source"
    done
fi
the_version_is_the_same_everywhere
