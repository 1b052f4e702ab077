#!/usr/bin/env bash
# kubectl.sh: every command of kubectl that a Service needs, with each kubectl of KUBECTLS; see
# kubectl_lib.sh.
set -euo pipefail
# shellcheck source=tests/examples/kubectl_lib.sh
. "$(dirname "$0")/kubectl_lib.sh"

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

# manifest with a second port and an annotation, for what takes them away again
fuller_manifest() {
    manifest "$@" | sed 's/^  labels:/  annotations:\n    note: first\n  labels:/'
    cat <<YAML
  - name: more
    port: 9090
    protocol: UDP
YAML
}

check_discovery() {
    expect "services*svc*v1*true*Service" api-resources
    expect "namespaces*ns*v1*false*Namespace" api-resources --namespaced=false
    expect "create*watch" api-resources -o wide
    expect "v1" api-versions
    expect "1.33" version
    expect "KIND:*Service*VERSION:*v1*FIELDS:*spec" explain service
    expect "nodePort*integer" explain service.spec.ports
    refuse "does not exist" explain service.spec.nothing
    expect "ok" get --raw /healthz
    expect "is running at" cluster-info
}

check_create() {
    expect "service/web created" create service clusterip web --tcp=80:8080
    expect "service/fixed created" create service clusterip fixed --tcp=80 --clusterip=10.96.0.77
    expect "service/open created" create service nodeport open --tcp=80 --node-port=30031
    expect "service/outside created" create service loadbalancer outside --tcp=443
    expect "service/alias created" create service externalname alias --external-name=example.org
    expect "service/headless created" create service clusterip headless --clusterip=None --tcp=80
    field fixed '{.spec.clusterIP}' 10.96.0.77
    field open '{.spec.ports[0].nodePort}' 30031
    field headless '{.spec.clusterIP}' None
    field alias '{.spec.clusterIP}' ''
    expect "(server dry run)" create service clusterip unreal --tcp=80 --clusterip=10.96.0.78 \
        --dry-run=server
    expect "clusterIP: 10.96.0.78" create service clusterip unreal --tcp=80 \
        --clusterip=10.96.0.78 --dry-run=server -o yaml
    expect "kind: Service" create service clusterip unreal --tcp=80 --dry-run=client -o yaml
    refuse "not found" get service unreal
    expect "namespace/shop created" create namespace shop
}

check_create_from_files() {
    { manifest one x 80 && echo --- && manifest two x 80; } | sed '/nodePort/d' \
        >"$directory/two.yaml"
    expect "service/one created*service/two created" create -f "$directory/two.yaml"
    refuse 'services "one" already exists' create -f "$directory/two.yaml"
    manifest none x 80 | sed 's/name: none/generateName: made-/; /nodePort/d' \
        >"$directory/made.yaml"
    expect "service/made-" create -f "$directory/made.yaml"
    expect "service/made-" create -f "$directory/made.yaml"
    [ "$(k get services -o name | grep -c made-)" = 2 ] || fail "not two names were made"
    passed "two names were made from made-"
    expect "service/dual created" create -f - <<JSON
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dual"},
 "spec": {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}}
JSON
    field dual '{.spec.ipFamilies}' '["IPv4","IPv6"]'
}

check_apply() {
    local address
    fuller_manifest applied first 80 >"$directory/applied.yaml"
    expect "service/applied created" apply -f "$directory/applied.yaml"
    expect "service/applied unchanged" apply -f "$directory/applied.yaml"
    address=$(k get service applied -o 'jsonpath={.spec.clusterIP}')
    fuller_manifest applied second 81 >"$directory/applied.yaml"
    expect "(server dry run)" apply --dry-run=server -f "$directory/applied.yaml"
    field applied '{.spec.selector.app}' first
    expect "service/applied configured" apply -f "$directory/applied.yaml"
    field applied '{.spec.ports[*].port}' '81 9090'
    field applied '{.metadata.annotations.note}' first
    manifest applied second 81 >"$directory/applied.yaml" # a port and an annotation less
    expect "service/applied configured" apply -f "$directory/applied.yaml"
    field applied '{.spec.ports[*].port}' 81
    field applied '{.metadata.annotations.note}' ''
    field applied '{.spec.ports[0].nodePort}' 30080
    field applied '{.spec.clusterIP}' "$address"
    expect "port: 81" apply view-last-applied service/applied
}

