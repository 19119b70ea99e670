# SPDX-License-Identifier: Apache-2.0
# What the scripts of services share.  Each is `NAME.sh up|down DIR`: `up` starts the service in the foreground of
# nothing, with everything it has in DIR, on a port of its own below those that the kernel hands out, and writes
# DIR/env: lines NAME='VALUE' for a shell and for test/functional/server.py.  It installs what is missing and may end
# with 77 if that can't be had.  `down` stops it; DIR stays, and `up` starts it again with all it had.
#
# Of a backend X the file has MEERKAT_BACKEND_X, its options as JSON,, and MEERKAT_STORES_X, the same as OPTION=VALUE
# words; in both @UNIQUE@ stands for a name that each test chooses anew.
set -euo pipefail

service=$(basename "$0" .sh)

say() { printf '%s: %s\n' "$service" "$*" >&2; }
die() {
    say "$*"
    exit 1
}
is_root() { [ "$(id -u)" = 0 ]; }

need_packages() {
    local missing=() name sudo=
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    is_root || sudo=sudo
    say "installing ${missing[*]}"
    # A package's own service must not start on its default port.
    local policy=/usr/sbin/policy-rc.d ours=false failed=false
    if [ ! -e $policy ]; then
        ours=true
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    apt_install "$sudo" "${missing[@]}" || { $sudo apt-get update -qq && apt_install "$sudo" "${missing[@]}"; } || failed=true
    ! $ours || $sudo rm -f $policy
    $failed || return 0
    tail -3 "$dir/apt.log" >&2
    exit 77
}

apt_install() { # SUDO PACKAGE...
    local sudo=$1
    shift
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" >"$dir/apt.log" 2>&1
}

# as USER COMMAND...: as that user if we are root, else as ourselves.  The process keeps its number.
as() {
    local user=$1
    shift
    if is_root; then
        setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --inh-caps=-all -- "$@"
    else
        "$@"
    fi
}
own() { ! is_root || chown -R "$@"; }

free_port() {
    local port
    while :; do
        port=$((12000 + RANDOM % 7000)) # tests take theirs from 20000 on
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# spawn NAME USER COMMAND...: in a session of its own; NAME.pid has its number, NAME.log what it says.
spawn() {
    local name=$1 user=$2
    shift 2
    if is_root; then
        set -- setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --inh-caps=-all -- "$@"
    fi
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    echo $! >"$dir/$name.pid"
}
# One that has ended and that nobody has waited for is not alive.
alive() {
    local pid
    [ -s "$dir/$1.pid" ] && pid=$(cat "$dir/$1.pid") && [ -r "/proc/$pid/status" ] &&
        ! grep -q '^State:.[ZX]' "/proc/$pid/status" 2>/dev/null
}

# await NAME COMMAND...: until it succeeds, while NAME lives.
await() {
    local name=$1 i
    shift
    for ((i = 0; i < 1200; i++)); do
        "$@" >/dev/null 2>&1 && return
        alive "$name" || break
        sleep 0.1
    done
    tail -20 "$dir/$name.log" >&2
    die "does not come up"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# await_ports NAME: until each port of DIR/ports answers.
await_ports() {
    local port
    [ -s "$dir/ports" ] || return 0
    for port in $(cat "$dir/ports"); do
        await "$1" answers "$port"
    done
}

# halt NAME [SIGNAL]: after 20 seconds it is killed.
halt() {
    local pid i
    alive "$1" || return 0
    pid=$(cat "$dir/$1.pid")
    kill -CONT "$pid" 2>/dev/null || true
    kill "-${2:-TERM}" "$pid"
    for ((i = 0; i < 200; i++)); do
        alive "$1" || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# Certificates in DIR/tls: ca, server (localhost, 127.0.0.1), client, and wrong, an authority that signed nothing.
certificates() {
    local tls=$dir/tls name
    mkdir -p "$tls"
    for name in ca wrong; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=test $name" \
            -keyout "$tls/$name.key" -out "$tls/$name.crt" 2>/dev/null
    done
    for name in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=${name/server/localhost}" \
            -keyout "$tls/$name.key" -out "$tls/$name.csr" 2>/dev/null
        openssl x509 -req -in "$tls/$name.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days 30 \
            -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') -out "$tls/$name.crt" 2>/dev/null
    done
    chmod 755 "$tls"
    chmod 644 "$tls"/*
}

put() { printf "%s='%s'\n" "$1" "$2" >>"$dir/env"; }

# main up|down DIR, which calls service_up or service_down.
main() {
    [ $# = 2 ] || die "usage: $service.sh up|down DIR"
    mkdir -p "$2"
    dir=$(cd "$2" && pwd)
    case $1 in
    up)
        chmod 755 "$dir"
        service_up
        ;;
    down) service_down ;;
    *) die "usage: $service.sh up|down DIR" ;;
    esac
}
