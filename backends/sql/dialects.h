/* SPDX-License-Identifier: Apache-2.0 */
/* Dialects that more than one backend speaks. */
#ifndef SQL_DIALECTS_H
#define SQL_DIALECTS_H

#include "sql.h"

/* PostgreSQL through libpq, and through ODBC, which has no infinite times: they are numbers there. */
extern const struct sql_dialect sql_pgsql, sql_pgsql_odbc;
extern const struct sql_parts_how sql_pgsql_how, sql_pgsql_odbc_how;
void sql_pgsql_want(struct sql_parts *parts, const struct sql_table *t);
#define SQL_PGSQL_SCHEMA_TABLE                                                                                         \
    "CREATE TABLE IF NOT EXISTS meerkat_schema(name text PRIMARY KEY,version bigint NOT NULL,cols text NOT NULL)"
/* Servers that define at once take turns, each schema for itself; until the transaction ends. */
#define SQL_PGSQL_TURN "SELECT pg_advisory_xact_lock(hashtextextended('meerkat '||coalesce(current_schema(),''),0))"

extern const struct sql_dialect sql_sqlite;
void sql_sqlite_want(struct sql_parts *parts, const struct sql_table *t);
int sql_sqlite_parts(const struct sql_engine *e, void *conn, const struct sql_table *t); /* as those of the engine */
int sql_sqlite_migrated(const struct sql_engine *e, void *conn, const struct sql_table *t);
#define SQL_SQLITE_SCHEMA_TABLE                                                                                        \
    "CREATE TABLE IF NOT EXISTS meerkat_schema(name TEXT PRIMARY KEY,version INTEGER NOT NULL,cols TEXT NOT NULL)"

#endif
