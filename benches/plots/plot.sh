#!/usr/bin/env bash
# Draws the numbers of a record: `plot.sh FOLDER` reads the CSV files that `../compare/suite.sh` wrote there, and writes
#
#   FOLDER/plots/throughput.svg   admitted and refused calls per second, one thread to all
#   FOLDER/plots/latency.svg      percentiles of single calls while all threads make them
#   FOLDER/plots/accuracy.svg     parts per million too much and too little, at rates that are awkward
#   FOLDER/plots/shaping.svg      the same traffic through limiters of different kinds
#   FOLDER/plots/keyed.svg        time and memory per key
#
# and, if FOLDER is the latest record with pictures (in ../record, by its name), the first four once more for the crate's
# documentation, in ../../src/docs/plots, where they follow rustdoc's theme.
#
# Each from its own files; where those are missing it says so and draws the others. The same numbers make the same bytes, so
# `plot.sh FOLDER --check` writes nothing and fails where a picture is not that of the numbers. Light and dark are in one file.
set -euo pipefail
folder=${1:?usage: plot.sh FOLDER [--check]}
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"
exec cargo run --quiet -- "$folder" "${@:2}"
