#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL with TLS and password login:  test/services/postgresql.sh up|down DIR
. "$(dirname "$0")/lib.sh"

programs() {
    local found
    found=$(find /usr/lib/postgresql /usr/pgsql-* -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1)
    [ -n "$found" ] || die "no initdb"
    dirname "$found"
}

# Without waiting for the disk: what tests kill are processes, not the machine.
configure() { # PORT
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = '$dir/run'
max_connections = 300
shared_buffers = 32MB
fsync = off
full_page_writes = off
ssl = on
ssl_ca_file = '$dir/tls/ca.crt'
ssl_cert_file = '$dir/tls/server.crt'
ssl_key_file = '$dir/server.key'
CONF
    cat >"$dir/data/pg_hba.conf" <<CONF
local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
CONF
}

sql() { as postgres "$bin/psql" -qXAt -v ON_ERROR_STOP=1 -h "$dir/run" -p "$port" -U postgres "$@"; }

create() {
    free_port >"$dir/port"
    certificates
    mkdir -p "$dir/data" "$dir/run"
    cp "$dir/tls/server.key" "$dir/server.key"
    chmod 600 "$dir/server.key"
    chmod 700 "$dir/data"
    own postgres: "$dir/data" "$dir/run" "$dir/server.key"
    as postgres "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=trust --no-sync >"$dir/initdb.log" 2>&1 ||
        die "initdb: $(tail -3 "$dir/initdb.log")"
    configure "$(cat "$dir/port")"
}

tell() {
    local options
    sql -d postgres <<SQL
CREATE ROLE meerkat LOGIN PASSWORD 'pg secret';
CREATE DATABASE meerkat OWNER meerkat;
SQL
    options="\"host\": \"localhost\", \"port\": $port, \"dbname\": \"meerkat\", \"user\": \"meerkat\", \"password\": \"pg secret\""
    put MEERKAT_BACKEND_PGSQL "{$options, \"sslrootcert\": \"$dir/tls/ca.crt\", \"schema\": \"t_@UNIQUE@\"}"
    put MEERKAT_STORES_PGSQL "host=localhost port=$port dbname=meerkat user=meerkat password=env:MEERKAT_PGSQL_PASSWORD sslrootcert=$dir/tls/ca.crt schema=stores_@UNIQUE@"
    put MEERKAT_PGSQL_PASSWORD 'pg secret'
    put MEERKAT_PGSQL_DIR "$dir"
    put MEERKAT_PGSQL_PORT "$port"
    put MEERKAT_PGSQL_BIN "$bin"
}

service_up() {
    local port bin
    need_packages postgresql postgresql-client openssl
    bin=$(programs)
    [ -f "$dir/port" ] || create
    port=$(cat "$dir/port")
    alive server || rm -f "$dir/data/postmaster.pid" "$dir"/run/.s.PGSQL.* # of one that was killed
    spawn server postgres "$bin/postgres" -D "$dir/data"
    await server "$bin/pg_isready" -q -h "$dir/run" -p "$port"
    [ -f "$dir/env" ] || tell
}

# INT is the fast shutdown; TERM would wait for clients to go.
service_down() { halt server INT; }

main "$@"
