#!/usr/bin/env bash
# Makes a whole record: everything that is measured on one machine, of one commit.
#
# all.sh FOLDER runs the scripts beside it, which describe their files, and writes to that folder.
# It takes about an hour and a half on 2 idle cores, the builds included. all.sh FOLDER --quick
# checks that everything works, in minutes after the builds; its numbers are worthless. Two files
# are of no other script:
#
#   contended.csv   one word that threads share: the program `contended`
#   layers.csv      layers of tower, in turns: the program `layers`
#
# machine.json is of the last script that wrote it.
set -euo pipefail
folder=${1:?usage: all.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: all.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

contended_rounds=1500
layers_rounds=40
if [[ -n $quick ]]; then
    contended_rounds=1
    layers_rounds=1
fi

run() {
    echo "$1" >&2
    "./$1.sh" "$folder" ${quick:+"$quick"}
}

# Builds all programs first, so that none of them runs on a machine that a build has warmed.
cargo build --release --quiet --bins
cargo build --profile fat --quiet --bins
binaries=${CARGO_TARGET_DIR:-target}/release

run in_turns
run suite
run growth
run physical
run waits
echo contended and layers >&2
"$binaries/contended" "$contended_rounds" > "$folder/contended.csv"
"$binaries/layers" "$layers_rounds" > "$folder/layers.csv"
run weight
run side_by_side
