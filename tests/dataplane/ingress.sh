#!/usr/bin/env bash
# ingress.sh BUILD: Ingresses through the real nginx, in namespaces of its own; as packets.sh.
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
INGRESSES=/apis/networking.k8s.io/v1/namespaces/default/ingresses

post() { # PATH BODY, in which ' stands for "
    ask_server POST "$1" application/json "${2//\'/\"}" >/dev/null
}

change() { # INGRESS PATCH
    ask_server PATCH "$INGRESSES/$1" application/merge-patch+json "${2//\'/\"}" >/dev/null
}

# Programs on node1 stand in for Pods, and its own addresses for virtual ones: what kube-proxy does is
# tested elsewhere.
service() { # NAME ADDRESS
    post /api/v1/namespaces/default/services "{'apiVersion':'v1','kind':'Service','metadata':{'name':
        '$1'},'spec':{'clusterIP':'$2','ports':[{'name':'http','port':80}]}}"
    inside node1 ip addr add "$2/32" dev lo
    start "backend-$1" node1 "$BUILD/examples/demo/ipalloc-backend" "$1" 80 "::ffff:$2"
}

path() { # PATH TYPE SERVICE
    printf "{'path':'%s','pathType':'%s','backend':{'service':{'name':'%s','port':{'name':'http'}}}}" "$@"
}

ingress() { # NAME SPEC
    post "$INGRESSES" "{'apiVersion':'networking.k8s.io/v1','kind':'Ingress','metadata':{'name':'$1'},
        'spec':{$2}}"
}

secret() { # NAME HOST: a certificate of its own
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$2" \
        -addext "subjectAltName=DNS:$2" -keyout "$WORK/$1.key" -out "$WORK/$1.crt" 2>/dev/null
    kubernetes_secret POST "$1" "$WORK/$1.crt" "$WORK/$1.key"
}

kubernetes_secret() { # METHOD NAME CERTIFICATE KEY
    local path=/api/v1/namespaces/default/secrets
    [ "$1" = POST ] || path+=/$2
    ask_server "$1" "$path" application/json "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{
        \"name\":\"$2\"},\"type\":\"kubernetes.io/tls\",\"data\":{\"tls.crt\":\"$(base64 -w0 <"$3")\",
        \"tls.key\":\"$(base64 -w0 <"$4")\"}}" >/dev/null
}

# The backend that answers, or the code.
get() { # HOST PATH [CURL-OPTIONS...]
    local host=$1 path=$2
    shift 2
    inside client curl -sS --max-time 3 -w ' %{http_code}' -H "Host: $host" "$@" \
        "http://172.30.0.11:8080$path" 2>&1 | tr '\n' ' ' |
        sed 's/^\([a-z]*\) at .* 200$/\1/; s/.* \([0-9][0-9]*\)$/\1/; s/^<.* //'
}

answers() { # WANTED HOST PATH
    [ "$(get "$2" "$3")" = "$1" ]
}

# Around a reload workers of before answer, too, for a tenth of a second.
soon() { # NAME WANTED HOST PATH
    if wait_until 10 answers "$2" "$3" "$4"; then
        sleep 0.2
    fi
    is "$1" "$2" "$(get "$3" "$4")"
}

events() { # INGRESS: reasons, with how often
    ask_server GET "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D$1" |
        python3 -c 'import json, sys
for event in json.load(sys.stdin)["items"]:
    print(event["reason"], event["type"], event["message"])'
}

has_event() { # INGRESS REASON
    events "$1" | grep -q "^$2 "
}

# nginx, with a note of each call.
counted_nginx() {
    printf '#!/bin/sh\necho " $* " >>"%s/nginx/calls"\nexec nginx "$@"\n' "$WORK" >"$WORK/counted"
    chmod 755 "$WORK/counted"
}

start_ingress() {
    : >"$LOGS/ingress.log"
    start ingress node1 "$BUILD/examples/ingress/ipalloc-ingress" --server="$SERVER_URL" \
        --directory="$WORK/nginx" --http-port=8080 --https-port=8443 --publish-address=192.0.2.80 \
        --nginx="$WORK/counted"
    wait_until 20 grep -q serving "$LOGS/ingress.log"
}

