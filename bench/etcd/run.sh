#!/usr/bin/env bash
# run.sh MEMBERS PROGRAM [ARGUMENTS]: run the benchmark of the etcd store on an etcd of so many members
# of its own, in a directory that goes at the end. Members listen on loopback.
set -euo pipefail

members=$1
program=$2
shift 2

command -v etcd >/dev/null || {
    echo "run.sh: etcd is not here (Debian package etcd-server)" >&2
    exit 1
}
directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-bench-etcd-XXXXXX")
pids=()
end() {
    [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$directory"
}
trap end EXIT

# Below what the kernel gives to outgoing connections; a port that is taken ends the run.
first_port=$((20000 + RANDOM % 10000))
peers=
hosts=
for ((i = 0; i < members; i++)); do
    hosts+="${hosts:+,}127.0.0.1:$((first_port + 2 * i))"
    peers+="${peers:+,}m$i=http://127.0.0.1:$((first_port + 2 * i + 1))"
done
for ((i = 0; i < members; i++)); do
    client=http://127.0.0.1:$((first_port + 2 * i))
    peer=http://127.0.0.1:$((first_port + 2 * i + 1))
    etcd --name "m$i" --data-dir "$directory/m$i" --listen-client-urls "$client" \
        --advertise-client-urls "$client" --listen-peer-urls "$peer" \
        --initial-advertise-peer-urls "$peer" --initial-cluster "$peers" \
        --quota-backend-bytes 8000000000 >"$directory/m$i.log" 2>&1 &
    pids+=($!)
done
for ((tries = 0; ; tries++)); do
    curl -sf "http://${hosts%%,*}/health" 2>/dev/null | grep -q '"true"' && break
    if [ "$tries" -ge 100 ]; then
        tail -5 "$directory"/m*.log >&2
        exit 1
    fi
    sleep 0.2
done
"$program" "$hosts" "$@"
