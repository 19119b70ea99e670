/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite does in its own way, through drivers that block. */
#include "dialects.h"
#include "pool.h"
#include <inttypes.h>

enum {
    ABORTED = 4,
    BUSY = 5,
    LOCKED = 6,
    READ_ONLY = 8,
    TOO_LARGE = 18,
    CONSTRAINT = 19,
    MISMATCH = 20,
    PRIMARY = 0xff
};

static enum pool_code judge(struct pool_conn *c, int64_t number, const char *state) {
    (void)c;
    (void)state;
    switch (number & PRIMARY) {
    case ABORTED:
    case BUSY:
    case LOCKED:
        return POOL_PASSING;
    case TOO_LARGE:
    case CONSTRAINT:
    case MISMATCH:
        return POOL_REFUSED;
    }
    return POOL_FAILED;
}

/* Anything but a write-ahead log would let readers block the writer. */
static bool set_up(struct pool_conn *c) {
    struct sql_text busy = { 0 };
    sql_add(&busy, "PRAGMA busy_timeout=%" PRId64, c->pool->inst->query_timeout);
    bool good = c->pool->driver->text(c, busy.s) == POOL_OK &&
                c->pool->driver->text(c, "PRAGMA journal_mode=WAL") == POOL_OK &&
                c->pool->driver->text(c, "PRAGMA synchronous=FULL") == POOL_OK;
    sql_free(&busy);
    return good;
}

const struct pool_product pool_sqlite = {
    .dialect = &sql_sqlite,
    .begin = "BEGIN IMMEDIATE",
    .schema_table = SQL_SQLITE_SCHEMA_TABLE,
    .commits_table =
        "CREATE TABLE IF NOT EXISTS meerkat_commits(server TEXT NOT NULL,conn INTEGER NOT NULL,number INTEGER "
        "NOT NULL,at INTEGER NOT NULL,PRIMARY KEY(server,conn))",
    .transactional = true,
    .judge = judge,
    .set_up = set_up,
    .want_parts = sql_sqlite_want,
    .parts = sql_sqlite_parts,
    .migrated = sql_sqlite_migrated,
};
