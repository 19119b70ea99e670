/* SPDX-License-Identifier: Apache-2.0 */
/* What a collection looks like is remembered in a hash, so that another version finds what is to be changed. */
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 50 };

static int failed(const struct table *t, const char *why, struct mk_err *err) {
    return mk_fail(err, MK_E_BACKEND, "Collection %s: Redis says: %s", mk_coll_decl(t->coll)->name, why);
}

/* ---- lines of a schema ---------------------------------------------------------------------------------------------- */

/* The next line that begins with WORD, without its end; *AT moves behind it. */
static bool next_line(const char **at, const char *word, struct mk_view *line) {
    while (**at) {
        const char *end = strchr(*at, '\n');
        size_t len = end ? (size_t)(end - *at) : strlen(*at);
        *line = (struct mk_view){ *at, len };
        *at += len + (end != NULL);
        if (len > strlen(word) && strncmp(line->s, word, strlen(word)) == 0)
            return true;
    }
    return false;
}

static bool has_line(const char *schema, const char *word, struct mk_view wanted) {
    struct mk_view line;
    while (next_line(&schema, word, &line))
        if (line.len == wanted.len && memcmp(line.s, wanted.s, line.len) == 0)
            return true;
    return false;
}

static int check_cols(const struct table *t, const char *stored, uint32_t version, struct mk_err *err) {
    const char *name = mk_coll_decl(t->coll)->name, *ours = t->schema;
    struct mk_view theirs, mine;
    uint32_t have = 0;
    while (next_line(&stored, "column ", &theirs)) {
        if (!next_line(&ours, "column ", &mine))
            return mk_fail(err, MK_E_CONFLICT, "Collection %s: Redis has a %.*s that it has not.", name,
                           (int)theirs.len, theirs.s);
        if (theirs.len != mine.len || memcmp(theirs.s, mine.s, mine.len) != 0)
            return mk_fail(err, MK_E_CONFLICT,
                           "Collection %s: Redis has \"%.*s\" where it has \"%.*s\"; a new version can only append "
                           "columns.",
                           name, (int)theirs.len, theirs.s, (int)mine.len, mine.s);
        have++;
    }
    if (have < t->col_count && version == mk_coll_decl(t->coll)->version)
        return mk_fail(err, MK_E_CONFLICT, "Collection %s has new columns, but the version is %u as before.", name,
                       version);
    for (uint32_t i = have; i < t->col_count; i++)
        if (mk_coll_col(t->coll, i)->flags & (MK_COL_PARTITION | MK_COL_SORT))
            return mk_fail(err, MK_E_CONFLICT, "Collection %s: column %s can't join the key in a new version.", name,
                           mk_coll_col(t->coll, i)->name);
    return MK_OK;
}

static int check(const struct table *t, const char *stored, struct mk_err *err) {
    uint32_t version = (uint32_t)strtoul(stored + strcspn(stored, "0123456789"), NULL, 10);
    uint32_t ours = mk_coll_decl(t->coll)->version;
    if (version > ours)
        return mk_fail(err, MK_E_CONFLICT,
                       "Collection %s: Redis has its version %u, this server knows version %u: install the newer "
                       "plugin.",
                       mk_coll_decl(t->coll)->name, version, ours);
    return check_cols(t, stored, version, err);
}

/* ---- all keys of a collection ------------------------------------------------------------------------------------------ */

struct walk {
    struct db *db;
    const struct table *t;
    char why[256];
    int (*visit)(struct walk *w, const char *key, size_t len);
    const char *stored;
};

static int walk_page(struct walk *w, const redisReply *page) {
    for (size_t i = 0; i < page->elements; i++)
        if (w->visit(w, page->element[i]->str, page->element[i]->len) != MK_OK)
            return MK_E_BACKEND;
    return MK_OK;
}

