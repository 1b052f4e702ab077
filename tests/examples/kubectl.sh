#!/usr/bin/env bash
# kubectl.sh: the real kubectl against ipalloc-apiserver, command by command.
#
# Needs APISERVER (meson sets it) and kubectl on PATH; without kubectl it exits with 77, which is a
# skip. Every check prints one line; the first wrong answer ends the test with exit code 1.
set -euo pipefail

directory=
server_pid=
url=
checks=0

finish() {
    if [ -n "$server_pid" ]; then
        kill -KILL "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
    fi
    [ -z "$directory" ] || rm -rf "$directory"
}

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# No cluster, cache or setting of this user is seen or touched.
k() {
    KUBECONFIG=/dev/null HOME=$directory timeout 30 \
        kubectl --server="$url" "$@" 2>&1
}

# expect PATTERN COMMAND...: it succeeds and says PATTERN (a glob) somewhere.
expect() {
    local pattern=$1 said
    shift
    said=$(k "$@") || fail "kubectl $*: $said"
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $said == *$pattern* ]] || fail "kubectl $*: no '$pattern' in: $said"
    checks=$((checks + 1))
    printf 'ok: kubectl %s\n' "$*"
}

# refuse PATTERN COMMAND...: it fails and says PATTERN.
refuse() {
    local pattern=$1 said
    shift
    said=$(k "$@") && fail "kubectl $* succeeded: $said"
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $said == *$pattern* ]] || fail "kubectl $*: no '$pattern' in: $said"
    checks=$((checks + 1))
    printf 'ok: refused: kubectl %s\n' "$*"
}

# field NAME JSONPATH VALUE: what is stored.
field() {
    local said
    said=$(k get service "$1" -o "jsonpath=$2") || fail "get $1: $said"
    [ "$said" = "$3" ] || fail "$1: $2 is '$said', not '$3'"
    checks=$((checks + 1))
    printf 'ok: %s: %s is %s\n' "$1" "$2" "$3"
}

start_server() {
    local attempt
    "$APISERVER" --listen=127.0.0.1:0 "--store=sqlite:$directory/store.db" \
        --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108 \
        --load-balancer-ip-range=192.0.2.0/24 >"$directory/log" 2>&1 </dev/null &
    server_pid=$!
    for attempt in $(seq 100); do
        url=$(grep -om1 'http://[0-9.]*:[0-9]*' "$directory/log" || true)
        [ -z "$url" ] || return 0
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    fail "the server did not start (attempt $attempt): $(cat "$directory/log")"
}

manifest() { # NAME SELECTOR PORT
    cat <<YAML
apiVersion: v1
kind: Service
metadata:
  name: $1
  labels:
    app: $1
spec:
  type: NodePort
  selector:
    app: $2
  ports:
  - name: http
    port: $3
    targetPort: 8080
    nodePort: 30080
YAML
}

check_create() {
    expect "service/web created" create service clusterip web --tcp=80:8080
    expect "service/fixed created" create service clusterip fixed --tcp=80 --clusterip=10.96.77.1
    expect "service/open created" create service nodeport open --tcp=80 --node-port=31111
    expect "service/outside created" create service loadbalancer outside --tcp=443
    expect "service/alias created" create service externalname alias --external-name=example.org
    expect "service/headless created" create service clusterip headless --clusterip=None --tcp=80
    expect "(dry run)" create service clusterip unreal --tcp=80 --clusterip=10.96.77.2 \
        --dry-run=server
    field fixed '{.spec.clusterIP}' 10.96.77.1
    field open '{.spec.ports[0].nodePort}' 31111
    field headless '{.spec.clusterIP}' None
    field alias '{.spec.clusterIP}' ''
}

check_apply() {
    manifest applied first 80 >"$directory/applied.yaml"
    expect "service/applied created" apply -f "$directory/applied.yaml"
    expect "service/applied unchanged" apply -f "$directory/applied.yaml"
    local address
    address=$(k get service applied -o 'jsonpath={.spec.clusterIP}')
    manifest applied second 81 >"$directory/applied.yaml"
    expect "service/applied configured" apply -f "$directory/applied.yaml"
    field applied '{.spec.selector.app}' second
    field applied '{.spec.ports[*].port}' 81
    field applied '{.spec.ports[0].nodePort}' 30080
    field applied '{.spec.clusterIP}' "$address"
}

