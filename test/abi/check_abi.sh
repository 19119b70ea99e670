#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares the built library with the ABI as it was last recorded: what plugins were built against must still be there,
# with the same meaning to the compiler.  check_abi.sh BUILD [--record]
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
library=$1/core/libmeerkat.so.1
recorded=$here/test/abi/libmeerkat.so.1.abi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

abidw --headers-dir "$here/sdk/meerkat" --drop-private-types --no-show-locs --no-corpus-path --no-comp-dir-path \
    --exported-interfaces-only "$library" | sed '/<elf-needed>/,/<\/elf-needed>/d' >"$tmp/now.abi"
if [ "${2:-}" = --record ]; then
    cp "$tmp/now.abi" "$recorded"
    exit
fi
status=0
abidiff --no-added-syms "$recorded" "$tmp/now.abi" >"$tmp/report" || status=$?
# Bit 3 is an incompatible change, bit 2 any change that may be one: a reviewer decides, and records the new state.
if [ $((status & 13)) -ne 0 ]; then
    cat "$tmp/report"
    echo "The ABI differs from test/abi/libmeerkat.so.1.abi.  If the change is one that sdk/ABI.md allows, record it:"
    echo "test/abi/check_abi.sh BUILD --record"
    exit 1
fi
