#!/usr/bin/env bash
# faults.sh BUILD: what breaks or is changed while traffic flows, and how much of it is lost: none.
# In namespaces of its own, as packets.sh.
# shellcheck disable=SC2034,SC2154 # shared with the files that are sourced
set -uo pipefail
BUILD=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/demo/cluster.sh
. "$here/../../examples/demo/cluster.sh"
# shellcheck source=examples/demo/story.sh
. "$here/../../examples/demo/story.sh"
# shellcheck source=tests/dataplane/checks.sh
. "$here/checks.sh"

missing=$(cluster_missing)
if [ -n "$missing" ]; then
    echo "skipped: it needs $missing"
    exit 77
fi
cluster_enter "${BASH_SOURCE[0]}" "$@"

WORK=$(mktemp -d)
LOGS=$WORK
trap 'rm -rf "$WORK"' EXIT
MANIFESTS=$here/../../examples/demo/manifests

# traffic_begin: from a client outside by every way in, and from a Pod to the virtual IP.
traffic_begin() {
    rm -f "$WORK/outside.log" "$WORK/inside.log"
    start outside client "$BUILD/examples/demo/ipalloc-traffic" 200 \
        "http://172.30.0.11:30080/" "http://172.30.0.12:30080/" "http://$front/" \
        "http://172.30.0.11/#web.example" "http://192.0.2.80/#web.example"
    start inside pod-shop-1 "$BUILD/examples/demo/ipalloc-traffic" 100 "http://$web/" "http://[$web6]/"
    sleep 0.5
}

# traffic_end NAME: stop it, and judge.
traffic_end() {
    sleep 0.5
    stop outside
    stop inside
    is "$1: nothing is lost outside" "0 failed" "$(tail -n 1 "$WORK/outside.log" | sed 's/.*, //')"
    is "$1: nothing is lost inside" "0 failed" "$(tail -n 1 "$WORK/inside.log" | sed 's/.*, //')"
    at_least "$1: connections from outside" 150 "$(ok_of outside)"
    at_least "$1: and from inside" 80 "$(ok_of inside)"
}

ok_of() {
    tail -n 1 "$WORK/$1.log" | sed 's/ ok.*//'
}

at_least() { # NAME LEAST FOUND
    if [ "$3" -ge "$2" ]; then pass "$1: $3"; else fail "$1" "only $3"; fi
}

answered() { # POD TIMES-AT-LEAST
    local times
    times=$(cat "$WORK/outside.log" "$WORK/inside.log" |
        awk -v pod="$1" '$1 == "answered" && $3 == pod {sum += $4} END {print sum + 0}')
    at_least "$1 had its part" "$2" "$times"
}

set_up() {
    mkdir "$WORK/home"
    chmod 711 "$WORK"
    cluster_up
    story_start
    story_create >"$WORK/create.log"
    story_look
}

# A Pod is deleted with five seconds to end in: it serves on, takes nothing new, and goes.
test_drain() {
    traffic_begin
    local begun=$SECONDS
    ask_server DELETE "/api/v1/namespaces/default/pods/web-2?gracePeriodSeconds=5" >/dev/null
    wait_until 3 no_endpoint web-2 10.20.2.12
    pass "a Pod that ends takes nothing new"
    is "and serves on" web-2 "$(inside node2 curl -s --max-time 1 http://10.20.2.12:8080/ |
        awk '{print $1}')"
    wait_until 10 pod_is_gone web-2
    at_least "after its grace period it is gone" 5 $((SECONDS - begun))
    pod_down web-2
    traffic_end "a drained Pod"
    answered web-1 50
    answered web-3 50
}

no_endpoint() { # POD ADDRESS: in no node's rules
    ! inside node1 nft list table ip ipalloc-kubeproxy | grep -q "$2:8080" &&
        ! inside node2 nft list table ip ipalloc-kubeproxy | grep -q "$2:8080"
}

pod_is_gone() {
    ! ask_server GET "/api/v1/namespaces/default/pods/$1"
}

test_reload() {
    local i
    traffic_begin
    for i in $(seq 10); do
        ask_server POST /apis/networking.k8s.io/v1/namespaces/default/ingresses application/json "{
            \"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"Ingress\",\"metadata\":{\"name\":\"more-$i\"},
            \"spec\":{\"rules\":[{\"host\":\"more-$i.example\",\"http\":{\"paths\":[{\"path\":\"/\",\"pathType\":
            \"Prefix\",\"backend\":{\"service\":{\"name\":\"shop\",\"port\":{\"number\":80}}}}]}}]}}" >/dev/null
        wait_until 5 host_is_served "more-$i.example" && echo served
    done >"$WORK/reloads"
    is "ten reloads of nginx took effect" 10 "$(grep -c served "$WORK/reloads")"
    traffic_end "ten reloads of nginx"
}

host_is_served() {
    inside client curl -fsS --max-time 1 -H "Host: $1" http://172.30.0.11/
}

test_proxy() {
    local new
    traffic_begin
    stop proxy1 KILL
    stop proxy2 KILL
    sleep 1
    ask_server POST /api/v1/namespaces/default/services application/json '{"apiVersion":"v1","kind":
        "Service","metadata":{"name":"meanwhile"},"spec":{"selector":{"app":"shop"},"ports":[{"port":80,
        "targetPort":8080}]}}' >/dev/null
    new=$(service_field meanwhile "['spec']['clusterIP']")
    is "without kube-proxy a new Service is not served" "" \
        "$(inside pod-shop-1 curl -s --max-time 0.5 "http://$new/")"
    start_proxy 1
    start_proxy 2
    wait_until 5 inside pod-shop-1 curl -fsS --max-time 1 "http://$new/" && pass "but when it is back"
    traffic_end "kube-proxy killed"
}

test_server() {
    traffic_begin
    stop apiserver KILL
    sleep 1
    is "the API server is gone" "" "$(ask_server GET /version 2>/dev/null)"
    start_server --load-balancer-ip-range=public=203.0.113.0/24
    wait_until 10 new_service_is_served after && pass "what is created then is served"
    traffic_end "the API server killed"
}

new_service_is_served() { # NAME
    ask_server GET "/api/v1/namespaces/default/services/$1" >/dev/null 2>&1 ||
        ask_server POST /api/v1/namespaces/default/services application/json "{\"apiVersion\":\"v1\",
            \"kind\":\"Service\",\"metadata\":{\"name\":\"$1\"},\"spec\":{\"selector\":{\"app\":\"shop\"},
            \"ports\":[{\"port\":80,\"targetPort\":8080}]}}" >/dev/null
    inside pod-shop-1 curl -fsS --max-time 1 "http://$(service_field "$1" "['spec']['clusterIP']")/"
}

test_controller() {
    traffic_begin
    stop ingress KILL
    sleep 1
    start_ingress
    wait_until 5 host_is_served web.example && pass "the controller finds its nginx again"
    traffic_end "the ingress controller killed"
}

set_up
test_drain
test_reload
test_proxy
test_server
test_controller
finish "$WORK"/*.log
