#!/usr/bin/env bash
# Installs the servers for the tests of `redis/`: `redis-server`, and `valkey-server` if Debian or
# its backports have a package.
#
# Works on Debian and its relatives, as root or with sudo, and does nothing if both are installed.
# The tests start their own servers, so this script stops a service that a new package starts. A
# service that ran before keeps running.
set -euo pipefail
shopt -s nullglob

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" \
        >>"$work/log" 2>&1
}

install_packages() { apt install --no-install-recommends -y "$@"; }

stop_service() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl --quiet disable --now "$1" || true
    elif [ -x "/etc/init.d/$1" ]; then
        as_root "/etc/init.d/$1" stop >>"$work/log" 2>&1 || true
    fi
}

# Copies the configured sources, and adds the mirror's backports: suite `x` also as `x-backports`.
with_backports() {
    local codename lists deb822
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [ -n "$codename" ] || return 1
    lists=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list)
    deb822=(/etc/apt/sources.list.d/*.sources)
    mkdir -p "$work/sources.d" "$work/lists/partial"
    # apt drops its privileges to download, so its user must be able to write here.
    chmod 755 "$work" "$work/lists" && chmod 777 "$work/lists/partial"
    cat /dev/null "${lists[@]}" 2>/dev/null |
        sed -n "/^deb /{p;s/ $codename / $codename-backports /p}" >"$work/sources.d/all.list" || true
    for file in "${deb822[@]}"; do
        sed "s/^\(Suites:.*[[:space:]]\)$codename\([[:space:]].*\)\?$/\1$codename $codename-backports\2/" "$file" \
            >"$work/sources.d/${file##*/}"
    done
}

# Keeps these lists apart, so that the machine's own sources stay as they are.
backports=()
install_from_backports() {
    with_backports || return 1
    backports=(-o Dir::Etc::sourcelist=- -o "Dir::Etc::sourceparts=$work/sources.d" -o "Dir::State::lists=$work/lists")
    apt "${backports[@]}" update &&
        apt "${backports[@]}" install --no-install-recommends -y valkey-server
}

work=$(mktemp -d)
trap 'rm -rf "$work" 2>/dev/null || as_root rm -rf "$work"' EXIT

if ! command -v redis-server >/dev/null; then
    # If the first attempt fails, the package lists may be absent or too old.
    install_packages redis-server || { apt update && install_packages redis-server; } || {
        cat "$work/log" >&2
        echo "servers.sh: cannot install redis-server" >&2
        exit 1
    }
    stop_service redis-server
fi

if ! command -v valkey-server >/dev/null; then
    if install_packages valkey-server || install_from_backports; then
        stop_service valkey-server
    else
        echo "servers.sh: no package of valkey-server here; the tests run on redis-server alone"
    fi
fi
