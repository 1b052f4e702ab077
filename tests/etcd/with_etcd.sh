#!/usr/bin/env bash
# with_etcd.sh COMMAND...: run it while an etcd of its own runs on loopback, whose URL is in STORE_URL.
# Without etcd it is a skip: exit code 77.
set -euo pipefail
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
    local attempt client
    for attempt in 1 2 3 4 5 6 7 8; do
        client=$((20000 + RANDOM % 12000))
        rm -rf "$directory/etcd"
        etcd --data-dir "$directory/etcd" --listen-client-urls "http://127.0.0.1:$client" \
            --advertise-client-urls "http://127.0.0.1:$client" \
            --listen-peer-urls "http://127.0.0.1:$((client + 1))" \
            >"$directory/log" 2>&1 </dev/null &
        etcd_pid=$!
        for _ in $(seq 100); do
            if etcdctl --endpoints="http://127.0.0.1:$client" --command-timeout=1s \
                put /started yes >/dev/null 2>&1; then
                export STORE_URL="etcd:http://127.0.0.1:$client"
                return 0
            fi
            kill -0 "$etcd_pid" 2>/dev/null || break
            sleep 0.1
        done
    done
    echo "etcd did not start (attempt $attempt): $(tail -n 5 "$directory/log")"
    exit 1
}

directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-etcd-XXXXXX")
start_etcd
"$@"
