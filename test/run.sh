#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All tests:  test/run.sh [--no-build] [--list] [-j N] [WORD...]
#
# On a bare Debian or Ubuntu machine, as root or with sudo.  Installs what is missing, builds into build-test with
# sanitizers (fuzzers into build-fuzz, what runs in several threads once more into build-tsan), starts the services that
# tests need (test/services), runs everything, and ends with "N passed, N failed, N skipped".  WORDS choose
# the tests that have one of them in their name.  MEERKAT_BUILD and MEERKAT_FUZZ_BUILD name other build folders,
# MEERKAT_FUZZ_SECONDS how long each fuzzer runs.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
export MEERKAT_BUILD=${MEERKAT_BUILD:-$root/build-test} MEERKAT_FUZZ_BUILD=${MEERKAT_FUZZ_BUILD:-$root/build-fuzz}
tsan_build=${MEERKAT_TSAN_BUILD:-$root/build-tsan}
# Tests of what several threads do, for ThreadSanitizer; and functional tests that run again with turns interleaved.
threaded=' control jobs listener metrics move mysql odbc-mariadb odbc-pgsql odbc-sqlite pgsql redis-faults reload ring_move store_journal store_queue stores-memory stores-mysql stores-odbc-mariadb stores-odbc-pgsql stores-odbc-sqlite stores-pgsql stores-redis stores-sqlite turn users '
interleaved='test_offline test_presence test_register test_resumption test_roster test_routing test_sasl test_stream_mgmt'
# Functional tests that run again with each of these backends, whose services are started for them.
stored='test_accounts test_copy test_mam test_mam_limits test_mam_rooms test_mam_wishes test_offline test_register test_roster test_sasl'
# And with these, that keep what kill -9 meets.
crashed_in='mysql odbc pgsql'
stored_in='mysql odbc pgsql redis'
fuzz_seconds=${MEERKAT_FUZZ_SECONDS:-10}
python=/usr/bin/python3 # the system's own, which has the modules that apt installs
jobs=$(nproc)
build=true
list=false
words=()
while [ $# -gt 0 ]; do
    case $1 in
    --no-build) build=false ;;
    --list) list=true ;;
    -j) jobs=$2 && shift ;;
    -h | --help) sed -n '3,10s/^# \{0,1\}//p' "$0" && exit ;;
    -*) echo "unknown option $1" >&2 && exit 2 ;;
    *) words+=("$1") ;;
    esac
    shift
done

missing_packages() {
    local need
    for need in gcc g++ clang ninja-build meson pkg-config libc6-dev binutils openssl ca-certificates git libevent-dev \
        libgnutls28-dev libxml2-dev libltdl-dev libcjson-dev libconfig-dev libidn-dev libhiredis-dev libhttp-parser-dev \
        libmariadb-dev libpng-dev libpq-dev libsqlite3-dev libsystemd-dev libunbound-dev liburing-dev unixodbc-dev zlib1g-dev \
        abigail-tools python3 python3-clang python3-slixmpp coturn ejabberd erlang-p1-mysql erlang-p1-pgsql \
        erlang-p1-sqlite3 lua-dbi-mysql lua-dbi-postgresql lua-dbi-sqlite3 mariadb-server prosody; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$need" 2>/dev/null)" = installed ] || echo "$need"
    done
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v chromium >/dev/null || echo chromium
    command -v clang-format-14 >/dev/null || command -v clang-format >/dev/null || echo clang-format
}

can_fuzz() {
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n > 1; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}

install() {
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing $*"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install_packages() {
    local missing
    missing=$(missing_packages)
    if [ -n "$missing" ]; then
        $([ "$(id -u)" = 0 ] || echo sudo) apt-get update -qq
        # The one that the tree is formatted with, where the distribution still has it.
        apt-cache show clang-format-14 >/dev/null 2>&1 && missing=${missing/clang-format/clang-format-14}
        install $missing
    fi
    can_fuzz || install "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
}

