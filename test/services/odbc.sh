#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Data sources for unixODBC: PostgreSQL and MariaDB, which it starts, and SQLite:  test/services/odbc.sh up|down DIR
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)

# The names under which the packages register their drivers.
sources() { # PGSQL_PORT MYSQL_PORT
    cat >"$dir/odbc.ini" <<INI
[meerkat-pgsql]
Driver = PostgreSQL Unicode
Servername = 127.0.0.1
Port = $1
Database = meerkat
SSLmode = require
UseServerSidePrepare = 1
ByteaAsLongVarBinary = 1
BoolsAsChar = 0
MaxLongVarcharSize = 16777216

[meerkat-mariadb]
Driver = MariaDB Unicode
SERVER = 127.0.0.1
PORT = $2
DATABASE = meerkat
CHARSET = utf8mb4
SSLCA = $dir/mariadb/tls/ca.crt
SSLVERIFY = 1
FORCETLS = 1
INI
}

tell() {
    (
        set -a
        . "$dir/postgresql/env"
        . "$dir/mariadb/env"
        set +a
        sources "$MEERKAT_PGSQL_PORT" "$MEERKAT_MYSQL_PORT"
        mkdir -p "$dir/data"
        chmod 777 "$dir/data"
        put ODBCINI "$dir/odbc.ini"
        put MEERKAT_ODBC_PGSQL_PASSWORD "$MEERKAT_PGSQL_PASSWORD"
        put MEERKAT_ODBC_MYSQL_PASSWORD "$MEERKAT_MYSQL_PASSWORD"
        put MEERKAT_ODBC_PGSQL_PORT "$MEERKAT_PGSQL_PORT"
        put MEERKAT_ODBC_MYSQL_PORT "$MEERKAT_MYSQL_PORT"
        put MEERKAT_ODBC_DIR "$dir"
        put MEERKAT_STORES_ODBC_PGSQL "dsn=meerkat-pgsql user=meerkat password=env:MEERKAT_ODBC_PGSQL_PASSWORD schema=odbc_@UNIQUE@"
        put MEERKAT_STORES_ODBC_MARIADB "dsn=meerkat-mariadb user=meerkat password=env:MEERKAT_ODBC_MYSQL_PASSWORD schema=meerkat_odbc_@UNIQUE@"
        put MEERKAT_STORES_ODBC_SQLITE "connection=Driver=SQLite3;Database=$dir/data/@UNIQUE@.db"
        put MEERKAT_BACKEND_ODBC "{\"dsn\": \"meerkat-pgsql\", \"user\": \"meerkat\", \"password\": \"$MEERKAT_PGSQL_PASSWORD\", \"schema\": \"o_@UNIQUE@\"}"
    )
}

service_up() {
    need_packages odbcinst odbc-postgresql odbc-mariadb libsqliteodbc
    "$here/postgresql.sh" up "$dir/postgresql"
    "$here/mariadb.sh" up "$dir/mariadb"
    [ -f "$dir/env" ] || tell
}

service_down() {
    "$here/postgresql.sh" down "$dir/postgresql"
    "$here/mariadb.sh" down "$dir/mariadb"
}

main "$@"
