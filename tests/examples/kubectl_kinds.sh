#!/usr/bin/env bash
# kubectl_kinds.sh: the kinds beside Services (Pod, Node, Endpoints, EndpointSlice, Ingress,
# IngressClass, Secret, ConfigMap, Event), with each kubectl of KUBECTLS; see kubectl_lib.sh.
set -euo pipefail
# shellcheck source=tests/examples/kubectl_lib.sh
. "$(dirname "$0")/kubectl_lib.sh"

# value KIND/NAME JSONPATH VALUE: what is stored.
value() {
    local said
    said=$(k get "$1" -o "jsonpath=$2") || fail "get $1: $said"
    [ "$said" = "$3" ] || fail "$1: $2 is '$said', not '$3'"
    passed "$1: $2 is $3"
}

# rows KIND COLUMNS ROW [OPTION...]: a table's first two lines, blanks as one.
rows() {
    local kind=$1 columns=$2 row=$3 said
    shift 3
    said=$(k get "$kind" "$@" | tr -s ' ' | sed 's/ $//') || fail "get $kind: $said"
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $(head -n 1 <<<"$said") == $columns && $(sed -n 2p <<<"$said") == $row ]] ||
        fail "get $kind $*: $said"
    passed "kubectl get $kind $*"
}

check_pods() {
    expect "pod/web created" run web --image=web:1 --port=8080 --labels=app=web,tier=front \
        --env=A=b --overrides='{"spec":{"nodeName":"node-1"}}'
    refuse 'pods "web" already exists' run web --image=web:1
    refuse 'Invalid value: "Web"' run Web --image=web:1
    expect "pod/idle created" run idle --image=idle --restart=Never
    value pod/web '{.spec.containers[0].ports[0].containerPort}:{.spec.containers[0].env[0].value}' \
        8080:b
    value pod/idle '{.spec.restartPolicy}:{.status.phase}' Never:Pending
    rows pod "NAME READY STATUS RESTARTS AGE" "web 0/1 Pending 0 *" web
    expect "pod/web" get pods -o name -l 'app=web,tier in (front)'
    expect "web" get pods --field-selector=spec.nodeName=node-1
    refuse "not supported" get pods --field-selector=spec.restartPolicy=Never
}

# As a kubelet tells it.
check_pod_status() {
    since 24 || return 0 # --subresource
    expect "pod/web patched" patch pod web --subresource=status --type=merge -p '{"status":{
        "phase":"Running","podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"}],
        "conditions":[{"type":"Ready","status":"True"}]}}'
    rows pod "NAME READY STATUS RESTARTS AGE IP NODE*" "web 1/1 Running 0 * 10.1.0.1 node-1*" web -o wide
    expect "condition met" wait pod/web --for=condition=Ready --timeout=10s
    expect "web" get pods --field-selector=status.phase=Running
    # strategic: a condition and an address by their keys, beside those that are there
    expect "pod/web patched" patch pod web --subresource=status -p '{"status":{
        "conditions":[{"type":"Initialized","status":"True"}],"podIPs":[{"ip":"fd00::1"}]}}'
    value pod/web '{.status.conditions[*].type} {.status.podIPs[*].ip}' \
        'Ready Initialized 10.1.0.1 fd00::1'
    refuse "must be a valid IP address" patch pod web --subresource=status --type=merge \
        -p '{"status":{"podIP":"10.1.0.256"}}'
}

check_pod_changes() {
    expect "pod/web patched" patch pod web -p '{"spec":{"containers":[{"name":"web","image":"web:2"}]}}'
    value pod/web '{.spec.containers[*].image}' web:2
    expect "pod/web patched" patch pod web --type=json \
        -p '[{"op":"replace","path":"/spec/containers/0/image","value":"web:4"}]'
    refuse "pod updates may not change fields other than" patch pod web \
        -p '{"spec":{"containers":[{"name":"web","ports":[{"containerPort":81}]}]}}'
    refuse "pod updates may not add or remove containers" patch pod web \
        -p '{"spec":{"containers":[{"name":"more","image":"more"}]}}'
    expect "pod/web labeled" label pod web tier=back --overwrite
    expect "pod/web annotate" annotate pod web note=hello
    value pod/web '{.metadata.labels.tier} {.metadata.annotations.note}' 'back hello'
    refuse "metadata.labels: Invalid value" patch pod web -p '{"metadata":{"labels":{"tier":"not valid"}}}'
    expect "service/web exposed" expose pod web
    field web '{.spec.selector} {.spec.ports[0].port}' '{"app":"web","tier":"back"} 8080'
    expect "Name:*web*Node:*node-1*Image:*web:4*Port:*8080/TCP" describe pod web
    expect "KIND:*Pod*VERSION:*v1*FIELDS:*spec" explain pod
    k get pod idle -o yaml >"$directory/idle.yaml"
    sed -i 's/run: idle/run: later/' "$directory/idle.yaml"
    expect "pod/idle replaced" replace -f "$directory/idle.yaml"
    value pod/idle '{.metadata.labels.run}' later
}

