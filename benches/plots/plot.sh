#!/usr/bin/env bash
# Draws the numbers of a record.
#
# plot.sh FOLDER reads the CSV files that ../compare/suite.sh wrote, and writes FOLDER/plots/*.svg:
#
#   throughput.svg   admitted and refused calls per second, from one thread to all
#   latency.svg      percentiles of single calls while all threads make them
#   accuracy.svg     parts per million too much and too little, at awkward rates
#   shaping.svg      the same traffic through limiters of different kinds
#   waits.svg        goodput while callers give up; the numbers are those of ../compare/waits.sh
#   adaptive.svg     use of a quota that no client knows; the numbers are those of
#                    ../compare/adaptive.sh
#   fleet.svg        a simulated fleet that shares a quota; the numbers are those of
#                    ../../redis/simulation/fleet.sh
#   keyed.svg        time and memory per key
#   growth.svg       time against keys, slots, limits and waiters; the numbers are those of
#                    ../compare/growth.sh
#
# A picture without its CSV files is left out, with a message. Each but the last three also goes to
# ../../src/docs/plots if FOLDER is the latest record that has it. There it follows the theme of
# rustdoc. fleet.svg goes to ../../redis/pictures, for the README of that package.
#
# Equal numbers give equal bytes. plot.sh FOLDER --check writes nothing, and fails if a picture
# does not show its numbers.
set -euo pipefail
folder=${1:?usage: plot.sh FOLDER [--check]}
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"
exec cargo run --quiet -- "$folder" "${@:2}"
