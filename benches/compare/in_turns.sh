#!/usr/bin/env bash
# Measures the rows of the cost budget in turns: each round times a slice of every row, of a
# millisecond at most, and ratios are of slices of the same round. So it can be used on machines
# where other programs run, or whose speed changes.
#
# in_turns.sh FOLDER writes to that folder, and takes about 3 minutes, and the builds more.
# in_turns.sh FOLDER --quick checks in seconds that everything works; its numbers are worthless.
# Afterwards the folder holds:
#
#   in_turns.md           all of the following as tables
#   machine.json          as suite.sh writes it
#   in_turns_ratios.csv   the rows of the budget: median and quartiles of the ratios of all rounds
#   in_turns.csv          ns per call and thread: lower decile, lower quartile and median
#   fat_lto               the same of a build with fat LTO and 1 codegen unit
#
# Each measured call goes through a function that is not inlined and uses the whole decision.
# Threads are pinned to cores.
set -euo pipefail
folder=${1:?usage: in_turns.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: in_turns.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-target}
cargo build --release --quiet --bin in_turns
cargo build --profile fat --quiet --bin in_turns
"$target/release/in_turns" "$folder" ${quick:+"$quick"}
"$target/fat/in_turns" "$folder/fat_lto" ${quick:+"$quick"}
