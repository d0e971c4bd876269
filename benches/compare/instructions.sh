#!/usr/bin/env bash
# Counts instructions per call with callgrind.
#
# It runs each path with two numbers of calls, and divides the difference in instructions by the
# difference in calls.
#
# instructions.sh [PATTERN]: the paths whose name contains it, of tidegate and of other crates.
# instructions.sh --gate [PATTERN]: only tidegate's hot paths, in a smaller program; see gate.sh.
# instructions.sh --physical [PATTERN]: those of physical.sh.
set -euo pipefail
cd "$(dirname "$0")"
package=. program=instructions few=20000 many=120000
if [ "${1:-}" = --gate ]; then
    shift
    # So few are exact, because nothing in that program depends on time or chance.
    package=gate program=hot_paths few=1000 many=5000
    # Other builds must give the same numbers, so only Cargo.toml may configure the build.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_INCREMENTAL
elif [ "${1:-}" = --physical ]; then
    shift
    program=physical
fi
cd "$package"
cargo build --release --quiet --bin "$program"
binary=${CARGO_TARGET_DIR:-target}/release/$program
# A sharded bucket has shards for each CPU that it may use, so every machine runs it on two.
cpus=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
    awk -F- '{ for (cpu = $1; cpu <= ($2 == "" ? $1 : $2); cpu++) print cpu }' | head -2 | paste -sd,)

count() { # PATH CALLS -> instructions
    local said
    said=$(taskset -c "$cpus" valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect='*counted*' "$binary" "$1" "$2" 2>&1) ||
        { printf '%s\n' "$said" >&2; return 1; }
    sed -n 's/.*Collected : //p' <<< "$said"
}

measure() { # PATH -> PATH, tab, instructions per call; one write, so that lines do not mix
    local fewer more
    # 255 makes xargs stop.
    fewer=$(count "$1" "$few") && more=$(count "$1" "$many") || return 255
    awk -v name="$1" -v few="$fewer" -v many="$more" -v calls=$((many - few)) \
        'BEGIN { printf "%s\t%.1f\n", name, (many - few) / calls }'
}
export -f count measure
export binary cpus few many

paths=$("$binary" | grep -F -e "${1:-}")
measured=$(xargs -d '\n' -P "$(nproc)" -I PATH bash -c 'measure "$1"' measure PATH <<< "$paths")
printf '%-34s %s\n' path instructions/call
# In the order of the program: parallel runs end in any order.
awk -F '\t' 'NR == FNR { count[$1] = $2; next } { printf "%-34s %s\n", $1, count[$1] }' \
    <(echo "$measured") <(echo "$paths")
