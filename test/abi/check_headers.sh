#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_headers.sh SDK: every header compiles alone, with warnings as errors, in each language that a plugin may be in.
set -eu
sdk=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
count=0

try() { # COMPILER LANGUAGE STANDARD HEADER
    printf '#define MK_ABI_NEED 0\n#include <meerkat/%s>\n#include <meerkat/%s>\n' "$4" "$4" > "$work/one.$2"
    count=$((count + 1))
    if ! "$1" -std="$3" -Wall -Wextra -Werror -Wpedantic -fsyntax-only -I "$sdk" "$work/one.$2" > "$work/out" 2>&1; then
        failed=1
        echo "not ok: $4 in $3 with $1"
        head -5 "$work/out"
    fi
}

for header in "$sdk"/meerkat/*.h; do
    name=${header##*/}
    for standard in c11 c17 c2x; do
        for compiler in gcc clang; do
            command -v $compiler > "$work/found" && try $compiler c $standard "$name"
        done
    done
    for compiler in g++ clang++; do
        command -v $compiler > "$work/found" && try $compiler cc c++20 "$name"
    done
done
[ $failed = 0 ] && echo "ok: $count times a header alone"
exit $failed
