/* SPDX-License-Identifier: Apache-2.0 */
/* Collections in a database that unixODBC has a driver for: its connections for the pool of backends/sql. */
#ifndef ODBC_ODBC_H
#define ODBC_ODBC_H

#include <sql/pool.h>

struct odbc { /* the instance: options */
    POOL_MEMBERS;
    const char *dsn, *connection, *user, *password, *schema;
    int64_t connect_timeout;
};

extern const struct pool_driver odbc_driver;

#endif
