/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole collections.  SCAN finds the partitions, in no order and some of them twice: their names are sorted, and kept
 * while pages are read.  Rows come in the order of their partitions' names and, in each, of the key.
 */
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 256 };

struct name {
    char *s;
    size_t len;
};
struct names {
    struct name *items;
    size_t count, cap;
    unsigned holders;
};

static void names_add(struct names *n, const char *s, size_t len) {
    if (n->count == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 64;
        n->items = must_alloc(realloc(n->items, n->cap * sizeof *n->items));
    }
    struct name *item = &n->items[n->count++];
    *item = (struct name){ must_alloc(malloc(len + 1)), len };
    memcpy(item->s, s, len);
}

void names_drop(struct names *n) {
    if (!n || --n->holders)
        return;
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i].s);
    free(n->items);
    free(n);
}

static int compare(const void *a, const void *b) {
    const struct name *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->s, y->s, len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void sort_out(struct names *n) {
    size_t kept = 0;
    if (n->count)
        qsort(n->items, n->count, sizeof *n->items, compare);
    for (size_t i = 0; i < n->count; i++) {
        if (kept && compare(&n->items[kept - 1], &n->items[i]) == 0)
            free(n->items[i].s);
        else
            n->items[kept++] = n->items[i];
    }
    n->count = kept;
}

/* ---- finding them --------------------------------------------------------------------------------------------------- */

static void forget_nodes(struct read_job *j) {
    for (char **n = j->nodes; n && *n; n++)
        free(*n);
    free(j->nodes);
    j->nodes = NULL;
}

static bool is_listed(char *const *list, size_t count, const char *addr) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], addr) == 0)
            return true;
    return false;
}

/* Outside of a cluster whoever is asked has all. */
static void list_nodes(struct read_job *j) {
    size_t count = 0;
    j->nodes = must_alloc(calloc(1, sizeof(char *)));
    for (int slot = 0; j->db->me->mode == MODE_CLUSTER && slot < SLOTS; slot++) {
        const struct node *n = j->db->slots[slot];
        if (!n || is_listed(j->nodes, count, n->addr))
            continue;
        j->nodes = must_alloc(realloc(j->nodes, (count + 2) * sizeof(char *)));
        j->nodes[count++] = must_alloc(strdup(n->addr));
        j->nodes[count] = NULL;
    }
}

static void found_all(struct read_job *j);
static void scan_from(struct read_job *j, const char *cursor);

static void scanned(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    (void)db;
    char cursor[32] = "";
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_ARRAY)
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
    if (!*cursor) {
        forget_nodes(j);
        read_failed(j, r->why ? r->why : "an answer that makes no sense");
        req_free(r);
        return;
    }
    const redisReply *keys = reply->element[1];
    for (size_t i = 0; i < keys->elements; i++)
        names_add(j->names, keys->element[i]->str, keys->element[i]->len);
    req_free(r);
    bool done = strcmp(cursor, "0") == 0, more = done && j->nodes[j->node] && j->nodes[++j->node];
    if (done && !more)
        found_all(j);
    else
        scan_from(j, cursor);
}

static void scan_from(struct read_job *j, const char *cursor) {
    struct bytes pattern = { 0 };
    struct req *r = req_new(j->db, scanned, j);
    bytes_printf(&pattern, "%s:{*}", j->t->prefix);
    r->addr = j->nodes[j->node];
    req_text(r, "SCAN");
    req_text(r, cursor);
    req_text(r, "MATCH");
    req_arg(r, pattern.s, pattern.len);
    req_text(r, "COUNT");
    req_text(r, "1000");
    bytes_free(&pattern);
    req_send(j->db, r);
}

/* ---- counting ------------------------------------------------------------------------------------------------------- */

static void count_some(struct read_job *j);

static void lengths_done(struct read_job *j) {
    if (j->failed)
        read_over(j, MK_E_BACKEND);
    else
        count_some(j);
}

static void length_done(struct db *db, struct req *r, redisReply *reply) {
    struct read_job *j = r->arg;
    (void)db;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        j->read->count += reply->integer;
    } else {
        j->failed = true;
        snprintf(j->why, sizeof j->why, "%s", r->why ? r->why : "an answer that makes no sense");
    }
    req_free(r);
    if (--j->waits == 0)
        lengths_done(j);
}

/* Where no row ends by itself a partition knows how many it has. */
static void count_some(struct read_job *j) {
    if (j->next == j->names->count) {
        j->left = 0;
        read_over(j, MK_OK);
        return;
    }
    j->waits = 1;
    for (unsigned i = 0; i < AT_ONCE && j->next < j->names->count; i++) {
        const struct name *name = &j->names->items[j->next++];
        struct req *r = req_new(j->db, length_done, j);
        req_text(r, "HLEN");
        req_arg(r, name->s, name->len);
        req_key(r, j->db, name->s, name->len);
        j->waits++;
        req_send(j->db, r);
    }
    if (--j->waits == 0)
        lengths_done(j);
}

/* ---- pages ---------------------------------------------------------------------------------------------------------- */

static void set_bounds(struct read_job *j, const struct bytes *after) {
    j->min.len = j->max.len = 0;
    bytes_puts(&j->min, after ? "(" : "-");
    bytes_puts(&j->max, "+");
    if (after)
        bytes_add(&j->min, after->s, after->len);
}

bool sweep_on(struct read_job *j) {
    if (j->next == j->names->count) {
        names_drop(j->t->names);
        j->t->names = NULL;
        return false;
    }
    const struct name *name = &j->names->items[j->next++];
    j->base.len = 0;
    bytes_add(&j->base, name->s, name->len);
    set_bounds(j, NULL);
    read_partition(j);
    return true;
}

/* Behind the row whose key the caller has; its partition may be gone. */
static void go_on_behind(struct read_job *j, const struct mk_value *key) {
    struct bytes field = { 0 };
    size_t lo = 0, hi = j->names->count;
    j->base.len = 0;
    put_base(&j->base, j->t, key);
    const struct name wanted = { j->base.s, j->base.len };
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(&j->names->items[mid], &wanted) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool there = lo < j->names->count && compare(&j->names->items[lo], &wanted) == 0;
    j->next = lo + there;
    if (!there || j->t->key.sort == 0) {
        read_over(j, MK_OK);
        return;
    }
    put_part(&field, key + j->t->key.partition, j->t->key.sort);
    set_bounds(j, &field);
    bytes_free(&field);
    read_partition(j);
}

static void begin(struct read_job *j) {
    if (read_counts(j) && j->t->ttl_col < 0)
        count_some(j);
    else if (j->read->after)
        go_on_behind(j, j->read->after);
    else
        read_over(j, MK_OK);
}

static void found_all(struct read_job *j) {
    forget_nodes(j);
    sort_out(j->names);
    if (!read_counts(j)) {
        names_drop(j->t->names);
        j->t->names = j->names;
        j->names->holders++;
    }
    begin(j);
}

void sweep(struct read_job *j) {
    j->left = read_counts(j) ? UINT32_MAX : j->read->limit;
    if (j->read->after && j->t->names) {
        j->names = j->t->names;
        j->names->holders++;
        begin(j);
        return;
    }
    j->names = must_alloc(calloc(1, sizeof *j->names));
    j->names->holders = 1;
    list_nodes(j);
    scan_from(j, "0");
}
