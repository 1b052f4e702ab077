#!/usr/bin/env bash
# seal.sh INPUT OUTPUT COMPILER...: one archive with one object in which hidden names are local.
set -euo pipefail
input=$1 output=$2
shift 2
object=${output%.a}.sealed.o
"$@" -r -nostdlib -o "$object" -Wl,--whole-archive "$input"
objcopy --localize-hidden "$object"
rm -f "$output"
ar rcs "$output" "$object"
rm -f "$object"
