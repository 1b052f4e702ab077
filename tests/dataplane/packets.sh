#!/usr/bin/env bash
# packets.sh BUILD: every rule of kube-proxy, shown by packets, in namespaces of its own.
#
# Prints "ok NAME" or "not ok NAME: why" a check, and "N passed, M failed". Exit code 77 where
# namespaces cannot be had.
# shellcheck disable=SC2034,SC2154 # shared with the files that are sourced
set -uo pipefail
BUILD=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/demo/cluster.sh
. "$here/../../examples/demo/cluster.sh"
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

post() { # PATH BODY, in which ' stands for "
    ask_server POST "$1" application/json "${2//\'/\"}" >/dev/null
}

service() { # NAME SPEC
    post /api/v1/namespaces/default/services \
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'$1'},'spec':{$2}}"
}

pod() { # NAME NODE-NUMBER ADDRESS-NUMBER APP
    post /api/v1/namespaces/default/pods "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'$1',
        'labels':{'app':'$4'}},'spec':{'nodeName':'node$2','containers':[{'name':'c','image':'backend'}]}}"
    pod_up "$1" "$2" "$3" 8080
}

field() { # SERVICE PATH-IN-PYTHON
    ask_server GET "/api/v1/namespaces/default/services/$1" |
        python3 -c "import json,sys; o = json.load(sys.stdin); print(o$2)"
}

# Who answers, by name.
get() { # NAMESPACE URL [CURL-OPTIONS...]
    local namespace=$1 url=$2
    shift 2
    inside "$namespace" curl -sS --max-time 2 "$@" "$url" 2>&1
}

answerers() { # TIMES NAMESPACE URL: a line each, sorted
    for _ in $(seq "$1"); do
        get "$2" "$3"
        echo
    done | sed -n 's/^\([a-z0-9-]*\) at .*/\1/p' | sort | uniq -c | awk '{print $2}' | tr '\n' ' '
}

udp() { # NAMESPACE ADDRESS PORT
    inside "$1" python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.bind(("", 23456))
s.connect((sys.argv[1], int(sys.argv[2])))
try:
    s.send(b"?")
    print(s.recv(64).decode())
except OSError as problem:
    print(type(problem).__name__)' "$2" "$3"
}

set_up() {
    mkdir "$WORK/home"
    cluster_up
    start_server --endpoint-slices=on
    start_proxy 1
    start_proxy 2
    pod web-1 1 11 web
    pod web-2 2 12 web
    pod shop-1 2 13 shop
    service web "'selector':{'app':'web'},'type':'LoadBalancer','ipFamilyPolicy':'RequireDualStack',
        'externalIPs':['203.0.113.7'],'ports':[{'port':80,'targetPort':8080}]"
    service shop "'selector':{'app':'shop'},'ports':[{'port':80,'targetPort':8080}]"
    service empty "'selector':{'app':'nobody'},'type':'NodePort','ports':[{'port':80}]"
    service sticky "'selector':{'app':'web'},'type':'NodePort','sessionAffinity':'ClientIP','ports':[{
        'port':80,'targetPort':8080}]"
    service away "'selector':{'app':'shop'},'type':'LoadBalancer','externalTrafficPolicy':'Local','ports':[{
        'port':80,'targetPort':8080}]"
    service both "'selector':{'app':'web'},'type':'NodePort','ports':[{'name':'t','port':53,'targetPort':8080,
        'protocol':'TCP','nodePort':30053},{'name':'u','port':53,'targetPort':8080,'protocol':'UDP',
        'nodePort':30053}]"
    service local "'selector':{'app':'web'},'type':'NodePort','externalTrafficPolicy':'Local','ports':[{
        'port':80,'targetPort':8080}]"
    service inner "'selector':{'app':'web'},'internalTrafficPolicy':'Local','ports':[{'port':80,
        'targetPort':8080}]"
    service datagrams "'selector':{'app':'web'},'ports':[{'port':53,'targetPort':8080,
        'protocol':'UDP'}]"
    service gated "'selector':{'app':'web'},'type':'LoadBalancer','loadBalancerSourceRanges':[
        '172.30.0.0/28'],'ports':[{'port':80,'targetPort':8080}]"
    web=$(field web "['spec']['clusterIP']")
    web6=$(field web "['spec']['clusterIPs'][1]")
    node_port=$(field web "['spec']['ports'][0]['nodePort']")
    balanced=$(field web "['status']['loadBalancer']['ingress'][0]['ip']")
    gated=$(field gated "['status']['loadBalancer']['ingress'][0]['ip']")
    local_port=$(field local "['spec']['ports'][0]['nodePort']")
    empty=$(field empty "['spec']['clusterIP']")
    empty_port=$(field empty "['spec']['ports'][0]['nodePort']")
    wait_until 10 get node2 "http://$gated/"
    sleep 0.3
}