set_up() {
    mkdir "$WORK/home"
    chmod 711 "$WORK"
    cluster_up
    start_server --endpoint-slices=off
    post /apis/networking.k8s.io/v1/ingressclasses "{'apiVersion':'networking.k8s.io/v1','kind':
        'IngressClass','metadata':{'name':'ipalloc','annotations':{
        'ingressclass.kubernetes.io/is-default-class':'true'}},'spec':{'controller':'ipalloc/ingress'}}"
    service one 10.96.1.1
    service two 10.96.1.2
    service three 10.96.1.3
    counted_nginx
    mkdir "$WORK/nginx"
    sleep 1000 & # another program that has got the number of an nginx of before
    bystander=$!
    echo "$bystander" >"$WORK/nginx/nginx.pid"
    start_ingress
}

test_paths() {
    ingress paths "'rules':[{'host':'a.example','http':{'paths':[$(path /foo Prefix one),$(path \
        /foo/bar/ Prefix two),$(path /exact Exact three),$(path /foo Exact three)]}},{'host':
        '*.b.example','http':{'paths':[$(path / Prefix two)]}}]"
    soon "a prefix of whole elements" one a.example /foo/x
    is "its own path is another's, by exact" three "$(get a.example /foo)"
    is "with a slash it is below it" one "$(get a.example /foo/)"
    is "not /foobar" 404 "$(get a.example /foobar)"
    is "the longest prefix" two "$(get a.example /foo/bar/x)"
    is "a slash at its end means nothing" two "$(get a.example /foo/bar)"
    is "exact" three "$(get a.example /exact)"
    is "exact is not below" 404 "$(get a.example /exact/x)"
    is "a query is no part of a path" three "$(get a.example '/exact?x=/foo')"
    is "a star is one label" two "$(get x.b.example /)"
    is "not two" 404 "$(get x.y.b.example /)"
    is "nor none" 404 "$(get b.example /)"
    is "another host" 404 "$(get c.example /foo)"
}

test_backends() {
    ingress rest "'defaultBackend':{'service':{'name':'three','port':{'number':80}}}"
    soon "the default backend" three unknown.example /
    ingress missing "'rules':[{'host':'m.example','http':{'paths':[$(path / Prefix nobody)]}}]"
    soon "a Service that is not there" 503 m.example /
    wait_until 5 has_event missing BackendNotFound
    like "is told" "there is no Service default/nobody" "$(events missing)"
    service nobody 10.96.1.4
    soon "and served when it comes" nobody m.example /
    ingress elder "'rules':[{'host':'e.example','http':{'paths':[$(path / Prefix one)]}}]"
    soon "the elder of two" one e.example /
    sleep 1 # creation times are in seconds
    ingress younger "'rules':[{'host':'e.example','http':{'paths':[$(path / Prefix two),$(path /new \
        Prefix two)]}}]"
    soon "shares its host" two e.example /new
    is "and keeps its path" one "$(get e.example /)"
    wait_until 5 has_event younger Conflict
    like "the younger is told" "belongs to the Ingress default/elder already" "$(events younger)"
}

# What the request said, as it came to the backend.
echo_headers() {
    python3 -c 'import http.server, socketserver
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for name in ("Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"):
            self.wfile.write(f"{name}={self.headers.get_all(name)} ".encode())
socketserver.TCPServer(("10.96.1.5", 80), Echo).serve_forever()'
}

test_headers() {
    post /api/v1/namespaces/default/services "{'apiVersion':'v1','kind':'Service','metadata':{'name':
        'echo'},'spec':{'clusterIP':'10.96.1.5','ports':[{'name':'http','port':80}]}}"
    inside node1 ip addr add 10.96.1.5/32 dev lo
    start backend-echo node1 bash -c "$(declare -f echo_headers); echo_headers"
    ingress echo "'rules':[{'host':'echo.example','http':{'paths':[$(path / Prefix echo)]}}]"
    wait_until 10 answers 200 echo.example /
    like "a backend is told who asks and for what, whatever the client says of itself" \
        "Host=['echo.example'] X-Forwarded-For=['172.30.0.100'] X-Forwarded-Host=['echo.example'] \
X-Forwarded-Proto=['http'] X-Real-IP=['172.30.0.100']" \
        "$(inside client curl -sS --max-time 3 -H "Host: echo.example" -H "X-Forwarded-For: 192.0.2.66" \
            -H "X-Real-IP: 192.0.2.66" -H "X-Forwarded-Proto: https" http://172.30.0.11:8080/)"
}

many_tests() { # how often nginx was asked for a test: of the whole, or of each Ingress
    if [ "$(grep -c -- ' -t ' "$WORK/nginx/calls")" -le 3 ]; then echo few; else cat "$WORK/nginx/calls"; fi
}

