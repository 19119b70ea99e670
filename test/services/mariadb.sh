#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# MariaDB with TLS and password login, a database for each that wants one:  test/services/mariadb.sh up|down DIR
. "$(dirname "$0")/lib.sh"

# Without waiting for the disk: what tests kill are processes, not the machine.
configure() { # PORT
    cat >"$dir/my.cnf" <<CONF
[mariadbd]
datadir = $dir/data
tmpdir = $dir/tmp
socket = $dir/run/sock
pid-file = $dir/run/pid
bind-address = 127.0.0.1
port = $1
skip-name-resolve
max_connections = 500
max_allowed_packet = 8M
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
innodb_flush_log_at_trx_commit = 2
innodb_flush_method = nosync
performance_schema = off
ssl_ca = $dir/tls/ca.crt
ssl_cert = $dir/tls/server.crt
ssl_key = $dir/server.key
CONF
}

sql() { mariadb --no-defaults -uroot -S "$dir/run/sock" -N -B "$@"; }

create() {
    free_port >"$dir/port"
    certificates
    mkdir -p "$dir/data" "$dir/run" "$dir/tmp"
    cp "$dir/tls/server.key" "$dir/server.key"
    chmod 600 "$dir/server.key"
    chmod 755 "$dir/run"
    own mysql: "$dir/data" "$dir/run" "$dir/tmp" "$dir/server.key"
    configure "$(cat "$dir/port")"
    as "$user" mariadb-install-db --defaults-file="$dir/my.cnf" --auth-root-authentication-method=normal --skip-test-db \
        >"$dir/install.log" 2>&1 || die "mariadb-install-db: $(tail -3 "$dir/install.log")"
}

# Databases and schemas are one here: each test chooses a database, which the server makes.
tell() {
    local options
    sql <<SQL
CREATE DATABASE meerkat;
CREATE USER meerkat@'127.0.0.1' IDENTIFIED BY 'my secret';
GRANT ALL ON \`meerkat%\`.* TO meerkat@'127.0.0.1';
SQL
    options="\"host\": \"127.0.0.1\", \"port\": $port, \"user\": \"meerkat\", \"password\": \"my secret\""
    put MEERKAT_BACKEND_MYSQL "{$options, \"sslrootcert\": \"$dir/tls/ca.crt\", \"dbname\": \"meerkat_@UNIQUE@\"}"
    put MEERKAT_STORES_MYSQL "host=127.0.0.1 port=$port dbname=meerkat_@UNIQUE@ user=meerkat password=env:MEERKAT_MYSQL_PASSWORD sslrootcert=$dir/tls/ca.crt"
    put MEERKAT_MYSQL_PASSWORD 'my secret'
    put MEERKAT_MYSQL_DIR "$dir"
    put MEERKAT_MYSQL_PORT "$port"
}

service_up() {
    local port user=mysql
    need_packages mariadb-server mariadb-client openssl
    is_root || user=$(id -un)
    [ -f "$dir/port" ] || create
    port=$(cat "$dir/port")
    spawn server "$user" "$(command -v mariadbd || echo /usr/sbin/mariadbd)" --defaults-file="$dir/my.cnf"
    await server mariadb-admin --no-defaults -uroot -S "$dir/run/sock" ping
    [ -f "$dir/env" ] || tell
}

service_down() { halt server; }

main "$@"
