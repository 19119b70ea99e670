/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads.  A scan goes by pages, so that no large partition holds the server up; a page is one script if the rows lie
 * with their order.  For an index whose rows lie elsewhere the entries come first, then the rows; what the row does not
 * confirm is no result.
 */
#include "redis.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 200, PAGE_BYTES = 1 << 20, ENTRY_OLD_MS = 120 * 1000 };

struct entry { /* of an index elsewhere */
    struct read_job *job;
    struct mk_view member, token; /* in the page's answer */
    redisReply row;               /* without its text if there is none */
};

static const struct mk_scan everything = { .size = sizeof everything }; /* of a partition */

bool read_counts(const struct read_job *j) {
    return j->read->kind == MK_R_COUNT || j->read->kind == MK_R_COUNT_ALL;
}

void read_over(struct read_job *j, int rc) {
    struct db *db = j->db;
    if (rc == MK_OK && j->names && j->left && sweep_on(j))
        return;
    names_drop(j->names);
    if (rc == MK_E_BACKEND)
        mk_op_explain(j->op, "%s", j->why);
    mk_op_done_remote(j->op, rc);
    bytes_free(&j->base);
    bytes_free(&j->order);
    bytes_free(&j->min);
    bytes_free(&j->max);
    free(j->values);
    free(j);
    db->active--;
}

void read_failed(struct read_job *j, const char *why) {
    snprintf(j->why, sizeof j->why, "%s", why ? why : "no answer");
    read_over(j, MK_E_BACKEND);
}

