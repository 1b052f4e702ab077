#!/usr/bin/env bash
# kubectl_etcd.sh: every check of the real kubectl on the etcd of STORE_URL, and two servers on it; run
# by tests/etcd/with_etcd.sh.
set -euo pipefail
for script in kubectl_two kubectl_cidrs kubectl_apply kubectl; do
    echo "--- $script"
    "$(dirname "$0")/$script.sh"
done
