#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a source tree to a running server on a bare Debian 12 or Ubuntu machine.  Everything but packages stays in one folder.
set -eu

usage() {
    cat <<'END'
Usage: packaging/quickstart.sh [OPTION]...
Installs what the build needs, builds, makes a certificate and users, and serves in the foreground.

  --prefix DIR          folder for everything (./run)
  --domain NAME         domain to serve (localhost)
  --c2s-port N          port for clients that begin in plain text and upgrade to TLS (5222)
  --tls-port N          port for clients that begin with TLS (5223)
  --user NAME:PASSWORD  a user to create, or whose password to set; may be repeated (alice and bob)
  --plain               allows passwords over connections without TLS: for tests
  --set KEY=VALUE       any option of the configuration; may be repeated
  --detach              returns when users can log in; PREFIX/meerkat.pid has the process
  --stop                stops the server of this prefix

The server obeys PREFIX/etc/meerkat.cfg, which is written anew each time, and PREFIX/etc/plugins.d/*.cfg, which are yours.
END
}

die() {
    echo "quickstart.sh: $*" >&2
    exit 1
}

# ---- options

prefix=./run domain=localhost c2s_port=5222 tls_port=5223 plain='' detach='' stop=''
users=() sets=()

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --domain | --c2s-port | --tls-port | --user | --set)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --prefix) prefix=$2 ;;
        --domain) domain=$2 ;;
        --c2s-port) c2s_port=$2 ;;
        --tls-port) tls_port=$2 ;;
        --user) users+=("$2") ;;
        --set) sets+=(--set "$2") ;;
        esac
        shift
        ;;
    --plain) plain=yes ;;
    --detach) detach=yes ;;
    --stop) stop=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) die "there is no option $1; --help lists them" ;;
    esac
    shift
done

check_port() {
    case $2 in
    '' | *[!0-9]* | ??????*) die "$1 must be a number from 1 to 65535, not \"$2\"" ;;
    esac
    if [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then
        die "$1 must be a number from 1 to 65535, not $2"
    fi
}
check_port --c2s-port "$c2s_port"
check_port --tls-port "$tls_port"
[ "$c2s_port" -ne "$tls_port" ] || die "--c2s-port and --tls-port must differ"
case $domain in
'' | *[!A-Za-z0-9.-]* | .* | -*) die "--domain must be a domain name, not \"$domain\"" ;;
esac
for option in ${sets[@]+"${sets[@]}"}; do
    case $option in
    --set | [!=]*=*) ;;
    *) die "--set needs KEY=VALUE, not \"$option\"" ;;
    esac
done
if [ ${#users[@]} -eq 0 ]; then
    users=(alice:alice-demo bob:bob-demo)
fi
for user in "${users[@]}"; do
    case $user in
    *:) die "--user needs a password behind the colon: $user" ;;
    [!:]*:*) ;;
    *) die "--user needs NAME:PASSWORD, not \"$user\"" ;;
    esac
done

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$prefix" 2>/dev/null || die "can't make the folder $prefix"
prefix=$(cd "$prefix" && pwd)
case $prefix in
*[\"\\\|\&:\ ]*) die "the path of the prefix must have no spaces, quotes, colons or bars in it: $prefix" ;;
esac
build=$prefix/build inst=$prefix/inst config=$prefix/etc/meerkat.cfg pid_file=$prefix/meerkat.pid
socket=$prefix/run/meerkat.sock log=$prefix/meerkat.log
[ ${#socket} -le 107 ] || die "the path of the prefix is too long for a socket: $prefix"

# ---- the server of this prefix

# Its process number, if it runs.
running() {
    [ -f "$pid_file" ] || return 1
    local pid
    pid=$(cat "$pid_file")
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$inst/sbin/meerkatd" ] && echo "$pid"
}

stop_server() {
    local pid i
    pid=$(running) || {
        rm -f "$pid_file"
        die "no server runs in $prefix"
    }
    kill "$pid" || die "process $pid, the server of $prefix, can't be stopped by this user"
    for ((i = 0; i < 300; i++)); do
        if ! running >/dev/null; then
            rm -f "$pid_file"
            return
        fi
        sleep 0.1
    done
    die "the server, process $pid, does not stop; its log may say why"
}

if [ -n "$stop" ]; then
    stop_server
    exit 0
fi
if pid=$(running); then
    die "the server of $prefix runs already, as process $pid; --stop stops it"
fi

# ---- packages

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

install_packages() {
    local missing=() package root=()
    for package in gcc libc6-dev meson ninja-build pkg-config openssl libevent-dev libgnutls28-dev libxml2-dev libconfig-dev \
        libcjson-dev libidn-dev libhiredis-dev libhttp-parser-dev libltdl-dev libmariadb-dev libpng-dev libpq-dev \
        libsqlite3-dev libsystemd-dev libunbound-dev liburing-dev unixodbc-dev zlib1g-dev; do
        if [ "$package" = pkg-config ] && is_installed pkgconf; then
            continue # its other name
        fi
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "these packages are missing, and only root can install them: ${missing[*]}"
        root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get update -qq >>"$prefix/build.log" 2>&1 ||
        die "the lists of packages can't be fetched: see $prefix/build.log"
    ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >>"$prefix/build.log" 2>&1 || die "packages can't be installed: see $prefix/build.log"
}

: >"$prefix/build.log" || die "the folder $prefix can't be written"
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    install_packages
else
    for program in cc meson ninja pkg-config openssl; do
        command -v "$program" >/dev/null || die "$program is missing, and without apt-get it can't be installed from here"
    done
fi

# ---- build

if [ ! -f "$build/build.ninja" ]; then
    echo "Building in $build: this takes a minute or two, once"
    rm -rf "$build"
    meson setup "$build" "$source" --prefix "$inst" --libdir lib --sysconfdir etc --localstatedir var --buildtype release \
        -Dtests=false -Drundir="$prefix/run" -Dstatedir="$prefix/data" >>"$prefix/build.log" 2>&1 ||
        die "the build can't be set up: see $prefix/build.log"
fi
ninja -C "$build" >>"$prefix/build.log" 2>&1 || die "the build failed: see $prefix/build.log"
meson install -C "$build" --no-rebuild --only-changed >>"$prefix/build.log" 2>&1 ||
    die "the installation into $inst failed: see $prefix/build.log"

# ---- certificate

cert=$prefix/etc/tls/$domain.crt key=$prefix/etc/tls/$domain.key
mkdir -p "$prefix/etc/tls" "$prefix/etc/plugins.d" "$prefix/run" "$prefix/data"
chmod 700 "$prefix/data"
if [ ! -s "$key" ] || ! openssl x509 -in "$cert" -noout -checkend 604800 >/dev/null 2>&1; then
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 365 \
        -subj "/CN=$domain" -addext "subjectAltName=DNS:$domain" -keyout "$key" -out "$cert" >>"$prefix/build.log" 2>&1) ||
        die "the certificate can't be made: see $prefix/build.log"
fi

# ---- configuration

first=${users[0]%%:*}
{
    echo "# Written by packaging/quickstart.sh, and anew each time it runs: put what is yours into plugins.d/."
    sed -e "s|name = \"localhost\";|name = \"$domain\";|" \
        -e "s|# certificate = .*|certificate = \"tls/$domain.crt\";|" \
        -e "s|# key = .*|key = \"tls/$domain.key\";|" \
        -e "s|# admins = .*|admins = [ \"${first%%@*}@$domain\" ];|" \
        -e "s|port = 5222;|port = $c2s_port;|" -e "s|port = 5223;|port = $tls_port;|" \
        -e "s|# path = .*|path = \"$prefix/data/meerkat.db\";|" \
        -e "s|# socket = .*|socket = \"$socket\";|" "$source/etc/meerkat.cfg"
    [ -z "$plain" ] || echo 'host_types = { default = { plain_without_tls = true; }; };'
} >"$config"
[ -f "$prefix/etc/plugins.d/README" ] || cp "$source/etc/plugins.d/README" "$prefix/etc/plugins.d/README"

export LD_LIBRARY_PATH=$inst/lib
why=$("$inst/sbin/meerkatd" -c "$config" ${sets[@]+"${sets[@]}"} --check 2>&1) ||
    die "the configuration is wrong: $why"

# ---- serve

meerkatctl() {
    "$inst/bin/meerkatctl" --socket "$socket" "$@"
}

rm -f "$socket"
if [ -n "$detach" ]; then
    setsid "$inst/sbin/meerkatd" -c "$config" ${sets[@]+"${sets[@]}"} </dev/null >>"$log" 2>&1 &
else
    "$inst/sbin/meerkatd" -c "$config" ${sets[@]+"${sets[@]}"} </dev/null &
fi
server=$!
echo "$server" >"$pid_file"
unset LD_LIBRARY_PATH

abandon() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$pid_file"
    die "$*"
}
trap 'abandon "interrupted"' INT TERM

waited=0
until meerkatctl status >/dev/null 2>&1; do
    if ! kill -0 "$server" 2>/dev/null; then
        rm -f "$pid_file"
        [ -z "$detach" ] || die "the server did not start: $(grep -Ev '^[^ ]+ (notice|info|debug)' "$log" | tail -n 1)"
        die "the server did not start: what it said last tells why"
    fi
    waited=$((waited + 1))
    [ "$waited" -le 600 ] || abandon "the server does not answer after a minute"
    sleep 0.1
done

address() { # of NAME:PASSWORD
    case ${1%%:*} in
    *@*) echo "${1%%:*}" ;;
    *) echo "${1%%:*}@$domain" ;;
    esac
}

for user in "${users[@]}"; do
    name=$(address "$user") password=${user#*:}
    verb=add
    [ "$(meerkatctl users exists "$name" 2>/dev/null)" != true ] || verb=password
    why=$(printf '%s\n' "$password" | meerkatctl users "$verb" "$name" --password-file - 2>&1) ||
        abandon "user $name can't be made: ${why#meerkatctl: }"
done

echo "Meerkat serves $domain:"
echo "  port $c2s_port      clients, STARTTLS$([ -z "$plain" ] || echo " (passwords without TLS are allowed)")"
echo "  port $tls_port      clients, TLS from the start"
echo "  certificate    $cert (self-signed)"
for user in "${users[@]}"; do
    echo "  user           $(address "$user"), password ${user#*:}"
done
echo "  control        $inst/bin/meerkatctl --socket $socket status"

if [ -n "$detach" ]; then
    echo "  process        $server, log in $log, stopped by packaging/quickstart.sh --prefix $prefix --stop"
    trap - INT TERM
    exit 0
fi

trap 'kill "$server" 2>/dev/null' INT TERM
status=0
while kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
done
rm -f "$pid_file"
exit "$status"
