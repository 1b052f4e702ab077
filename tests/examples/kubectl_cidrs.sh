#!/usr/bin/env bash
# kubectl_cidrs.sh: ServiceCIDRs and IPAddresses as people meet them, with each kubectl of KUBECTLS;
# see kubectl_lib.sh.
set -euo pipefail
# shellcheck source=tests/examples/kubectl_lib.sh
. "$(dirname "$0")/kubectl_lib.sh"

cidr() { # NAME CIDRS
    cat <<YAML
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata:
  name: $1
spec:
  cidrs: [$2]
YAML
}

check_discovery() {
    expect "ipaddresses*ip*networking.k8s.io/v1*IPAddress*servicecidrs" api-resources
    expect "networking.k8s.io/v1" api-versions
    expect "cidrs*string" explain servicecidr.spec
    expect "NAME*CIDRS*AGE*kubernetes*10.96.0.0/16,fd00:10:96::/108" get servicecidrs -o wide
}

check_growing() {
    cidr more 10.97.0.0/24 >"$directory/more.yaml"
    expect "servicecidr.networking.k8s.io/more created" apply -f "$directory/more.yaml"
    expect "unchanged" apply -f "$directory/more.yaml"
    expect "condition met" wait --for=condition=Ready servicecidr/more --timeout=10s
    expect "service/far created" create service clusterip far --tcp=80 --clusterip=10.97.0.7
    cidr more 10.97.0.0/24,fd01::/48 >"$directory/more.yaml"
    expect "configured" apply -f "$directory/more.yaml"
    expect "serverside-applied" apply --server-side --force-conflicts -f "$directory/more.yaml"
    expect "labeled" label servicecidr more tier=test
    expect "more*10.97.0.0/24,fd01::/48" get servicecidrs -l tier=test
    cidr more 10.98.0.0/24 >"$directory/other.yaml"
    refuse "field is immutable" replace -f "$directory/other.yaml"
    cidr bad 10.97.0.1/24 >"$directory/bad.yaml"
    refuse "must not have bits set beyond the prefix length" create -f "$directory/bad.yaml"
    cidr bad 192.0.2.0/25 >"$directory/bad.yaml"
    refuse "192.0.2.0/24, which --load-balancer-ip-range" create -f "$directory/bad.yaml"
}

check_addresses() {
    expect "NAME*PARENTREF*AGE*10.97.0.7*services/default/far" get ipaddresses
    expect "10.97.0.7" get ip --field-selector spec.parentRef.name=far -o name
    expect "No resources found" get ip -l ipaddress.kubernetes.io/ip-family=IPv6
    expect "namespace: default" get ip 10.97.0.7 -o yaml
    refuse "not found" get ip 10.97.0.8
    refuse "given with the Service" delete ip 10.97.0.7
    if ! since 27 || since 33; then # those between ask for the kind's beta versions
        expect "10.97.0.0/24*Ready" describe servicecidr more
    fi
}

check_going() {
    k get servicecidrs -w >"$directory/watch" 2>&1 &
    local watch=$!
    expect "deleted" delete servicecidr more --wait=false
    expect "1 address: 10.97.0.7 (Service default/far)" get servicecidr more -o yaml
    refuse "not in the valid range" create service clusterip late --tcp=80 --clusterip=10.97.0.8
    : >"$directory/delete"
    k delete servicecidr more --timeout=20s >"$directory/delete" 2>&1 &
    local delete=$!
    until_says deleted "$directory/delete"
    expect 'service "far" deleted' delete service far
    wait "$delete" || fail "delete servicecidr: $(cat "$directory/delete")"
    refuse "not found" get servicecidr more
    kill "$watch"
    wait "$watch" || true
    [[ $(cat "$directory/watch") == *more*more* ]] || fail "watch: $(cat "$directory/watch")"
    passed "kubectl delete waited for the last address"
}

# Short runs (under the sanitizers) leave the rest to test_apiserver_cidrs.
if [ "${TEST_SCALE:-100}" -lt 100 ]; then
    run_checks check_growing
    exit
fi

run_checks check_discovery check_growing check_addresses check_going
