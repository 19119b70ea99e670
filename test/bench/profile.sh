#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where the CPU of a server under load goes, by perf (Debian: linux-perf).
#   test/bench/profile.sh message|login [--tls] [--burst N] [--seconds N] [--callers] [--top N] [BUILD]
# message: pairs of clients that answer one another, BURST (1) stanzas at a time; login: SCRAM-SHA-1 logins, one after
# the other.  BUILD: a meson build folder, made if it is missing: a release with frame pointers and debug information.
# Prints the shares of user and kernel, of objects, of each function alone (self), and of each with all it calls;
# --callers also who calls the functions that cost most.  perf.data stays in BUILD.
#
# In a guest without a hardware counter perf samples a timer.  In the kernel that fires only where interrupts are on
# again, so a kernel function has also the samples of what ran with them off just before it.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/test/bench/lib.sh"
usage() { sed -n '4p' "$0" | cut -c5- >&2 && exit 2; }

[ $# -gt 0 ] || usage
what=$1 tls='' burst=1 seconds=5 callers=false top=30
shift
while [ $# -gt 0 ]; do
    case $1 in
    --tls) tls=--tls ;;
    --burst) burst=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --top) top=$2 && shift ;;
    --callers) callers=true ;;
    -*) usage ;;
    *) break ;;
    esac
    shift
done
case $what in message | login) ;; *) usage ;; esac
command -v perf >/dev/null || { echo "perf is not installed (linux-perf)" && exit 77; }
build_release "${1:-$here/build-profile}" -Ddebug=true -Dc_args=-fno-omit-frame-pointer
prepare ''
data=$build/perf.$what.data

start
to=$port
[ -z "$tls" ] || to=$((port + 1))
if [ "$what" = message ]; then
    mode="route --burst $burst --count 1000"
else
    mode=login
    add_accounts 50
fi
# The load goes on a little longer than perf looks; "measures" is what it says once all clients are in.
"$build/test/bench/bench" $mode --port "$to" --pid "$server" $tls --tell --seconds $((seconds + 2)) >"$tmp/figures" 2>"$tmp/said" &
client=$!
until grep -q measures "$tmp/said"; do
    kill -0 "$client" 2>/dev/null || { cat "$tmp/said" >&2; exit 1; }
    sleep 0.1
done
perf record -q -F 5000 -g -p "$server" -o "$data" -- sleep "$seconds" >"$tmp/perf" 2>&1 || { cat "$tmp/perf" >&2; exit 1; }
wait "$client"
client=''
stop

show() { perf report -i "$data" --stdio -g none -q "$@" 2>/dev/null | grep -v '^$' | sed 's/[[:space:]]*$//'; }
first() { head -"$top"; }
samples=$(perf report -i "$data" --stdio -g none --no-children 2>/dev/null | sed -n "s/^# Samples: //p")
echo "$what${tls:+ with TLS}, $(date +%F), $(uname -sr), $samples"
set -- $(cat "$tmp/figures")
if [ "$what" = message ]; then
    echo "$1 us of CPU a message, $2 messages/s, $burst a read"
else
    echo "$1 logins/s, $2 ms of CPU a login"
fi
echo
echo "== user and kernel"
show --no-children --sort sym | awk '{ split($0, a, "%"); sum[$2] += a[1] } END {
    printf "%6.2f%%  user\n%6.2f%%  kernel\n", sum["[.]"], sum["[k]"] }'
echo
echo "== objects"
show --no-children --sort dso
echo
echo "== user functions, self"
show --no-children --sort sym,dso | grep -F '[.]' | awk '{ name = $3 ~ /^0x/ ? "(without a name)" : $3; sum[sprintf("%-40s  %s", name, $NF)] += $1 }
    END { for (key in sum) printf "%6.2f%%  %s\n", sum[key], key }' | sort -rn | first
echo
echo "== kernel functions, self"
show --no-children --sort sym | grep -F '[k]' | first
echo
echo "== system calls, with all they do"
show --children --sort sym | awk 'match($NF, /^(__x64)?_*sys_/) { name = substr($NF, RLENGTH + 1); if ($1 + 0 > most[name]) most[name] = $1 + 0 }
    END { for (name in most) printf "%6.2f%%  %s\n", most[name], name }' | sort -rn | first
echo
echo "== user functions, with all they call"
show --children --sort sym,dso | grep -F '[.]' | grep -v ' 0x' | first
if $callers; then
    echo
    echo "== callers of what costs most"
    perf report -i "$data" --stdio --no-children --sort sym -G --percent-limit 1 -q 2>/dev/null | sed 's/[[:space:]]*$//'
fi
