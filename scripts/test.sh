#!/usr/bin/env bash
# Passes every test: formatting, lints, docs, unit and integration tests, models and their mutants, fuzz corpora.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "formatting"
cargo fmt --all --check
(cd loom-tests && cargo fmt --check)
(cd fuzz && cargo fmt --check)
(cd benches/compare && cargo fmt --check)

step "lints: all features, and none"
cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
cargo clippy --quiet --no-default-features -- -D warnings
cargo clippy --quiet --no-default-features --features std -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --all-features

step "tests"
cargo build --quiet --example gateway
PROPTEST_CASES=${PROPTEST_CASES:-2000} cargo test --all-features

step "the attribute: what it says to mistakes"
cargo test --package tidegate-macros

step "models and mutants"
(cd loom-tests && cargo test --release)

step "fuzz corpora"
(cd fuzz && cargo test --release)

step "benchmarks build"
cargo bench --quiet --no-run
(cd benches/compare && cargo check --quiet --all-targets)

printf '\nAll passed.\n'
