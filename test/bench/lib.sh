# SPDX-License-Identifier: Apache-2.0
# What the benchmarks of one server share.  Sourced with HERE, the root of the sources, set.

# BUILD, made as a release if it is missing; further words are options of meson.
build_release() {
    build=$1
    shift
    [ -f "$build/build.ninja" ] || meson setup "$build" "$here" --buildtype=release -Dtests=true "$@" >/dev/null
    ninja -C "$build" >/dev/null
}

# A folder in $tmp that goes with the script, and its server: one worker, so that a figure is a core's.
prepare() { # PLUGINS
    tmp=$(mktemp -d "${BENCH_DIR:-/var/tmp}/meerkat-bench-XXXXXX")
    server='' client=''
    trap clean_up EXIT INT TERM
    port=$((20000 + $$ % 5000 * 2))
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
    cat >"$tmp/meerkat.cfg" <<CFG
workers = 1;
plugin_dir = "$build/plugins:$build/backends";
hosts = ( { name = "localhost"; certificate = "$tmp/cert.pem"; key = "$tmp/key.pem"; } );
host_types = { default = { anonymous = true; plain_without_tls = true; }; };
listeners = ( { address = "127.0.0.1"; port = $port; backlog = 4096; },
              { address = "127.0.0.1"; port = $((port + 1)); tls = "direct"; backlog = 4096; } );
control = { socket = "$tmp/control"; };
limits = { login_timeout = "10m"; };
log = { level = "error"; };
backends = { sqlite = { path = "$tmp/db"; }; };
storage = { default = "sqlite"; };
plugins = { auth_internal = { iterations = 4096; }; roster = {}; presence = {}; offline = {}; disco = {}; ping = {};
    carbons = {}; stream_mgmt = {}; $1 };
CFG
}

clean_up() {
    for process in $client $server; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -rf "$tmp"
}

ctl() { "$build/core/meerkatctl" --socket "$tmp/control" "$@"; }

start() {
    "$build/core/meerkatd" -c "$tmp/meerkat.cfg" >>"$tmp/log" 2>&1 &
    server=$!
    i=0
    until ctl status >/dev/null 2>&1; do
        i=$((i + 1))
        if [ $i -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$tmp/log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

stop() {
    kill "$server"
    wait "$server" || { cat "$tmp/log" >&2; exit 1; }
    server=''
}

add_accounts() { # COUNT
    for i in $(seq 0 $(($1 - 1))); do
        ctl users add "user$i@localhost" password=bench >/dev/null
    done
}