/* SCAN shows every key that is there all the while, some twice. */
static int walk_node(struct walk *w, const char *addr) {
    char cursor[32] = "0", pattern[200];
    snprintf(pattern, sizeof pattern, "%s:*", w->t->prefix);
    do {
        struct req *r = req_new(w->db, NULL, NULL);
        r->addr = addr;
        req_text(r, "SCAN");
        req_text(r, cursor);
        req_text(r, "MATCH");
        req_text(r, pattern);
        req_text(r, "COUNT");
        req_text(r, "1000");
        redisReply *reply = db_call(w->db, r, w->why);
        if (!reply)
            return MK_E_BACKEND;
        int rc = MK_E_BACKEND;
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
            snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
            rc = walk_page(w, reply->element[1]);
        }
        freeReplyObject(reply);
        if (rc != MK_OK)
            return rc;
    } while (strcmp(cursor, "0") != 0);
    return MK_OK;
}

static int walk(struct walk *w) {
    size_t count;
    char **addrs = db_masters(w->db, &count);
    int rc = MK_OK;
    for (size_t i = 0; i < count; i++) {
        if (rc == MK_OK)
            rc = walk_node(w, addrs[i]);
        free(addrs[i]);
    }
    free(addrs);
    return rc;
}

/* ---- indexes --------------------------------------------------------------------------------------------------------- */

/* Entries of rows that lie in another slot. */
static int add_entries(struct walk *w, const redisReply *reply) {
    unsigned char token[8] = { 0 };
    for (size_t i = 1; i + 2 < reply->elements; i += 3) {
        struct req *r = req_new(w->db, NULL, NULL);
        r->write = true;
        req_index_keys(r, w->db, SCRIPT_INDEX_ADD, reply->element[i]->str, reply->element[i]->len, w->t->ttl_col >= 0);
        req_int(r, time_us());
        req_arg(r, reply->element[i + 1]->str, reply->element[i + 1]->len);
        req_arg(r, token, sizeof token);
        req_arg(r, reply->element[i + 2]->str, reply->element[i + 2]->len);
        redisReply *added = db_call(w->db, r, w->why);
        if (!added)
            return MK_E_BACKEND;
        freeReplyObject(added);
    }
    return MK_OK;
}

static bool is_new_index(const struct walk *w, unsigned n) {
    const char *ours = w->t->schema;
    struct mk_view line = { NULL, 0 };
    for (unsigned i = 0; i < n; i++)
        next_line(&ours, "index ", &line);
    return !has_line(w->stored, "index ", line);
}

static int enter_rows(struct walk *w, const char *key, size_t len) {
    struct bytes from = { 0 };
    int rc = MK_OK;
    bytes_puts(&from, "-");
    while (rc == MK_OK && from.len) {
        struct req *r = req_new(w->db, NULL, NULL);
        r->write = true;
        req_script(r, w->db, SCRIPT_REINDEX, (int)table_key_count(w->t));
        req_table_keys(r, w->t, key, len);
        req_key(r, w->db, key, len);
        req_text(r, w->t->json);
        req_text(r, w->db->me->mode == MODE_CLUSTER ? "1" : "");
        req_arg(r, from.s, from.len);
        for (unsigned i = 1; i <= w->t->index_count; i++)
            if (is_new_index(w, i))
                req_int(r, i);
        redisReply *reply = db_call(w->db, r, w->why);
        from.len = 0;
        rc = reply ? add_entries(w, reply) : MK_E_BACKEND;
        if (rc == MK_OK && reply->element[0]->len) {
            bytes_puts(&from, "(");
            bytes_add(&from, reply->element[0]->str, reply->element[0]->len);
        }
        if (reply)
            freeReplyObject(reply);
    }
    bytes_free(&from);
    return rc;
}

/* A key of rows is "PREFIX:{...}". */
static int visit_rows(struct walk *w, const char *key, size_t len) {
    size_t begin = strlen(w->t->prefix) + 1;
    if (len < begin + 3 || key[begin] != '{' || memchr(key, '}', len) != key + len - 1)
        return MK_OK;
    return enter_rows(w, key, len);
}

