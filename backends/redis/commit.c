/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits.  Changes go in chunks, each one script; those of one chain follow each other, so that what is written to a
 * partition keeps its order whatever fails.  A commit is one chain, in a cluster one for each partition.
 *
 * A chunk has a number: worker, commit, and its place.  The script keeps the last one with its answer (the fence), so
 * that one that comes again, because its answer was lost, is not applied again, and one that was held up somewhere and
 * comes after a later one is not applied at all.
 *
 * In a cluster an index with another partition lies in another slot.  Its entry is written before the row, the old one
 * taken out after it: there is always an entry for a row, and readers look at the row before they believe an entry.  An
 * entry has a token, new with each writing, so that taking one out late never takes out a newer one.  If a row could
 * be written long after its entry a reader might have taken that out as stale: so the row's script refuses to be late.
 */
#include "redis.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_CHANGES = 128, CHUNK_BYTES = 512 * 1024, AGAIN = 100, AGAIN_MAX = 1000 };
enum { FENCE_MS = 24 * 3600 * 1000, FENCE_SHORT_MS = 600 * 1000, LATE_MS = 30 * 1000, TOKEN_MAX = 32 };

struct commit_job;
struct chain {
    struct commit_job *job;
    struct bytes tag; /* in a cluster: of the partition */
    uint32_t *items;  /* numbers of changes */
    uint32_t count, from, to;
    uint32_t chunk, tries;
    int64_t page;
    unsigned waits; /* requests under way */
    bool added, failed;
    int64_t entered;      /* when entries of indexes elsewhere were sent, ms since 1970; 0: none */
    struct mk_value sum;  /* ADD to a column of such an index: what it was */
    struct mk_value *row; /* and the row it will be, with its blob */
    struct bytes blob;
    redisReply *reply;
};
struct commit_job {
    struct db *db;
    struct mk_op *op;
    const struct mk_commit *commit;
    struct chain *chains;
    uint32_t chain_count, live;
    bool failed;
    char why[256];
};

static void step(struct chain *c);

static const struct mk_change *first_of(const struct chain *c) {
    return c->job->commit->changes[c->items[c->from]];
}

static bool cluster(const struct chain *c) {
    return c->job->db->me->mode == MODE_CLUSTER;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void job_over(struct commit_job *job) {
    struct db *db = job->db;
    for (uint32_t i = 0; i < job->chain_count; i++) {
        bytes_free(&job->chains[i].tag);
        free(job->chains[i].items);
    }
    if (job->failed)
        mk_op_explain(job->op, "%s", job->why);
    mk_op_done_remote(job->op, job->failed ? MK_E_BACKEND : MK_OK);
    db->active--;
    free(job->chains);
    free(job);
}

static void forget_sum(struct chain *c) {
    free(c->row);
    bytes_free(&c->blob);
    c->row = NULL;
}

static void chain_over(struct chain *c) {
    forget_sum(c);
    if (--c->job->live == 0)
        job_over(c->job);
}

static void chain_failed(struct chain *c, const char *why) {
    struct commit_job *job = c->job;
    if (!job->failed)
        snprintf(job->why, sizeof job->why, "%s", why ? why : "no answer");
    job->failed = true;
    chain_over(c);
}

/* ---- what a chunk is ------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct mk_change *x) {
    const struct table *t = mk_coll_data(x->coll);
    size_t bytes = 100;
    for (unsigned i = 0; (x->kind == MK_X_PUT || x->kind == MK_X_PUT_IF) && i < t->col_count; i++)
        if (x->values[i].type == MK_C_TEXT || x->values[i].type == MK_C_BYTES)
            bytes += x->values[i].len;
    return bytes;
}

/* An ADD whose sum is in an index elsewhere: the entry must be there before anybody knows the sum. */
static bool is_foreseen(const struct chain *c, const struct mk_change *x) {
    const struct table *t = mk_coll_data(x->coll);
    if (x->kind != MK_X_ADD || !cluster(c) || !t->remote)
        return false;
    for (unsigned i = 1; i <= t->index_count; i++)
        if (table_is_remote(t, i) && table_has_col(t, i, x->col))
            return true;
    return false;
}

static bool is_alone(const struct chain *c, const struct mk_change *x) {
    return x->kind == MK_X_DEL_RANGE || is_foreseen(c, x);
}

static void choose_chunk(struct chain *c) {
    size_t bytes = 0;
    uint32_t group = 0;
    c->to = c->from;
    while (c->to < c->count) {
        const struct mk_change *x = c->job->commit->changes[c->items[c->to]];
        bool same = group && x->group == group;
        if (c->to > c->from && !same && (c->to - c->from >= CHUNK_CHANGES || bytes > CHUNK_BYTES || is_alone(c, x)))
            return;
        bytes += bytes_of(x);
        group = x->group;
        c->to++;
        if (is_alone(c, x))
            return;
    }
}

/* ---- tokens ----------------------------------------------------------------------------------------------------------- */

static size_t make_token(const struct chain *c, uint32_t item, unsigned char token[TOKEN_MAX]) {
    uint64_t number = c->job->commit->number;
    uint32_t worker = c->job->commit->worker, again = c->tries;
    size_t len = 0;
    memcpy(token, c->job->db->id, 8);
    len += 8;
    memcpy(token + len, &number, 8);
    memcpy(token + len + 8, &worker, 4);
    memcpy(token + len + 12, &item, 4);
    memcpy(token + len + 16, &again, 4);
    return len + 20;
}

/* ---- entries elsewhere -------------------------------------------------------------------------------------------------- */

static void entry_done(struct db *db, struct req *r, redisReply *reply) {
    struct chain *c = r->arg;
    (void)db;
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        c->failed = true;
        if (!c->job->failed)
            snprintf(c->job->why, sizeof c->job->why, "%s", r->why ? r->why : "no answer");
    }
    req_free(r);
    if (--c->waits == 0)
        step(c);
}

