#!/usr/bin/env bash
# measure.sh HOST[,HOST...] PROGRAMS LEASES...: on an etcd that bench/etcd/run.sh has started: what a
# store of so many leases costs, and what many watchers do. PROGRAMS is where the programs lie.
set -euo pipefail
hosts=$1
programs=$2
shift 2
store=etcd:http://${hosts//,/,http://}

metric() { # NAME: of the first member
    curl -sf "http://${hosts%%,*}/metrics" | awk -v name="$1" '$1 == name { printf "%.0f\n", $2 }'
}

printf '### Starts, by leases\n\n'
"$programs/ipalloc-bench-startup" --head
for leases in "$@"; do
    "$programs/ipalloc-bench-startup" "$store/start-$leases" "$leases"
done
printf "\nAll of them together take %d MiB in etcd's database.\n" \
    $(($(metric etcd_mvcc_db_total_size_in_bytes) / 1048576))

printf '\n### Watchers\n\n'
"$programs/ipalloc-bench-watchers" --head
for watchers in 0 1 10 100 300; do
    "$programs/ipalloc-bench-watchers" "$store/watch-$watchers" "$watchers" 5
done
before=$(metric etcd_network_client_grpc_sent_bytes_total)
row=$("$programs/ipalloc-bench-watchers" "$store/bytes" 50 5)
sent=$(($(metric etcd_network_client_grpc_sent_bytes_total) - before))
heard=$(awk -F'|' '{ print $4 * 5 }' <<<"$row")
printf '\nA commit of one address is %d bytes to each watcher.\n' "$(awk "BEGIN { printf \"%.0f\", $sent / $heard }")"
