/* SPDX-License-Identifier: Apache-2.0 */
/* Collections in MariaDB and MySQL: libmariadb's connections for the pool of backends/sql. */
#ifndef MYSQL_MYSQL_BACKEND_H
#define MYSQL_MYSQL_BACKEND_H

#include <sql/pool.h>

struct mysql { /* the instance: options */
    POOL_MEMBERS;
    const char *host, *socket, *dbname, *user, *password, *sslrootcert, *sslcert, *sslkey;
    int64_t port, sslmode, connect_timeout;
};
enum { SSL_AUTO, SSL_DISABLE, SSL_REQUIRE, SSL_VERIFY_FULL };

extern const struct pool_driver mysql_driver;

#endif
