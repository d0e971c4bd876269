#!/usr/bin/env bash
# Instructions per call of every path, by callgrind: two runs, the difference divided by the difference in calls.
#
# instructions.sh [PATTERN]: of those paths whose name contains it.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet --bin instructions
binary=${CARGO_TARGET_DIR:-target}/release/instructions

count() { # PATH CALLS -> instructions
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*counted*' "$binary" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : //p'
}

printf '%-34s %s\n' path instructions/call
"$binary" | grep -e "${1:-}" | while IFS= read -r path; do
    few=$(count "$path" 20000)
    many=$(count "$path" 120000)
    awk -v name="$path" -v few="$few" -v many="$many" 'BEGIN { printf "%-34s %.1f\n", name, (many - few) / 100000 }'
done
