#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures a release build of the server and prints each figure beside the floor or the budget.
#   test/bench/run.sh [--quick] [BUILD]     BUILD: a meson build folder, made if it is missing
#   test/bench/run.sh storage ...           of storage alone: see storage.sh
#   test/bench/run.sh s2s ...               of messages between servers: see s2s.py
#   test/bench/run.sh storm ...             all accounts come back after a restart: see storm.sh
set -eu
case ${1:-} in
storage | storm)
    what=$1
    shift
    exec "$(dirname "$0")/$what.sh" "$@"
    ;;
esac

here=$(cd "$(dirname "$0")/../.." && pwd)
if [ "${1:-}" = s2s ]; then
    shift
    build=${MEERKAT_BUILD:-$here/build-bench}
    [ -f "$build/build.ninja" ] || meson setup "$build" "$here" --buildtype=release -Dtests=true >/dev/null
    ninja -C "$build" >/dev/null
    MEERKAT_BUILD=$build exec python3 "$here/test/bench/s2s.py" "$@"
fi
sessions=15000 seconds=8 rounds=3
if [ "${1:-}" = --quick ]; then
    sessions=1000 seconds=1 rounds=1
    shift
fi
build=${1:-$here/build-bench}
[ -f "$build/build.ninja" ] || meson setup "$build" "$here" --buildtype=release -Dtests=true >/dev/null
ninja -C "$build" >/dev/null
tmp=$(mktemp -d)
server='' relay=''
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$relay" ] || kill "$relay" 2>/dev/null || true
    wait
    rm -rf "$tmp"
}
trap cleanup EXIT INT TERM
bench=$build/test/bench/bench

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null

# One worker, so that a figure is a core's; a free port for each listener.
port=$((20000 + $$ % 5000 * 2))
cat >"$tmp/meerkat.cfg" <<END
workers = 1;
plugin_dir = "$build/plugins:$build/backends";
hosts = ( { name = "localhost"; certificate = "$tmp/cert.pem"; key = "$tmp/key.pem"; } );
host_types = { default = { anonymous = true; plain_without_tls = true; }; };
listeners = ( { address = "127.0.0.1"; port = $port; backlog = 4096; }, { address = "127.0.0.1"; port = $((port + 1)); tls = "direct"; backlog = 4096; } );
control = { socket = "$tmp/control"; };
limits = { login_timeout = "10m"; };
log = { level = "error"; };
backends = { sqlite = { path = "$tmp/db"; }; };
storage = { default = "sqlite"; };
plugins = { auth_internal = { iterations = 4096; }; roster = {}; presence = {}; offline = {}; disco = {}; ping = {};
    carbons = {}; stream_mgmt = {}; version = {}; time = {}; };
END

start() {
    "$build/core/meerkatd" -c "$tmp/meerkat.cfg" >>"$tmp/log" 2>&1 &
    server=$!
    i=0
    until "$build/core/meerkatctl" --socket "$tmp/control" status >/dev/null 2>&1; do
        i=$((i + 1))
        if [ $i -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
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
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

echo "machine: $(nproc) cores, $(uname -sr), $(date +%F); one worker, $sessions idle sessions"
start
plain=$("$bench" idle --port "$port" --pid "$server" --count "$sessions")
stop
start
tls=$("$bench" idle --port $((port + 1)) --pid "$server" --count "$sessions" --tls)
stop
echo "idle session, no TLS:  $plain bytes (budget 1536; ratio to it $(awk "BEGIN { printf \"%.2f\", $plain / 1536 }"))"
echo "idle session, TLS 1.3: $tls bytes (budget 12288; ratio to it $(awk "BEGIN { printf \"%.2f\", $tls / 12288 }"))"

# Floor and server alternate, so that a busy neighbour hurts both.
for burst in 1 10; do
    : >"$tmp/floor.$burst" && : >"$tmp/ours.$burst"
    for _ in $(seq "$rounds"); do
        "$build/test/bench/floor" $((port + 20)) &
        relay=$!
        sleep 0.3
        "$bench" floor --port $((port + 20)) --pid "$relay" --burst "$burst" --seconds "$seconds" >>"$tmp/floor.$burst"
        kill "$relay"
        wait "$relay" 2>/dev/null || true
        relay=''
        start
        "$bench" route --port "$port" --pid "$server" --burst "$burst" --seconds "$seconds" >>"$tmp/ours.$burst"
        stop
    done
    floor_us=$(cut -d' ' -f1 "$tmp/floor.$burst" | median)
    ours_us=$(cut -d' ' -f1 "$tmp/ours.$burst" | median)
    rate=$(cut -d' ' -f2 "$tmp/ours.$burst" | median)
    echo "routed message, $burst a read: $ours_us us of CPU, floor $floor_us us, ratio $(awk "BEGIN { printf \"%.2f\", $ours_us / $floor_us }"), $rate messages/s"
done

start
for i in $(seq 0 49); do
    "$build/core/meerkatctl" --socket "$tmp/control" users add "user$i@localhost" password=bench >/dev/null
done
set -- $("$bench" login --port "$port" --pid "$server" --seconds "$seconds")
echo "login, SCRAM-SHA-1, no TLS: $1/s, $2 ms of CPU each"
set -- $("$bench" login --port $((port + 1)) --pid "$server" --seconds "$seconds" --tls)
echo "login, SCRAM-SHA-1, TLS 1.3: $1/s, $2 ms of CPU each"
stop