static void add_entry(struct chain *c, const struct table *t, unsigned index, const struct mk_value *row,
                      uint32_t item) {
    struct db *db = c->job->db;
    struct bytes key = { 0 }, member = { 0 };
    unsigned char token[TOKEN_MAX + 8];
    size_t len = make_token(c, item, token);
    uint64_t at = htobe64((uint64_t)c->entered);
    bool has;
    int64_t ttl = put_ttl(t, row, &has);
    memcpy(token + len, &at, sizeof at);
    struct req *r = req_new(db, entry_done, c);
    r->write = true;
    r->lane = c->job->commit->worker;
    put_index_key(&key, t, index, row);
    put_index_member(&member, t, index, row);
    req_index_keys(r, db, SCRIPT_INDEX_ADD, key.s, key.len, t->ttl_col >= 0);
    req_int(r, time_us());
    req_arg(r, member.s, member.len);
    req_arg(r, token, len + sizeof at);
    if (has)
        req_int(r, ttl);
    else
        req_text(r, "");
    bytes_free(&key);
    bytes_free(&member);
    req_send(db, r);
}

/* Each request counts before any is sent: one may be done at once. */
static unsigned each_entry(struct chain *c, bool send) {
    unsigned count = 0;
    for (uint32_t i = c->from; i < c->to; i++) {
        const struct mk_change *x = c->job->commit->changes[c->items[i]];
        const struct table *t = mk_coll_data(x->coll);
        const struct mk_value *row = x->kind == MK_X_PUT || x->kind == MK_X_PUT_IF ? x->values : c->row;
        for (unsigned k = 1; t->remote && row && k <= t->index_count; k++) {
            if (!table_is_remote(t, k))
                continue;
            count++;
            if (send)
                add_entry(c, t, k, row, c->items[i]);
        }
    }
    return count;
}

/* True if the chain goes on when they are done. */
static bool add_entries(struct chain *c) {
    c->added = true;
    c->failed = false;
    c->waits = cluster(c) ? each_entry(c, false) : 0;
    c->entered = c->waits ? time_us() / 1000 : 0;
    if (!c->waits)
        return false;
    c->waits++; /* mine */
    each_entry(c, true);
    return --c->waits > 0;
}

static void gone_done(struct db *db, struct req *r, redisReply *reply) {
    (void)db;
    (void)reply;
    req_free(r);
}

/* Nobody waits for it: an entry that stays is found by who reads it. */
static void take_out(struct chain *c, const redisReply *gone) {
    struct db *db = c->job->db;
    for (size_t i = 0; gone->type == REDIS_REPLY_ARRAY && i + 3 < gone->elements; i += 4) {
        struct req *r = req_new(db, gone_done, NULL);
        r->patient = true;
        req_index_keys(r, db, SCRIPT_INDEX_DEL, gone->element[i]->str, gone->element[i]->len,
                       gone->element[i + 3]->len > 0);
        req_arg(r, gone->element[i + 1]->str, gone->element[i + 1]->len);
        req_arg(r, gone->element[i + 2]->str, gone->element[i + 2]->len);
        req_send(db, r);
    }
}

/* ---- a sum foreseen ----------------------------------------------------------------------------------------------------- */

