#!/usr/bin/env bash
# Measures what a change of a limit, a shadow, and a list of the most denied keys cost a call.
#
# changes.sh FOLDER writes to that folder, and takes about 2 minutes on an idle machine. Afterwards
# the folder holds changes.txt, the output of criterion, and changes.csv, its estimates.
set -euo pipefail
folder=${1:?usage: changes.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo bench --quiet --bench changes -- --noplot > "$folder/changes.txt"
awk -f criterion_csv.awk "$folder/changes.txt" | tee "$folder/changes.csv"
