# shellcheck shell=bash
# checks.sh: what the tests of this folder say. Sourced.
passed=0
failed=0

pass() {
    passed=$((passed + 1))
    echo "ok $1"
}

fail() {
    failed=$((failed + 1))
    echo "not ok $1${2:+: $2}"
}

is() { # NAME WANTED FOUND
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "'$3', not '$2'"; fi
}

like() { # NAME PART FOUND
    if [[ $3 == *"$2"* ]]; then pass "$1"; else fail "$1" "'$2' is not in '$3'"; fi
}

unlike() { # NAME PART FOUND
    if [ -n "$3" ] && [[ $3 != *"$2"* ]]; then pass "$1"; else fail "$1" "'$2' is in '$3'"; fi
}

# curl's words for a refusal at once, as one.
refused() {
    if grep -qiE "refused|reset|couldn't connect"; then echo refused; else echo "not refused"; fi
}

# The sum; logs of what failed.
finish() { # LOG...
    local log
    if [ "$failed" -gt 0 ]; then
        for log in "$@"; do
            echo "--- $(basename "$log")"
            tail -n 15 "$log"
        done
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
