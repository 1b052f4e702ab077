# shellcheck shell=bash
# story.sh: the demonstration's cluster with everything in it: started, created, ready. Sourced after
# cluster.sh; needs MANIFESTS.

# NAME NODE-NUMBER ADDRESS-NUMBER, as manifests/2-pods.yaml.
STORY_PODS=("web-1 1 11" "web-2 2 12" "web-3 2 13" "shop-1 1 14" "shop-2 2 15")

story_start() {
    start_server --load-balancer-ip-range=public=203.0.113.0/24
    start_proxy 1
    start_proxy 2
    start_ingress
}

start_ingress() {
    : >"$LOGS/ingress.log"
    start ingress node1 "$BUILD/examples/ingress/ipalloc-ingress" --server="$SERVER_URL" \
        --directory="$WORK/nginx" --publish-service=default/ingress
    wait_until 20 grep -q serving "$LOGS/ingress.log"
}

# By kubectl; by curl, which takes JSON only, where there is none.
apply() { # FILE
    if command -v kubectl >/dev/null; then
        kubectl_here apply --validate=false -f "$1"
    else
        apply_by_curl "$1"
    fi
}

# The server reads YAML in server-side applies: one document each.
apply_by_curl() { # FILE
    local document kind name path
    csplit -sz -f "$WORK/document-" "$1" '/^---$/' '{*}'
    for document in "$WORK"/document-*; do
        kind=$(sed -n 's/^kind: //p' "$document")
        name=$(sed -n 's/^metadata: {name: \([a-z0-9-]*\).*/\1/p' "$document")
        case $kind in
        Node) path=/api/v1/nodes ;;
        IngressClass) path=/apis/networking.k8s.io/v1/ingressclasses ;;
        Ingress) path=/apis/networking.k8s.io/v1/namespaces/default/ingresses ;;
        Endpoints) path=/api/v1/namespaces/default/endpoints ;;
        *) path=/api/v1/namespaces/default/${kind,,}s ;;
        esac
        sed -i '/^---$/d' "$document"
        ask_server PATCH "$path/$name?fieldManager=demo&force=true" application/apply-patch+yaml \
            "@$document" >/dev/null && echo "${kind,,}/$name applied"
        rm "$document"
    done
}

make_certificate() { # HOST SECRET
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$1" -keyout "$WORK/$2.key" -out "$WORK/$2.crt" 2>/dev/null
    ask_server POST /api/v1/namespaces/default/secrets application/json "{\"apiVersion\":\"v1\",
        \"kind\":\"Secret\",\"metadata\":{\"name\":\"$2\"},\"type\":\"kubernetes.io/tls\",\"data\":{
        \"tls.crt\":\"$(base64 -w0 <"$WORK/$2.crt")\",\"tls.key\":\"$(base64 -w0 <"$WORK/$2.key")\"}}" \
        >/dev/null
}

service_field() { # NAME PATH-IN-PYTHON
    ask_server GET "/api/v1/namespaces/default/services/$1" |
        python3 -c "import json, sys
print(json.load(sys.stdin)$2)"
}

ingress_is_served() {
    inside client curl -fsS --max-time 1 -H 'Host: web.example' http://172.30.0.11/
}

# Create all, run the Pods, and wait until the last way in is open.
story_create() {
    local pod words
    apply "$MANIFESTS/1-nodes.yaml"
    node_ready 1
    node_ready 2
    apply "$MANIFESTS/2-pods.yaml"
    for pod in "${STORY_PODS[@]}"; do
        read -r -a words <<<"$pod"
        pod_up "${words[@]}" 8080
    done
    apply "$MANIFESTS/3-services.yaml"
    make_certificate shop.example shop-tls
    apply "$MANIFESTS/4-ingress.yaml"
}

# What was given to whom, once it can be reached.
# shellcheck disable=SC2034 # it is for those who source this
story_look() {
    web=$(service_field web "['spec']['clusterIP']")
    web6=$(service_field web "['spec']['clusterIPs'][1]")
    front=$(service_field front "['status']['loadBalancer']['ingress'][0]['ip']")
    later=$(service_field later "['spec']['clusterIP']")
    sticky=$(service_field sticky "['spec']['clusterIP']")
    wait_until 10 ingress_is_served
    wait_until 10 inside client curl -fsS --max-time 1 "http://$front/"
    wait_until 10 inside client curl -fsS --max-time 1 -H 'Host: web.example' http://192.0.2.80/
}