# One that runs on a node is given its time; without a node nothing has to end.
check_pod_deletion() {
    expect 'deleted (server dry run)' delete pod web --dry-run=server
    expect 'pod "web" deleted' delete pod web --wait=false --grace-period=600
    value pod/web '{.metadata.deletionGracePeriodSeconds}' 600
    rows pod "NAME READY STATUS RESTARTS AGE" "web */1 Terminating 0 *" web
    expect 'pod "web" force deleted' delete pod web --force --grace-period=0
    refuse 'pods "web" not found' get pod web
    expect 'pod "idle" deleted' delete pod idle --cascade=foreground
    expect "No resources found" get pods
    expect "service \"web\" deleted" delete service web
}

node_manifest() { # NAME
    printf 'apiVersion: v1\nkind: Node\nmetadata:\n  name: %s\n  labels:\n    zone: a\nspec:\n' "$1"
    printf '  podCIDRs: [10.1.0.0/24]\n'
}

check_nodes() {
    node_manifest node-1 >"$directory/node.yaml"
    expect "node/node-1 created" apply -f "$directory/node.yaml"
    refuse "node updates may not change podCIDR" patch node node-1 -p '{"spec":{"podCIDRs":["10.2.0.0/24"]}}'
    expect "node/node-1 labeled" label node node-1 node-role.kubernetes.io/edge=
    expect "node/node-1 cordoned" cordon node-1
    value node/node-1 '{.spec.unschedulable}' true
    expect "node/node-1 uncordoned" uncordon node-1
    if since 24; then
        expect "patched" patch node node-1 --subresource=status -p '{"status":{"addresses":[
            {"type":"InternalIP","address":"192.0.2.11"}],
            "conditions":[{"type":"Ready","status":"True"}],"nodeInfo":{"kubeletVersion":"v1"}}}'
        expect "patched" patch node node-1 --subresource=status -p '{"status":{"addresses":[
            {"type":"Hostname","address":"one"}]}}'
        rows node "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP*" \
            "node-1 Ready edge * v1 192.0.2.11 *" -o wide
        value node/node-1 '{.status.addresses[*].address}' '192.0.2.11 one'
    fi
    expect "Name:*node-1*Labels:*zone=a*PodCIDRs:*10.1.0.0/24" describe node node-1
    expect 'node "node-1" deleted' delete node node-1
}

slice_manifest() { # ADDRESS PORT_NAME
    cat <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: by-hand
  labels:
    kubernetes.io/service-name: by-hand
addressType: IPv4
endpoints:
- addresses: [$1]
  conditions: {ready: true}
ports:
- name: $2
  port: 8080
YAML
}

check_slices() {
    slice_manifest 10.1.0.1 http >"$directory/slice.yaml"
    expect "endpointslice.discovery.k8s.io/by-hand serverside-applied" apply --server-side -f "$directory/slice.yaml"
    rows endpointslice "NAME ADDRESSTYPE PORTS ENDPOINTS AGE" "by-hand IPv4 8080 10.1.0.1 *" by-hand
    # the list of ports is one value: it is replaced, not merged
    expect "patched" patch endpointslice by-hand -p '{"ports":[{"name":"web","port":81}]}'
    value endpointslice/by-hand '{.ports[*].name}:{.ports[*].port}' web:81
    slice_manifest 10.1.0.2 other >"$directory/slice.yaml"
    refuse 'conflict with "kubectl-patch"*.ports' apply --server-side -f "$directory/slice.yaml"
    expect "serverside-applied" apply --server-side --force-conflicts -f "$directory/slice.yaml"
    value endpointslice/by-hand '{.ports[*].name}:{.endpoints[*].addresses[0]}' other:10.1.0.2
    refuse "may not be in the loopback range" apply --server-side --force-conflicts \
        -f <(slice_manifest 127.0.0.1 http)
    refuse "field is immutable" patch endpointslice by-hand --type=merge \
        -p '{"addressType":"IPv6","endpoints":[]}'
    ! since 22 || expect "AddressType:*IPv4*other*10.1.0.2" describe endpointslice by-hand
    expect "forZones" explain endpointslice.endpoints.hints
    expect 'endpointslice.discovery.k8s.io "by-hand" deleted' delete -f "$directory/slice.yaml"
}

