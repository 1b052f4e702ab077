#!/usr/bin/env bash
# kubectl_two.sh: the real kubectl against two servers on one etcd (STORE_URL): what it does on one it
# sees on the other; see kubectl_lib.sh.
set -euo pipefail
# shellcheck source=tests/examples/kubectl_lib.sh
. "$(dirname "$0")/kubectl_lib.sh"

check_both() {
    start_other_server
    expect "ok" get --raw /readyz
    other expect "ok" get --raw /readyz
    expect "service/web created" create service clusterip web --tcp=80 --clusterip=10.96.0.50
    other expect "10.96.0.50" get service web
    other expect "services/default/web" get ipaddress 10.96.0.50
    other expect "service/web labeled" label service web seen=yes
    expect "web" get services -l seen=yes
    other refuse 'services "web" already exists' create service clusterip web --tcp=80
    other refuse 'provided IP is already allocated*web' create service clusterip late --tcp=80 \
        --clusterip=10.96.0.50
}

check_watch_across() {
    local watching
    KUBECONFIG=/dev/null HOME=$directory "$kubectl" --server="$other_url" get services --watch \
        --output-watch-events >"$directory/watch" 2>&1 &
    watching=$!
    until_says "ADDED*web" "$directory/watch"
    expect "created" create service clusterip passing --tcp=80
    until_says "ADDED*passing" "$directory/watch"
    expect "labeled" label service passing seen=yes
    until_says "MODIFIED*passing" "$directory/watch"
    expect "deleted" delete service passing
    until_says "DELETED*passing" "$directory/watch"
    kill "$watching"
    wait "$watching" || true
    passed "a watch on the other server"
}

check_wait_across() {
    local waiter
    expect "created" create service clusterip brief --tcp=80
    other k wait service/brief --for=delete --timeout=20s >"$directory/wait" 2>&1 &
    waiter=$!
    sleep 0.3
    expect "deleted" delete service brief
    wait "$waiter" || fail "wait --for=delete: $(cat "$directory/wait")"
    passed "a wait on the other server"
}

check_change_across() {
    other expect "patched" patch service web -p '{"spec":{"sessionAffinity":"ClientIP"}}'
    field web '{.spec.sessionAffinity}' ClientIP
    expect 'deleted' delete service web
    other refuse 'services "web" not found' get service web
    other expect "created" create service clusterip heir --tcp=80 --clusterip=10.96.0.50
    expect "10.96.0.50" get service heir
}

check_range_across() {
    printf '%s\n' 'apiVersion: networking.k8s.io/v1' 'kind: ServiceCIDR' \
        'metadata: {name: more}' 'spec: {cidrs: [10.97.0.0/24]}' >"$directory/more.yaml"
    expect "servicecidr.networking.k8s.io/more created" create -f "$directory/more.yaml"
    other expect "condition met" wait servicecidr/more --for=condition=Ready --timeout=20s
    other expect "created" create service clusterip far --tcp=80 --clusterip=10.97.0.9
    other expect "deleted" delete servicecidr more --wait=false
    expect "default/far" get servicecidr more -o 'jsonpath={.status.conditions[0].message}'
    expect "deleted" delete service far
    other expect "condition met" wait servicecidr/more --for=delete --timeout=30s
}

# One goes, the other serves on.
check_one_left() {
    kill -KILL "$server_pid"
    other expect "created" create service clusterip alone --tcp=80
    launch "$directory/log"
    server_pid=$launched_pid
    url=$launched_url
    expect "service/alone" get services -o name
}

run_checks check_both check_watch_across check_wait_across check_change_across check_range_across \
    check_one_left
