#!/usr/bin/env bash
# symbols.sh: what the built library shows and what it pulls in.
#
# Needs SHARED_LIBRARY and STATIC_LIBRARY. The text of the sources is checked by layers.py; here the
# linker is the witness.
set -uo pipefail
broken=0

rule() { # NAME FOUND
    if [ -n "$2" ]; then
        printf 'FAILED: %s:\n%s\n' "$1" "$2"
        broken=1
    else
        printf 'ok: %s\n' "$1"
    fi
}

exported_foreign() {
    nm -D --defined-only "$SHARED_LIBRARY" | awk '$2 != "A" { print $3 }' |
        sed 's/@.*//' | grep -v '^ipalloc_'
}

# A program that links the archive must not meet our inner names.
static_foreign() {
    nm -g --defined-only "$STATIC_LIBRARY" | awk 'NF == 3 { print $3 }' | grep -v '^ipalloc_'
}

declared_but_missing() {
    local declared exported
    declared=$(cat include/ipalloc/*.h | tr '\n' ' ' | grep -o 'IPALLOC_API [^;]*;' |
        grep -oE '\bipalloc_[a-z0-9_]+\(' | tr -d '(' | LC_ALL=C sort -u)
    exported=$(nm -D --defined-only "$SHARED_LIBRARY" | awk '{ print $3 }' | sed 's/@.*//' |
        LC_ALL=C sort -u)
    comm -23 <(printf '%s\n' "$declared") <(printf '%s\n' "$exported")
}

exported_but_undeclared() {
    local name
    nm -D --defined-only "$SHARED_LIBRARY" | awk '$2 == "T" { print $3 }' | sed 's/@.*//' |
        while read -r name; do
            grep -qE "\\b$name\\(" include/ipalloc/*.h || printf '%s\n' "$name"
        done
}

forbidden_imports() {
    nm -u "$STATIC_LIBRARY" 2>/dev/null | awk '{ print $2 }' | LC_ALL=C sort -u |
        grep -xE '(v?f?printf|__v?f?printf_chk|puts|fputs|putchar|perror|stdout|stderr|exit|_exit|abort|getenv|secure_getenv|setenv|pthread_create|thrd_create|signal|sigaction|fork|syslog)'
}

# Variables that can change: .data and .bss. Pointers that only the loader writes are in
# .data.rel.ro and are fine.
mutable_globals() {
    size -A "$STATIC_LIBRARY" | awk '/:$/ || / : *$/ { member = $1 }
        $1 ~ /^\.(data|bss|tdata|tbss)(\.[a-z]|$)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print member, $1, $2 }'
}

soname() {
    readelf -d "$SHARED_LIBRARY" | grep -q 'SONAME.*\[libipalloc\.so\.0\]' || echo "not libipalloc.so.0"
}

rule 'only ipalloc_* is exported' "$(exported_foreign)"
rule 'only ipalloc_* is global in the static library' "$(static_foreign)"
rule 'every function of the public headers is exported' "$(declared_but_missing)"
rule 'every exported function is in a public header' "$(exported_but_undeclared)"
rule 'nothing prints, exits, reads the environment, starts a thread or touches a signal' "$(forbidden_imports)"
rule 'no global mutable state' "$(mutable_globals)"
rule 'the soname is libipalloc.so.0' "$(soname)"
exit $broken