check_endpoints() {
    cat >"$directory/endpoints.yaml" <<YAML
apiVersion: v1
kind: Endpoints
metadata: {name: outside}
subsets:
- addresses: [{ip: 192.0.2.1}, {ip: 192.0.2.2}]
  ports: [{port: 80}]
YAML
    expect "service/outside created" create service clusterip outside --tcp=80
    k patch service outside --type=merge -p '{"spec":{"selector":null}}' >/dev/null
    expect "endpoints/outside created" create -f "$directory/endpoints.yaml"
    rows endpoints "NAME ENDPOINTS AGE" "outside 192.0.2.1:80,192.0.2.2:80 *" outside
    expect "patched" patch endpoints outside --type=json \
        -p '[{"op":"add","path":"/subsets/0/notReadyAddresses","value":[{"ip":"192.0.2.3"}]}]'
    expect "Addresses:*192.0.2.1,192.0.2.2*NotReadyAddresses:*192.0.2.3" describe endpoints outside
    expect 'endpoints "outside" deleted' delete endpoints outside
    expect 'service "outside" deleted' delete service outside
}

check_ingress_classes() {
    cat >"$directory/class.yaml" <<YAML
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: front
  annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
spec:
  controller: example.org/front
  parameters: {apiGroup: example.org, kind: Front, name: one}
YAML
    expect "ingressclass.networking.k8s.io/front created" apply -f "$directory/class.yaml"
    rows ingressclass "NAME CONTROLLER PARAMETERS AGE" "front example.org/front Front*/one *"
    value ingressclass/front '{.spec.parameters.scope}' Cluster
    refuse "field is immutable" patch ingressclass front --type=merge \
        -p '{"spec":{"controller":"example.org/back"}}'
    expect "Controller:*example.org/front" describe ingressclass front
    expect "scope*string" explain ingressclass.spec.parameters
    k create ingress plain --rule='plain.example/=web:80' >/dev/null
    value ingress/plain '{.spec.ingressClassName}' front # the default one
    expect 'ingress.networking.k8s.io "plain" deleted' delete ingress plain
    expect 'ingressclass.networking.k8s.io "front" deleted' delete ingressclass front --now
}

check_ingresses() {
    expect "ingress.networking.k8s.io/shop created" create ingress shop \
        --rule='shop.example/basket*=shop:80' --rule='shop.example/=web:http,tls=shop-tls' \
        --annotation=note=hello
    rows ingress "NAME CLASS HOSTS ADDRESS PORTS AGE" "shop * shop.example 80, 443 *"
    value ingress/shop '{range .spec.rules[0].http.paths[*]}{.path}={.pathType} {end}' \
        '/basket=Prefix /=Exact '
    refuse "must be a DNS name, not an IP address" create ingress bad --rule='192.0.2.1/=web:80'
    refuse "a wildcard DNS-1123 subdomain must start with '?.'" create ingress bad --rule='a.*.example/=web:80'
    refuse "Invalid value: \"No_class\"" create ingress bad --class=No_class --rule='a.example/=web:80'
    expect "patched" patch ingress shop --type=json \
        -p '[{"op":"replace","path":"/spec/rules/0/host","value":"*.shop.example"}]'
    # the list of rules is one value
    expect "patched" patch ingress shop -p '{"spec":{"rules":[{"host":"other.example","http":{"paths":[
        {"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}'
    value ingress/shop '{.spec.rules[*].host}' other.example
    refuse "must be an absolute path" patch ingress shop --type=json \
        -p '[{"op":"replace","path":"/spec/rules/0/http/paths/0/path","value":"basket"}]'
    ! since 24 || expect "patched" patch ingress shop --subresource=status --type=merge \
        -p '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"},{"hostname":"edge.example"}]}}}'
    expect "other.example*/*web:80" describe ingress shop
    expect "pathType*string" explain ingress.spec.rules.http.paths
    k get ingress shop -o yaml >"$directory/ingress.yaml"
    expect "ingress.networking.k8s.io/shop annotate" annotate ingress shop note=again --overwrite
    refuse "the object has been modified" replace -f "$directory/ingress.yaml"
    expect 'ingress.networking.k8s.io "shop" deleted' delete ingress --all
}

check_secrets() {
    expect "secret/plain created" create secret generic plain --from-literal=user=me --from-literal=word=hidden
    value secret/plain '{.type}:{.data.user}' Opaque:bWU=
    rows secret "NAME TYPE DATA AGE" "plain Opaque 2 *" plain
    expect "user:*2 bytes" describe secret plain
    expect "secret/pull created" create secret docker-registry pull --docker-server=example.org \
        --docker-username=me --docker-password=hidden
    value secret/pull '{.type}' kubernetes.io/dockerconfigjson
    expect "plain" get secrets --field-selector=type=Opaque
    refuse 'data[[]tls.crt[]]: Required value' create secret generic bad --type=kubernetes.io/tls
    refuse "illegal base64 data" create -f - <<<'{"apiVersion":"v1","kind":"Secret","metadata":{
        "name":"bad"},"data":{"a":"plain text"}}'
    expect "patched" patch secret plain -p '{"stringData":{"user":"you"},"data":{"word":null}}'
    value secret/plain '{.data}' '{"user":"eW91"}'
    expect "patched" patch secret plain --type=merge -p '{"immutable":true}'
    refuse 'field is immutable when ?immutable? is set' patch secret plain -p '{"stringData":{"user":"she"}}'
    expect "labeled" label secret plain seen=yes # metadata is free
    expect 'secret "plain" deleted' delete secret plain pull
}

