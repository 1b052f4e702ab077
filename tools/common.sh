# shellcheck shell=bash
# common.sh: what every tool shares: talking, building, listing files. Sourced, never run.

# Nothing that is optional may be left out silently where everything is to be tested.
# shellcheck disable=SC2034 # used by those who source this
EVERYTHING=(-Dsqlite=enabled -Detcd=enabled -Dexamples=enabled -Dtests=enabled)

say() {
    printf '%s\n' "$*"
}

step() {
    printf '\n== %s (%ds)\n' "$*" "$SECONDS"
}

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

has_command() {
    command -v "$1" >/dev/null 2>&1
}

# configure DIRECTORY MESON-OPTIONS...: make or refresh a build directory. Debian's gcc unless CC
# says otherwise.
configure() {
    local directory=$1
    shift
    if [ -f "$directory/build.ninja" ]; then
        meson setup --reconfigure "$directory" "$@" >"$directory/configure.txt" || {
            cat "$directory/configure.txt"
            return 1
        }
    else
        CC=${CC:-gcc} CXX=${CXX:-g++} meson setup "$directory" "$@"
    fi
}

compile() {
    ninja -C "$1" -j "$(nproc)"
}

# Every C file of the project that a person writes.
list_c_files() {
    find include ipalloc tests examples bench -name '*.[ch]' | LC_ALL=C sort
}

list_shell_files() {
    printf '%s\n' dev .ci/run
    find tools tests examples bench -name '*.sh' | LC_ALL=C sort
}
