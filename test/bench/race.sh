#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Meerkat, ejabberd and Prosody side by side, on this machine, with the same load.
#   test/bench/race.sh [--quick] [BUILD]     BUILD: a meson build folder, made if it is missing
# Takes some 18 minutes, with --quick 4.  Nothing else should run: RESULTS.md says how much did.
# Installs the peers if they are missing (Debian, Ubuntu), makes a release build, and writes test/bench/RESULTS.md with
# its drawings in test/bench/results.  With --quick these go to BUILD/race, and say only that the race runs.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/test/bench/lib.sh"
quick='' folder=$here/test/bench
if [ "${1:-}" = --quick ]; then
    quick=--quick
    shift
fi
missing=''
for package in ejabberd erlang-p1-sqlite3 prosody lua-dbi-sqlite3 openssl; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "installing$missing"
    sudo=''
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
build_release "${1:-$here/build-bench}"
if [ -n "$quick" ]; then
    folder=$build/race
    mkdir -p "$folder"
fi
/usr/bin/python3 "$here/test/bench/race/race.py" $quick "$build" "$folder"
echo "written: $folder/RESULTS.md"