check_config_maps() {
    printf 'listen: 80\n' >"$directory/app.conf"
    printf '\377\376' >"$directory/bytes"
    expect "configmap/app created" create configmap app --from-file="$directory/app.conf" \
        --from-file="$directory/bytes" --from-literal=mode=fast
    value configmap/app '{.data.app\.conf}{.data.mode} {.binaryData.bytes}' $'listen: 80\nfast //4='
    rows configmap "NAME DATA AGE" "app 3 *" app
    expect "mode:*fast" describe configmap app
    expect "patched" patch configmap app --type=merge -p '{"data":{"mode":null,"pace":"slow"}}'
    value configmap/app '{.data.mode}{.data.pace}' slow
    refuse "a valid config key must consist of" patch configmap app -p '{"data":{"a/b":"c"}}'
    refuse "cannot unmarshal" patch configmap app --type=merge \
        -p '{"data":{"a":1}}'
    k create configmap app --from-literal=mode=new --dry-run=client -o yaml >"$directory/app.yaml"
    expect "configmap/app replaced" replace -f "$directory/app.yaml"
    value configmap/app '{.data}{.binaryData}' '{"mode":"new"}'
    expect "configmap/app serverside-applied" apply --server-side --force-conflicts -f "$directory/app.yaml"
    KUBE_EDITOR="sed -i s/mode:.new/mode:\\ edited/" expect "configmap/app edited" edit configmap app
    value configmap/app '{.data.mode}' edited
    expect "patched" patch configmap app -p '{"metadata":{"finalizers":["example.org/hold"]}}'
    expect 'configmap "app" deleted' delete configmap app --wait=false
    refuse "no new finalizers can be added" patch configmap app \
        -p '{"metadata":{"finalizers":["example.org/more"]}}'
    expect "patched" patch configmap app --type=merge -p '{"metadata":{"finalizers":null}}'
    refuse 'configmaps "app" not found' get configmap app
}

check_events() {
    expect "configmap/told created" create configmap told
    expect "event/told.1 created" create -f - <<JSON
{"apiVersion":"v1","kind":"Event","metadata":{"name":"told.1"},"type":"Warning","reason":"Late",
 "message":"it came late","count":2,"lastTimestamp":"2024-01-01T00:00:00Z",
 "involvedObject":{"apiVersion":"v1","kind":"ConfigMap","name":"told","namespace":"default","uid":"$(
        k get configmap told -o 'jsonpath={.metadata.uid}')"}}
JSON
    rows events "LAST SEEN TYPE REASON OBJECT MESSAGE" "* Warning Late configmap/told it came late"
    expect "it came late" get events --field-selector=involvedObject.name=told,type=Warning
    expect "Events:*Warning*Late*it came late" describe configmap told
    ! since 26 || expect "Late*it came late" events --for configmap/told
    refuse "does not match event.namespace" patch event told.1 -p '{"involvedObject":{"namespace":"shop"}}'
    expect 'event "told.1" deleted' delete event told.1
    expect 'configmap "told" deleted' delete configmap -l '!app' --field-selector=metadata.name=told
}

# Short runs (under the sanitizers) leave the rest to test_apiserver_kinds.
if [ "${TEST_SCALE:-100}" -lt 100 ]; then
    run_checks check_pods check_pod_status check_slices check_ingresses
    exit
fi

run_checks check_pods check_pod_status check_pod_changes check_pod_deletion check_nodes check_slices \
    check_endpoints check_ingress_classes check_ingresses check_secrets check_config_maps check_events