/* True if REPLY is of this type; else the read is over. */
static bool expect(struct read_job *j, const redisReply *reply, int type, const char *why) {
    if (reply && reply->type == type)
        return true;
    read_failed(j, why ? why : "an answer that makes no sense");
    return false;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void take_values(struct read_job *j) {
    struct mk_read *r = j->read;
    r->count++;
    if (read_counts(j))
        return;
    mk_rows_add(r->rows);
    for (unsigned i = 0; i < j->t->col_count; i++)
        mk_rows_put(r->rows, i, &j->values[i]);
}

/* False once there are enough. */
static bool take_row(struct read_job *j, const char *row, size_t len) {
    const struct mk_read *r = j->read;
    if (!row_read(j->t, row, len, j->values) || !row_lives(j->t, j->values, r->now))
        return true;
    if (!row_matches(j->scan, j->values))
        return true;
    take_values(j);
    return --j->left > 0;
}

static struct req *start(struct read_job *j, void (*done)(struct db *db, struct req *r, redisReply *reply)) {
    return req_new(j->db, done, j);
}

static void one_done(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    const char *why = r->why;
    (void)db;
    if (reply && reply->type == REDIS_REPLY_NIL)
        read_over(j, j->read->kind == MK_R_GET ? MK_E_NOTFOUND : MK_OK);
    else if (expect(j, reply, REDIS_REPLY_STRING, why)) {
        take_row(j, reply->str, reply->len);
        read_over(j, j->read->kind == MK_R_GET && j->read->count == 0 ? MK_E_NOTFOUND : MK_OK);
    }
    req_free(r);
}

static void read_one(struct read_job *j, const struct bytes *field) {
    struct req *r = start(j, one_done);
    req_text(r, "HGET");
    req_arg(r, j->base.s, j->base.len);
    req_arg(r, field->s, field->len);
    req_key(r, j->db, j->base.s, j->base.len);
    req_send(j->db, r);
}

static void get(struct read_job *j) {
    struct bytes field = { 0 };
    put_base(&j->base, j->t, j->read->key);
    put_part(&field, j->read->key + j->t->key.partition, j->t->key.sort);
    bytes_add(&field, "", 0);
    read_one(j, &field);
    bytes_free(&field);
}

/* ---- counting without rows ------------------------------------------------------------------------------------------ */

static void counted(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    (void)db;
    if (expect(j, reply, REDIS_REPLY_INTEGER, r->why)) {
        j->read->count = reply->integer < (long long)j->left ? reply->integer : (long long)j->left;
        read_over(j, MK_OK);
    }
    req_free(r);
}

static void count_members(struct read_job *j) {
    struct req *r = start(j, counted);
    req_text(r, "ZLEXCOUNT");
    req_arg(r, j->order.s, j->order.len);
    req_arg(r, j->min.s, j->min.len);
    req_arg(r, j->max.s, j->max.len);
    req_key(r, j->db, j->order.s, j->order.len);
    req_send(j->db, r);
}

/* ---- pages ------------------------------------------------------------------------------------------------------------ */

static void put_page(struct read_job *j, struct req *r) {
    const struct mk_scan *s = j->scan;
    req_arg(r, j->min.s, j->min.len);
    req_arg(r, j->max.s, j->max.len);
    req_text(r, s->flags & MK_SCAN_REVERSE ? "1" : "");
    req_int(r, !s->filter_count && j->left < PAGE_ROWS ? (int64_t)j->left : PAGE_ROWS);
}

static void continue_after(struct read_job *j, const char *member, size_t len) {
    struct bytes *bound = j->scan->flags & MK_SCAN_REVERSE ? &j->max : &j->min;
    bound->len = 0;
    bytes_puts(bound, "(");
    bytes_add(bound, member, len);
}

/* To count rows it takes their end and what is filtered. */
static void put_wanted(struct read_job *j, struct req *r) {
    const struct mk_scan *s = j->scan;
    struct bytes b = { 0 };
    bytes_add(&b, "", 0);
    if (read_counts(j)) {
        bytes_printf(&b, "%d", j->t->ttl_col + 1);
        for (uint32_t i = 0; i < s->filter_count; i++)
            bytes_printf(&b, ",%u", s->filters[i].col + 1);
    }
    req_arg(r, b.s, b.len);
    bytes_free(&b);
}

static void next_page(struct read_job *j);

static void page_done(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    char why[256];
    (void)db;
    snprintf(why, sizeof why, "%s", r->why ? r->why : "");
    req_free(r);
    if (!expect(j, reply, REDIS_REPLY_ARRAY, why[0] ? why : NULL))
        return;
    if (reply->elements < 2) {
        read_failed(j, "an answer that makes no sense");
        return;
    }
    bool on = true;
    for (size_t i = 2; on && i < reply->elements; i++)
        on = reply->element[i]->type != REDIS_REPLY_STRING ||
             take_row(j, reply->element[i]->str, reply->element[i]->len);
    if (!on || !reply_is(reply->element[0], "1")) {
        read_over(j, MK_OK);
        return;
    }
    continue_after(j, reply->element[1]->str, reply->element[1]->len);
    next_page(j);
}

static void next_page(struct read_job *j) {
    struct req *r = start(j, page_done);
    req_script(r, j->db, SCRIPT_SCAN, 2);
    req_arg(r, j->base.s, j->base.len);
    req_arg(r, j->order.s, j->order.len);
    req_key(r, j->db, j->base.s, j->base.len);
    put_page(j, r);
    req_int(r, PAGE_BYTES);
    req_text(r, j->scan->index ? "1" : "");
    put_wanted(j, r);
    req_send(j->db, r);
}

void read_partition(struct read_job *j) {
    struct bytes none = { (char *)"", 0, 0 };
    if (j->t->key.sort == 0) {
        read_one(j, &none);
        return;
    }
    j->order.len = 0;
    bytes_add(&j->order, j->base.s, j->base.len);
    bytes_puts(&j->order, ":_k");
    next_page(j);
}

/* ---- indexes whose rows lie elsewhere ---------------------------------------------------------------------------------- */

static void repaired(struct db *db, struct req *r, redisReply *reply) {
    (void)db;
    (void)reply;
    req_free(r);
}

/* Not one that a write still under way may have put there. */
static bool is_stale(const struct read_job *j, const struct entry *e) {
    uint64_t at = 0;
    if (j->db->me->mode != MODE_CLUSTER)
        return false; /* the next write sweeps */
    if (e->token.len >= sizeof at)
        memcpy(&at, e->token.s + e->token.len - sizeof at, sizeof at);
    return (int64_t)be64toh(at) < j->started - ENTRY_OLD_MS;
}

static void repair(struct read_job *j, const struct entry *e) {
    struct req *r = req_new(j->db, repaired, NULL);
    req_index_keys(r, j->db, SCRIPT_INDEX_DEL, j->order.s, j->order.len, j->t->ttl_col >= 0);
    req_arg(r, e->member.s, e->member.len);
    req_arg(r, e->token.s, e->token.len);
    req_send(j->db, r);
}

/* Whether the row says itself that it stands at this place of the index. */
static bool confirms(struct read_job *j, const struct entry *e) {
    unsigned index = j->scan->index;
    struct bytes key = { 0 }, member = { 0 };
    if (e->row.type != REDIS_REPLY_STRING || !row_read(j->t, e->row.str, e->row.len, j->values))
        return false;
    put_index_key(&key, j->t, index, j->values);
    put_index_member(&member, j->t, index, j->values);
    bool same = key.len == j->order.len && memcmp(key.s, j->order.s, key.len) == 0 && member.len == e->member.len &&
                memcmp(member.s, e->member.s, member.len) == 0;
    bytes_free(&key);
    bytes_free(&member);
    return same;
}

static void next_entries(struct read_job *j);

static void entries_done(struct read_job *j) {
    bool on = true, failed = j->failed;
    for (size_t i = 0; i < j->entry_count; i++) {
        struct entry *e = &j->entries[i];
        if (on && !failed && confirms(j, e))
            on = take_row(j, e->row.str, e->row.len);
        else if (on && !failed && is_stale(j, e))
            repair(j, e);
        free(e->row.str);
    }
    bool more = j->full;
    if (more && on && !failed)
        continue_after(j, j->entries[j->entry_count - 1].member.s, j->entries[j->entry_count - 1].member.len);
    free(j->entries);
    freeReplyObject(j->page);
    j->entries = NULL;
    j->page = NULL;
    if (failed)
        read_over(j, MK_E_BACKEND);
    else if (on && more)
        next_entries(j);
    else
        read_over(j, MK_OK);
}

static void entry_row(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    struct entry *e = &j->entries[r->number];
    (void)db;
    if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL)) {
        j->failed = true;
        snprintf(j->why, sizeof j->why, "%s", r->why ? r->why : "an answer that makes no sense");
    } else if (reply->type == REDIS_REPLY_STRING) {
        e->row = *reply;
        reply->type = REDIS_REPLY_NIL; /* its text is ours */
    }
    req_free(r);
    if (--j->waits == 0)
        entries_done(j);
}