test_bad_ones() {
    ingress quoted "'rules':[{'host':'q.example','http':{'paths':[$(path '/\";}' Exact one),$(path \
        /good Exact one)]}}]"
    soon "a path that would end the quotes is left out" one q.example /good
    wait_until 5 has_event quoted BadPath
    like "and told" "is left out" "$(events quoted)"
    ingress huge "'rules':[{'host':'h.example','http':{'paths':[$(path "/$(printf 'x%.0s' $(seq 5000))" \
        Exact one)]}}]"
    wait_until 10 has_event huge Refused
    like "what nginx refuses is told" "because nginx refuses it" "$(events huge)"
    is "and does not keep others away" one "$(get e.example /)"
    ingress after "'rules':[{'host':'f.example','http':{'paths':[$(path / Prefix two)]}}]"
    soon "nor new ones" two f.example /
    : >"$WORK/nginx/calls"
    ingress afterwards "'rules':[{'host':'w.example','http':{'paths':[$(path / Prefix two)]}}]"
    soon "while it is there others change" two w.example /
    is "without looking for it again" "few" "$(many_tests)"
    ask_server DELETE "$INGRESSES/huge" >/dev/null
    chmod 000 "$WORK/counted" # for a while there is no nginx to ask
    ingress meanwhile "'rules':[{'host':'z.example','http':{'paths':[$(path / Prefix two)]}}]"
    wait_until 10 grep -q "the old one stays" "$LOGS/ingress.log"
    sleep 1.5
    chmod 755 "$WORK/counted"
    soon "what comes while nginx cannot be asked is served afterwards" two z.example /
    is "and nobody is to blame" one "$(get e.example /)"
}

