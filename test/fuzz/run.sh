#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzzers:  test/fuzz/run.sh [SECONDS] [NAME...]   default: an hour each, all of them, one after the other.
# What they find new is kept in build-fuzz/corpus/NAME; a crash ends the run and leaves its input there.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:-3600}
[ $# -eq 0 ] || shift
build=${MEERKAT_FUZZ_BUILD:-$here/build-fuzz}
[ -f "$build/build.ninja" ] || CC=clang meson setup "$build" "$here" --buildtype=debugoptimized -Dfuzz=true -Dtests=false \
    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
[ $# -gt 0 ] || set -- $(cd "$here/test/fuzz" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
for name; do
    ninja -C "$build" "test/fuzz/fuzz_$name" >/dev/null
done
for name; do
    mkdir -p "$build/corpus/$name"
    echo "fuzz $name for $seconds s"
    "$build/test/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/corpus/$name/" "$build/corpus/$name" "$here/test/fuzz/corpus/$name" 2>"$build/fuzz_$name.log" || {
        tail -40 "$build/fuzz_$name.log" >&2
        exit 1
    }
    grep -E 'number_of_executed_units|average_exec' "$build/fuzz_$name.log"
done
