#!/usr/bin/env bash
# Compares each hot path with what no limiter can avoid: a clock, an exchange of a word, the hash of
# a key, and a cache miss.
#
# physical.sh FOLDER writes to that folder, and takes about 3 minutes after it is built. physical.sh
# FOLDER --quick checks in seconds that everything works. It counts instructions only of refusals of
# token buckets, and its times are worthless. Without valgrind no instructions are counted.
# Afterwards the folder holds:
#
#   physical.md                 all of the following as tables, with the methods and the machine
#   machine.json                as suite.sh writes it
#   physical.csv                path, what it cannot avoid, and instructions and ns of both: lower
#                               quartile with its ratio, and median
#   physical_parts.csv          instructions and ns of what cannot be avoided
#   physical_instructions.txt   instructions per call of all rows
set -euo pipefail
folder=${1:?usage: physical.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: physical.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bin physical
rm -f "$folder/physical_instructions.txt"
if command -v valgrind > /dev/null; then
    ./instructions.sh --physical ${quick:+$'TokenBucket refuses\nclock, load'} > "$folder/physical_instructions.txt"
fi
"${CARGO_TARGET_DIR:-target}/release/physical" "$folder" ${quick:+"$quick"}
