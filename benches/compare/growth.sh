#!/usr/bin/env bash
# Measures how the cost of a call grows: with the keys of a table, the slots of a window, the limits
# of a combination, and the waiters in a queue.
#
# growth.sh FOLDER writes to that folder. It takes about 2 minutes after it is built, and 6 GB of
# memory. growth.sh FOLDER --quick checks in seconds that everything works, with smaller numbers.
# Its times are worthless. Afterwards the folder holds:
#
#   growth.md      all of the following as tables, with the methods and the machine
#   machine.json   as suite.sh writes it
#   growth.csv     curve (keys, slots, limits or waiters), limiter, calls, x (how many of them),
#                  lower quartile and median of the slices in ns per call, and their number
#
# All rows of a curve are timed in turns, in slices, on one pinned thread. ../plots/plot.sh FOLDER
# draws them.
set -euo pipefail
folder=${1:?usage: growth.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: growth.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bin growth
"${CARGO_TARGET_DIR:-target}/release/growth" "$folder" ${quick:+"$quick"}
