# shellcheck shell=bash
# packages.sh: find what is missing and install it. Sourced, never run.
#
# A need is "KIND:NAME PACKAGE": the thing that must be there, and the Debian package that brings
# it. What is there already, from whatever source, is left alone.
# KIND is command (in PATH), header (the C compiler finds it), header++ (the C++ compiler does) or
# module (pkg-config finds it).
# shellcheck disable=SC2034 # the lists are used by those who source this

BUILD_NEEDS=(
    "command:gcc gcc"
    "header:stdlib.h libc6-dev"
    "command:pkg-config pkg-config"
    "command:meson meson"
    "command:ninja ninja-build"
    "header:libcidr.h libcidr-dev"
    "module:sqlite3 libsqlite3-dev"
    "module:libnghttp2 libnghttp2-dev"
    "module:libprotobuf-c libprotobuf-c-dev"
    "command:protoc-c protobuf-c-compiler"
    "module:libssl libssl-dev"
    "module:libmicrohttpd libmicrohttpd-dev"
    "module:json-c libjson-c-dev"
    "module:yaml-0.1 libyaml-dev"
    "module:libcurl libcurl4-openssl-dev"
    "module:libnftables libnftables-dev"
    "module:libnetfilter_conntrack libnetfilter-conntrack-dev"
)

# zlib.h: the static link that is tested follows Debian's sqlite3.pc, which names -lz.
TEST_NEEDS=(
    "command:g++ g++"
    "module:check check"
    "command:nm binutils"
    "command:patch patch"
    "header:zlib.h zlib1g-dev"
    "command:curl curl"
    "header++:relacy/relacy.hpp relacy-dev"
    "command:z3 z3"
    "command:etcd etcd-server"
    "command:etcdctl etcd-client"
    "command:nft nftables"
    "command:ip iproute2"
    "command:conntrack conntrack"
    "command:iptables-nft-restore iptables"
    "command:nginx nginx-light"
    "command:openssl openssl"
)

# What ./dev demo runs.
DEMO_NEEDS=(
    "command:curl curl"
    "command:ip iproute2"
    "command:nft nftables"
    "command:conntrack conntrack"
    "command:nginx nginx-light"
    "command:openssl openssl"
    "command:python3 python3"
    "command:unshare util-linux"
    "module:check check"
)

# Peers that are libraries: without them the benchmark compares with fewer.
BENCH_WELCOME=(
    "header:roaring/roaring.h libroaring-dev"
    "header:Judy.h libjudy-dev"
)

RUN_NEEDS=(
    "command:curl curl"
)

is_there() {
    local kind=${1%%:*} name=${1#*:}
    case $kind in
    command) has_command "$name" ;;
    header) printf '#include <%s>\n' "$name" | gcc -E -x c - >/dev/null 2>&1 ;;
    header++) printf '#include <%s>\n' "$name" | g++ -E -x c++ - >/dev/null 2>&1 ;;
    module) pkg-config --exists "$name" 2>/dev/null ;;
    *) die "unknown kind of need: $1" ;;
    esac
}

# The packages of those needs that are not met, one a line.
missing_packages() {
    local need
    for need in "$@"; do
        is_there "${need%% *}" || printf '%s\n' "${need##* }"
    done
}

may_install() {
    has_command apt-get || return 1
    [ "$(id -u)" -eq 0 ] && return 0
    has_command sudo || return 1
    [ -t 0 ] || sudo -n true 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env "$@"
    else
        sudo env "$@"
    fi
}

# An index that cannot be refreshed may still be good enough: the installation decides.
apt_install() {
    as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null ||
        say "the package index could not be refreshed"
    as_root DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 install "$@" </dev/null
}

# install_missing NEED...: after it everything is there, or the exact list has been printed.
install_missing() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    say "missing: ${missing[*]}"
    may_install || die "install these Debian packages (or what brings the same), then try again: ${missing[*]}"
    apt_install "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] || die "still missing after the installation: ${missing[*]}"
}

# install_welcome NEED...: the same for what is welcome, not needed: it goes on without.
install_welcome() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if may_install && apt_install "${missing[@]}"; then
        return 0
    fi
    say "not here, and left out: ${missing[*]}"
}

# kubectl is welcome, not needed. Any kubectl will do; Debian's is in kubernetes-client, which
# other packages of kubectl conflict with.
install_kubectl() {
    has_command kubectl && return 0
    if may_install && apt_install kubernetes-client && has_command kubectl; then
        return 0
    fi
    say "kubectl is not here (Debian package kubernetes-client): what needs it is skipped"
}
