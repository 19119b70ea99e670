/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that all backends over the network to an SQL database have: figures, and options that mean the same. */
#ifndef SQL_ROWS_H
#define SQL_ROWS_H

#include <meerkat/plugin.h>

enum { M_CONNECTIONS, M_RECONNECTS, M_QUERIES, M_ERRORS, M_COMMITS, M_TIME };
#define SQL_METRIC_ROWS                                                                                                \
    [M_CONNECTIONS] = { "connections", MK_GAUGE, 0, "connections", "Connections to the database." },                   \
    [M_RECONNECTS] = { "reconnects", MK_COUNTER, 0, "tries", "Tries to connect again that failed." },                  \
    [M_QUERIES] = { "queries", MK_COUNTER, 0, "queries", "Reads and changes sent to the database." },                  \
    [M_ERRORS] = { "errors", MK_COUNTER, 0, "errors", "Reads and transactions that failed." },                         \
    [M_COMMITS] = { "transactions", MK_COUNTER, 0, "transactions", "Transactions committed." },                        \
    [M_TIME] = { "query_us", MK_COUNTER, 0, "microseconds", "Time that reads and transactions took." }

#define SQL_OPT_WAIT(type)                                                                                             \
    MK_OPT_DURATION(type, wait, "0", 0, INT64_MAX, 0,                                                                  \
                    "How long to wait at the start for a database that can't be reached; 0 is not at all.")
#define SQL_OPT_READ_CONNECTIONS(type) MK_OPT_INT(type, read_connections, "2", 1, 64, 0, "Connections that read.")
#define SQL_OPT_TWO_WRITE(type)                                                                                        \
    MK_OPT_INT(                                                                                                        \
        type, write_connections, "2", 1, 16, 0,                                                                        \
        "Connections that write. Two keep the database busy, as the commits of a connection share transactions.")
#define SQL_OPT_SWEEP_INTERVAL(type)                                                                                   \
    MK_OPT_DURATION(type, sweep_interval, "1m", 100, 86400000, 0, "How often expired rows are deleted.")

#endif
