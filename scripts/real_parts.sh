#!/usr/bin/env bash
# Installs what `tests/real_parts` runs: nginx, curl, and a Python with grpcio.
#
# Works on Debian and its relatives. nginx is unpacked below `target/real_parts` and never started
# as a service, and Python gets an environment there, so this needs no root. Only if curl or
# Python is absent, it is installed as root or with sudo.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

folder=$PWD/target/real_parts
requirements=tests/real_parts/requirements.txt
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    cat "$work/log" >&2 || true
    echo "real_parts.sh: $*" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_package() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    local install=("${apt[@]}" install --no-install-recommends -y "$1")
    # If the first attempt fails, the package lists may be absent or too old.
    as_root "${install[@]}" >>"$work/log" 2>&1 ||
        { as_root "${apt[@]}" update && as_root "${install[@]}"; } >>"$work/log" 2>&1 ||
        fail "cannot install $1"
}

# Unpacks the first of the packages that has nginx. Ubuntu's `nginx` may be one without files.
unpack_nginx() {
    local package
    # Lists of its own, if those of the machine are absent or too old.
    local own=(-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache")
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/download"
    for package in nginx nginx-core nginx-light; do
        (
            cd "$work/download"
            apt-get -qq download "$package" || {
                apt-get -qq "${own[@]}" update && apt-get -qq "${own[@]}" download "$package"
            }
        ) >>"$work/log" 2>&1 || continue
        dpkg -x "$work/download/$package"_*.deb "$folder/nginx"
        if [ -x "$folder/nginx/usr/sbin/nginx" ]; then return; fi
    done
    fail "cannot download nginx"
}

nginx=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx || true)
if [ -z "$nginx" ]; then
    nginx=$folder/nginx/usr/sbin/nginx
    if [ ! -x "$nginx" ]; then unpack_nginx; fi
fi
# Fails if a library is absent.
"$nginx" -v >>"$work/log" 2>&1 || fail "nginx does not run"
ln -sf "$nginx" "$folder/nginx-program"

command -v curl >/dev/null || install_package curl

if ! cmp -s "$requirements" "$folder/requirements.txt"; then
    command -v python3 >/dev/null || install_package python3
    # Debian has the modules for environments in a package of their own.
    python3 -c 'import ensurepip, venv' 2>>"$work/log" || install_package python3-venv
    rm -rf "$folder/python"
    python3 -m venv "$folder/python" >>"$work/log" 2>&1 || fail "cannot make a Python environment"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check \
        --only-binary :all: --requirement "$requirements" >>"$work/log" 2>&1 ||
        fail "cannot install grpcio"
    # Last, so that an attempt that failed is repeated.
    cp "$requirements" "$folder/requirements.txt"
fi
