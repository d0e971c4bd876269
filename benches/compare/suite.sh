#!/usr/bin/env bash
# Every limiter side by side: tidegate, governor, ratelimit, leaky-bucket, better-bucket, rate-net, gcra, pingora-limits, buckets and a window
# behind a mutex. `suite.sh FOLDER` writes there, and takes about 12 minutes on 2 cores with nothing else to do, half of them for
# keyed.sh; every further core adds some. `suite.sh FOLDER --quick` shows in a minute that everything works, measures nothing worth
# keeping, and leaves keyed.sh out. How far it is shows on a terminal.
#
# What is in the folder then:
#   tables.md              all of the following as tables, each with what was measured and how; the machine; the set-up of each limiter
#   machine.json           kernel, processor, clock source and its error, commit, compiler, date, command
#   limiters.csv           kind, clock, versions and set-up of each limiter, and where its keyed form is, or why it is nowhere
#   throughput.csv         ns per call and thread of calls that are admitted, refused, or both at the limit; 1, 2, 4 .. all threads;
#                          median, least and most of the rounds
#   latency.csv            p50, p90, p99, p99.9 and maximum of single calls while all threads make them; the timer's own cost is a row
#   fairness.csv           how admissions at the limit are shared among the threads: Jain's index, least and most share
#   surplus_buckets.csv    what was admitted beyond burst + rate x time by real threads, over the whole run and in its worst interval
#   surplus_windows.csv    what was admitted beyond the limit in the worst interval of a window's length
#   accuracy_buckets.csv   on a manual clock, at awkward rates: what came too early, and what did not come, in parts per million
#   accuracy_windows.csv   the same of windows
#   shaping.csv            the same traffic through limiters of different kinds, on a manual clock: who was admitted, every 20 ms
#   keyed*                 limiters of many keys, see keyed.sh
#
# `../plots/plot.sh FOLDER` draws them.
#
# Before anything is timed, each limiter shows that it admits its burst, no more, and plenty where it has plenty. Rows where calls did
# not end as their column says are named below the table.
set -euo pipefail
folder=${1:?usage: suite.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: suite.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bin suite
"${CARGO_TARGET_DIR:-target}/release/suite" "$folder" ${quick:+"$quick"}
if [[ -z $quick ]]; then
    # criterion talks all the time.
    if [[ -t 2 ]]; then
        ./keyed.sh "$folder" > /dev/null
    elif ! ./keyed.sh "$folder" > /dev/null 2> "$folder/keyed.log"; then
        cat "$folder/keyed.log" >&2
        exit 1
    fi
    rm -f "$folder/keyed.log"
    printf '\n## Keys\n\n' >> "$folder/tables.md"
    cat "$folder/keyed.md" >> "$folder/tables.md"
fi
