#!/usr/bin/env bash
# Everything about limiters of many keys: times, memory, pauses and instructions. `keyed.sh FOLDER` writes there, and takes about
# 6 minutes on a machine with nothing else to do.
#
# What is in the folder then:
#   keyed.csv            criterion's estimates, of keyed.txt, which is what it printed
#   keyed_memory.csv     bytes per key
#   keyed_pauses.csv     percentiles and longest calls in a flood of new keys; keyed_pauses.txt is the same to be read
#   keyed_instructions.txt
#   keyed.md             the times and the cost budget as tables
set -euo pipefail
folder=${1:?usage: keyed.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bins
binaries=${CARGO_TARGET_DIR:-target}/release

cargo bench --quiet --bench keyed -- --noplot > "$folder/keyed.txt"
awk -f criterion_csv.awk "$folder/keyed.txt" > "$folder/keyed.csv"
"$binaries/keyed_memory" "$folder/keyed_memory.csv" > /dev/null
"$binaries/keyed_pauses" "$folder/keyed_pauses.csv" > "$folder/keyed_pauses.txt"
if command -v valgrind > /dev/null; then
    ./instructions.sh keyed > "$folder/keyed_instructions.txt"
fi
awk -f keyed_table.awk "$folder/keyed.csv" "$folder/keyed_memory.csv" | tee "$folder/keyed.md"
