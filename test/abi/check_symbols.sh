#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_symbols.sh SDK [LIBRARY]: the symbol maps list the functions that the headers declare with MK_EXPORT, and the one
# that the daemon is; those and no others.  LIBRARY, if given, exports them all.
set -eu
sdk=$1
library=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The preprocessor expands the lists in the headers.  In a statement that is exported, the name is the first of ours
# before a parenthesis.
for header in "$sdk"/meerkat/*.h; do
    echo "#include <meerkat/${header##*/}>"
done > "$work/all.c"
${CC:-cc} -E -P -DMK_ABI_NEED=0 -I "$sdk" "$work/all.c" | tr '\n' ' ' | tr ';{}' '\n\n\n' | awk '
    /visibility\("default"\)/ {
        if (match($0, /mk_[a-z0-9_]+ *\(/)) print substr($0, RSTART, RLENGTH - 1)
        else print "no name found in:" $0
    }
' | tr -d ' ' > "$work/found"
echo mk_server_main >> "$work/found"
sort "$work/found" > "$work/headers"
sed -n 's/^ *\(mk_[a-z0-9_]*\);$/\1/p' "$sdk"/MK_*.map | sort > "$work/maps"

if ! diff "$work/headers" "$work/maps" > "$work/diff"; then
    echo "not ok: headers (<) and symbol maps (>) differ:"
    cat "$work/diff"
    exit 1
fi
if [ -n "$library" ]; then
    nm -D --defined-only "$library" | sed -n 's/^[0-9a-f]* [TWi] \([A-Za-z0-9_]*\).*/\1/p' | sort > "$work/library"
    if ! diff "$work/maps" "$work/library" > "$work/diff"; then
        echo "not ok: symbol maps (<) and $library (>) differ:"
        cat "$work/diff"
        exit 1
    fi
fi
echo "ok: $(wc -l < "$work/maps") functions"
