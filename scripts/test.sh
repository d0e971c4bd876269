#!/usr/bin/env bash
# Runs every check of the repository: formatting, lints, docs, packages, tests, models and their
# mutants, fuzz corpora, the record's pictures, and the instruction counts of hot paths.
#
# Random tests start from a fixed seed, so that a commit always passes or always fails. Set
# `PROPTEST_RNG_SEED=$RANDOM` to try other cases, and `PROPTEST_CASES` to run more of them.
set -euo pipefail
cd "$(dirname "$0")/.."

export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1} PROPTEST_CASES=${PROPTEST_CASES:-300}

# Most of the time goes into debug builds: these take less without what only a debugger reads. A
# panic tells its line anyway.
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-none}

# Workspaces of their own, so that their flags and dependencies stay out of the published crates.
workspaces=(loom-tests fuzz benches/compare benches/compare/gate examples/packages
    redis/simulation tests/no_std)

name=
end_step() {
    if [ -n "$name" ]; then printf -- '-- %s: %d s\n' "$name" $((SECONDS - started)); fi
}
step() {
    end_step
    name=$*
    started=$SECONDS
    printf '\n== %s\n' "$name"
}

in_each_workspace() {
    local workspace
    for workspace in "${workspaces[@]}"; do (cd "$workspace" && "$@"); done
}

# Runs a command beside those that follow. `join` prints what it printed, and fails if it failed.
beside() {
    beside_log=$(mktemp)
    "$@" >"$beside_log" 2>&1 &
    beside_job=$!
}
join() {
    local status=0
    wait "$beside_job" || status=$?
    cat "$beside_log"
    rm "$beside_log"
    return "$status"
}
# A script that ends early takes what runs beside it along.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# Builds a subcommand of cargo, unless it is installed.
need() {
    cargo "$1" --version >/dev/null 2>&1 || cargo install --quiet --locked --debug "cargo-$1@$2"
}

step "formatting"
cargo fmt --all --check
in_each_workspace cargo fmt --check

step "licenses, bans and sources of dependencies"
need deny 0.20.2
cargo deny --workspace check --hide-inclusion-graph licenses bans sources

# A feature set compiles this crate alone, on one core, so two series of them run side by side.
step "lints, and features alone and together; tests/no_std compiles only if nothing links std"
need hack 0.6.45
# Dependencies of tests do not take part, so `--no-dev-deps`, which edits Cargo.toml, is not needed.
# What only feature sets have are unused parts, which the compiler finds, in a third of the time.
hack() {
    local log status=0
    log=$(mktemp)
    cargo hack check --quiet "$@" --exclude-all-features 2>"$log" || status=$?
    grep -v '^info: running' "$log" | grep . || true
    if grep -q '^warning' "$log"; then status=1; fi
    rm "$log"
    return "$status"
}
combine() {
    hack --package tidegate --feature-powerset --exclude-no-default-features --depth 2 \
        --include-features "$1"
}
check_beside() {
    in_each_workspace cargo clippy --quiet --all-targets -- -D warnings
    # Cargo lets one command at a time into a folder.
    export CARGO_TARGET_DIR=target/sets
    # Pairs of those with the most code for each other. `hack --feature-powerset --depth 2` checks
    # all pairs, in a quarter of an hour.
    combine tokio,async-io,futures,tower
}
beside check_beside
cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
cargo clippy --quiet --package tidegate-redis --all-targets -- -D warnings
hack --package tidegate --package tidegate-macros --package tidegate-redis --each-feature \
    --exclude-features default
# These also work without std, where `tests/no_std` has all of them at once.
hack --package tidegate --each-feature --exclude-no-default-features --features std \
    --include-features fallback,serde,tracing
join

step "documentation: all features, and none"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --all-features
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --no-default-features

step "packages: each compiles from what it contains"
packages=(--package tidegate --package tidegate-cli --package tidegate-macros --package tidegate-redis)
# Cargo keeps what an earlier verification unpacked, and compiles that again if the version is the
# same. Its registries without a host, whose names begin with `-`, are the ones of verifications.
rm -rf "${CARGO_HOME:-$HOME/.cargo}"/registry/src/-*/tidegate*
cargo package --quiet --allow-dirty "${packages[@]}"

step "servers for tests"
bash scripts/servers.sh

step "tests: all features"
test_packages() {
    cd examples/packages
    cargo run --quiet --package tidegate-example-reqwest
    cargo test --quiet --package tidegate-example-prometheus
    cargo test --quiet --package tidegate-example-servers
}
beside test_packages
cargo build --quiet --all-features --example gateway --example llm_client --example rules
cargo test --all-features
cargo run --quiet --all-features --example aios_tour
cargo run --quiet --all-features --example sessions
join

step "tests of shared limits, on real servers: build"
cargo build --quiet --package tidegate-redis --example cluster_gateway
cargo test --quiet --package tidegate-redis --all-features --no-run

# They wait for servers most of the time, beside the next steps.
beside cargo test --package tidegate-redis --all-features

step "tests: no features"
PROPTEST_CASES=200 cargo test --no-default-features

step "tests of the attribute"
cargo test --package tidegate-macros

step "tests of the program"
cargo test --package tidegate-cli

step "models and mutants"
(cd loom-tests && cargo test --release)

step "simulated fleets"
(cd redis/simulation && cargo test --quiet)

step "tests of shared limits, on real servers: end"
join

step "tests with nginx, curl and a gRPC client in Python"
bash scripts/real_parts.sh
cargo test --package tidegate-real-parts

step "fuzz corpora"
(cd fuzz && cargo test --release)

# The lints have compiled the benchmarks.
step "benchmarks compute what they print"
# Compiled by itself, because the rivals take a minute to build.
figures=$(mktemp)
rustc --edition 2024 --test benches/compare/src/figures.rs -o "$figures"
"$figures" --quiet
rm "$figures"

step "pictures match their numbers"
(cd benches/plots && cargo test --quiet)

step "instructions per call"
benches/compare/gate.sh

end_step
printf '\nAll passed, in %d s.\n' "$SECONDS"
