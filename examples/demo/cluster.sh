# shellcheck shell=bash
# cluster.sh: a cluster on one machine, out of network namespaces. Sourced by the demonstration and by
# tests/dataplane; never run.
#
# Everything lies in namespaces of its own (network, mounts, processes) that end with the script, even
# if that is killed: nothing is left, and the machine's own network is never touched.
#
#   client 172.30.0.100 ---+--- lan0 ---+--- control 172.30.0.10: the API server, kubectl
#                          |            +--- node1 172.30.0.11: kube-proxy, ingress; Pods 10.20.1.0/24
#                                       +--- node2 172.30.0.12: kube-proxy;          Pods 10.20.2.0/24
#
# The same in IPv6: fd30::N, Pods fd20:N::/64. What is outside the cluster reaches external addresses
# by way of the nodes, as routers that have learnt the routes would.

# What the script that sources this has set: BUILD, the build directory.
EXTERNAL_CIDRS=(192.0.2.0/24 203.0.113.0/24)
SERVICE_CIDRS=10.96.0.0/16,fd10:96::/108
POD_CIDRS=10.20.0.0/16,fd20::/16
SERVER_URL=http://172.30.0.10:8001
declare -A program_pid=() # by name

# Mounts of the new namespaces are private. In a chroot that cannot be asked for, and need not be where
# no mount is shared with anybody.
cluster_propagation() {
    if ! unshare --mount true 2>/dev/null && ! grep -q 'shared:' /proc/self/mountinfo; then
        echo --propagation=unchanged
    fi
}

# cluster_enter SCRIPT ARGUMENTS...: run the script again inside new namespaces. Only the first time.
cluster_enter() {
    [ -z "${IN_CLUSTER:-}" ] || return 0
    # shellcheck disable=SC2046 # none or one word
    IN_CLUSTER=1 exec unshare --net --mount $(cluster_propagation) --pid --fork --kill-child \
        --mount-proc bash "$@"
}

# Why namespaces cannot be had; nothing if they can.
cluster_missing() {
    local word
    for word in unshare ip nft nginx curl openssl; do
        command -v "$word" >/dev/null || PATH=$PATH:/usr/sbin command -v "$word" >/dev/null ||
            printf 'the program %s; ' "$word"
    done
    # shellcheck disable=SC2046 # none or one word
    unshare --net --mount $(cluster_propagation) --pid --fork true 2>/dev/null ||
        printf 'root, or the right to make namespaces (CAP_SYS_ADMIN)'
}

# Not by `ip netns exec`, which wants more of mounts than a chroot can give.
inside() { # NAMESPACE COMMAND...
    local namespace=$1
    shift
    nsenter --net="/run/netns/$namespace" "$@"
}

# member NAME NUMBER: a namespace on the LAN.
member() {
    ip netns add "$1"
    ip link add "lan-$1" type veth peer name eth0 netns "$1"
    ip link set "lan-$1" master lan0 up
    inside "$1" sh -c "
        cd /proc/sys/net
        echo 1 >ipv4/ip_forward
        echo 1 >ipv6/conf/all/forwarding
        echo 0 >ipv4/conf/all/rp_filter
        echo 0 >ipv4/conf/default/rp_filter
        echo 10000 29999 >ipv4/ip_local_port_range
        ip link set lo up
        ip addr add 172.30.0.$2/24 dev eth0
        ip -6 addr add fd30::$2/64 dev eth0 nodad
        ip link set eth0 up
        ip route add default via 172.30.0.254
        ip -6 route add default via fd30::fe"
}

cluster_up() {
    local number cidr
    mount -t tmpfs tmpfs /run # for /run/netns, which is ours alone then
    mkdir -p /run/netns /run/lock
    ip link set lo up
    ip link add lan0 type bridge
    ip addr add 172.30.0.254/24 dev lan0
    ip -6 addr add fd30::fe/64 dev lan0 nodad
    ip link set lan0 up
    member control 10
    member node1 11
    member node2 12
    member client 100
    for number in 1 2; do
        inside "node$((3 - number))" ip route add "10.20.$number.0/24" via "172.30.0.1$number"
        inside "node$((3 - number))" ip -6 route add "fd20:$number::/64" via "fd30::1$number"
        inside control ip route add "10.20.$number.0/24" via "172.30.0.1$number"
    done
    for cidr in "${EXTERNAL_CIDRS[@]}"; do
        inside client ip route add "$cidr" nexthop via 172.30.0.11 nexthop via 172.30.0.12
    done
}

