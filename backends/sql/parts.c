/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes, and how to see which of them are there as they are wanted. */
#include "pieces.h"
#include "sql.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ------------------------------------------------------------------------------------------- */

struct sql_part *sql_part_add(struct sql_parts *p, const struct sql_table *t, const char *suffix) {
    if (p->count == SQL_PARTS_MAX)
        abort(); /* the server allows 16 indexes */
    struct sql_part *part = &p->items[p->count++];
    *part = (struct sql_part){ 0 };
    sql_add(&part->name, "%s__%s", t->name, suffix);
    uint32_t max = t->dialect->name_max;
    if (max && part->name.len > max) {
        uint64_t hash = sql_hash(part->name.s);
        part->name.len = max - 9;
        sql_add(&part->name, "_%08" PRIx32, (uint32_t)(hash ^ hash >> 32));
    }
    return part;
}

static bool is_cut(uint32_t type) {
    return type == MK_C_TEXT || type == MK_C_BYTES || type == MK_C_JID;
}

/* What each of the columns that are cut may have. */
static uint32_t share(const struct sql_table *t, const uint32_t *cols, uint32_t count, bool jids_alone) {
    uint32_t used = 0, cut = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = sql_col(t, cols[i])->type;
        if (jids_alone ? type == MK_C_JID : is_cut(type))
            cut++;
        else
            used += t->dialect->widths[type];
    }
    return cut && used < t->dialect->index_bytes ? (t->dialect->index_bytes - used) / cut : 0;
}

/* JIDs are cut first: no order follows from a prefix, and others are more often what orders rows. */
void sql_index_cols(struct sql_text *s, const struct sql_table *t, const uint32_t *cols, uint32_t count) {
    enum { SHORTEST = 512 };
    bool wide = sql_too_wide(t, cols, count);
    uint32_t room = share(t, cols, count, true);
    bool jids_alone = room >= SHORTEST;
    if (!jids_alone)
        room = share(t, cols, count, false);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = sql_col(t, cols[i])->type;
        sql_name(s, t->dialect, i ? "," : "", sql_col(t, cols[i])->name);
        if (wide && (jids_alone ? type == MK_C_JID : is_cut(type)) && room < t->dialect->widths[type])
            sql_add(s, "(%u)", room);
    }
}

/* The key makes the order of equal rows known, and lets the index alone answer in that order. */
static void want_index(struct sql_parts *p, const struct sql_table *t, unsigned n) {
    const struct mk_coll_decl *decl = mk_coll_decl(t->coll);
    const struct mk_index_decl *index = &((const struct mk_index_decl *)decl->indexes.items)[n];
    struct mk_coll_key key = mk_coll_key(t->coll, n + 1), own = mk_coll_key(t->coll, 0);
    uint32_t cols[32], count = 0; /* the server allows 8 columns in a key, so 24 here */
    for (uint32_t i = 0; i < key.partition + key.sort; i++)
        cols[count++] = key.cols[i];
    for (uint32_t i = 0; i < own.partition + own.sort; i++) {
        bool there = false;
        for (uint32_t j = 0; j < key.partition + key.sort; j++)
            there |= key.cols[j] == own.cols[i];
        if (!there)
            cols[count++] = own.cols[i];
    }
    struct sql_part *part = sql_part_add(p, t, index->name);
    sql_name(&part->sql, t->dialect, "CREATE INDEX ", part->name.s);
    sql_name(&part->sql, t->dialect, " ON ", t->name);
    sql_add(&part->sql, "(");
    sql_index_cols(&part->sql, t, cols, count);
    sql_add(&part->sql, ")");
}

static void want_ttl_index(struct sql_parts *p, const struct sql_table *t) {
    const char *col = sql_col(t, (unsigned)t->ttl_col)->name;
    struct sql_part *part = sql_part_add(p, t, "_ttl");
    sql_name(&part->sql, t->dialect, "CREATE INDEX ", part->name.s);
    sql_name(&part->sql, t->dialect, " ON ", t->name);
    sql_name(&part->sql, t->dialect, "(", col);
    sql_add(&part->sql, ")");
    if (t->dialect->partial) {
        sql_name(&part->sql, t->dialect, " WHERE ", col);
        sql_add(&part->sql, " IS NOT NULL");
    }
}

void sql_parts_indexes(struct sql_parts *p, const struct sql_table *t) {
    if (t->ttl_col >= 0)
        want_ttl_index(p, t);
    for (unsigned i = 0; i < mk_coll_index_count(t->coll); i++)
        want_index(p, t, i);
}

void sql_parts_free(struct sql_parts *p) {
    while (p->count) {
        struct sql_part *part = &p->items[--p->count];
        sql_free(&part->name);
        sql_free(&part->sql);
    }
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

enum { MARK_SIZE = 32 };
static void mark_of(char mark[MARK_SIZE], const struct sql_part *part) {
    snprintf(mark, MARK_SIZE, "meerkat %016" PRIx64, sql_hash(part->sql.s));
}

struct look {
    const struct sql_table *t;
    const struct sql_parts *wanted;
    const struct sql_parts_how *how;
    bool found[SQL_PARTS_MAX];
    struct sql_text drops[SQL_PARTS_MAX * 2];
    unsigned drop_count;
};

static void look_at(void *arg, const char *const *fields) {
    struct look *l = arg;
    size_t len = strlen(l->t->name);
    const char *name = fields[0];
    if (!name || strncmp(name, l->t->name, len) != 0 || strncmp(name + len, "__", 2) != 0)
        return;
    for (unsigned i = 0; i < l->wanted->count; i++) {
        char mark[MARK_SIZE];
        mark_of(mark, &l->wanted->items[i]);
        if (strcmp(l->wanted->items[i].name.s, name) == 0 && fields[1] && strcmp(fields[1], mark) == 0) {
            l->found[i] = true;
            return;
        }
    }
    if (l->drop_count < SQL_PARTS_MAX * 2)
        l->how->drop(&l->drops[l->drop_count++], l->t, name);
}

void sql_part_mark(struct sql_text *s, const struct sql_part *part, const struct sql_parts_how *how) {
    char mark[MARK_SIZE];
    mark_of(mark, part);
    how->mark(s, part, mark);
}

static int make_part(const struct sql_engine *e, void *conn, const struct sql_part *part,
                     const struct sql_parts_how *how) {
    struct sql_text s = { 0 };
    if (how->mark_within)
        sql_add(&s, "%s", part->sql.s);
    sql_part_mark(&s, part, how);
    int rc = how->mark_within ? MK_OK : e->run(conn, part->sql.s, NULL);
    if (!rc && s.len)
        rc = e->run(conn, s.s, NULL);
    sql_free(&s);
    return rc;
}

int sql_parts_sync(const struct sql_engine *e, void *conn, const struct sql_table *t, const struct sql_parts *wanted,
                   const struct sql_parts_how *how) {
    struct look l = { .t = t, .wanted = wanted, .how = how };
    struct mk_value name = mk_v_view((struct mk_view){ t->name, strlen(t->name) });
    struct sql_query q = { 0 };
    sql_bind(&q, t, MK_C_TEXT, &name);
    int rc = e->ask(conn, how->list, &q, look_at, &l);
    sql_query_free(&q);
    for (unsigned i = 0; i < l.drop_count; i++) {
        if (!rc)
            rc = e->run(conn, l.drops[i].s, NULL);
        sql_free(&l.drops[i]);
    }
    for (unsigned i = 0; !rc && i < wanted->count; i++)
        if (!l.found[i])
            rc = make_part(e, conn, &wanted->items[i], how);
    return rc;
}
