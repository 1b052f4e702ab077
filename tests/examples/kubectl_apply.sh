#!/usr/bin/env bash
# kubectl_apply.sh: server-side apply and the owners of fields, with each kubectl of KUBECTLS; see
# kubectl_lib.sh.
set -euo pipefail
# shellcheck source=tests/examples/kubectl_lib.sh
. "$(dirname "$0")/kubectl_lib.sh"

manifest() { # NAME TARGET_PORT [TIER]
    cat <<YAML
apiVersion: v1
kind: Service
metadata:
  name: $1
  labels:
    app: $1
${3:+    tier: $3}
spec:
  type: NodePort
  selector:
    app: $1
  ports:
  - name: http
    port: 80
    targetPort: $2
YAML
}

second_port() {
    cat <<YAML
  - name: more
    port: 81
    nodePort: 30081
YAML
}

serverside() { # FILE [OPTION...]
    local file=$1
    shift
    expect serverside-applied apply --server-side -f "$file" "$@"
}

conflict() { # PATTERN FILE [OPTION...]
    local pattern=$1 file=$2
    shift 2
    refuse "$pattern" apply --server-side -f "$file" "$@"
}

version_of() {
    k get service "$1" -o 'jsonpath={.metadata.resourceVersion}'
}

# managers NAME MANAGER...: who is noted, in the order of their names.
managers() {
    local name=$1 said
    shift
    said=$(k get service "$name" -o \
        'jsonpath={range .metadata.managedFields[*]}{.manager}{"\n"}{end}' | sort | xargs)
    [ "$said" = "$*" ] || fail "$name is managed by '$said', not '$*'"
    passed "$name is managed by: $*"
}

check_new_and_unchanged() {
    local before
    { manifest web 8080 front && second_port; } >"$directory/web.yaml"
    serverside "$directory/web.yaml"
    managers web kubectl
    before=$(version_of web)
    serverside "$directory/web.yaml"
    field web '{.metadata.resourceVersion}' "$before"
    expect "(server dry run)" apply --server-side --dry-run=server -f <(manifest web 9090)
    field web '{.metadata.resourceVersion}' "$before"
}

check_what_is_left_out_goes() {
    local address
    address=$(k get service web -o 'jsonpath={.spec.clusterIP}')
    manifest web 8081 >"$directory/web.yaml"
    serverside "$directory/web.yaml"
    field web '{.spec.ports[*].port}:{.spec.ports[0].targetPort}' 80:8081
    field web '{.metadata.labels}' '{"app":"web"}'
    field web '{.spec.clusterIP}' "$address" # nobody gave it, so it stays
    expect created create service nodeport next --tcp=81 --node-port=30081
}

check_two_managers() {
    manifest web 9090 >"$directory/other.yaml"
    conflict 'Apply failed with 1 conflict: conflict with "kubectl": .spec.ports?port=80,protocol="TCP"?.targetPort' \
        "$directory/other.yaml" --field-manager=other
    sed 's/app: web/app: b/' "$directory/other.yaml" >"$directory/two.yaml"
    conflict 'Apply failed with 3 conflicts: conflicts with "kubectl":*- .metadata.labels.app*- .spec.ports*- .spec.selector' \
        "$directory/two.yaml" --field-manager=other
    serverside "$directory/other.yaml" --field-manager=other --force-conflicts
    field web '{.spec.ports[0].targetPort}' 9090
    conflict 'conflict with "other": .spec.ports' "$directory/web.yaml"
    # what both give belongs to both
    serverside "$directory/other.yaml"
    managers web kubectl other
    grep -v targetPort "$directory/other.yaml" >"$directory/less.yaml"
    serverside "$directory/less.yaml"
    field web '{.spec.ports[0].targetPort}' 9090
    serverside "$directory/less.yaml" --field-manager=other
    field web '{.spec.ports[0].targetPort}' 80 # the default again: nobody gives one
}

check_edits_own_too() {
    expect patched patch service web -p '{"spec":{"sessionAffinity":"ClientIP"}}'
    { cat "$directory/web.yaml" && echo "  sessionAffinity: None"; } >"$directory/none.yaml"
    conflict 'conflict with "kubectl-patch" using v1: .spec.sessionAffinity' \
        "$directory/none.yaml"
    expect labeled label service web app=mine --overwrite
    conflict 'conflict with "kubectl-label" using v1: .metadata.labels.app' "$directory/web.yaml"
    serverside "$directory/web.yaml" --force-conflicts
    field web '{.metadata.labels.app}' web
    expect patched patch service web --type=json \
        -p '[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]'
    managers web
    serverside "$directory/web.yaml"
    managers web before-first-apply kubectl
}

check_from_client_side() {
    { manifest old 8080 front && second_port; } | sed s/30081/30082/ >"$directory/old.yaml"
    expect "service/old created" apply -f "$directory/old.yaml"
    managers old kubectl-client-side-apply
    manifest old 8081 >"$directory/old.yaml"
    serverside "$directory/old.yaml" # no conflict with what it applied itself
    field old '{.spec.ports[0].targetPort}' 8081
    since 27 || return 0 # an older kubectl leaves the entry of its client-side apply
    managers old kubectl kubectl-last-applied # it keeps the annotation too
    field old '{.spec.ports[*].port}' 80
    field old '{.metadata.labels}' '{"app":"old"}'
    expect "service/old configured" apply -f <(manifest old 8082)
    conflict 'conflict with "kubectl-client-side-apply" using v1' <(manifest old 8083) \
        --field-manager=other
}

check_refusals() {
    refuse 'field not declared in schema' apply --server-side --validate=false \
        -f <(manifest bad 1 | sed 's/targetPort/targetPorts/')
    refuse 'duplicate entries for key' apply --server-side \
        -f <(manifest bad 1 && printf '  - port: 80\n    name: same\n')
    refuse 'Too long' apply --server-side -f "$directory/web.yaml" \
        --field-manager="$(printf '%0200d' 0)"
    refuse 'not found' get service bad
}

# Short runs (under the sanitizers) leave the rest to test_apiserver_managed.
if [ "${TEST_SCALE:-100}" -lt 100 ]; then
    run_checks check_new_and_unchanged check_what_is_left_out_goes
    exit
fi

run_checks check_new_and_unchanged check_what_is_left_out_goes check_two_managers \
    check_edits_own_too check_from_client_side check_refusals