check_get() {
    expect "NAME*TYPE*CLUSTER-IP*EXTERNAL-IP*PORT(S)*AGE" get services
    expect "fixed*ClusterIP*10.96.77.1*<none>*80/TCP" get services
    expect "open*NodePort*80:31111/TCP" get services
    expect "outside*LoadBalancer*192.0.2." get services
    expect "alias*ExternalName*<none>*example.org" get services
    expect "SELECTOR" get services -o wide
    expect "default*kubernetes*10.96.0.1" get services --all-namespaces
    expect "clusterIP: 10.96.77.1" get service fixed -o yaml
    expect '"clusterIP": "10.96.77.1"' get service fixed -o json
    expect "service/fixed" get services -o name
    expect "applied" get services -l app=applied
    expect "fixed" get services --field-selector metadata.name=fixed
    expect "No resources found" get services -n kube-system
    expect "default*Active" get namespaces
    expect "services*svc*v1*true*Service" api-resources
    expect "10.96.77.1" describe service fixed
    expect "IP Families:*IPv4" describe service web
}

check_patch() {
    expect "service/web patched" patch service web -p '{"spec":{"selector":{"tier":"front"}}}'
    field web '{.spec.selector.tier}' front
    expect "service/web patched" patch service web -p \
        '{"spec":{"ports":[{"name":"more","port":81},{"name":"80-8080","port":80}]}}'
    field web '{.spec.ports[?(@.port==81)].name}' more
    field web '{.spec.ports[?(@.port==80)].targetPort}' 8080
    expect "service/web patched" patch service web --type=merge \
        -p '{"spec":{"selector":{"tier":null,"app":"web"}}}'
    field web '{.spec.selector}' '{"app":"web"}'
    expect "service/web patched" patch service web --type=json \
        -p '[{"op":"replace","path":"/spec/type","value":"NodePort"}]'
    field web '{.spec.type}' NodePort
    expect "service/web patched (no change)" patch service web --type=merge \
        -p '{"spec":{"type":"NodePort"}}'
    expect "service/web labeled" label service web tier=front
    refuse "already has a value" label service web tier=back
    expect "service/web labeled" label --overwrite service web tier=back
    expect "web" get services -l 'tier in (back)'
    expect "labeled" label service web tier-
    expect "service/web annotated" annotate service web note=hello
    field web '{.metadata.annotations.note}' hello
}

check_replace() {
    k get service applied -o yaml >"$directory/old.yaml"
    sed 's/app: second/app: third/' "$directory/old.yaml" >"$directory/new.yaml"
    expect "service/applied replaced" replace -f "$directory/new.yaml"
    field applied '{.spec.selector.app}' third
    refuse "the object has been modified" replace -f "$directory/old.yaml"
    manifest applied fourth 82 >"$directory/applied.yaml"
    expect "service/applied replaced" replace --force -f "$directory/applied.yaml"
    field applied '{.spec.selector.app}' fourth
}

check_errors() {
    refuse 'services "web" already exists' create service clusterip web --tcp=80
    refuse 'services "missing" not found' get service missing
    refuse 'services "missing" not found' delete service missing
    refuse 'services "missing" not found' patch service missing -p '{}'
    refuse 'provided IP is already allocated*fixed' create service clusterip late --tcp=80 \
        --clusterip=10.96.77.1
    refuse 'provided port is already allocated*open' create service nodeport late --tcp=80 \
        --node-port=31111
    refuse 'not in the valid range' create service clusterip late --tcp=80 --clusterip=10.1.1.1
    refuse 'namespaces "nowhere" not found' create service clusterip late --tcp=80 -n nowhere
    manifest late x 80 | sed 's/targetPort/targetPorts/' >"$directory/typo.yaml"
    refuse 'unknown field*targetPorts' create -f "$directory/typo.yaml"
    refuse 'services "late" not found' get service late
}

check_delete() {
    expect 'service "fixed" deleted' delete service fixed
    expect "service/heir created" create service clusterip heir --tcp=80 --clusterip=10.96.77.1
    expect 'deleted' delete services web open heir
    expect 'deleted' delete service -l app=applied
    refuse 'not found' get service applied
}

main() {
    if ! command -v kubectl >/dev/null; then
        echo "kubectl is not on PATH (Debian package kubernetes-client)"
        exit 77
    fi
    trap finish EXIT
    directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-kubectl-XXXXXX")
    start_server
    check_create
    check_apply
    check_get
    check_patch
    check_replace
    check_errors
    check_delete
    printf '%s answers of kubectl were right\n' "$checks"
}

main "$@"