test_ways_in() {
    is "a ClusterIP from a Pod" "web-1 web-2 " "$(answerers 20 pod-shop-1 "http://$web/")"
    is "a ClusterIP from a node" "web-1 web-2 " "$(answerers 20 node1 "http://$web/")"
    is "a ClusterIP over IPv6" "web-1 web-2 " "$(answerers 20 pod-shop-1 "http://[$web6]/")"
    is "a node port, on both nodes" "web-1 web-2 web-1 web-2 " \
        "$(answerers 20 client "http://172.30.0.11:$node_port/")$(answerers 20 client "http://172.30.0.12:$node_port/")"
    is "a node port over IPv6" "web-1 web-2 " "$(answerers 20 client "http://[fd30::11]:$node_port/")"
    is "a load balancer's address" "web-1 web-2 " "$(answerers 20 client "http://$balanced/")"
    is "an external IP" "web-1 web-2 " "$(answerers 20 client "http://203.0.113.7/")"
    is "one endpoint" "shop-1 " "$(answerers 5 pod-web-1 "http://$(field shop "['spec']['clusterIP']")/")"
    is "a node port is not on loopback" refused "$(get node1 "http://127.0.0.1:$node_port/" | refused)"
}

test_sources() {
    like "a Pod's address is kept inside" "asked by 10.20.2.13" "$(get pod-shop-1 "http://$web/")"
    unlike "from outside it is the node's" "asked by 172.30.0.100" \
        "$(get client "http://172.30.0.11:$node_port/")"
    is "hairpin: a Pod may find itself" "web-1 web-2 " "$(answerers 20 pod-web-1 "http://$web/")"
    like "externalTrafficPolicy Local keeps the client's address" "asked by 172.30.0.100" \
        "$(get client "http://172.30.0.11:$local_port/")"
    is "and stays on the node" "web-2 " "$(answerers 10 client "http://172.30.0.12:$local_port/")"
    is "internalTrafficPolicy Local stays on the node" "web-2 " \
        "$(answerers 10 pod-shop-1 "http://$(field inner "['spec']['clusterIP']")/")"
    like "a load balancer's source range lets in" " at " "$(get node2 "http://$gated/")"
    like "and keeps out" "timed out" "$(get client "http://$gated/" --max-time 1)"
    is "affinity: always the same" 1 \
        "$(answerers 20 pod-shop-1 "http://$(field sticky "['spec']['clusterIP']")/" | wc -w)"
}

test_refusals() {
    is "no endpoints: refused at once, from a Pod" refused "$(get pod-shop-1 "http://$empty/" | refused)"
    is "from a node" refused "$(get node1 "http://$empty/" | refused)"
    is "at the node port" refused "$(get client "http://172.30.0.11:$empty_port/" | refused)"
    is "a port that a ClusterIP does not have" refused "$(get pod-shop-1 "http://$web:81/" | refused)"
}

# What is asked for from where it need not go outside.
test_ways_round() {
    local away away_port
    is "a node port from its node" "web-1 web-2 " "$(answerers 20 node1 "http://172.30.0.11:$node_port/")"
    is "a node port from Pods, of their node and of another" "web-1 web-2 web-1 web-2 " \
        "$(answerers 20 pod-web-1 "http://172.30.0.11:$node_port/")$(answerers 20 pod-web-1 "http://172.30.0.12:$node_port/")"
    is "a load balancer's address from a Pod and from a node" "web-1 web-2 web-1 web-2 " \
        "$(answerers 20 pod-web-1 "http://$balanced/")$(answerers 20 node2 "http://$balanced/")"
    is "an external IP from a Pod" "web-1 web-2 " "$(answerers 20 pod-web-1 "http://203.0.113.7/")"
    like "a source range is for Pods, too" "timed out" "$(get pod-shop-1 "http://$gated/" --max-time 1)"
    like "and not for the node port" " at " \
        "$(get client "http://172.30.0.11:$(field gated "['spec']['ports'][0]['nodePort']")/")"
    is "affinity at a node port" 1 \
        "$(answerers 20 client "http://172.30.0.11:$(field sticky "['spec']['ports'][0]['nodePort']")/" | wc -w)"
    away=$(field away "['status']['loadBalancer']['ingress'][0]['ip']")
    away_port=$(field away "['spec']['ports'][0]['nodePort']")
    like "policy Local, endpoints elsewhere: nothing from outside" "timed out" \
        "$(get client "http://172.30.0.11:$away_port/" --max-time 1)"
    is "but from the node and its Pods, at the node port" "shop-1 shop-1 " \
        "$(answerers 5 node1 "http://172.30.0.11:$away_port/")$(answerers 5 pod-web-1 "http://172.30.0.11:$away_port/")"
    is "and at the load balancer's address" "shop-1 shop-1 " \
        "$(answerers 5 node1 "http://$away/")$(answerers 5 pod-web-1 "http://$away/")"
    is "one number for TCP and for UDP" "web-1 web-2 " "$(answerers 20 client "http://172.30.0.11:30053/")"
    like "each by its protocol" "web-" "$(udp client 172.30.0.11 30053)"
}

