#!/usr/bin/env bash
# Fails if a hot path takes more instructions per call than instructions.txt allows.
#
# gate.sh measures and compares. gate.sh --update writes its measurements to instructions.txt.
#
# Counts are exact for one compiler, libc and valgrind. With the recorded tools, a path may take 1
# instruction more. With others, counts differ by a few percent, so a path may take 8 % and 1
# instruction more. With the recorded tools a path that became cheaper fails, too: its old number
# would hide the next regression.
set -euo pipefail
cd "$(dirname "$0")"
expected=instructions.txt

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "The recorded counts are for Linux on x86_64, not for $(uname -sm)." >&2
    exit 1
fi

root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! command -v valgrind > /dev/null; then
    echo "valgrind is missing; installing Debian's"
    if ! { root apt-get update -qq &&
        root apt-get install -y -qq --no-install-recommends valgrind; } > /dev/null; then
        echo "This step needs valgrind: run \`apt-get install valgrind\` as root." >&2
        exit 1
    fi
fi

# If the kernel does not trust the time stamp counter, tidegate's default clock is another one.
clock=/sys/devices/system/clocksource/clocksource0/current_clocksource
source=$(cat "$clock" 2> /dev/null || echo unknown)
tools="$(cd gate && rustc --version), $(valgrind --version), $(getconf GNU_LIBC_VERSION)"
measured=$(./instructions.sh --gate)

if [ "${1:-}" = --update ]; then
    if [ "$source" != tsc ]; then
        echo "An update needs the clock source tsc; this machine has $source." >&2
        exit 1
    fi
    {
        echo "# What gate.sh expects; gate.sh --update writes it. Measured with:"
        echo "# $tools"
        echo "$measured"
    } > "$expected"
    echo "wrote benches/compare/$expected"
    exit
fi

awk -v tools="$tools" -v source="$source" -f gate.awk "$expected" - <<< "$measured"