/* "PREFIX:{...}:NAME" or "PREFIX:NAME:{...}...", of an index that is gone or was another. */
static int visit_index(struct walk *w, const char *key, size_t len) {
    const char *at = key + strlen(w->t->prefix) + 1, *end = key + len;
    if (*at == '{')
        at = (const char *)memchr(at, '}', (size_t)(end - at)) + 2;
    if (at >= end)
        return MK_OK;
    const char *stop = memchr(at, ':', (size_t)(end - at));
    if (!stop)
        stop = end;
    const char *stored = w->stored;
    struct mk_view line;
    while (next_line(&stored, "index ", &line)) {
        size_t name = strcspn(line.s + 6, " \n");
        if (name != (size_t)(stop - at) || memcmp(line.s + 6, at, name) != 0 || has_line(w->t->schema, "index ", line))
            continue;
        struct req *r = req_new(w->db, NULL, NULL);
        r->write = true;
        req_text(r, "UNLINK");
        req_arg(r, key, len);
        req_key(r, w->db, key, len);
        redisReply *reply = db_call(w->db, r, w->why);
        if (!reply)
            return MK_E_BACKEND;
        freeReplyObject(reply);
    }
    return MK_OK;
}

static bool any_lacks(const char *from, const char *in) {
    struct mk_view line;
    while (next_line(&from, "index ", &line))
        if (!has_line(in, "index ", line))
            return true;
    return false;
}

static int migrate(struct walk *w, struct mk_err *err) {
    int rc = MK_OK;
    w->visit = visit_index;
    if (any_lacks(w->stored, w->t->schema))
        rc = walk(w);
    w->visit = visit_rows;
    if (rc == MK_OK && any_lacks(w->t->schema, w->stored))
        rc = walk(w);
    return rc == MK_OK ? rc : failed(w->t, w->why, err);
}

/* ---- defining -------------------------------------------------------------------------------------------------------- */

static struct req *schema_req(struct db *db, struct req *r) {
    struct bytes key = { 0 };
    bytes_printf(&key, "%sschema", db->me->prefix);
    req_arg(r, key.s, key.len);
    req_key(r, db, key.s, key.len);
    bytes_free(&key);
    return r;
}

static void remember_done(struct db *db, struct req *r, redisReply *reply) {
    (void)db;
    (void)reply;
    req_free(r);
}

/* A server that lost all its data must not think later that there is nothing to migrate. */
void schema_remember(struct db *db) {
    pthread_mutex_lock(&db->lock);
    struct table *tables = db->tables;
    pthread_mutex_unlock(&db->lock);
    for (struct table *t = tables; t; t = t->next) {
        struct req *r = req_new(db, remember_done, NULL);
        r->patient = true;
        req_text(r, "HSETNX");
        schema_req(db, r);
        req_text(r, mk_coll_decl(t->coll)->name);
        req_text(r, t->schema);
        req_send(db, r);
    }
}

/* 1: done, 0: somebody else was there, negative: failed. */
static int replace(struct db *db, const struct table *t, const char *stored, struct mk_err *err) {
    char why[256];
    struct req *r = req_new(db, NULL, NULL);
    r->write = true;
    req_script(r, db, SCRIPT_REPLACE, 1);
    schema_req(db, r);
    req_text(r, mk_coll_decl(t->coll)->name);
    req_text(r, stored);
    req_text(r, t->schema);
    redisReply *reply = db_call(db, r, why);
    if (!reply)
        return failed(t, why, err);
    int done = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return done;
}

static int try_define(struct db *db, struct table *t, struct mk_err *err) {
    char why[256];
    struct req *r = req_new(db, NULL, NULL);
    req_text(r, "HGET");
    schema_req(db, r);
    req_text(r, mk_coll_decl(t->coll)->name);
    redisReply *reply = db_call(db, r, why);
    if (!reply)
        return failed(t, why, err);
    const char *stored = reply->type == REDIS_REPLY_STRING ? reply->str : "";
    int rc = MK_OK;
    if (*stored)
        rc = check(t, stored, err);
    struct walk w = { .db = db, .t = t, .stored = stored };
    bool same = strcmp(stored, t->schema) == 0;
    if (rc == MK_OK && *stored && !same)
        rc = migrate(&w, err);
    if (rc == MK_OK)
        rc = same ? 1 : replace(db, t, stored, err);
    freeReplyObject(reply);
    return rc;
}

int schema_define(struct db *db, struct table *t, struct mk_err *err) {
    for (int i = 0; i < TRIES; i++) {
        int rc = try_define(db, t, err);
        if (rc != 0)
            return rc < 0 ? rc : MK_OK;
    }
    return failed(t, "others define it all the time", err);
}