# Meson finds ccache by itself.
build_all() {
    [ -f "$MEERKAT_BUILD/build.ninja" ] || meson setup "$MEERKAT_BUILD" "$root" -Dbuildtype=debugoptimized \
        -Db_sanitize=address,undefined -Dwerror=true >/dev/null
    [ -f "$MEERKAT_FUZZ_BUILD/build.ninja" ] || CC=clang meson setup "$MEERKAT_FUZZ_BUILD" "$root" -Dfuzz=true \
        -Dtests=false -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
    [ -f "$tsan_build/build.ninja" ] || meson setup "$tsan_build" "$root" -Dbuildtype=debugoptimized -Db_sanitize=thread >/dev/null
    ninja -C "$MEERKAT_BUILD" -j "$jobs" --quiet
    ninja -C "$tsan_build" -j "$jobs" --quiet
    ninja -C "$MEERKAT_FUZZ_BUILD" -j "$jobs" --quiet $(fuzzers | sed 's|^|test/fuzz/fuzz_|')
}

fuzzers() {
    for source in test/fuzz/fuzz_*.c; do
        basename "$source" .c | sed 's/^fuzz_//'
    done
}

# One job a line: how its output is read (tap, or plain: by its exit status, where 77 is a skip), its name, its command.
functional_jobs() {
    "$python" test/functional/run.py --jobs "${words[@]}" |
        while read -r name; do
            [ -z "$name" ] || printf 'tap\tfunctional.%s\t%q test/functional/run.py --file %s %s\n' "$name" "$python" "$name" "${words[*]@Q}"
        done
}

chaos_jobs() {
    for name in $interleaved; do
        printf 'tap\tchaos.%s\tMEERKAT_TEST_CHAOS=1 %q test/functional/run.py --file %s\n' "$name" "$python" "$name"
    done
}

stored_job() { # BACKEND FILE
    printf 'tap\t%s.%s\tMEERKAT_TEST_BACKEND=%s %q test/functional/run.py --file %s\n' "$1" "$2" "$1" "$python" "$2"
}

stored_jobs() {
    for backend in $stored_in; do
        for name in $stored; do
            stored_job "$backend" "$name"
        done
    done
    for backend in $crashed_in; do
        stored_job "$backend" test_crash
    done
}

# The service of test/services that a job needs, by its name.
service_of() {
    case $1 in
    *odbc*) echo odbc ;;
    *pgsql*) echo postgresql ;;
    *mysql*) echo mariadb ;;
    *redis-faults*) ;; # kill servers of their own
    *stores-redis-sentinel) echo redis-sentinel ;;
    *stores-redis-cluster) echo redis-cluster ;;
    *redis*) echo redis ;;
    esac
}

# Those that any job needs; what they write down is for all jobs to know.
start_services() {
    local name
    for name in $(while read -r job; do service_of "$job"; done <<<"$1" | sort -u); do
        if test/services/"$name".sh up "$services/$name"; then
            set -a
            . "$services/$name/env"
            set +a
        else
            echo "service $name does not run"
        fi
    done
}

