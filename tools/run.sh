#!/usr/bin/env bash
# run.sh: `./dev run`: see it work, from nothing, in a minute.
#
# Starts the example API server on a new SQLite store, creates Services through kubectl (or curl),
# shows what each got, kills the server with -9, starts it on the same store and shows that every
# Service has what it had. Fails if one has not. Then tells how to go on by hand.
set -euo pipefail
. tools/common.sh
. tools/packages.sh

SERVER=build/examples/apiserver/ipalloc-apiserver
server_pid=
directory=
url=

bold='' green='' red='' plain=''
if [ -t 1 ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

server_words() { # ADDRESS:PORT
    printf '%s\n' "$SERVER" \
        --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108 \
        --service-node-port-range=30000-32767 \
        --load-balancer-ip-range=192.0.2.0/24 \
        "--store=sqlite:$directory/ipalloc.db" \
        "--listen=$1"
}

# The server says where it listens; port 0 lets the system pick a free one.
wait_for_server() {
    local attempt
    for attempt in $(seq 100); do
        url=$(grep -om1 'http://[0-9.]*:[0-9]*' "$directory/server.log" || true)
        if [ -n "$url" ] && curl -fsS "$url/readyz" >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$directory/server.log" >&2
    die "the server did not come up (attempt $attempt)"
}

start_server() { # ADDRESS:PORT
    local words
    mapfile -t words < <(server_words "$1")
    "${words[@]}" >"$directory/server.log" 2>&1 </dev/null &
    server_pid=$!
    wait_for_server
}

stop_server() { # SIGNAL
    [ -n "$server_pid" ] || return 0
    kill "-$1" "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

# kubectl must see nothing of this user's clusters.
kubectl_here() {
    KUBECONFIG=/dev/null HOME=$directory/home kubectl --server="$url" "$@"
}

create_services() {
    local file
    for file in examples/services/*.json; do
        if has_command kubectl; then
            kubectl_here create --validate=false -f "$file"
        else
            curl -fsS -o /dev/null -H 'Content-Type: application/json' --data-binary "@$file" \
                "$url/api/v1/namespaces/default/services"
            say "$file created"
        fi
    done
}

# Every Service on a line: name, type, cluster IPs, node ports, load-balancer addresses.
list_services() {
    curl -fsS "$url/api/v1/services" | python3 -c '
import json, sys
for service in json.load(sys.stdin)["items"]:
    spec = service["spec"]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    print("|".join([
        service["metadata"]["name"],
        spec["type"],
        ",".join(spec.get("clusterIPs", [])),
        ",".join(str(port["nodePort"]) for port in spec["ports"] if port.get("nodePort")) or "-",
        ",".join(entry["ip"] for entry in ingress) or "-",
    ]))'
}

print_row() { # NAME TYPE CLUSTER-IPS NODE-PORTS LOAD-BALANCER [VERDICT]
    local row
    printf -v row '  %-11s %-13s %-33s %-12s %-13s %s' "$1" "$2" "$3" "$4" "$5" "${6:-}"
    say "${row%"${row##*[! ]}"}"
}

print_table() { # FILE
    local row
    print_row NAME TYPE CLUSTER-IPS NODE-PORTS LOAD-BALANCER
    while IFS='|' read -r -a row; do
        print_row "${row[@]}"
    done <"$1"
}

print_comparison() { # BEFORE AFTER
    local row line verdict
    print_row NAME TYPE CLUSTER-IPS NODE-PORTS LOAD-BALANCER
    while IFS= read -r line; do
        IFS='|' read -r -a row <<<"$line"
        verdict="${green}same$plain"
        grep -qxF -- "$line" "$1" || verdict="${red}DIFFERENT$plain"
        print_row "${row[@]}" "$verdict"
    done <"$2"
    cmp -s "$1" "$2"
}

show_how_to_go_on() {
    local words
    mapfile -t words < <(server_words 127.0.0.1:8001)
    heading "Go on by hand"
    say "start the same server again (it keeps what is in $directory/ipalloc.db):"
    say "    ${words[*]}"
    say "and in another terminal:"
    say "    kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:8001 get services"
    say "    kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:8001 create service clusterip api --tcp=80:8080"
    say "    curl http://127.0.0.1:8001/api/v1/services"
    say "    curl http://127.0.0.1:8001/metrics"
    say "    sqlite3 -readonly $directory/ipalloc.db \"SELECT key, value FROM records WHERE key LIKE 'lease/%'\""
    say "throw it away:"
    say "    rm -r $directory"
}

main() {
    install_missing "${BUILD_NEEDS[@]}" "${RUN_NEEDS[@]}"
    install_kubectl
    heading "Building"
    configure build -Dsqlite=enabled -Dexamples=enabled
    compile build

    directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-run-XXXXXX")
    mkdir "$directory/home"
    trap 'stop_server KILL' EXIT
    heading "Starting the API server on a new store: $directory/ipalloc.db"
    start_server 127.0.0.1:0
    say "it serves $url, process $server_pid"

    heading "Creating Services"
    create_services
    list_services >"$directory/before"
    print_table "$directory/before"

    heading "kill -9 $server_pid, then a new server on the same store"
    stop_server KILL
    start_server "${url#http://}"
    say "it serves $url, process $server_pid"
    list_services >"$directory/after"
    print_comparison "$directory/before" "$directory/after" || die "a Service changed its addresses"

    stop_server TERM
    show_how_to_go_on
}

main "$@"
