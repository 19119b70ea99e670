#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may include what: util <- conf <- xml, run, net <- stream, sasl, route, store <- admin, load <- the daemon.  Headers
# of the SDK know nothing of the core; plugins and backends know the SDK and their own folder.
set -eu
cd "$(dirname "$0")/../.."

core() {
    find core -name '*.[ch]' ! -name 'test_*' -print | LC_ALL=C sort | xargs awk '
        BEGIN {
            split("util conf xml run net stream sasl route store s2s component admin load", names, " ")
            split("0 1 2 2 2 3 3 3 3 3 3 4 4", ranks, " ")
            for (i in names) rank[names[i]] = ranks[i]
        }
        /^#[ \t]*include[ \t]*"/ {
            split(FILENAME, part, "/")
            split($0, text, "\"")
            folder = part[3] == "" ? "" : part[2]
            mine = folder in rank ? rank[folder] : 5
            inner = index(text[2], "/") ? substr(text[2], 1, index(text[2], "/") - 1) : folder
            theirs = inner in rank ? rank[inner] : 5
            if (text[2] ~ /^\.|\/\.\./ || theirs > mine) {
                print FILENAME ":" FNR ": " (folder == "" ? "the daemon" : folder) " must not include \"" text[2] "\""
                bad = 1
            }
        }
        END { exit bad }'
}

sdk() {
    ! grep -nE '^#[ \t]*include[ \t]*("|<(\.|core|util|conf|xml|run|net|stream|sasl|route|store|admin|load)/)' sdk/meerkat/*.h
}

# Quotes for files of the own folder, brackets for the rest, and nothing by a path.
parts() {
    bad=0
    for file in $(find plugins backends -name '*.[ch]' ! -name 'test_*' | LC_ALL=C sort); do
        for name in $(sed -n 's/^#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
            if [ "${name#*/}" != "$name" ] || [ ! -f "$(dirname "$file")/$name" ]; then
                echo "$file: must not include \"$name\""
                bad=1
            fi
        done
        if grep -nE '^#[ \t]*include[ \t]*<(\.\.|core|util|conf|xml|run|net|stream|sasl|route|store|admin|load)/' "$file"; then
            echo "$file: reaches into the core"
            bad=1
        fi
    done
    return $bad
}

status=0
core || status=1
sdk || status=1
parts || status=1
exit $status