stop_services() {
    for folder in "$services"/*/; do
        [ ! -d "$folder" ] || test/services/"$(basename "$folder")".sh down "$folder" || true
    done
}

meson_jobs() { # BUILD PREFIX [NAMES]; with --no-build of those that are there
    $build || [ -f "$1/build.ninja" ] || return 0
    meson introspect --tests "$1" | "$python" -c '
import json, shlex, sys
prefix, names = sys.argv[1], sys.argv[2]
for test in json.load(sys.stdin):
    if names and test["name"] not in names.split():
        continue
    kind = "tap" if test["protocol"] == "tap" else "plain"
    env = " ".join(f"{k}={shlex.quote(v)}" for k, v in test["env"].items())
    name = (prefix or test["suite"][0].split(":")[-1]) + "." + test["name"]
    print(kind, name, (env + " " + shlex.join(test["cmd"])).strip(), sep="\t")' "$2" "${3:-}"
}

other_jobs() {
    for name in $(fuzzers); do
        printf 'plain\tfuzz.%s\ttest/fuzz/run.sh %d %s\n' "$name" "$fuzz_seconds" "$name"
    done
    for script in test/lint/*.sh; do
        printf 'plain\tlint.%s\t%s %q\n' "$(basename "${script%.*}")" "$script" "$MEERKAT_BUILD"
    done
    for script in test/lint/*.py; do
        printf 'plain\tlint.%s\t%q %s %q\n' "$(basename "${script%.*}")" "$python" "$script" "$MEERKAT_BUILD"
    done
}

# Those that a word names; a functional test may be named by its file's name or its own.
all_jobs() {
    functional_jobs
    { meson_jobs "$MEERKAT_BUILD" '' && meson_jobs "$tsan_build" tsan "$threaded" && chaos_jobs && stored_jobs && other_jobs; } | if [ ${#words[@]} = 0 ]; then cat; else
        awk -F '\t' -v words="${words[*]}" '{ n = split(words, w, " "); for (i = 1; i <= n; i++) if (index($2, w[i])) { print; next } }'
    fi
}

run_job() { # KIND NAME COMMAND
    local log=$logs/$2.log status=0
    bash -c "$3" >"$log" 2>&1 </dev/null || status=$?
    echo "$1 $status" >"$logs/$2.status"
    case $status in
    0) echo "ok      $2" ;;
    77) echo "skipped $2: $(tail -1 "$log")" ;;
    *) echo "FAILED  $2" ;;
    esac
}

# What became of each test of a job, as "ok NAME", "not ok NAME", "skip NAME"; then what is to be shown of failures.
judge() { # NAME
    local kind status
    read -r kind status <"$logs/$1.status"
    awk -v name="$1" -v kind="$kind" -v status="$status" '
        kind == "tap" && /^(not )?ok / {
            test = $0
            sub(/^(not )?ok *[0-9]* *(- *)?/, "", test)
            skip = tolower(test) ~ /# skip/
            if (skip) print "skip " name ": " test
            else if (/^not ok/) { print "not ok " name ": " test; bad++ }
            else { print "ok " name ": " test; good++ }
        }
        END {
            if (kind == "plain") print (status == 0 ? "ok " : status == 77 ? "skip " : "not ok ") name
            else if (status != 0 && !bad) print "not ok " name ": ended with status " status
            else if (!good && !bad) print "not ok " name ": said nothing"
        }' "$logs/$1.log"
}

show_failures() { # NAME
    local kind status
    read -r kind status <"$logs/$1.status"
    [ "$status" != 0 ] && [ "$status" != 77 ] || return 0
    echo
    echo "---- $1 (status $status)"
    if [ "$kind" = tap ] && grep -q '^not ok' "$logs/$1.log"; then
        # Diagnostics stand before their line (unit tests) or behind it (functional tests).
        awk '/^# / && !shown { held = held $0 "\n"; next }
             /^not ok/ { printf "%s%s\n", held, $0; held = ""; shown = 1; next }
             /^ok/ { held = ""; shown = 0; next }
             /^#/ && shown { print; next }
             /ERROR: |SUMMARY: |runtime error/ { print }' "$logs/$1.log" | cut -c1-2000 | head -300
    else
        tail -60 "$logs/$1.log" | cut -c1-2000
    fi
}

if $build; then
    install_packages
    build_all
fi
if $list; then
    all_jobs | cut -f2 | grep -v '^functional\.' || true
    "$python" test/functional/run.py --list "${words[@]}" | sed 's/^/functional./'
    exit
fi

logs=$(mktemp -d) services=$(mktemp -d)
chmod 755 "$services" # servers run as users of their own
trap 'stop_services; rm -rf "$logs" "$services"' EXIT
export -f run_job
export logs
export MEERKAT_TEST_CERTS=$logs/certificates
mkdir "$MEERKAT_TEST_CERTS"
"$python" -c 'import sys; sys.path.insert(0, "test/functional"); import server; server.certificates()'
all_jobs >"$logs/jobs"
names=$(cut -f2 "$logs/jobs")
start_services "$names"
tr '\t\n' '\0\0' <"$logs/jobs" | xargs -0 -r -n 3 -P "$jobs" bash -c 'run_job "$@"' run_job

for name in $names; do judge "$name"; done >"$logs/results"
for name in $names; do show_failures "$name"; done
echo
grep '^not ok' "$logs/results" | sed 's/^not ok/failed/' || true
grep '^skip' "$logs/results" | sed 's/^skip/skipped/' || true
count() { grep -c "^$1" "$logs/results" || true; }
failed=$(count 'not ok')
summary="$(count 'ok') passed, $failed failed, $(count 'skip') skipped"
echo "$summary"
[ "$failed" = 0 ]
