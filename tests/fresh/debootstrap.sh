#!/usr/bin/env bash
# debootstrap.sh: do the README's commands work where there is nothing but Debian 12?
#
# Makes a minimal root with the mirror of this machine's apt configuration, puts the committed tree
# (HEAD) into it and runs the commands inside. Needs root, debootstrap, git and about 3 GB; takes
# some 15 minutes; removes all of it afterwards.
set -euo pipefail

# Mounts are made in a namespace of this script's own: none can be left behind.
if [ "${1:-}" != --inside-namespace ]; then
    exec unshare --mount --propagation private bash "$0" --inside-namespace
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

root=$(mktemp -d "${TMPDIR:-/var/tmp}/ipalloc-fresh-XXXXXX")

# The Debian mirror that apt is configured to use, whatever the form of its configuration.
apt_mirror() {
    # shellcheck disable=SC2016 # apt-get expands it
    apt-get indextargets --format '$(SITE)' 'Origin: Debian' 'Codename: bookworm' | head -n 1
}

unmount_all() {
    local mount
    for mount in dev/shm proc; do
        umount -l "$root/$mount" 2>/dev/null || true
    done
}

clean_up() {
    unmount_all
    rm -rf --one-file-system "$root"
}

inside() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true \
        chroot "$root" bash -c "$1" </dev/null
}

make_root() {
    local mirror
    chmod 755 "$root" # apt downloads as a user of its own
    mirror=$(apt_mirror)
    [ -n "$mirror" ] || {
        echo "apt knows no Debian mirror" >&2
        exit 1
    }
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" >"$root.log" ||
        { tail "$root.log" >&2 && exit 1; }
    rm -f "$root.log"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    copy_apt_transport
    mount -t proc proc "$root/proc"
    mkdir -p "$root/dev/shm"
    mount -t tmpfs tmpfs "$root/dev/shm"
}

# How this machine reaches its mirror is part of its apt configuration.
copy_apt_transport() {
    apt-config dump | grep -iE '^Acquire::(https?|Retries).*;$' >"$root/etc/apt/apt.conf.d/90mirror" ||
        true
}

copy_tree() {
    mkdir "$root/ipalloc"
    git archive HEAD | tar -xf - -C "$root/ipalloc"
}

main() {
    trap clean_up EXIT
    echo "making a minimal Debian 12 under $root"
    make_root
    copy_tree
    inside "cd /ipalloc && bash dev test"
    inside "cd /ipalloc && bash dev run"
    echo "the README's commands work on a fresh Debian 12"
}

main "$@"
