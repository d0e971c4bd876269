#!/usr/bin/env bash
# Measures every limiter side by side: tidegate, governor, ratelimit, leaky-bucket, better-bucket,
# rate-net, gcra, pingora-limits, and baselines behind a mutex.
#
# suite.sh FOLDER writes to that folder. It takes about 12 minutes on 2 idle cores, half of them
# for keyed.sh; every further core adds some. suite.sh FOLDER --quick checks in a minute that
# everything works. Its numbers are worthless, and it leaves keyed.sh out. On a terminal a bar shows
# the progress. The builds take minutes more: all is measured as Cargo builds it by default, and the
# throughput a second time with fat LTO. Afterwards the folder holds:
#
#   tables.md              all of the following as tables, with the methods, the machine, and the
#                          configuration of each limiter
#   machine.json           kernel, processor, clock source and its error, commit, compiler, date
#   limiters.csv           kind, clock and configuration of each limiter, and where its form for
#                          many keys is measured, or why it is left out
#   throughput.csv         ns per call and thread: admitted, refused, and at the limit; with 1, 2, 4
#                          and so on up to all threads; median, least and most of the rounds
#   throughput_fat_lto.csv the same of a build with fat LTO and 1 codegen unit
#   latency.csv            percentiles and maximum of single calls while all threads make them; one
#                          row is the timer alone
#   fairness.csv           how admissions at the limit are shared among threads: Jain's index, least
#                          and most share
#   surplus_buckets.csv    admissions of real threads beyond burst + rate x time, over the whole run
#                          and in the worst interval
#   surplus_windows.csv    admissions beyond the limit, in the worst interval of a window's length
#   accuracy_buckets.csv   at awkward rates, on a manual clock: the parts per million that came too
#                          early, and those that did not come
#   accuracy_windows.csv   the same for windows
#   shaping.csv            the admissions of limiters of different kinds under the same traffic,
#                          every 20 ms, on a manual clock
#   keyed*                 limiters of many keys, see keyed.sh
#
# ../plots/plot.sh FOLDER draws them.
#
# Before the measurements, each limiter must admit exactly its burst, and plenty if it has plenty.
# Each measured call goes through a function that is not inlined and uses the whole decision.
# Threads are pinned to cores. tables.md names rows whose calls had another outcome than their
# column says.
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

target=${CARGO_TARGET_DIR:-target}
cargo build --release --quiet --bin suite
cargo build --profile fat --quiet --bin throughput
"$target/release/suite" "$folder" ${quick:+"$quick"}
"$target/fat/throughput" "$folder" ${quick:+"$quick"}
{
    printf '\n## With fat LTO\n\n'
    awk -f lto_table.awk "$folder/throughput.csv" "$folder/throughput_fat_lto.csv"
} >> "$folder/tables.md"
if [[ -z $quick ]]; then
    # Criterion prints all the time.
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
