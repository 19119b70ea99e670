#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A plugin has no writable memory of its own: two workers would share it.  Compiles each as a release would and looks at
# the sections its objects use.
set -eu
cd "$(dirname "$0")/../.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0
flags=$(pkg-config --cflags libpq libmariadb odbc)
for file in $(find plugins backends -name '*.c' ! -name 'test_*' | LC_ALL=C sort); do
    ${CC:-cc} -std=gnu17 -O2 -fPIC -fno-common -D_GNU_SOURCE -DMK_ABI_NEED=0 -Isdk -Ibackends $flags -c "$file" -o "$tmp/o" || status=1
    [ -f "$tmp/o" ] || continue
    found=$(objdump -t "$tmp/o" | awk 'NF > 4 && $(NF-2) ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)$/ && $(NF-1) !~ /^0+$/ { print $NF }')
    for name in $found; do
        echo "$file: $name can be written to"
        status=1
    done
    rm -f "$tmp/o"
done
exit $status
