#!/usr/bin/env bash
# Fails when a hot path takes more instructions per call than instructions.txt says.
#
# gate.sh: measures and compares. gate.sh --update: writes what it measured to instructions.txt.
#
# Counts are exact for one compiler, libc and valgrind, and then a path may take 1 instruction more. With others, counts move by a few
# percent for no reason of ours, and it may take 8 % and 1 instruction more. A path that became cheaper by as much has too high a
# number, which would hide what makes it dearer again: with the recorded tools that fails as well.
set -euo pipefail
cd "$(dirname "$0")"
expected=instructions.txt

if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "The recorded counts are for Linux on x86_64, and say nothing about $(uname -sm)." >&2
    exit 1
fi

root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! command -v valgrind > /dev/null; then
    echo "valgrind is missing; installing Debian's"
    if ! { root apt-get update -qq && root apt-get install -y -qq --no-install-recommends valgrind; } > /dev/null; then
        echo "This step needs valgrind, and could not install it: run \`apt-get install valgrind\` as root." >&2
        exit 1
    fi
fi

# Without a time stamp counter that the kernel trusts, tidegate's default clock is another one.
source=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2> /dev/null || echo unknown)
tools="$(cd gate && rustc --version), $(valgrind --version), $(getconf GNU_LIBC_VERSION)"
measured=$(./instructions.sh --gate)

if [ "${1:-}" = --update ]; then
    if [ "$source" != tsc ]; then
        echo "The clock source here is $source, so this machine cannot count what tidegate's default clock takes elsewhere." >&2
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