static void foresee(struct chain *c, const redisReply *reply) {
    const struct mk_change *x = first_of(c);
    const struct table *t = mk_coll_data(x->coll);
    forget_sum(c);
    if (reply->type != REDIS_REPLY_STRING)
        return; /* the script will say that there is none */
    bytes_add(&c->blob, reply->str, reply->len);
    c->row = must_alloc(calloc(t->col_count, sizeof *c->row));
    int64_t before, sum;
    bool good = row_read(t, c->blob.s, c->blob.len, c->row);
    before = good && c->row[x->col].type != MK_V_NULL ? c->row[x->col].u.i : 0;
    if (!good || __builtin_add_overflow(before, x->by, &sum)) {
        forget_sum(c);
        return;
    }
    c->sum = mk_v_int(before);
    c->row[x->col] = mk_v_int(sum);
}

static void foreseen(struct db *db, struct req *r, redisReply *reply) {
    struct chain *c = r->arg;
    const char *why = r->why;
    (void)db;
    if (reply && reply->type != REDIS_REPLY_ERROR)
        foresee(c, reply);
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    char text[256];
    snprintf(text, sizeof text, "%s", why ? why : "");
    req_free(r);
    if (good && !add_entries(c))
        step(c);
    else if (!good)
        chain_failed(c, text);
}

static void put_place(struct bytes *base, struct bytes *field, const struct table *t, const struct mk_change *x) {
    if (x->kind == MK_X_PUT || x->kind == MK_X_PUT_IF) {
        put_base_of_row(base, t, x->values);
        put_field_of_row(field, t, x->values);
    } else if (x->kind == MK_X_DEL_RANGE) {
        put_base(base, t, x->scan->partition);
    } else {
        put_base(base, t, x->values);
        put_part(field, x->values + t->key.partition, t->key.sort);
    }
    bytes_add(field, "", 0);
}

static void look_ahead(struct chain *c) {
    const struct mk_change *x = first_of(c);
    const struct table *t = mk_coll_data(x->coll);
    struct bytes base = { 0 }, field = { 0 };
    put_place(&base, &field, t, x);
    struct req *r = req_new(c->job->db, foreseen, c);
    r->patient = true;
    req_text(r, "HGET");
    req_arg(r, base.s, base.len);
    req_arg(r, field.s, field.len);
    req_key(r, c->job->db, base.s, base.len);
    bytes_free(&base);
    bytes_free(&field);
    req_send(c->job->db, r);
}

/* ---- the script ----------------------------------------------------------------------------------------------------------- */

static void put_old(struct req *r, const struct mk_value *old) {
    struct bytes b = { 0 };
    bytes_puts(&b, old->type == MK_V_NULL ? "-" : "+");
    if (old->type != MK_V_NULL)
        put_value(&b, old);
    req_arg(r, b.s, b.len);
    bytes_free(&b);
}

static void put_new_row(struct chain *c, struct req *r, const struct table *t, const struct mk_change *x,
                        uint32_t item) {
    unsigned char token[TOKEN_MAX];
    struct bytes b = { 0 };
    put_row(&b, t, x->values, token, cluster(c) && t->remote ? make_token(c, item, token) : 0);
    req_arg(r, b.s, b.len);
    bytes_free(&b);
}

/* BY as two halves that Lua's numbers hold, the low one unsigned. */
static void put_sum(struct chain *c, struct req *r, const struct mk_change *x, uint32_t item) {
    unsigned char token[TOKEN_MAX];
    struct bytes b = { 0 };
    req_int(r, x->col + 1);
    req_int(r, x->by >> 32);
    req_int(r, x->by & 0xffffffff);
    if (c->row)
        put_value(&b, &c->sum);
    bytes_add(&b, "", 0);
    req_arg(r, b.s, b.len);
    req_arg(r, token, c->row ? make_token(c, item, token) : 0);
    bytes_free(&b);
}

