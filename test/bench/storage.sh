#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Durable inserts through the server's storage beside a program that inserts the same rows by hand: one a commit, and as
# many a commit as there are writers, which is all that writers who wait for their rows could ever have in one commit.
#   test/bench/storage.sh [--quick] [BUILD [BACKEND [OPTION=VALUE...]]]
# BACKEND is sqlite if it is left out; options are those of its group in `backends`.  A backend NAME has a floor if there
# is a program bench_storage_NAME in BUILD/test/bench, which takes a place, rows a commit and seconds; the place is
# BENCH_PLACE (of pgsql a conninfo, of mysql HOST,PORT,USER,PASSWORD,DATABASE), or a new file.  Write @UNIQUE@ in the option
# that says where tables are: the floor begins with an empty one, so must each run.  For pgsql without options both sides
# log in with the conninfo of BENCH_PLACE, so that both or none of them have TLS; a conninfo with a host must say sslmode.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/test/bench/lib.sh"
seconds=4 rounds=3
if [ "${1:-}" = --quick ]; then
    seconds=1 rounds=1
    shift
fi
folder=${1:-$here/build-bench}
[ $# -eq 0 ] || shift
backend=${1:-sqlite}
[ $# -eq 0 ] || shift
build_release "$folder"
[ "$backend" != pgsql ] || [ $# -ne 0 ] || [ -z "${BENCH_PLACE:-}" ] || set -- "conninfo=$BENCH_PLACE" schema=bench_@UNIQUE@
tmp=$(mktemp -d "${BENCH_DIR:-/var/tmp}/meerkat-bench-XXXXXX")
trap 'rm -rf "$tmp"' EXIT INT TERM
bench=$build/test/bench/bench_storage
floor=$build/test/bench/bench_storage_$backend
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
new() { mktemp -u "$tmp/XXXXXXXX.db"; }

runs=0
run_ours() { # WRITERS OPTION...
    writers_now=$1
    shift
    runs=$((runs + 1))
    for option in "$@"; do # each takes the place of what it was
        shift
        set -- "$@" "$(printf %s "$option" | sed "s/@UNIQUE@/$$_$runs/g")"
    done
    "$bench" "$build/backends/$backend.so" "$writers_now" "$seconds" "$@"
}

echo "machine: $(nproc) cores, $(uname -sr), $(date +%F); $backend, rows of 300 bytes, $seconds s a run, median of $rounds"
writers='1 10 100 1000'
for _ in $(seq "$rounds"); do # floor and server alternate, so that a busy neighbour hurts both
    if [ -x "$floor" ] && { [ "$backend" = sqlite ] || [ -n "${BENCH_PLACE:-}" ]; }; then
        for n in $writers; do
            "$floor" "${BENCH_PLACE:-$(new)}" "$n" "$seconds" >>"$tmp/floor.$n"
        done
    fi
    for n in $writers; do
        if [ "$backend" = sqlite ] && [ $# -eq 0 ]; then
            "$bench" "$build/backends/$backend.so" "$n" "$seconds" path="$(new)" >>"$tmp/ours.$n"
        else
            run_ours "$n" "$@" >>"$tmp/ours.$n"
        fi
    done
done
rate_of() { cut -d' ' -f1 "$1" | median; }
for n in $writers; do
    rate=$(rate_of "$tmp/ours.$n")
    cpu=$(cut -d' ' -f4 "$tmp/ours.$n" | median)
    printf '%4d writers: %s rows/s, wait %s us, p99 %s us, %s us of CPU a row\n' "$n" "$rate" \
        "$(cut -d' ' -f2 "$tmp/ours.$n" | median)" "$(cut -d' ' -f3 "$tmp/ours.$n" | median)" "$cpu"
    [ -s "$tmp/floor.$n" ] || continue
    hand=$(rate_of "$tmp/floor.$n") hand_cpu=$(cut -d' ' -f2 "$tmp/floor.$n" | median)
    awk "BEGIN { printf \"   by hand, %d a commit: %d rows/s, %s us of CPU a row; ratio %.2f; to one a commit %.1f\\n\",
        $n, $hand, \"$hand_cpu\", $rate / $hand, $rate / $(rate_of "$tmp/floor.1") }"
done
