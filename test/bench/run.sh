#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures a release build of the server and prints each figure beside the floor or the budget.
#   test/bench/run.sh [--quick] [BUILD]     BUILD: a meson build folder, made if it is missing
#   test/bench/run.sh storage ...           of storage alone: see storage.sh
#   test/bench/run.sh streams ...           of a message over TCP, WebSocket, BOSH, to another server: see streams.py
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
. "$here/test/bench/lib.sh"
if [ "${1:-}" = streams ]; then
    shift
    build_release "${MEERKAT_BUILD:-$here/build-bench}"
    MEERKAT_BUILD=$build exec /usr/bin/python3 "$here/test/bench/streams.py" "$@"
fi
sessions=15000 seconds=8 rounds=3
if [ "${1:-}" = --quick ]; then
    sessions=1000 seconds=1 rounds=1
    shift
fi
build_release "${1:-$here/build-bench}"
prepare ''
bench=$build/test/bench/bench
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

echo "machine: $(nproc) cores, $(uname -sr), $(date +%F); one worker, $sessions idle sessions"
start
plain=$("$bench" idle --port "$port" --pid "$server" --count "$sessions")
stop
start
tls=$("$bench" idle --port $((port + 1)) --pid "$server" --count "$sessions" --tls)
stop
start
openssl=$(python3 "$here/test/bench/idle_openssl.py" $((port + 1)) "$server" $((sessions / 5)))
stop
echo "idle session, no TLS:  $plain bytes (budget 1536; ratio to it $(awk "BEGIN { printf \"%.2f\", $plain / 1536 }"))"
echo "idle session, TLS 1.3, client with OpenSSL: $openssl bytes (budget 12288; ratio to it $(awk "BEGIN { printf \"%.2f\", $openssl / 12288 }"))"
echo "idle session, TLS 1.3, client with GnuTLS: $tls bytes (budget 12288; ratio to it $(awk "BEGIN { printf \"%.2f\", $tls / 12288 }"))"

# Floor and server alternate, so that a busy neighbour hurts both.
for burst in 1 10; do
    : >"$tmp/floor.$burst" && : >"$tmp/ours.$burst"
    for _ in $(seq "$rounds"); do
        "$build/test/bench/floor" $((port + 20)) &
        client=$!
        sleep 0.3
        "$bench" floor --port $((port + 20)) --pid "$client" --burst "$burst" --seconds "$seconds" >>"$tmp/floor.$burst"
        kill "$client"
        wait "$client" 2>/dev/null || true
        client=''
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
add_accounts 50
set -- $("$bench" login --port "$port" --pid "$server" --seconds "$seconds")
echo "login, SCRAM-SHA-1, no TLS: $1/s, $2 ms of CPU each"
set -- $("$bench" login --port $((port + 1)) --pid "$server" --seconds "$seconds" --tls)
echo "login, SCRAM-SHA-1, TLS 1.3: $1/s, $2 ms of CPU each"
stop