static void put_change(struct chain *c, struct req *r, uint32_t item, unsigned coll) {
    const struct mk_change *x = c->job->commit->changes[item];
    const struct table *t = mk_coll_data(x->coll);
    struct bytes base = { 0 }, field = { 0 };
    static const char *const ops[] = {
        [MK_X_PUT] = "U", [MK_X_PUT_IF] = "I", [MK_X_ADD] = "A", [MK_X_DEL] = "D", [MK_X_DEL_RANGE] = "R"
    };
    put_place(&base, &field, t, x);
    req_text(r, x->kind == MK_X_PUT && x->mode == MK_IF_ABSENT ? "N" : ops[x->kind]);
    req_int(r, coll);
    req_arg(r, base.s, base.len);
    req_arg(r, field.s, field.len);
    req_int(r, x->group);
    bytes_free(&base);
    bytes_free(&field);
    if (x->kind == MK_X_PUT) {
        put_new_row(c, r, t, x, item);
    } else if (x->kind == MK_X_PUT_IF) {
        req_int(r, x->col + 1);
        put_old(r, &x->old);
        put_new_row(c, r, t, x, item);
    } else if (x->kind == MK_X_ADD) {
        put_sum(c, r, x, item);
    } else if (x->kind == MK_X_DEL_RANGE) {
        struct bytes min = { 0 }, max = { 0 };
        put_bounds(&min, &max, mk_coll_data(x->coll), x->scan);
        req_arg(r, min.s, min.len);
        req_arg(r, max.s, max.len);
        bytes_free(&min);
        bytes_free(&max);
    }
}

/* The number of TABLE among those seen, from 1; it is added if it is new. */
static unsigned number_of(const struct table **seen, unsigned *count, const struct table *t) {
    for (unsigned i = 0; i < *count; i++)
        if (seen[i] == t)
            return i + 1;
    seen[(*count)++] = t;
    return *count;
}

static void put_fence(struct chain *c, struct req *r) {
    struct db *db = c->job->db;
    struct bytes key = { 0 };
    bytes_printf(&key, "%sfence:", db->me->prefix);
    if (cluster(c)) {
        bytes_puts(&key, "{");
        bytes_add(&key, c->tag.s, c->tag.len);
        bytes_puts(&key, "}:");
    }
    for (size_t i = 0; i < sizeof db->id; i++)
        bytes_printf(&key, "%02x", db->id[i]);
    bytes_printf(&key, ":%u:%u", c->job->commit->worker, c->chunk);
    req_arg(r, key.s, key.len);
    req_key(r, db, key.s, key.len);
    bytes_free(&key);
}

static void put_keys(struct chain *c, struct req *r, const struct table **seen, unsigned count) {
    unsigned keys = 1;
    for (unsigned i = 0; cluster(c) && i < count; i++)
        keys += table_key_count(seen[i]);
    req_script(r, c->job->db, SCRIPT_WRITE, (int)keys);
    put_fence(c, r);
    for (unsigned i = 0; cluster(c) && i < count; i++) {
        struct bytes base = { 0 };
        bytes_printf(&base, "%s:{", seen[i]->prefix);
        bytes_add(&base, c->tag.s, c->tag.len);
        bytes_puts(&base, "}");
        req_table_keys(r, seen[i], base.s, base.len);
        bytes_free(&base);
    }
}

static void written(struct db *db, struct req *r, redisReply *reply);

static void send_chunk(struct chain *c) {
    struct db *db = c->job->db;
    struct mk_change *const *changes = c->job->commit->changes;
    const struct table **seen = must_alloc(calloc(c->to - c->from + 1, sizeof *seen));
    unsigned count = 0;
    bool plain = true;
    for (uint32_t i = c->from; i < c->to; i++) {
        const struct table *t = mk_coll_data(changes[c->items[i]]->coll);
        number_of(seen, &count, t);
        plain &= changes[c->items[i]]->kind == MK_X_PUT && changes[c->items[i]]->mode == MK_UPSERT;
    }
    struct req *r = req_new(db, written, c);
    r->write = true;
    r->lane = c->job->commit->worker;
    put_keys(c, r, seen, count);
    req_int(r, (int64_t)c->job->commit->number);
    req_int(r, c->page);
    req_int(r, time_us());
    if (c->entered)
        req_int(r, c->entered + LATE_MS);
    else
        req_text(r, "");
    req_text(r, cluster(c) ? "1" : "");
    /* In a cluster each partition has fences.  One that comes again an hour later may do so if it changes nothing. */
    req_int(r, plain && cluster(c) ? FENCE_SHORT_MS : FENCE_MS);
    req_int(r, count);
    for (unsigned i = 0; i < count; i++)
        req_text(r, seen[i]->json);
    for (uint32_t i = c->from; i < c->to; i++)
        put_change(c, r, c->items[i], number_of(seen, &count, mk_coll_data(changes[c->items[i]]->coll)));
    free(seen);
    req_send(db, r);
}

static void take_result(struct mk_change *x, const redisReply *one) {
    if (one->type == REDIS_REPLY_STRING && one->len == 8) {
        uint64_t n;
        memcpy(&n, one->str, sizeof n);
        x->number = (int64_t)(be64toh(n) ^ UINT64_C(1) << 63);
        x->rc = MK_OK;
    } else {
        x->rc = one->type == REDIS_REPLY_INTEGER ? (int32_t)one->integer : MK_E_BACKEND;
    }
}

