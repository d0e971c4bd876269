#!/usr/bin/env bash
# Measures what a limiter adds to the build and to the size of a program.
#
# weight.sh FOLDER writes to that folder, and takes about 8 minutes on 2 idle cores. weight.sh
# FOLDER --quick builds each program once, in a third of the time. Afterwards the folder holds:
#
#   weight.csv   program; its crates without itself, those of builds and macros included; the
#                seconds of a clean release build, median, least and most; and the KiB of its
#                stripped binary, in all and above those of the program that does nothing
#   weight.md    the same as a table, with the method and the machine
#
# Each program lies in a folder for temporary files, outside of all workspaces. It makes one
# limiter, and prints whether a call is admitted. Versions are those of Cargo.lock here, where it
# has them. The first run needs the network, to fetch what is not there.
set -euo pipefail
folder=${1:?usage: weight.sh FOLDER [--quick]}
quick=${2:-}
if [[ -n $quick && $quick != --quick ]]; then
    echo "usage: weight.sh FOLDER [--quick]" >&2
    exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"
here=$PWD
tidegate=$(cd ../.. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only what Cargo does by default.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_INCREMENTAL CARGO_TARGET_DIR
export CARGO_PROFILE_RELEASE_STRIP=symbols

program() { # NAME DEPENDENCIES, and the source on standard input
    mkdir -p "$work/$1/src"
    cat > "$work/$1/src/main.rs"
    cp "$here/Cargo.lock" "$work/$1/"
    cat > "$work/$1/Cargo.toml" << EOF
[package]
name = "weighed"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
$2
EOF
}

program nothing "" << 'EOF'
fn main() {
    println!("{}", std::env::args().count() == 1);
}
EOF

program tidegate "tidegate = { path = \"$tidegate\" }" << 'EOF'
use tidegate::{Quota, TokenBucket};

fn main() {
    let limiter = TokenBucket::new(Quota::per_second(10));
    println!("{}", limiter.try_acquire(1).is_ok());
}
EOF

program governor 'governor = "0.10"' << 'EOF'
use std::num::NonZeroU32;

use governor::{Quota, RateLimiter};

fn main() {
    let limiter = RateLimiter::direct(Quota::per_second(NonZeroU32::new(10).unwrap()));
    println!("{}", limiter.check().is_ok());
}
EOF

program leaky-bucket 'leaky-bucket = "1"' << 'EOF'
fn main() {
    let limiter = leaky_bucket::RateLimiter::builder().initial(10).build();
    println!("{}", limiter.try_acquire(1));
}
EOF

# A router answers one request of a client.
served() { # the layer of the router, as an expression
    cat << EOF
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::get;
use tower_service::Service;

fn main() {
    let mut service = Router::new().route("/", get(async || "hello"))$1;
    let mut request = Request::new(Body::empty());
    let client = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1_234)));
    request.extensions_mut().insert(client);
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context) else {
        unreachable!("the service answers at once");
    };
    println!("{}", response.status().is_success());
}
EOF
}
axum=$'axum = "0.8"\ntower-service = "0.3"'

served "" | program axum "$axum"

served '.layer({
        use tidegate::layer::{Attached, PerKey, RateLimitLayer};
        use tidegate::{FixedKeyed, IpKey, Quota};
        let peer = Attached::new(|peer: &ConnectInfo<SocketAddr>| IpKey::from(peer.0));
        RateLimitLayer::new(PerKey::new(FixedKeyed::new(Quota::per_second(10), 10_000), peer))
    })' | program axum-tidegate "$axum
tidegate = { path = \"$tidegate\", features = [\"tower\"] }"

served '.layer({
        use tower_governor::GovernorLayer;
        use tower_governor::governor::GovernorConfigBuilder;
        let config = GovernorConfigBuilder::default().per_millisecond(100).burst_size(10).finish();
        GovernorLayer::new(config.expect("not zero"))
    })' | program axum-tower_governor "$axum
tower_governor = { version = \"0.8\", features = [\"axum\"] }"

programs=(nothing tidegate governor leaky-bucket axum axum-tidegate axum-tower_governor)

crates() { # in the program's folder
    cargo tree --quiet --offline --edges normal,build --prefix none --format '{p}' |
        sed 's/ (.*//' | sort -u | grep -vc '^weighed '
}

# In rounds, so that a slow minute of the machine affects all of them.
rounds=3
if [[ -n $quick ]]; then rounds=1; fi
for name in "${programs[@]}"; do
    (cd "$work/$name" && cargo fetch --quiet)
done
for ((round = 0; round < rounds; round++)); do
    for name in "${programs[@]}"; do
        cd "$work/$name"
        rm -rf target
        start=$EPOCHREALTIME
        cargo build --quiet --release --offline --locked
        end=$EPOCHREALTIME
        echo $(((${end/./} - ${start/./}) / 10000)) >> hundredths
        [[ $(target/release/weighed) == true ]] || { echo "$name: refused" >&2; exit 1; }
        stat -c %s target/release/weighed > size
        rm -rf target
    done
done

cd "$work"
empty=$(< nothing/size)
{
    echo program,crates,seconds_median,seconds_least,seconds_most,stripped_kib,kib_above_nothing
    for name in "${programs[@]}"; do
        crates=$(cd "$name" && crates || true)
        sort -n "$name/hundredths" |
            awk -v name="${name/-t/ and t}" -v crates="$crates" -v size="$(< "$name/size")" \
                -v empty="$empty" '
                { seconds[NR] = $1 / 100 }
                END {
                    printf "%s,%d,%.2f,%.2f,%.2f,%.0f,%.0f\n", name, crates,
                        seconds[int((NR + 1) / 2)], seconds[1], seconds[NR], size / 1024,
                        (size - empty) / 1024
                }'
    done
} > "$folder/weight.csv"
cd "$here"
{
    echo "# What a limiter adds to a program"
    echo
    echo "* date: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "* command: ./weight.sh FOLDER${quick:+ $quick}"
    echo "* commit: $(git rev-parse HEAD)"
    echo "* kernel: $(uname -srm)"
    echo "* cpu: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores"
    echo "* jobs: ${CARGO_BUILD_JOBS:-as many as cores}"
    echo "* $(rustc --version), $(cargo --version)"
    echo
    cat << EOF
Each program makes one limiter and prints whether a call is admitted; those with axum send a request
to a router with one route. Crates without the program itself, with those of builds and macros.
Seconds of a release build into an empty folder, without the network: the median of $rounds. KiB of
the stripped binary above those of the program that does nothing. Default features, and \`tower\` of
tidegate and \`axum\` of tower_governor with axum.

EOF
    echo "| program | crates | seconds | KiB |"
    echo "|---|---|---|---|"
    awk -F, 'NR > 1 { printf "| %s | %d | %.1f | %d |\n", $1, $2, $3, $7 }' "$folder/weight.csv"
} > "$folder/weight.md"
cat "$folder/weight.md"