check_server_apply() {
    manifest theirs first 80 | sed '/nodePort/d' >"$directory/theirs.yaml"
    expect "serverside-applied" apply --server-side -f "$directory/theirs.yaml"
    field theirs '{.spec.selector.app}' first
    manifest theirs second 80 | sed '/nodePort/d' >"$directory/theirs.yaml"
    expect "serverside-applied" apply --server-side -f "$directory/theirs.yaml"
    field theirs '{.spec.selector.app}' second
    manifest theirs third 80 | sed '/nodePort/d' >"$directory/theirs.yaml"
    refuse "conflict with \"kubectl\"" apply --server-side -f "$directory/theirs.yaml" \
        --field-manager=another
    field theirs '{.spec.selector.app}' second
    expect "serverside-applied" apply --server-side --force-conflicts -f "$directory/theirs.yaml" \
        --field-manager=another
    field theirs '{.spec.selector.app}' third
    expect "(server dry run)" apply --server-side --dry-run=server -f "$directory/theirs.yaml"
}

check_diff() {
    local said
    said=$(k diff -f "$directory/applied.yaml") || fail "diff of what is stored: $said"
    passed "kubectl diff without a difference"
    manifest applied third 81 >"$directory/differs.yaml"
    said=$(k diff -f "$directory/differs.yaml") && fail "diff found nothing"
    [[ $said == *'-    app: second'*'+    app: third'* ]] || fail "diff: $said"
    passed "kubectl diff with one"
    field applied '{.spec.selector.app}' second
}

check_get() {
    expect "NAME*TYPE*CLUSTER-IP*EXTERNAL-IP*PORT(S)*AGE" get services
    expect "fixed*ClusterIP*10.96.0.77*<none>*80/TCP" get svc
    expect "open*NodePort*80:30031/TCP" get services
    expect "outside*LoadBalancer*192.0.2." get services
    expect "alias*ExternalName*<none>*example.org" get services
    expect "SELECTOR*app=second" get services -o wide
    expect "default*kubernetes*10.96.0.1" get services -A
    expect "fixed" get all
    expect "clusterIP: 10.96.0.77" get service fixed -o yaml
    expect '"clusterIP": "10.96.0.77"' get service fixed -o json
    expect "kind: List" get services -o yaml
    expect "service/fixed" get services -o name
    expect "10.96.0.77 80" get service fixed -o 'jsonpath={.spec.clusterIP} {.spec.ports[0].port}'
    expect "fixed/10.96.0.77" get service fixed \
        -o 'go-template={{.metadata.name}}/{{.spec.clusterIP}}'
    expect "NAME*IP*fixed*10.96.0.77" get service fixed \
        -o custom-columns=NAME:.metadata.name,IP:.spec.clusterIP
    expect "alias*applied*fixed" get services --sort-by=.metadata.name --no-headers --show-labels
    expect "APP" get services -L app
    expect "applied" get services -l app=applied
    expect "service/applied"$'\n'"service/theirs" get services -o name \
        -l 'app in (applied, theirs),app!=fixed,!nothing'
    expect "service/fixed" get services -o name --field-selector metadata.name=fixed
    expect "No resources found" get services --field-selector spec.type=LoadBalancer,metadata.name=a
    expect "No resources found" get services -n kube-system
    expect "" get service missing --ignore-not-found
    expect "default*Active" get namespaces
    refuse "unable to parse requirement" get services -l 'app in ('
    refuse "field label not supported" get services --field-selector spec.ports=80
    [ "$(k get services --chunk-size=2 -o name | wc -l)" = "$(k get services -o name | wc -l)" ] ||
        fail "--chunk-size=2: $(k get services --chunk-size=2 -o name)"
    passed "kubectl get --chunk-size=2 gets all"
}

check_describe() {
    expect "Name:*fixed*IP:*10.96.0.77*Port:*80*80/TCP*TargetPort:*80/TCP" describe service fixed
    expect "IP Families:*IPv4" describe service web
    expect "Type:*LoadBalancer*LoadBalancer Ingress:*192.0.2." describe service outside
    expect "External Name:*example.org" describe service alias
    expect "Name:*applied*Name:*fixed" describe services
}