/* Whether the same chunk must go once more: a page of a range, or a sum that somebody else changed. */
static bool take_results(struct chain *c, const redisReply *reply) {
    const redisReply *results = reply->element[1];
    bool again = results->elements == 1 && results->element[0]->type == REDIS_REPLY_INTEGER &&
                 results->element[0]->integer == AGAIN;
    c->page = reply->element[0]->integer;
    if (again)
        return true;
    for (uint32_t i = c->from; i < c->to; i++)
        if (i - c->from < results->elements)
            take_result(c->job->commit->changes[c->items[i]], results->element[i - c->from]);
    return false;
}

static void next_chunk(struct chain *c) {
    forget_sum(c);
    c->from = c->to;
    c->chunk++;
    c->page = 0;
    c->tries = 0;
    c->added = false;
}

static void written(struct db *db, struct req *r, redisReply *reply) {
    struct chain *c = r->arg;
    char why[256];
    bool good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                reply->element[1]->type == REDIS_REPLY_ARRAY;
    (void)db;
    snprintf(why, sizeof why, "%s", r->why ? r->why : "an answer that makes no sense");
    req_free(r);
    if (!good) {
        chain_failed(c, why);
        return;
    }
    take_out(c, reply->element[2]);
    if (!take_results(c, reply)) {
        next_chunk(c);
    } else if (first_of(c)->kind == MK_X_DEL_RANGE) {
        c->page++;
    } else {
        c->added = false;
        if (++c->tries > AGAIN_MAX) {
            chain_failed(c, "others change the same row all the time");
            return;
        }
    }
    step(c);
}

/* What is to be done next. */
static void step(struct chain *c) {
    if (c->failed || (c->job->failed && c->from < c->count)) {
        chain_failed(c, c->job->why);
        return;
    }
    if (c->from == c->count) {
        chain_over(c);
        return;
    }
    if (!c->added) {
        choose_chunk(c);
        if (is_foreseen(c, first_of(c))) {
            look_ahead(c);
            return;
        }
        if (add_entries(c))
            return;
        if (c->failed) {
            chain_failed(c, c->job->why);
            return;
        }
    }
    send_chunk(c);
}

/* ---- the beginning ---------------------------------------------------------------------------------------------------------- */

static void put_tag_of(struct bytes *b, const struct mk_change *x) {
    const struct table *t = mk_coll_data(x->coll);
    struct bytes base = { 0 }, field = { 0 };
    put_place(&base, &field, t, x);
    const char *open = memchr(base.s, '{', base.len);
    bytes_add(b, open + 1, base.len - (size_t)(open + 1 - base.s) - 1);
    bytes_free(&base);
    bytes_free(&field);
}

static struct chain *chain_for(struct commit_job *job, const struct bytes *tag) {
    for (uint32_t i = 0; i < job->chain_count; i++)
        if (job->chains[i].tag.len == tag->len && memcmp(job->chains[i].tag.s, tag->s, tag->len) == 0)
            return &job->chains[i];
    struct chain *c = &job->chains[job->chain_count++];
    *c = (struct chain){ .job = job };
    c->items = must_alloc(calloc(job->commit->count, sizeof *c->items));
    bytes_add(&c->tag, tag->s, tag->len);
    return c;
}

static void make_chains(struct commit_job *job) {
    struct bytes tag = { 0 };
    bytes_add(&tag, "", 0);
    job->chains = must_alloc(calloc(job->commit->count, sizeof *job->chains));
    for (uint32_t i = 0; i < job->commit->count; i++) {
        tag.len = 0;
        if (job->db->me->mode == MODE_CLUSTER)
            put_tag_of(&tag, job->commit->changes[i]);
        struct chain *c = chain_for(job, &tag);
        c->items[c->count++] = i;
    }
    bytes_free(&tag);
}

void commit_run(struct db *db, struct job *posted) {
    struct op_job *op = (struct op_job *)posted;
    struct commit_job *job = must_alloc(calloc(1, sizeof *job));
    *job = (struct commit_job){ .db = db, .op = op->op, .commit = op->commit };
    make_chains(job);
    db->active++;
    job->live = job->chain_count;
    uint32_t count = job->chain_count;
    struct chain *chains = job->chains; /* the job may be over with the last one */
    for (uint32_t i = 0; i < count; i++)
        step(&chains[i]);
}