# A Pod is a namespace behind its node: an address of its own, and the node as the way to everything.
pod_network() { # NAME NODE-NUMBER ADDRESS-NUMBER
    local node="node$2" address="10.20.$2.$3" address6="fd20:$2::$3"
    ip netns add "pod-$1"
    inside "$node" ip link add "p$2-$3" type veth peer name eth0 netns "pod-$1"
    inside "$node" sh -c "
        ip link set p$2-$3 up
        ip addr add 10.20.$2.1/32 dev p$2-$3
        ip -6 addr add fd20:$2::1/128 dev p$2-$3 nodad
        ip route add $address dev p$2-$3
        ip -6 route add $address6 dev p$2-$3"
    inside "pod-$1" sh -c "
        ip link set lo up
        ip link set eth0 up
        ip addr add $address/32 dev eth0
        ip -6 addr add $address6/128 dev eth0 nodad
        ip route add 10.20.$2.1 dev eth0
        ip route add default via 10.20.$2.1
        ip -6 route add fd20:$2::1 dev eth0
        ip -6 route add default via fd20:$2::1"
}

# start NAME NAMESPACE COMMAND...: in the background, its output in LOGS/NAME.log.
start() {
    local name=$1 namespace=$2
    shift 2
    nsenter --net="/run/netns/$namespace" "$@" >>"$LOGS/$name.log" 2>&1 </dev/null &
    program_pid[$name]=$!
}

# stop NAME [SIGNAL]
stop() {
    [ -n "${program_pid[$1]:-}" ] || return 0
    kill "-${2:-TERM}" "${program_pid[$1]}" 2>/dev/null
    wait "${program_pid[$1]}" 2>/dev/null
    unset "program_pid[$1]"
}

is_running() { # NAME
    kill -0 "${program_pid[$1]}" 2>/dev/null
}

# wait_until SECONDS COMMAND...: until it succeeds; fails when the time is over.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

kubectl_here() {
    inside control env KUBECONFIG=/dev/null HOME="$WORK/home" kubectl --server="$SERVER_URL" "$@"
}

ask_server() { # METHOD PATH [TYPE BODY]
    inside control curl -fsS -X "$1" -H "Content-Type: ${3:-application/json}" ${4:+--data-binary "$4"} \
        "$SERVER_URL$2"
}

start_server() {
    start apiserver control "$BUILD/examples/apiserver/ipalloc-apiserver" \
        --service-cluster-ip-range="$SERVICE_CIDRS" --load-balancer-ip-range=192.0.2.0/24 \
        "--store=sqlite:$WORK/ipalloc.db" --listen=172.30.0.10:8001 "$@"
    wait_until 20 inside control curl -fsS "$SERVER_URL/readyz"
}

start_proxy() { # NODE-NUMBER
    : >"$LOGS/proxy$1.log"
    start "proxy$1" "node$1" "$BUILD/examples/kubeproxy/ipalloc-kubeproxy" --server="$SERVER_URL" \
        --node-name="node$1" --cluster-cidr="$POD_CIDRS" --healthz=0.0.0.0:10256
    wait_until 20 grep -q programmed "$LOGS/proxy$1.log"
}

# There is no kubelet here: these do its part. The Pod's object names its node already.
pod_up() { # NAME NODE-NUMBER ADDRESS-NUMBER PORT
    pod_network "$1" "$2" "$3"
    start "pod-$1" "pod-$1" "$BUILD/examples/demo/ipalloc-backend" "$1" "$4"
    wait_until 5 inside "pod-$1" curl -fsS "http://127.0.0.1:$4/"
    pod_ready "$1" "$2" "$3"
}

pod_ready() { # NAME NODE-NUMBER ADDRESS-NUMBER
    ask_server PATCH "/api/v1/namespaces/default/pods/$1/status" application/merge-patch+json "{
        \"status\": {\"phase\": \"Running\", \"hostIP\": \"172.30.0.1$2\", \"podIP\": \"10.20.$2.$3\",
        \"podIPs\": [{\"ip\": \"10.20.$2.$3\"}, {\"ip\": \"fd20:$2::$3\"}],
        \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}" >/dev/null
}

pod_down() { # NAME
    stop "pod-$1" KILL
    ip netns del "pod-$1"
}

node_ready() { # NODE-NUMBER
    ask_server PATCH "/api/v1/nodes/node$1/status" application/merge-patch+json "{
        \"status\": {\"addresses\": [{\"type\": \"InternalIP\", \"address\": \"172.30.0.1$1\"}],
        \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}" >/dev/null
}
