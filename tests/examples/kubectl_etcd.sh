#!/usr/bin/env bash
# kubectl_etcd.sh: every check of the real kubectl with a server whose store is a real etcd, then two
# servers on one. Starts an etcd of its own on loopback; without etcd or kubectl it is a skip.
set -euo pipefail
here=$(dirname "$0")
directory=
etcd_pid=

finish() {
    [ -z "$etcd_pid" ] || kill -KILL "$etcd_pid" 2>/dev/null || true
    [ -z "$directory" ] || rm -rf "$directory"
}
trap finish EXIT

for program in etcd etcdctl; do
    command -v "$program" >/dev/null && continue
    echo "not here: $program (Debian packages etcd-server, etcd-client)"
    exit 77
done

# Ports that nobody has, found by trying.
start_etcd() {
    local attempt client peer
    for attempt in 1 2 3 4 5 6 7 8; do
        client=$((20000 + RANDOM % 12000))
        peer=$((client + 1))
        rm -rf "$directory/etcd"
        etcd --data-dir "$directory/etcd" --listen-client-urls "http://127.0.0.1:$client" \
            --advertise-client-urls "http://127.0.0.1:$client" \
            --listen-peer-urls "http://127.0.0.1:$peer" >"$directory/etcd.log" 2>&1 </dev/null &
        etcd_pid=$!
        for _ in $(seq 100); do
            if etcdctl --endpoints="http://127.0.0.1:$client" --command-timeout=1s \
                put /started yes >/dev/null 2>&1; then
                STORE_URL="etcd:http://127.0.0.1:$client"
                export STORE_URL
                return 0
            fi
            kill -0 "$etcd_pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    echo "etcd did not start (attempt $attempt): $(tail -n 5 "$directory/etcd.log")"
    exit 1
}

directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-kubectl-etcd-XXXXXX")
start_etcd
for script in kubectl_two kubectl_cidrs kubectl_apply kubectl; do
    echo "--- $script"
    "$here/$script.sh"
done
