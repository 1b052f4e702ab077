#!/usr/bin/env bash
# demo.sh: `./dev demo [--keep]`: the whole story of a Service, on one machine, with real parts.
#
# A cluster out of network namespaces (examples/demo/cluster.sh): two nodes, Pods behind them, a client
# outside. The API server, a kube-proxy a node, an ingress with nginx. kubectl creates the objects;
# then every way in is tried and told, and all is taken down. Exit code 0 if every answer was right.
#
# --keep leaves it running, and says how to look around in it. Where namespaces cannot be had, it says
# what is missing and shows what can be shown without.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. tools/common.sh
. tools/packages.sh
. examples/demo/cluster.sh
. examples/demo/story.sh

BUILD=${DEMO_BUILT:-$PWD/build} # DEMO_BUILT: where a test has built it already
MANIFESTS=examples/demo/manifests
CTL=$BUILD/examples/ipallocctl/ipallocctl
right=0
wrong=0

bold='' green='' red='' plain=''
if [ -t 1 ] || [ -n "${DEMO_COLOURS:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

tell() { # RIGHT? WHAT-WAS-ASKED WHAT-CAME
    if [ "$1" = yes ]; then
        right=$((right + 1))
        printf '  %sok%s     %-62s %s\n' "$green" "$plain" "$2" "$3"
    else
        wrong=$((wrong + 1))
        printf '  %sWRONG%s  %-62s %s\n' "$red" "$plain" "$2" "$3"
    fi
}

# ways WANTED-PREFIX WHAT NAMESPACE URL [CURL-OPTIONS...]: asked ten times; who answered, how often.
ways() {
    local wanted=$1 what=$2 namespace=$3 url=$4 counts
    shift 4
    counts=$(for _ in 1 2 3 4 5 6 7 8 9 10; do
        inside "$namespace" curl -sS --max-time 2 "$@" "$url" 2>&1 | head -n 1
    done | awk '{print $1}' | sort | uniq -c | awk '{printf "%s%s x %d", (NR > 1 ? ", " : ""), $2, $1}')
    if grep -qE "^$wanted-[0-9] x [0-9]+(, $wanted-[0-9] x [0-9]+)*$" <<<"$counts"; then
        tell yes "$what" "$counts"
    else
        tell no "$what" "$counts"
    fi
}

refused() { # WHAT NAMESPACE URL
    local words begun=${EPOCHREALTIME/[.,]/} took
    words=$(inside "$2" curl -sS --max-time 3 "$3" 2>&1)
    took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
    if grep -q "Couldn't connect" <<<"$words" && [ "$took" -lt 1000 ]; then
        tell yes "$1" "refused after $took ms"
    else
        tell no "$1" "$words"
    fi
}

draw_cluster() {
    heading "The cluster"
    cat <<PICTURE
                              client  172.30.0.100
                                 |    external addresses: by way of the nodes
      ---------------------------+------ lan0 -------------------------------
         |                         |                         |
      control 172.30.0.10      node1 172.30.0.11         node2 172.30.0.12
      ipalloc-apiserver        ipalloc-kubeproxy         ipalloc-kubeproxy
      kubectl                  ipalloc-ingress, nginx      |
                                 |                         |
                               web-1  10.20.1.11         web-2  10.20.2.12
                               shop-1 10.20.1.14         web-3  10.20.2.13
                                                         shop-2 10.20.2.15
PICTURE
}

try_ways_in() {
    local node
    heading "Every way in, ten times each"
    ways web "ClusterIP from a Pod             http://$web/" pod-shop-1 "http://$web/"
    ways web "ClusterIP from a node            http://$web/" node2 "http://$web/"
    ways web "ClusterIP, IPv6                  http://[$web6]/" pod-shop-1 "http://[$web6]/"
    ways web "a Pod that may find itself       http://$web/" pod-web-1 "http://$web/"
    for node in 1 2; do
        ways shop "NodePort of node$node                http://172.30.0.1$node:30080/" client \
            "http://172.30.0.1$node:30080/"
    done
    ways web "LoadBalancer, pool \"public\"      http://$front/" client "http://$front/"
    ways web "Ingress by host                  http://web.example/" client \
        "http://192.0.2.80/" -H 'Host: web.example'
    ways shop "Ingress by path                  http://web.example/basket/1" client \
        "http://192.0.2.80/basket/1" -H 'Host: web.example'
    ways shop "Ingress with TLS                 https://shop.example/" client \
        "https://shop.example/" --resolve shop.example:443:192.0.2.80 --cacert "$WORK/shop-tls.crt"
    sticks
    refused "nobody behind it                 http://$later/" pod-shop-1 "http://$later/"
    refused "a port that it does not have     http://$web:81/" pod-shop-1 "http://$web:81/"
}

sticks() {
    local who
    who=$(for _ in 1 2 3 4 5 6 7 8 9 10; do inside pod-shop-1 curl -sS --max-time 2 "http://$sticky/"; done |
        awk '{print $1}' | sort -u | tr '\n' ' ')
    tell "$([ "$(wc -w <<<"$who")" = 1 ] && echo yes || echo no)" \
        "one client, one Pod (affinity)   http://$sticky/" "always ${who% }"
}

try_a_drain() {
    heading "A Pod is drained while connections are counted (100 a second, five seconds)"
    start traffic client "$BUILD/examples/demo/ipalloc-traffic" 100 "http://$front/" \
        "http://172.30.0.11:30080/" "http://192.0.2.80/#web.example"
    kubectl_or_curl_delete web-2
    pod_down web-2
    sleep 0.5
    stop traffic
    sed 's/^/  /' "$LOGS/traffic.log"
    tell "$(grep -q ', 0 failed' "$LOGS/traffic.log" && echo yes || echo no)" \
        "kubectl delete pod web-2" "$(tail -n 1 "$LOGS/traffic.log")"
}

kubectl_or_curl_delete() { # POD: waits until it is gone
    if has_command kubectl; then
        kubectl_here delete pod "$1" --grace-period=5 | sed 's/^/  /'
    else
        ask_server DELETE "/api/v1/namespaces/default/pods/$1?gracePeriodSeconds=5" >/dev/null
        wait_until 20 pod_is_gone "$1"
    fi
}

pod_is_gone() {
    ! ask_server GET "/api/v1/namespaces/default/pods/$1"
}

show_objects() {
    heading "What kubectl shows"
    if has_command kubectl; then
        kubectl_here get services,endpointslices,ingresses 2>&1 | sed 's/^/  /'
    else
        say "  kubectl is not here (Debian package kubernetes-client)"
    fi
}

show_allocation() {
    heading "What was allocated (ipallocctl map, list)"
    inside control "$CTL" map load-balancers-public-v4 --server="$SERVER_URL" | sed 's/^/  /'
    inside control "$CTL" list --server="$SERVER_URL" | sed 's/^/  /'
}

how_to_look_around() {
    heading "It goes on running, until you press Enter. In another terminal:"
    say "    sudo nsenter --target $$ --net --mount --pid bash"
    say "    nsenter --net=/run/netns/client curl http://$front/"
    say "    nsenter --net=/run/netns/node1 nft list table ip ipalloc-kubeproxy"
    say "    nsenter --net=/run/netns/control kubectl --server=$SERVER_URL get services -w"
    read -r _
}

run_for_real() {
    WORK=$(mktemp -d)
    LOGS=$WORK
    trap 'rm -rf "$WORK"' EXIT
    mkdir "$WORK/home"
    chmod 711 "$WORK"
    cluster_up
    draw_cluster
    heading "Starting the programs, and creating the objects by kubectl"
    story_start || die "a program did not start: $(cat "$LOGS"/*.log)"
    story_create | sed 's/^/  /' || die "the cluster did not come up: $(cat "$LOGS"/*.log)"
    story_look
    show_objects
    show_allocation
    try_ways_in
    try_a_drain
    if [ "${1:-}" = --keep ]; then
        how_to_look_around
    fi
    heading "$right answers were right, $wrong wrong; taking all of it down"
    [ "$wrong" -eq 0 ] && [ "$right" -gt 0 ]
}

# Without namespaces: the server and what the others would program.
run_what_can_be() {
    local url
    heading "Not for real here: it needs $1"
    WORK=$(mktemp -d)
    trap 'kill "$server" 2>/dev/null; rm -rf "$WORK"' EXIT
    "$BUILD/examples/apiserver/ipalloc-apiserver" --listen=127.0.0.1:0 \
        --service-cluster-ip-range="$SERVICE_CIDRS" --load-balancer-ip-range=192.0.2.0/24 \
        --load-balancer-ip-range=public=203.0.113.0/24 >"$WORK/server.log" 2>&1 &
    server=$!
    wait_until 20 grep -q 'serving on' "$WORK/server.log" || die "$(cat "$WORK/server.log")"
    url=$(grep -om1 'http://[0-9.]*:[0-9]*' "$WORK/server.log")
    curl -fsS -o /dev/null -H 'Content-Type: application/json' "$url/api/v1/namespaces/default/services" \
        --data-binary '{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":
            "LoadBalancer","ports":[{"port":80,"targetPort":8080}]}}'
    curl -fsS -o /dev/null -H 'Content-Type: application/json' "$url/api/v1/namespaces/default/endpoints" \
        --data-binary '{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"web"},"subsets":[{
            "addresses":[{"ip":"10.20.1.11"},{"ip":"10.20.2.12"}],"ports":[{"port":8080}]}]}'
    sleep 0.5
    heading "What ipalloc-kubeproxy would program for it (--dry-run)"
    "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --server="$url" --dry-run --cluster-cidr="$POD_CIDRS" |
        grep -E 'default-web|default/web|element' | sed 's/^/  /'
    heading "What was allocated"
    "$CTL" list --server="$url" | sed 's/^/  /'
}

build_it() {
    install_missing "${BUILD_NEEDS[@]}" "${DEMO_NEEDS[@]}" || exit 1
    install_kubectl
    heading "Building"
    configure build "${EVERYTHING[@]}" && compile build || exit 1
}

main() {
    local missing
    case ${1:-} in
    "" | --keep) ;;
    *) die "demo takes nothing, or --keep" ;;
    esac
    [ -n "${IN_CLUSTER:-}" ] || [ -n "${DEMO_BUILT:-}" ] || build_it
    missing=$(cluster_missing)
    if [ -n "$missing" ]; then
        run_what_can_be "$missing"
        exit
    fi
    cluster_enter "$PWD/tools/demo.sh" "$@"
    run_for_real "$@"
}

main "$@"
