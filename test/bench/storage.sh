#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Durable inserts through the server's storage beside a program that inserts the same rows by hand.
#   test/bench/storage.sh [--quick] [BUILD [BACKEND [OPTION=VALUE...]]]
# BACKEND is sqlite if it is left out; options are those of its group in `backends`.  A backend NAME has a floor if there
# is a program bench_storage_NAME in BUILD/test/bench, which takes a place, rows a commit and seconds; the place is
# BENCH_PLACE (of pgsql a conninfo), or a new file.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
seconds=4 rounds=3
if [ "${1:-}" = --quick ]; then
    seconds=1 rounds=1
    shift
fi
build=${1:-$here/build-bench}
[ $# -eq 0 ] || shift
backend=${1:-sqlite}
[ $# -eq 0 ] || shift
[ -f "$build/build.ninja" ] || meson setup "$build" "$here" --buildtype=release -Dtests=true >/dev/null
ninja -C "$build" >/dev/null
tmp=$(mktemp -d "${BENCH_DIR:-/var/tmp}/meerkat-bench-XXXXXX")
trap 'rm -rf "$tmp"' EXIT INT TERM
bench=$build/test/bench/bench_storage
floor=$build/test/bench/bench_storage_$backend
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
new() { mktemp -u "$tmp/XXXXXXXX.db"; }

echo "machine: $(nproc) cores, $(uname -sr), $(date +%F); $backend, rows of 300 bytes, $seconds s a run, median of $rounds"
writers='1 10 100 1000'
for _ in $(seq "$rounds"); do # floor and server alternate, so that a busy neighbour hurts both
    if [ -x "$floor" ] && { [ "$backend" = sqlite ] || [ -n "${BENCH_PLACE:-}" ]; }; then
        for batch in 1 500; do
            "$floor" "${BENCH_PLACE:-$(new)}" "$batch" "$seconds" >>"$tmp/floor.$batch"
        done
    fi
    for n in $writers; do
        if [ "$backend" = sqlite ] && [ $# -eq 0 ]; then
            "$bench" "$build/backends/$backend.so" "$n" "$seconds" path="$(new)" >>"$tmp/ours.$n"
        else
            "$bench" "$build/backends/$backend.so" "$n" "$seconds" "$@" >>"$tmp/ours.$n"
        fi
    done
done
best=''
if [ -s "$tmp/floor.500" ]; then
    best=$(median <"$tmp/floor.500")
    best_cpu=$(cut -d' ' -f2 "$tmp/floor.500" | median)
    for batch in 1 500; do
        echo "by hand, $batch a commit: $(median <"$tmp/floor.$batch") rows/s, $(cut -d' ' -f2 "$tmp/floor.$batch" | median) us of CPU a row"
    done
fi
for n in $writers; do
    rate=$(cut -d' ' -f1 "$tmp/ours.$n" | median)
    ratio=''
    cpu=$(cut -d' ' -f4 "$tmp/ours.$n" | median)
    [ -z "$best" ] || ratio=", of 500 by hand $(awk "BEGIN { printf \"%.2f; by CPU %.2f\", $rate / $best, $best_cpu / $cpu }")"
    printf '%4d writers: %s rows/s, wait %s us, p99 %s us, %s us of CPU a row%s\n' "$n" "$rate" \
        "$(cut -d' ' -f2 "$tmp/ours.$n" | median)" "$(cut -d' ' -f3 "$tmp/ours.$n" | median)" \
        "$cpu" "$ratio"
done
