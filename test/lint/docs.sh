#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference parts of the manuals, the README's tables and the list in meerkat.doap come from the rows of the plugins and
# of the core.  Compares them with what the built ones say, or writes them:  test/lint/docs.sh BUILD [--write]
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
write=${2:-}
bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# between FILE NAME NEW: FILE with what lies between <!-- NAME --> and <!-- /NAME --> replaced by the file NEW.
between() {
    awk -v name="$2" -v new="$3" '
        $0 == "<!-- /" name " -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- " name " -->" { inside = 1; while ((getline line < new) > 0) print line }' "$1"
}

# has FILE NAME: FILE has a place for NAME, or is to blame.
has() {
    if ! grep -qx "<!-- $2 -->" "$1" || ! grep -qx "<!-- /$2 -->" "$1"; then
        echo "$1 has no lines \"<!-- $2 -->\" and \"<!-- /$2 -->\""
        bad=1
    fi
}

settle() {
    if cmp -s "$1" "$2"; then
        return
    elif [ "$write" = --write ]; then
        cp "$2" "$1"
    else
        echo "$1 differs from what the plugin's rows say; run test/lint/docs.sh BUILD --write"
        diff "$1" "$2" | head -10
        bad=1
    fi
}

"$build/core/meerkatd" --manual >"$tmp/options"
{
    echo '# core'
    cat "$tmp/options"
} >"$tmp/xeps"
printf '| plugin | what | XEPs |\n|---|---|---|\n' >"$tmp/features"
for manual in "$here"/plugins/*/*.md "$here"/backends/*/*.md; do
    name=$(basename "$manual" .md)
    has "$manual" reference
    dirs=$build/plugins:$build/backends
    "$build/core/meerkatd" --plugin-dir "$dirs" --manual="$name" >"$tmp/reference"
    cat "$tmp/reference" >>"$tmp/xeps" # begins with "# NAME"
    between "$manual" reference "$tmp/reference" >"$tmp/new"
    settle "$manual" "$tmp/new"
    "$build/core/meerkatd" --plugin-dir "$dirs" --manual-row="$name" >>"$tmp/features"
done
# A feature without a manual would be in no table.
for source in "$here"/plugins/*/meson.build "$here"/backends/*/meson.build; do
    folder=$(dirname "$source") name=$(basename "$(dirname "$source")")
    if [ "$name" != sql ] && [ ! -f "$folder/$name.md" ]; then
        echo "$folder has no manual $name.md"
        bad=1
    fi
done
/usr/bin/python3 "$here/test/xeps.py" table <"$tmp/xeps" >"$tmp/table"
/usr/bin/python3 "$here/test/xeps.py" doap <"$tmp/xeps" >"$tmp/doap"
has "$here/README.md" features
has "$here/README.md" xeps
has "$here/meerkat.doap" xeps
between "$here/README.md" features "$tmp/features" >"$tmp/half"
between "$tmp/half" xeps "$tmp/table" >"$tmp/new"
settle "$here/README.md" "$tmp/new"
between "$here/meerkat.doap" xeps "$tmp/doap" >"$tmp/new"
settle "$here/meerkat.doap" "$tmp/new"
/usr/bin/python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$here/meerkat.doap"
settle "$here/etc/options.md" "$tmp/options"
exit $bad
