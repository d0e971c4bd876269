#!/usr/bin/env bash
# Simulates fleets of nodes that share limits: the shipped client and the shipped scripts, with the
# clock, the network and the servers of the simulator. See src/lib.rs.
#
# fleet.sh FOLDER writes to that folder, on any machine, and equal commits give equal numbers.
# It fails if a scenario breaks its bound, or has less goodput or fairness than src/scenarios.rs
# demands. fleet.sh FOLDER --quick simulates less. Afterwards the folder holds:
#
#   fleet.md           all tables
#   fleet.csv          goodput, fairness and load of each scenario
#   fleet_in_time.csv  goodput of the scenarios with faults, every 100 ms
#   hot_keys.csv       tables of keys of which few get most of the calls, with and without leases
#   machine.json       as that of other records
#
# ../../benches/plots/plot.sh FOLDER draws it.
set -euo pipefail
folder=${1:?usage: fleet.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: fleet.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"
cargo run --release --quiet --bin fleet -- "$folder" ${quick:+"$quick"}
