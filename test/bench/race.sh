#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Meerkat, ejabberd and Prosody side by side, on this machine, with the same load.
#   test/bench/race.sh [--quick] [BUILD]     BUILD: a meson build folder, made if it is missing
# The servers take turns in each measure, so that a busy neighbour hurts all.  Writes test/bench/RESULTS.md; with --quick
# it prints what it would write, and the figures say only that the race runs.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
quick=''
if [ "${1:-}" = --quick ]; then
    quick=--quick
    shift
fi
for program in ejabberdctl prosody; do
    [ -e /usr/sbin/$program ] || [ -e /usr/bin/$program ] || { echo "$program is not installed" && exit 77; }
done
build=${1:-$here/build-bench}
[ -f "$build/build.ninja" ] || meson setup "$build" "$here" --buildtype=release -Dtests=true >/dev/null
ninja -C "$build" >/dev/null
exec /usr/bin/python3 "$here/test/bench/race/race.py" $quick "$build"