change() { # SERVICE PATCH
    ask_server PATCH "/api/v1/namespaces/default/services/$1" application/merge-patch+json \
        "${2//\'/\"}" >/dev/null
}

is_answered() { # URL: from a Pod
    get pod-web-1 "$1" --max-time 1 | grep -q " at "
}

is_not_answered() { # URL
    ! is_answered "$1"
}

# A Service that becomes another one.
test_changes() {
    local address address6 outside
    service turns "'selector':{'app':'shop'},'type':'LoadBalancer','ipFamilyPolicy':'RequireDualStack',
        'ports':[{'port':80,'targetPort':8080}]"
    address=$(field turns "['spec']['clusterIP']")
    address6=$(field turns "['spec']['clusterIPs'][1]")
    outside=$(field turns "['status']['loadBalancer']['ingress'][0]['ip']")
    wait_until 5 is_answered "http://$outside/"
    is "a new Service" "shop-1 shop-1 shop-1 " "$(answerers 2 client "http://$outside/")$(answerers 2 \
        pod-web-1 "http://$address/")$(answerers 2 pod-web-1 "http://[$address6]/")"
    change turns "{'spec':{'type':'ClusterIP'}}"
    wait_until 5 is_not_answered "http://$outside/"
    is "inside only" "shop-1 shop-1 " \
        "$(answerers 2 pod-web-1 "http://$address/")$(answerers 2 pod-web-1 "http://[$address6]/")"
    unlike "no more outside" " at " "$(get client "http://$outside/" --max-time 1)"
    change turns "{'spec':{'ipFamilyPolicy':'SingleStack'}}"
    wait_until 5 is_not_answered "http://[$address6]/"
    is "in one family" "shop-1 " "$(answerers 2 pod-web-1 "http://$address/")"
    unlike "no more in the other" " at " "$(get pod-web-1 "http://[$address6]/" --max-time 1)"
    change turns "{'spec':{'ports':[{'port':81,'targetPort':8080}]}}"
    wait_until 5 is_answered "http://$address:81/"
    is "at another port" "shop-1 " "$(answerers 2 pod-web-1 "http://$address:81/")"
    is "no more at the first" refused "$(get pod-web-1 "http://$address/" | refused)"
    change turns "{'spec':{'selector':{'app':'web'}}}"
    wait_until 5 not_answered_by_shop "http://$address:81/"
    is "of other Pods" "web-1 web-2 " "$(answerers 20 pod-web-1 "http://$address:81/")"
    change turns "{'spec':{'type':'ExternalName','externalName':'example.com','clusterIP':null,
        'clusterIPs':null,'ports':null,'selector':null}}"
    wait_until 5 is_not_answered "http://$address:81/"
    unlike "only a name" " at " "$(get pod-web-1 "http://$address:81/" --max-time 1)"
}

not_answered_by_shop() { # URL
    [[ "$(answerers 3 pod-web-1 "$1")" == web-* ]]
}

ready() { # POD TRUTH
    ask_server PATCH "/api/v1/namespaces/default/pods/$1/status" application/strategic-merge-patch+json \
        "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"$2\"}]}}" >/dev/null
}

test_readiness() {
    local url
    url="http://$(field shop "['spec']['clusterIP']")/"
    ready shop-1 False
    wait_until 5 is_not_answered "$url"
    is "what is not ready is refused" refused "$(get pod-web-1 "$url" | refused)"
    change shop "{'spec':{'publishNotReadyAddresses':true}}"
    wait_until 5 is_answered "$url"
    is "or served, where the Service wants that" "shop-1 " "$(answerers 2 pod-web-1 "$url")"
    change shop "{'spec':{'publishNotReadyAddresses':false}}"
    ready shop-1 True
    wait_until 5 is_answered "$url"
}

