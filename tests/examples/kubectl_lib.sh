# shellcheck shell=bash
# kubectl_lib.sh: the real kubectl against ipalloc-apiserver. Sourced by the tests, never run.
#
# A test calls run_checks with the names of its functions. They are called once for each kubectl of
# KUBECTLS (names or paths; `kubectl` if it is not set), each time with a fresh server. Every check
# prints one line; the first wrong answer ends the test with exit code 1. A kubectl that is not here
# is a skip: exit code 77, with its name in the last line.
# APISERVER is the server to start (meson sets it). With STORE_URL=etcd:http://HOST:PORT its store is
# there, under a prefix of its own; else it is a file. With RECORD=FILE what kubectl asks is written down
# there; see record_requests.py.

kubectl=
minor=0
directory=
server_pid=
other_pid=
proxy_pid=
url=
other_url=
launched_pid=
launched_url=
checks=0

finish() {
    if [ -n "$proxy_pid" ]; then
        kill "$proxy_pid"
        wait "$proxy_pid" || true
        proxy_pid=
    fi
    local pid
    for pid in $server_pid $other_pid; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    server_pid=
    other_pid=
    [ -z "$directory" ] || rm -rf "$directory"
}

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# No cluster, cache or setting of this user is seen or touched.
k() {
    KUBECONFIG=/dev/null HOME=$directory TMPDIR=$directory timeout 30 \
        "$kubectl" --server="$url" "$@" 2>&1
}

# Is this kubectl at least 1.MINOR?
since() {
    [ "$minor" -ge "$1" ]
}

passed() {
    checks=$((checks + 1))
    printf 'ok: %s\n' "$*"
}

# expect PATTERN COMMAND...: it succeeds and says PATTERN (a glob) somewhere.
expect() {
    local pattern=$1 said
    shift
    said=$(k "$@") || fail "kubectl $*: $said"
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $said == *$pattern* ]] || fail "kubectl $*: no '$pattern' in: $said"
    passed "kubectl $*"
}

# refuse PATTERN COMMAND...: it fails and says PATTERN.
refuse() {
    local pattern=$1 said
    shift
    said=$(k "$@") && fail "kubectl $* succeeded: $said"
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $said == *$pattern* ]] || fail "kubectl $*: no '$pattern' in: $said"
    passed "refused: kubectl $*"
}

# field NAME JSONPATH VALUE: what is stored of a Service.
field() {
    local said
    said=$(k get service "$1" -o "jsonpath=$2") || fail "get $1: $said"
    [ "$said" = "$3" ] || fail "$1: $2 is '$said', not '$3'"
    passed "$1: $2 is $3"
}

# until_says PATTERN FILE: what runs in the background will write it.
until_says() {
    local attempt
    for attempt in $(seq 100); do
        # shellcheck disable=SC2053 # a pattern is meant
        [[ $(cat "$2") == *$1* ]] && return 0
        sleep 0.1
    done
    fail "after $attempt looks no '$1' in: $(cat "$2")"
}

# Start a server on this run's store: launched_pid and launched_url. Its words go to LOG.
launch() { # LOG
    local attempt store="sqlite:$directory/store.db"
    [ -z "${STORE_URL:-}" ] || store="$STORE_URL/kubectl/$(basename "$directory")"
    : >"$1" # it is read before the server may have begun
    "$APISERVER" --listen=127.0.0.1:0 "--store=$store" \
        --service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108 \
        --load-balancer-ip-range=192.0.2.0/24 >"$1" 2>&1 </dev/null &
    launched_pid=$!
    for attempt in $(seq 100); do
        launched_url=$(sed -n 's/.*serving on \(http:[^,]*\),.*/\1/p' "$1")
        [ -z "$launched_url" ] || return 0
        kill -0 "$launched_pid" 2>/dev/null || break
        sleep 0.1
    done
    fail "the server did not start (attempt $attempt): $(cat "$1")"
}

start_server() {
    launch "$directory/log"
    server_pid=$launched_pid
    url=$launched_url
}

# A second one on the same store, which `other` speaks to.
start_other_server() {
    launch "$directory/other-log"
    other_pid=$launched_pid
    other_url=$launched_url
}

# other COMMAND...: run it, an `expect` or a `refuse`, too, against the other server.
other() {
    local url=$other_url
    "$@"
}

start_recording() {
    python3 "$(dirname "$0")/record_requests.py" "$url" "$RECORD" "kubectl 1.$minor" \
        >"$directory/proxy" &
    proxy_pid=$!
    until_says "http://" "$directory/proxy"
    url=$(cat "$directory/proxy")
}

# All checks with $kubectl.
run_one() {
    local check
    minor=$("$kubectl" version --client -o json 2>/dev/null |
        sed -n 's/.*"minor": "\([0-9]*\).*/\1/p' | head -n 1)
    [ -n "$minor" ] || fail "$kubectl does not say its version"
    directory=$(mktemp -d "${TMPDIR:-/tmp}/ipalloc-kubectl-XXXXXX")
    checks=0
    start_server
    [ -z "${RECORD:-}" ] || start_recording
    for check in "$@"; do
        "$check"
    done
    finish
    printf '%s answers of %s (1.%s) were right\n' "$checks" "$kubectl" "$minor"
}

run_checks() {
    local absent=()
    trap finish EXIT
    for kubectl in ${KUBECTLS:-kubectl}; do
        if command -v "$kubectl" >/dev/null; then
            run_one "$@"
        else
            absent+=("$kubectl")
        fi
    done
    [ ${#absent[@]} -gt 0 ] || return 0
    echo "not here: ${absent[*]} (Debian package kubernetes-client)"
    exit 77
}
