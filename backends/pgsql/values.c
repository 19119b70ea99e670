/* SPDX-License-Identifier: Apache-2.0 */
/* Values as PostgreSQL sends them in its binary format. */
#include "pgsql.h"
#include <endian.h>
#include <string.h>

/* Times are microseconds since 2000 there; outside of its calendar there are only -infinity and infinity. */
#define EPOCH INT64_C(946684800000000)
#define TIME_MIN (INT64_C(-211813488000000000) + EPOCH)

static const Oid oids[] = { 25, 17, 20, 1184, 16, 25 }; /* text, bytea, int8, timestamptz, bool */

static int64_t to_pg_time(int64_t us) {
    return us < TIME_MIN ? INT64_MIN : us - EPOCH;
}

static int64_t from_pg_time(int64_t t) {
    int64_t us;
    if (t == INT64_MIN)
        return INT64_MIN;
    return __builtin_add_overflow(t, EPOCH, &us) ? INT64_MAX : us;
}

static void put_number(struct params *params, int i, int64_t n) {
    uint64_t be = htobe64((uint64_t)n);
    memcpy(params->numbers[i], &be, sizeof be);
    params->values[i] = params->numbers[i];
    params->lengths[i] = 8;
}

static void put_bytes(struct params *params, int i, const void *bytes, size_t len) {
    params->values[i] = len ? bytes : ""; /* NULL would be null */
    params->lengths[i] = (int)len;
}

static void put(struct params *params, int i, const struct sql_arg *arg) {
    const struct mk_value *v = arg->v;
    params->types[i] = oids[arg->type];
    params->formats[i] = 1;
    if (v->type == MK_V_NULL) {
        params->values[i] = NULL;
        params->lengths[i] = 0;
        return;
    }
    switch (arg->type) {
    case MK_C_BOOL:
        params->numbers[i][0] = v->u.i != 0;
        put_bytes(params, i, params->numbers[i], 1);
        break;
    case MK_C_TIME:
        put_number(params, i, to_pg_time(v->u.i));
        break;
    case MK_C_INT:
        put_number(params, i, v->u.i);
        break;
    default:
        if (v->type == MK_C_JID)
            put_bytes(params, i, mk_jid_text(v->u.j), strlen(mk_jid_text(v->u.j)));
        else
            put_bytes(params, i, v->u.b, v->len);
        break;
    }
}

void params_fill(struct params *params, const struct sql_query *q) {
    params->count = q->count < PARAMS_MAX ? (int)q->count : PARAMS_MAX;
    for (int i = 0; i < params->count; i++)
        put(params, i, &q->args[i]);
}

int64_t result_int(const PGresult *res, int row, int col) {
    uint64_t be;
    if (PQgetlength(res, row, col) != sizeof be)
        return 0;
    memcpy(&be, PQgetvalue(res, row, col), sizeof be);
    return (int64_t)be64toh(be);
}

static struct mk_value value_of(const PGresult *res, int row, int col, uint32_t type) {
    const char *bytes = PQgetvalue(res, row, col);
    size_t len = (size_t)PQgetlength(res, row, col);
    switch (type) {
    case MK_C_BYTES:
        return mk_v_bytes(bytes, len);
    case MK_C_INT:
        return mk_v_int(result_int(res, row, col));
    case MK_C_TIME:
        return mk_v_int(from_pg_time(result_int(res, row, col)));
    case MK_C_BOOL:
        return mk_v_int(len && bytes[0]);
    default:
        return mk_v_view((struct mk_view){ bytes, len });
    }
}

void result_rows(const PGresult *res, const struct sql_table *t, struct mk_rows *rows) {
    for (int row = 0; row < PQntuples(res); row++) {
        mk_rows_add(rows);
        for (unsigned i = 0; i < t->col_count; i++) {
            struct mk_value v = mk_v_null();
            if (!PQgetisnull(res, row, (int)i))
                v = value_of(res, row, (int)i, sql_col(t, i)->type);
            mk_rows_put(rows, i, &v);
        }
    }
}
