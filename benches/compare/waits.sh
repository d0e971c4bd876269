#!/usr/bin/env bash
# Measures limiters at which calls wait: tidegate, governor, leaky-bucket, and a semaphore of
# tokio's.
#
# waits.sh FOLDER writes to that folder. It takes about 10 minutes on 2 idle cores. waits.sh FOLDER
# --quick checks in half a minute that everything works; its numbers are worthless. Afterwards the
# folder holds:
#
#   waits.md             all of the following as tables, with the methods, the machine, and the
#                        configuration of each limiter
#   machine.json         as suite.sh writes it
#   waits_limiters.csv   the configuration of each limiter
#   waits_goodput.csv    how much of the quota is used while callers leave, by their patience
#   waits_rate.csv       how much of the quota tasks in a loop get on a timer of milliseconds
#   waits_cpu.csv        the time of the processor per 10 000 waiters in one queue
#   waits_order.csv      pairs of waiters that were served in another order than they came
#   waits_latency.csv    how late one waiter returns
#   waits_ready.csv      ns per wait while permits are there
#
# Each has the median, the least and the most of the rounds. ../plots/plot.sh FOLDER draws the
# goodput.
set -euo pipefail
folder=${1:?usage: waits.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: waits.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

cargo build --release --quiet --bin waits
"${CARGO_TARGET_DIR:-target}/release/waits" "$folder" ${quick:+"$quick"}
