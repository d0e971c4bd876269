#!/usr/bin/env bash
# Measures limiters of many keys: times, memory, pauses and instructions.
#
# keyed.sh FOLDER writes to that folder, and takes about 6 minutes on an idle machine. Afterwards
# the folder holds:
#
#   keyed.txt                the output of criterion, and keyed.csv, its estimates
#   keyed_memory.csv         bytes per key
#   keyed_pauses.csv         percentiles and longest calls in a flood of new keys, and
#                            keyed_pauses.txt, the same as text
#   keyed_instructions.txt   instructions per call, if valgrind is installed
#   keyed.md                 the times and the cost budget as tables
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
