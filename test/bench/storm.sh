#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A server is restarted and all its accounts come back: by a full login, and by resumption.
#   test/bench/storm.sh [--quick] [BUILD]
# Prints logins a second, CPU a login, and how often a login reads and writes the database.  SQLite, all plugins that a
# login meets, one worker.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/test/bench/lib.sh"
accounts=10000 contacts=20
if [ "${1:-}" = --quick ]; then
    accounts=500
    shift
fi
build_release "${1:-$here/build-bench}"
prepare 'mam = {}; blocking = {}; privacy = {}; csi = {}; caps = {}; last = {}; announce = {}; clients = {};'
counts() { ctl metrics | awk '/^meerkat_store_(reads|writes|commits)_total / { v[$1] = $2 }
    END { print v["meerkat_store_reads_total"], v["meerkat_store_writes_total"], v["meerkat_store_commits_total"] }'; }
wait_line() { # WORD: the line that begins with it
    until grep -q "^$1" "$tmp/out"; do
        kill -0 "$client" 2>/dev/null || { cat "$tmp/err" >&2; exit 1; }
        sleep 0.2
    done
    grep "^$1" "$tmp/out"
}
report() { # WHAT, its line, counts before, and after
    echo "$2 $3 $4" | awk -v what="$1" -v n="$accounts" '{
        printf "%s: %d/s, %.3f ms of CPU each, %.2f reads, %.2f rows written, %.2f commits each\n", what, n / $2,
               $3 * 1000 / n, ($8 - $5) / n, ($9 - $6) / n, ($10 - $7) / n }'
}

start
ctl users add user0@localhost password=bench >/dev/null
stop
/usr/bin/python3 "$here/test/bench/storm_fill.py" "$tmp/db" "$accounts" "$contacts"
echo "machine: $(nproc) cores, $(uname -sr), $(date +%F); one worker, $accounts accounts with $contacts contacts each"
start
before=$(counts)
mkfifo "$tmp/in"
"$build/test/bench/bench_storm" "$port" "$accounts" "$server" <"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
client=$!
exec 3>"$tmp/in"
line=$(wait_line login)
report "full login" "$line" "$before" "$(counts)"
wait_line 'at rest' >/dev/null
stop
start
before=$(counts)
echo "$server" >&3
line=$(wait_line resume)
report "resumption" "$line" "$before" "$(counts)"
resumed=${line##* }
echo "resumed: $resumed of $accounts"
echo >&3
exec 3>&-
wait "$client"
client=''
stop
[ "$resumed" = "$accounts" ]