static void ask_row(struct read_job *j, size_t i) {
    struct bytes base = { 0 }, field = { 0 };
    bytes_add(&field, "", 0);
    if (!member_place(j->t, j->scan->index, j->entries[i].member, &base, &field)) {
        j->waits--;
    } else {
        struct req *r = start(j, entry_row);
        r->number = i;
        req_text(r, "HGET");
        req_arg(r, base.s, base.len);
        req_arg(r, field.s, field.len);
        req_key(r, j->db, base.s, base.len);
        req_send(j->db, r);
    }
    bytes_free(&base);
    bytes_free(&field);
}

static void entries_here(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    char why[256];
    (void)db;
    snprintf(why, sizeof why, "%s", r->why ? r->why : "");
    size_t asked = r->number;
    req_free(r);
    if (!expect(j, reply, REDIS_REPLY_ARRAY, why[0] ? why : NULL))
        return;
    j->page = must_alloc(calloc(1, sizeof *j->page));
    *j->page = *reply;
    *reply = (redisReply){ .type = REDIS_REPLY_NIL };
    j->entry_count = j->page->elements / 2;
    j->full = j->entry_count == asked;
    j->entries = must_alloc(calloc(j->entry_count + 1, sizeof *j->entries));
    for (size_t i = 0; i < j->entry_count; i++) {
        const redisReply *member = j->page->element[2 * i], *token = j->page->element[2 * i + 1];
        j->entries[i].member = (struct mk_view){ member->str, member->len };
        j->entries[i].token = (struct mk_view){ token->str, token->len };
    }
    j->waits = j->entry_count + 1;
    for (size_t i = 0; i < j->entry_count; i++)
        ask_row(j, i);
    if (--j->waits == 0)
        entries_done(j);
}

static void next_entries(struct read_job *j) {
    struct req *r = start(j, entries_here);
    r->number = !j->scan->filter_count && j->left < PAGE_ROWS ? j->left : PAGE_ROWS;
    req_index_keys(r, j->db, SCRIPT_INDEX_SCAN, j->order.s, j->order.len, false);
    put_page(j, r);
    req_send(j->db, r);
}

/* ---- the beginning ------------------------------------------------------------------------------------------------------- */

/* The key of a remote index, from the values of its partition. */
static void put_remote_key(struct read_job *j) {
    const struct mk_scan *s = j->scan;
    bytes_printf(&j->order, "%s:%s:{", j->t->prefix, table_index_name(j->t, s->index));
    put_tag(&j->order, s->partition, mk_coll_key(j->t->coll, s->index).partition);
    bytes_puts(&j->order, "}");
}

static void scan(struct read_job *j) {
    const struct mk_scan *s = j->scan;
    const struct table *t = j->t;
    bool remote = table_is_remote(t, s->index), cluster = j->db->me->mode == MODE_CLUSTER;
    j->left = s->limit ? s->limit : UINT32_MAX;
    put_bounds(&j->min, &j->max, t, s);
    if (remote) {
        put_remote_key(j);
    } else {
        put_scan_key(&j->order, t, s);
        const char *close = memchr(j->order.s, '}', j->order.len);
        bytes_add(&j->base, j->order.s, (size_t)(close + 1 - j->order.s));
    }
    if (s->index == 0 && t->key.sort == 0) {
        struct bytes none = { (char *)"", 0, 0 };
        read_one(j, &none);
    } else if (j->read->kind == MK_R_COUNT && !s->filter_count && t->ttl_col < 0 && !(remote && cluster)) {
        count_members(j);
    } else if (remote) {
        next_entries(j);
    } else {
        next_page(j);
    }
}

void read_run(struct db *db, struct job *posted) {
    struct op_job *op = (struct op_job *)posted;
    struct read_job *j = must_alloc(calloc(1, sizeof *j));
    *j = (struct read_job){ .db = db, .op = op->op, .read = op->read, .t = mk_coll_data(op->read->coll), .left = 1 };
    j->scan = op->read->scan ? op->read->scan : &everything;
    j->started = time_us() / 1000;
    j->values = must_alloc(calloc(j->t->col_count, sizeof *j->values));
    db->active++;
    if (!read_counts(j))
        j->read->rows = mk_rows_new(j->op, j->read->coll);
    switch (j->read->kind) {
    case MK_R_GET:
        get(j);
        break;
    case MK_R_ALL:
    case MK_R_COUNT_ALL:
        sweep(j);
        break;
    default:
        scan(j);
        break;
    }
}