check_patch() {
    expect "service/web patched" patch service web -p '{"spec":{"selector":{"tier":"front"}}}'
    field web '{.spec.selector.tier}' front
    expect "service/web patched" patch service web -p \
        '{"spec":{"ports":[{"name":"more","port":81},{"name":"80-8080","port":80}]}}'
    field web '{.spec.ports[?(@.port==81)].name}' more
    field web '{.spec.ports[?(@.port==80)].targetPort}' 8080
    # shellcheck disable=SC2016 # a $ is meant
    expect "service/web patched" patch service web -p \
        '{"spec":{"ports":[{"$patch":"delete","port":81}]}}'
    field web '{.spec.ports[*].port}' 80
    expect "service/web patched" patch service web --type=merge \
        -p '{"spec":{"selector":{"tier":null,"app":"web"}}}'
    field web '{.spec.selector}' '{"app":"web"}'
    expect "service/web patched" patch service web --type=json \
        -p '[{"op":"replace","path":"/spec/type","value":"NodePort"}]'
    field web '{.spec.type}' NodePort
    refuse "invalid" patch service web --type=json -p '[{"op":"remove","path":"/spec/nothing"}]'
    expect "service/web patched (no change)" patch service web --type=merge \
        -p '{"spec":{"type":"NodePort"}}'
    printf 'metadata:\n  labels:\n    from: yaml\n' >"$directory/patch.yaml"
    expect "service/web patched" patch service web -p "$(cat "$directory/patch.yaml")"
    field web '{.metadata.labels.from}' yaml
    expect "(server dry run)" patch service web --dry-run=server --type=merge \
        -p '{"spec":{"type":"ClusterIP"}}'
    field web '{.spec.type}' NodePort
    ! since 24 || expect "patched" patch service web --subresource=status --type=merge -p \
        '{"status":{"conditions":[{"type":"Ready","status":"True","reason":"a","message":"",
          "lastTransitionTime":"2024-01-01T00:00:00Z"}]}}'
}

check_label() {
    expect "service/web labeled" label service web tier=front
    refuse "already has a value" label service web tier=back
    expect "service/web labeled" label --overwrite service web tier=back
    expect "web" get services -l 'tier in (back)'
    expect "labeled" label services -l tier=back tier-
    field web '{.metadata.labels.tier}' ''
    expect "service/web annotate" annotate service web note=hello
    field web '{.metadata.annotations.note}' hello
    expect "service/web annotate" annotate service web note-
    refuse "metadata.labels: Invalid value" patch service web \
        -p '{"metadata":{"labels":{"tier":"not valid"}}}'
    expect "selector updated" set selector service web 'app=set'
    field web '{.spec.selector}' '{"app":"set"}'
}

check_expose() {
    expect "service/exposed exposed" expose service web --name=exposed --port=8081 --target-port=81
    field exposed '{.spec.ports[0].port} {.spec.ports[0].targetPort}' '8081 81'
    field exposed '{.spec.selector}' '{"app":"set"}'
    expect "service/lb exposed" expose service web --name=lb --port=80 --type=LoadBalancer
    field lb '{.spec.type}' LoadBalancer
    refuse "not found" expose service missing --name=nothing --port=80
}

check_replace() {
    k get service applied -o yaml >"$directory/old.yaml"
    sed 's/app: second/app: third/' "$directory/old.yaml" >"$directory/new.yaml"
    expect "service/applied replaced" replace -f "$directory/new.yaml"
    field applied '{.spec.selector.app}' third
    refuse "the object has been modified" replace -f "$directory/old.yaml"
    manifest applied fourth 82 >"$directory/applied.yaml"
    expect "service/applied replaced" replace -f "$directory/applied.yaml" # keeps its address
    expect "service/applied replaced" replace --force -f "$directory/applied.yaml"
    field applied '{.spec.selector.app}' fourth
}

# Optimistic concurrency: what names a version that is over is refused, and changes nothing.
check_conflicts() {
    refuse "the object has been modified" patch service web --type=merge \
        -p '{"metadata":{"resourceVersion":"1"},"spec":{"selector":{"app":"lost"}}}'
    refuse "the object has been modified" annotate service web a=b --resource-version=1
    refuse "the object has been modified" label service web a=b --resource-version=1
    refuse "Precondition failed" patch service web --type=merge -p '{"metadata":{"uid":"other"}}'
    refuse "may not change once set" patch service web --type=merge -p '{"spec":{"clusterIP":"10.96.9.9",
        "clusterIPs":["10.96.9.9"]}}'
    field web '{.spec.selector}' '{"app":"set"}'
}

check_edit() {
    KUBE_EDITOR="sed -i s/app:.set/app:\\ edited/" expect "service/web edited" edit service web
    field web '{.spec.selector}' '{"app":"edited"}'
    KUBE_EDITOR=true expect "Edit cancelled" edit service web
    KUBE_EDITOR="sed -i s/port:.80$/port:\\ 70000/" refuse "is invalid" edit service web
    field web '{.spec.ports[0].port}' 80
}