test_datagrams() {
    local vip
    vip=$(field datagrams "['spec']['clusterIP']")
    local first second
    first=$(udp pod-shop-1 "$vip" 53)
    like "UDP" "web-" "$first"
    ask_server DELETE "/api/v1/namespaces/default/pods/$first?gracePeriodSeconds=0" >/dev/null
    pod_down "$first"
    second=$([ "$first" = web-1 ] && echo web-2 || echo web-1)
    wait_until 5 not_answered_by "$first"
    is "a UDP client at one port goes on to another endpoint" "$second" "$(udp pod-shop-1 "$vip" 53)"
    is "what is gone is not asked any more" "$second " "$(answerers 10 pod-shop-1 "http://$web/")"
}

not_answered_by() {
    ! inside node1 nft list table ip ipalloc-kubeproxy | grep -q "10.20.${1#web-}.1${1#web-}:8080" &&
        ! inside node2 nft list table ip ipalloc-kubeproxy | grep -q "10.20.${1#web-}.1${1#web-}:8080"
}

test_own_table() {
    local before after
    inside node2 nft add table inet another
    inside node2 nft add chain inet another c
    before=$(rules_of node2)
    inside node2 nft flush ruleset
    inside node2 nft add table inet another
    wait_until 20 same_rules "$before"
    is "flushed rules come back" "$before" "$(rules_of node2)"
    stop proxy2
    after=$(rules_of node2)
    is "its end leaves the rules" "$before" "$after"
    inside node2 "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --cleanup
    is "--cleanup removes its own tables and no other" "table inet another" \
        "$(inside node2 nft list tables | tr '\n' ' ' | sed 's/ $//')"
}

# Without clients of session affinity, which have a time.
rules_of() {
    inside "$1" nft list table ip ipalloc-kubeproxy | grep -v 'elements = { 10.20.*expires' |
        tr -s ' \t\n' ' ' | sed 's/[,{}]/\n/g' | sed 's/^ *//; s/ *$//' | LC_ALL=C sort
}

same_rules() {
    [ "$(rules_of node2)" = "$1" ]
}

# In place of the program's own rules on node2, those that it prints for iptables.
test_iptables() {
    local family far_port far_in
    pod far-1 1 14 far
    service far "'selector':{'app':'far'},'type':'NodePort','externalTrafficPolicy':'Local','ports':[{
        'port':80,'targetPort':8080}]"
    service far-in "'selector':{'app':'far'},'internalTrafficPolicy':'Local','ports':[{'port':80,
        'targetPort':8080}]"
    far_port=$(field far "['spec']['ports'][0]['nodePort']")
    far_in=$(field far-in "['spec']['clusterIP']")
    wait_until 10 get client "http://172.30.0.11:$far_port/"
    for family in 4 6; do
        inside control "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --server="$SERVER_URL" --dry-run \
            --iptables --cluster-cidr="$POD_CIDRS" --node-name=node2 |
            awk -v family="$family" '/^# ip6tables/ {f = 6} /^# iptables/ {f = 4} f == family' >"$WORK/rules$family"
    done
    is "iptables-restore takes them" "" "$(inside node2 iptables-nft-restore --noflush <"$WORK/rules4" 2>&1)"
    is "and ip6tables-restore" "" "$(inside node2 ip6tables-nft-restore --noflush <"$WORK/rules6" 2>&1)"
    local left
    left=$(answerers 20 pod-shop-1 "http://$web/")
    is "a ClusterIP through iptables" "$left" "$(answerers 10 pod-shop-1 "http://$web/")"
    like "somebody answers" "web-" "$left"
    like "a node port through iptables" " at " "$(get client "http://172.30.0.12:$node_port/")"
    is "iptables refuses what has no endpoint" refused "$(get pod-shop-1 "http://$empty/" | refused)"
    like "a policy Local with endpoints elsewhere drops what comes from outside" "timed out" \
        "$(get client "http://172.30.0.12:$far_port/")"
    like "and not what is inside anyway" "far-1 at" "$(get node2 "http://172.30.0.12:$far_port/")"
    like "an internal one drops all" "timed out" "$(get pod-shop-1 "http://$far_in/")"
    like "a ClusterIP over IPv6 through ip6tables" " at " "$(get pod-shop-1 "http://[$web6]/")"
}

set_up
test_ways_in
test_sources
test_refusals
test_ways_round
test_changes
test_readiness
test_datagrams
test_own_table
test_iptables
finish "$WORK"/*.log
