#!/usr/bin/env bash
# run.sh BUILD TIMES SERVICES...: what many Services cost the data plane, as a table in Markdown.
#
# In the cluster of examples/demo, with one node's kube-proxy: for each number of Services, how long the
# first programming takes, what it needs of memory, and, TIMES times, how long it takes from a create to
# the first answer at the new virtual IP. Beside it: the same ruleset by `nft -f` and, as it would be for
# iptables, by iptables-restore, whole. Needs root.
set -uo pipefail
BUILD=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/demo/cluster.sh
. "$here/../../examples/demo/cluster.sh"

missing=$(cluster_missing)
if [ -n "$missing" ]; then
    echo "it needs $missing"
    exit 77
fi
cluster_enter "${BASH_SOURCE[0]}" "$@"
times=$2
shift 2

slices() {
    ask_server GET "/apis/discovery.k8s.io/v1/endpointslices?limit=1" |
        python3 -c 'import json, sys
o = json.load(sys.stdin)
print(len(o["items"]) + o["metadata"].get("remainingItemCount", 0))'
}

has_slices() { # COUNT
    [ "$(slices)" -ge "$1" ]
}

# Their programs run all the time, the objects are new in each store.
web_pod() { # NAME NODE-NUMBER ADDRESS-NUMBER
    ask_server POST /api/v1/namespaces/default/pods application/json "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",
        \"metadata\":{\"name\":\"$1\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"node$2\",
        \"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}" >/dev/null
    pod_ready "$1" "$2" "$3"
}

seconds_of() { # COMMAND...: what it took
    local begun=${EPOCHREALTIME/[.,]/}
    "$@" >/dev/null 2>"$WORK/errors" || cat "$WORK/errors" >&2
    awk -v us="$((${EPOCHREALTIME/[.,]/} - begun))" 'BEGIN {printf "%.2f", us / 1000000}'
}

# In namespaces of their own: nothing else is there.
whole_nft() {
    ip netns add whole
    inside whole nft -f "$WORK/rules.nft"
}

whole_iptables() {
    inside whole iptables-nft-restore --noflush <"$WORK/rules.iptables"
}

percentiles() { # COLUMN [FILE]: p50 p90 p99 max
    awk -v c="$1" '{print $c}' "$WORK/${2:-times}" | sort -n | awk '{v[NR] = $1} END {
        p50 = v[int((NR - 1) * 0.50) + 1]; p90 = v[int((NR - 1) * 0.90) + 1]
        p99 = v[int((NR - 1) * 0.99) + 1]
        printf "%.0f / %.0f / %.0f / %.0f", p50, p90, p99, v[NR]}'
}

measure_one() { # SERVICES
    local programmed memory nft iptables synced
    WORK=$(mktemp -d)
    LOGS=$WORK
    mkdir "$WORK/home"
    start_server || return 1
    web_pod web-1 1 11
    web_pod web-2 2 12
    inside control python3 "$here/services.py" fill "$SERVER_URL" "$1" || return 1
    synced=$(seconds_of wait_until 300 has_slices "$1")
    start_proxy 1 || return 1
    programmed=$(sed -n 's/.* in \([0-9]*\) ms/\1/p' "$LOGS/proxy1.log")
    inside node1 python3 "$here/services.py" measure "$SERVER_URL" "$times" new >"$WORK/times" || return 1
    : >"$WORK/kubectl"
    if command -v kubectl >/dev/null; then
        inside node1 env KUBECONFIG=/dev/null HOME="$WORK/home" python3 "$here/services.py" kubectl \
            "$SERVER_URL" "$((times / 10))" kubectl >"$WORK/kubectl" || return 1
    fi
    memory=$(awk '/VmRSS/ {print int($2 / 1024)}' "/proc/${program_pid[proxy1]}/status")
    inside control "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --server="$SERVER_URL" --dry-run \
        --cluster-cidr="$POD_CIDRS" >"$WORK/rules.nft"
    inside control "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --server="$SERVER_URL" --dry-run \
        --iptables --cluster-cidr="$POD_CIDRS" | sed '/^# ip6tables/,$d' >"$WORK/rules.iptables"
    nft=$(seconds_of whole_nft)
    iptables=$(seconds_of whole_iptables)
    ip netns del whole
    printf '| %d | %s | %.2f | %d | %s | %s | %s | %s | %s |\n' "$1" "$synced" \
        "$(awk -v ms="$programmed" 'BEGIN {print ms / 1000}')" "$memory" "$(percentiles 1)" \
        "$(percentiles 2)" "$(percentiles 2 kubectl)" "$nft" "$iptables"
    stop proxy1
    stop apiserver
    inside node1 "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --cleanup
    rm -r "$WORK"
}

cluster_up
printf '| Services | slices written after the last create, s | first programming, s | kube-proxy, MiB | create answered, ms (p50 / p90 / p99 / max) | first answer on the virtual IP, ms (p50 / p90 / p99 / max) | the same from the start of kubectl create | whole by nft -f, s | whole by iptables-restore, s |\n'
printf '|---|---|---|---|---|---|---|---|---|\n'
made=
for count in "$@"; do
    WORK=$(mktemp -d)
    LOGS=$WORK
    if [ -z "$made" ]; then
        pod_network web-1 1 11
        pod_network web-2 2 12
        start pod-web-1 pod-web-1 "$BUILD/examples/demo/ipalloc-backend" web-1 8080
        start pod-web-2 pod-web-2 "$BUILD/examples/demo/ipalloc-backend" web-2 8080
        made=yes
    fi
    measure_one "$count" || { cat "$LOGS"/*.log; exit 1; }
done