check_watch() {
    local watcher
    k get services -w --output-watch-events >"$directory/watch" &
    watcher=$!
    until_says "ADDED*web" "$directory/watch"
    k label service web seen=yes >/dev/null
    until_says "MODIFIED*web" "$directory/watch"
    k create service clusterip passing --tcp=80 >/dev/null
    until_says "ADDED*passing" "$directory/watch"
    k delete service passing >/dev/null
    until_says "DELETED*passing" "$directory/watch"
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    passed "kubectl get -w sees what is made, changed and deleted"
    k get services -w --watch-only -o name -l seen=no >"$directory/watch" &
    watcher=$!
    sleep 0.5
    k label --overwrite service web seen=no >/dev/null
    until_says "service/web" "$directory/watch"
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    passed "kubectl get -w -l sees what comes to match"
}

check_wait() {
    local waiter
    ! since 23 || expect "condition met" wait service/web --for=jsonpath='{.spec.type}'=NodePort \
        --timeout=10s
    ! since 24 || expect "condition met" wait service/web --for=condition=Ready --timeout=10s
    k create service clusterip brief --tcp=80 >/dev/null
    k wait service/brief --for=delete --timeout=20s >"$directory/wait" &
    waiter=$!
    sleep 0.3
    k delete service brief >/dev/null
    wait "$waiter" || fail "wait --for=delete: $(cat "$directory/wait")"
    passed "kubectl wait --for=delete"
    refuse "timed out" wait service/web --for=delete --timeout=1s
}

# Nothing is freed until the object is gone.
check_finalizers() {
    k create service clusterip held --tcp=80 --clusterip=10.96.0.79 >/dev/null
    expect "patched" patch service held -p '{"metadata":{"finalizers":["example.org/hold"]}}'
    expect 'deleted' delete service held --wait=false
    expect '"example.org/hold"' get service held -o 'jsonpath={.metadata.finalizers}'
    expect 'T*Z' get service held -o 'jsonpath={.metadata.deletionTimestamp}'
    refuse 'provided IP is already allocated*held' create service clusterip heir --tcp=80 \
        --clusterip=10.96.0.79
    expect "patched" patch service held --type=merge -p '{"metadata":{"finalizers":null}}'
    refuse "not found" get service held
    expect "created" create service clusterip heir --tcp=80 --clusterip=10.96.0.79
    expect "deleted" delete service heir
}

check_errors() {
    refuse 'services "web" already exists' create service clusterip web --tcp=80
    refuse 'services "missing" not found' get service missing
    refuse 'services "missing" not found' delete service missing
    refuse 'services "missing" not found' patch service missing -p '{}'
    refuse 'services "missing" not found' edit service missing
    refuse 'provided IP is already allocated*fixed' create service clusterip late --tcp=80 \
        --clusterip=10.96.0.77
    refuse 'provided port is already allocated*open' create service nodeport late --tcp=80 \
        --node-port=30031
    refuse 'not in the valid range' create service clusterip late --tcp=80 --clusterip=10.1.1.1
    refuse 'namespaces "nowhere" not found' create service clusterip late --tcp=80 -n nowhere
    refuse "the server doesn't have a resource type" get nothings
    manifest late x 80 | sed 's/targetPort/targetPorts/' >"$directory/typo.yaml"
    refuse 'unknown field*targetPorts' create -f "$directory/typo.yaml"
    manifest late x 80 | sed 's/port: 80/port: eighty/' >"$directory/typo.yaml"
    refuse '' create -f "$directory/typo.yaml"
    refuse 'services "late" not found' get service late
}

check_delete() {
    expect 'deleted (server dry run)' delete service fixed --dry-run=server
    field fixed '{.spec.clusterIP}' 10.96.0.77
    expect 'service "fixed" deleted' delete service fixed
    expect "service/heir created" create service clusterip heir --tcp=80 --clusterip=10.96.0.77
    expect 'deleted' delete service/web svc/open service/heir --now
    expect 'deleted' delete service -l app=applied
    refuse 'not found' get service applied
    expect 'deleted' delete -f "$directory/two.yaml"
    expect 'service "theirs" deleted' delete service theirs --cascade=orphan
    expect "created" create service clusterip there --tcp=80 -n shop
    expect 'service "there" deleted' delete services --all -n shop
    expect "No resources found" delete services --all -n shop
    expect "service/kubernetes" get services -o name
}

# Short runs (under the sanitizers) leave the rest to the recorded requests, which are replayed there.
if [ "${TEST_SCALE:-100}" -lt 100 ]; then
    run_checks check_create check_create_from_files check_apply check_server_apply check_watch \
        check_delete
    exit
fi

run_checks check_discovery check_create check_create_from_files check_apply check_server_apply \
    check_diff check_get check_describe check_patch check_label check_expose check_replace \
    check_conflicts check_edit check_watch check_wait check_finalizers check_errors check_delete