test_certificates() {
    secret tls-one one.example
    secret tls-two two.example
    ingress tls "'tls':[{'hosts':['one.example'],'secretName':'tls-one'},{'hosts':['two.example'],
        'secretName':'tls-two'}],'rules':[{'host':'one.example','http':{'paths':[$(path / Prefix one)]}},{
        'host':'two.example','http':{'paths':[$(path / Prefix two)]}}]"
    soon "plain" two two.example /
    like "a name's own certificate" "one at" "$(secure one.example tls-one)"
    like "another's" "two at" "$(secure two.example tls-two)"
    like "and not the other's" "certificate" "$(secure one.example tls-two)"
    like "a name without certificate is refused" "unrecognized name" "$(secure a.example tls-one)"
    kubernetes_secret PUT tls-two "$WORK/tls-two.crt" "$WORK/tls-one.key"
    wait_until 10 has_event tls BadCertificate
    like "a key that is not of its certificate is told" "a key that is not of its certificate" "$(events tls)"
    like "the other name keeps its own" "one at" "$(secure one.example tls-one)"
    is "and the host is served without" two "$(get two.example /)"
    secret_again
    wait_until 10 secure_answers two.example tls-two
    sleep 0.2
    like "until it is mended" "two at" "$(secure two.example tls-two)"
    stop ingress KILL
    for file in "$WORK"/nginx/tls/*tls-one*; do : >"$file"; done # as a crash of the machine leaves it
    ingress meanwhile-2 "'rules':[{'host':'y.example','http':{'paths':[$(path / Prefix two)]}}]"
    start_ingress
    soon "a certificate's file that a crash left empty keeps nobody away" two y.example /
    like "and is written again" "one at" "$(secure one.example tls-one)"
    ingress any "'tls':[{'secretName':'tls-one'}],'rules':[{'http':{'paths':[$(path /any Exact three)]}}]"
    wait_until 10 any_secure_answers z.example
    like "a rule without a host serves its certificate for all names" "three at" "$(any_secure z.example)"
    like "and a name's own stays its own" "two at" "$(secure two.example tls-two)"
    is "keys that nothing uses are not kept" 2 "$(find "$WORK/nginx/tls" -type f | wc -l)"
    ask_server DELETE "$INGRESSES/any" >/dev/null
    ask_server DELETE "$INGRESSES/tls" >/dev/null
    wait_until 10 no_keys
    is "nor those of what is gone" "" "$(find "$WORK/nginx/tls" -type f)"
}

no_keys() {
    [ -z "$(find "$WORK/nginx/tls" -type f)" ]
}

any_secure() { # HOST: whatever certificate comes
    inside client curl -sSk --max-time 3 --resolve "$1:8443:172.30.0.11" "https://$1:8443/any" 2>&1
}

any_secure_answers() {
    any_secure "$1" | grep -q " at "
}

secret_again() {
    kubernetes_secret PUT tls-two "$WORK/tls-two.crt" "$WORK/tls-two.key"
}

secure() { # HOST SECRET
    inside client curl -sS --max-time 3 --cacert "$WORK/$2.crt" \
        --resolve "$1:8443:172.30.0.11" "https://$1:8443/" 2>&1
}

secure_answers() {
    secure "$1" "$2" | grep -q " at "
}

status_of() { # INGRESS
    ask_server GET "$INGRESSES/$1" | python3 -c 'import json, sys
print(json.load(sys.stdin).get("status", {}).get("loadBalancer", {}).get("ingress"))'
}

has_status() { # INGRESS WANTED
    [ "$(status_of "$1")" = "$2" ]
}

# Somebody who thinks that the status is his, ten times a second.
fight() {
    start watch node1 curl -sSN --max-time 4 "$SERVER_URL$INGRESSES?watch=1&fieldSelector=metadata.name%3Dpaths"
    for _ in $(seq 30); do
        ask_server PATCH "$INGRESSES/paths/status" application/merge-patch+json \
            '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}}' >/dev/null
        sleep 0.1
    done
    wait_until 5 has_status paths "[{'ip': '192.0.2.80'}]"
    is "who writes there again and again is answered in the end" "[{'ip': '192.0.2.80'}]" "$(status_of paths)"
    is "and not each time" few "$(answers_in_watch)"
}

answers_in_watch() {
    local count
    count=$(grep -c '"type":"MODIFIED".*192\.0\.2\.80' "$LOGS/watch.log")
    if [ "$count" -ge 1 ] && [ "$count" -le 8 ]; then echo few; else echo "$count"; fi
}

test_status() {
    wait_until 5 has_status paths "[{'ip': '192.0.2.80'}]"
    is "an address in the status" "[{'ip': '192.0.2.80'}]" "$(status_of paths)"
    ask_server PATCH "$INGRESSES/paths/status" application/merge-patch+json \
        '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}}' >/dev/null
    wait_until 5 has_status paths "[{'ip': '192.0.2.80'}]"
    is "what another writes there is put right" "[{'ip': '192.0.2.80'}]" "$(status_of paths)"
    fight
    change paths "{'spec':{'ingressClassName':'another'}}"
    wait_until 10 has_status paths None
    is "which goes with the class" None "$(status_of paths)"
    soon "as does what was served" three x.b.example /nothing
    change rest "{'spec':{'ingressClassName':'another'}}"
    soon "and the default backend" 404 unknown.example /
}

test_faults() {
    local pid
    is "who has an old nginx' number is left alone" "sleep" "$(cat "/proc/$bystander/comm" 2>/dev/null)"
    kill "$bystander"
    start traffic client "$BUILD/examples/demo/ipalloc-traffic" 100 "http://172.30.0.11:8080/#e.example"
    for i in $(seq 10); do
        ingress "more-$i" "'rules':[{'host':'more-$i.example','http':{'paths':[$(path / Prefix two)]}}]"
        soon "reload $i" two "more-$i.example" /
    done >"$WORK/reloads"
    is "ten reloads" 10 "$(grep -c '^ok' "$WORK/reloads")"
    stop ingress KILL
    sleep 0.3
    start_ingress
    stop apiserver KILL
    sleep 0.5
    start_server --endpoint-slices=off
    stop traffic
    like "under traffic, the controller and the API server killed: none lost" ", 0 failed" \
        "$(tail -n 1 "$WORK/traffic.log")"
    like "and there was some" "answered by one" "$(cat "$WORK/traffic.log")"
    pid=$(cat "$WORK/nginx/nginx.pid")
    # shellcheck disable=SC2046 # one word a worker
    kill -9 "$pid" $(cat "/proc/$pid/task/$pid/children")
    soon "an nginx that is killed is started again" one e.example /
    stop ingress TERM
    wait_until 5 nginx_gone "$WORK/nginx/nginx.pid"
    is "SIGTERM ends nginx" "" "$(cat "$WORK/nginx/nginx.pid" 2>/dev/null)"
}

nginx_gone() {
    [ ! -e "$1" ]
}

set_up
test_paths
test_backends
test_headers
test_bad_ones
test_certificates
test_status
test_faults
finish "$WORK"/apiserver.log "$WORK"/ingress.log "$WORK"/traffic.log "$WORK"/nginx/error.log
