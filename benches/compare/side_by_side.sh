#!/usr/bin/env bash
# Measures tidegate's limiters of one key in detail, without LTO and with it.
#
# side_by_side.sh FOLDER writes to that folder. It takes about 8 minutes on 2 idle cores, and the
# builds take minutes more. side_by_side.sh FOLDER --quick calls each row once, and writes nothing.
# Afterwards the folder holds:
#
#   side_by_side.txt             the output of criterion, of Cargo's default build, and
#                                side_by_side.csv, its estimates
#   side_by_side_fat_lto.txt     the same of a build with fat LTO and 1 codegen unit, and
#                                side_by_side_fat_lto.csv
set -euo pipefail
folder=${1:?usage: side_by_side.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: side_by_side.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

measure() { # PROFILE FILE
    if [[ -n $quick ]]; then
        cargo bench --quiet --profile "$1" --bench side_by_side -- --test
        return
    fi
    cargo bench --quiet --profile "$1" --bench side_by_side -- --noplot > "$folder/$2.txt"
    awk -f criterion_csv.awk "$folder/$2.txt" > "$folder/$2.csv"
}
measure bench side_by_side
measure fat side_by_side_fat_lto
