/* SPDX-License-Identifier: Apache-2.0 */
/* Collections in MariaDB and MySQL: libmariadb's connections for the pool of backends/sql. */
#ifndef MYSQL_MYSQL_BACKEND_H
#define MYSQL_MYSQL_BACKEND_H

#include <sql/pool.h>

struct mysql { /* the instance: options */
    const char *host, *socket, *dbname, *user, *password, *sslrootcert, *sslcert, *sslkey;
    int64_t port, sslmode, connect_timeout, query_timeout, wait, read_connections, write_connections, sweep_interval;
    bool create;
    struct pool *pool;
};
enum { SSL_AUTO, SSL_DISABLE, SSL_REQUIRE, SSL_VERIFY_FULL };

extern const struct pool_driver mysql_driver;

#endif
