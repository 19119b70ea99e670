/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"
#include "route/jid.h"
#include "run/op.h"
#include <string.h>

enum cell_kind { CELL_NULL, CELL_INT, CELL_TEXT, CELL_JID };

/* 16 bytes a column.  A JID is text until somebody asks for it. */
struct cell {
    union {
        int64_t i;
        const char *s;
        const struct mk_jid *j;
    } u;
    uint32_t len, kind;
};
struct mk_row {
    struct mk_rows *rows;
    struct cell cells[];
};
struct mk_rows {
    struct arena *arena;
    const struct mk_coll *coll;
    struct mk_row **items;
    size_t count, cap;
};

/* ---- for backends --------------------------------------------------------------------------------------------- */

struct mk_rows *mk_rows_new(struct mk_op *op, const struct mk_coll *coll) {
    struct mk_rows *rows = arena_zalloc(&op->arena, sizeof *rows);
    rows->arena = &op->arena;
    rows->coll = coll;
    return rows;
}

void mk_rows_add(struct mk_rows *rows) {
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? rows->cap * 2 : 4;
        struct mk_row **items = arena_alloc(rows->arena, cap * sizeof *items);
        if (rows->count)
            memcpy(items, rows->items, rows->count * sizeof *items);
        rows->items = items;
        rows->cap = cap;
    }
    struct mk_row *row = arena_zalloc(rows->arena, sizeof *row + rows->coll->col_count * sizeof row->cells[0]);
    row->rows = rows;
    rows->items[rows->count++] = row;
}

static void put_text(struct arena *arena, struct cell *cell, const void *data, size_t len) {
    cell->kind = CELL_TEXT;
    cell->len = (uint32_t)len;
    cell->u.s = arena_memdup(arena, len ? data : "", len);
}

void mk_rows_put(struct mk_rows *rows, unsigned col, const struct mk_value *value) {
    struct cell *cell = &rows->items[rows->count - 1]->cells[col];
    switch (value->type) {
    case MK_C_TEXT:
    case MK_C_BYTES:
        put_text(rows->arena, cell, value->u.b, value->len);
        break;
    case MK_C_JID:
        put_text(rows->arena, cell, value->u.j->text, value->u.j->text_len);
        break;
    case MK_V_NULL:
        cell->kind = CELL_NULL;
        break;
    default:
        cell->kind = CELL_INT;
        cell->u.i = value->u.i;
        break;
    }
}

/* ---- for features --------------------------------------------------------------------------------------------- */

void rows_adopt(struct mk_rows *rows, struct arena *arena) {
    if (rows)
        rows->arena = arena;
}

size_t mk_rows_count(const struct mk_rows *rows) {
    return rows ? rows->count : 0;
}

const struct mk_row *mk_rows_at(const struct mk_rows *rows, size_t i) {
    return i < mk_rows_count(rows) ? rows->items[i] : NULL;
}

static const struct cell *cell_of(const struct mk_row *row, unsigned col) {
    static const struct cell none;
    return row && col < row->rows->coll->col_count ? &row->cells[col] : &none;
}

bool mk_row_is_null(const struct mk_row *row, unsigned col) {
    return cell_of(row, col)->kind == CELL_NULL;
}

int64_t mk_row_int(const struct mk_row *row, unsigned col) {
    const struct cell *cell = cell_of(row, col);
    return cell->kind == CELL_INT ? cell->u.i : 0;
}

const char *mk_row_text(const struct mk_row *row, unsigned col) {
    const struct cell *cell = cell_of(row, col);
    if (cell->kind == CELL_JID)
        return cell->u.j->text;
    return cell->kind == CELL_TEXT ? cell->u.s : NULL;
}

struct mk_view mk_row_bytes(const struct mk_row *row, unsigned col) {
    const char *text = mk_row_text(row, col);
    return (struct mk_view){ text, text ? cell_of(row, col)->len : 0 };
}

const struct mk_jid *mk_row_jid(const struct mk_row *row, unsigned col) {
    struct cell *cell = (struct cell *)cell_of(row, col);
    if (cell->kind == CELL_TEXT && row->rows->coll->cols[col].type == MK_C_JID) {
        const struct mk_jid *jid;
        if (jid_read(row->rows->arena, cell->u.s, cell->len, &jid) != MK_OK)
            return NULL;
        cell->u.j = jid;
        cell->kind = CELL_JID;
    }
    return cell->kind == CELL_JID ? cell->u.j : NULL;
}

static struct mk_value cell_value(const struct mk_row *row, unsigned col, uint32_t type) {
    const struct cell *cell = cell_of(row, col);
    if (cell->kind == CELL_NULL)
        return mk_v_null();
    if (type == MK_C_JID)
        return mk_v_jid(mk_row_jid(row, col));
    struct mk_value v = { .type = type };
    if (cell->kind == CELL_INT) {
        v.u.i = cell->u.i;
    } else {
        v.len = cell->len;
        v.u.s = cell->u.s;
    }
    return v;
}

bool row_values(const struct mk_row *row, struct mk_value *values) {
    const struct mk_coll *coll = row->rows->coll;
    bool good = true;
    for (unsigned i = 0; i < coll->col_count; i++) {
        values[i] = cell_value(row, i, coll->cols[i].type);
        good &= values[i].type != MK_V_NULL || cell_of(row, i)->kind == CELL_NULL;
    }
    return good;
}
