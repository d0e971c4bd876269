#!/usr/bin/env bash
# Instructions per call of every path, by callgrind: two runs, the difference divided by the difference in calls.
#
# instructions.sh [PATTERN]: of those paths whose name contains it, tidegate's beside the rivals'.
# instructions.sh --gate [PATTERN]: of tidegate's hot paths alone, in a program without the rivals; see gate.sh.
set -euo pipefail
cd "$(dirname "$0")"
package=. program=instructions few=20000 many=120000
if [ "${1:-}" = --gate ]; then
    shift
    # Exact after so few, because nothing in that program depends on time or chance.
    package=gate program=hot_paths few=1000 many=5000
    # Numbers are compared with those of other builds, so only Cargo.toml may say how it is built.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_INCREMENTAL
fi
cd "$package"
cargo build --release --quiet --bin "$program"
binary=${CARGO_TARGET_DIR:-target}/release/$program

count() { # PATH CALLS -> instructions
    local said
    said=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*counted*' "$binary" "$1" "$2" 2>&1) ||
        { printf '%s\n' "$said" >&2; return 1; }
    sed -n 's/.*Collected : //p' <<< "$said"
}

measure() { # PATH -> PATH, tab, instructions per call: at once, so that lines of several do not mix
    local fewer more
    # 255: xargs starts no others.
    fewer=$(count "$1" "$few") && more=$(count "$1" "$many") || return 255
    awk -v name="$1" -v few="$fewer" -v many="$more" -v calls=$((many - few)) \
        'BEGIN { printf "%s\t%.1f\n", name, (many - few) / calls }'
}
export -f count measure
export binary few many

paths=$("$binary" | grep -F -e "${1:-}")
measured=$(xargs -d '\n' -P "$(nproc)" -I PATH bash -c 'measure "$1"' measure PATH <<< "$paths")
printf '%-34s %s\n' path instructions/call
# In the program's order, not in the one in which they ended.
awk -F '\t' 'NR == FNR { count[$1] = $2; next } { printf "%-34s %s\n", $1, count[$1] }' <(echo "$measured") <(echo "$paths")
