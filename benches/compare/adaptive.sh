#!/usr/bin/env bash
# Simulates clients that share a provider's quota which none of them knows, in the adaptive mode of
# `ApiRateLimiter` and with its backoff alone.
#
# adaptive.sh FOLDER writes to that folder. It takes a second after it is built, on any machine,
# and equal commits give equal numbers. adaptive.sh FOLDER --quick simulates less. Afterwards the
# folder holds:
#
#   adaptive.md    the used and the refused percent of the quota per phase, with the method
#   machine.json   as suite.sh writes it
#   adaptive.csv   the provider's limit, and its answers and refusals in both modes, per second
#
# ../plots/plot.sh FOLDER draws it.
set -euo pipefail
folder=${1:?usage: adaptive.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: adaptive.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bin adaptive
"${CARGO_TARGET_DIR:-target}/release/adaptive" "$folder" ${quick:+"$quick"}
