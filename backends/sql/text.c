/* SPDX-License-Identifier: Apache-2.0 */
#include "sql.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- text ----------------------------------------------------------------------------------------------------- */

void *sql_must(void *memory) {
    if (!memory)
        abort();
    return memory;
}

void sql_add(struct sql_text *t, const char *fmt, ...) {
    for (;;) {
        va_list args;
        va_start(args, fmt);
        int len = vsnprintf(t->s ? t->s + t->len : NULL, t->cap - t->len, fmt, args);
        va_end(args);
        if (len < 0)
            abort();
        if (t->len + (size_t)len < t->cap) {
            t->len += (size_t)len;
            return;
        }
        t->cap = (t->len + (size_t)len + 1) * 2;
        t->s = sql_must(realloc(t->s, t->cap));
    }
}

void sql_clear(struct sql_text *t) {
    t->len = t->marks = 0;
    if (t->s)
        t->s[0] = '\0';
}

void sql_free(struct sql_text *t) {
    free(t->s);
    *t = (struct sql_text){ 0 };
}

void sql_mark(struct sql_text *s, const struct sql_dialect *d) {
    s->marks++;
    if (d->dollars)
        sql_add(s, "$%u", s->marks);
    else
        sql_add(s, "?");
}

void sql_name(struct sql_text *s, const struct sql_dialect *d, const char *prefix, const char *name) {
    sql_add(s, "%s%c%s%c", prefix, d->quote, name, d->quote);
}

/* ---- words ---------------------------------------------------------------------------------------------------- */

static bool is_word_byte(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

bool sql_words(struct sql_text *out, const char *search, const char *before, const char *after) {
    bool any = false;
    for (const char *at = search; *at;) {
        size_t len = 0;
        while (is_word_byte(at[len]))
            len++;
        if (len)
            sql_add(out, "%s%.*s%s", before, (int)len, at, after);
        any |= len > 0;
        at += len ? len : 1;
    }
    return any;
}

/* ---- prepared statements -------------------------------------------------------------------------------------- */

uint64_t sql_hash(const char *text) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static void take_out(struct sql_cache *c, struct sql_stmt **at) {
    struct sql_stmt *stmt = *at;
    *at = stmt->next;
    free(stmt);
    c->count--;
}

/* Few are so many, and then it is once a new statement: no list in order of use is kept. */
static void make_room(struct sql_cache *c, bool (*free_stmt)(void *conn, void *handle), void *conn) {
    uint64_t since = 0;
    while (c->count >= SQL_CACHE_MAX) {
        struct sql_stmt **oldest = NULL;
        for (unsigned i = 0; i < SQL_CACHE_BUCKETS; i++)
            for (struct sql_stmt **at = &c->buckets[i]; *at; at = &(*at)->next)
                if ((*at)->used > since && (!oldest || (*at)->used < (*oldest)->used))
                    oldest = at;
        if (!oldest)
            return;
        since = (*oldest)->used;
        if (!(*oldest)->handle || free_stmt(conn, (*oldest)->handle))
            take_out(c, oldest);
    }
}

struct sql_stmt *sql_cache_find(struct sql_cache *c, const char *text, bool (*free_stmt)(void *conn, void *handle),
                                void *conn) {
    uint64_t hash = sql_hash(text);
    struct sql_stmt **bucket = &c->buckets[hash % SQL_CACHE_BUCKETS], *stmt = *bucket;
    while (stmt && (stmt->hash != hash || strcmp(stmt->text, text) != 0))
        stmt = stmt->next;
    if (!stmt) {
        make_room(c, free_stmt, conn);
        size_t len = strlen(text) + 1;
        stmt = sql_must(calloc(1, sizeof *stmt + len));
        memcpy(stmt->text, text, len);
        stmt->hash = hash;
        stmt->next = *bucket;
        *bucket = stmt;
        c->count++;
    }
    stmt->used = ++c->clock;
    return stmt;
}

void sql_cache_forget(struct sql_cache *c, struct sql_stmt *stmt) {
    struct sql_stmt **at = &c->buckets[stmt->hash % SQL_CACHE_BUCKETS];
    while (*at && *at != stmt)
        at = &(*at)->next;
    if (*at)
        take_out(c, at);
}

void sql_cache_clear(struct sql_cache *c, bool (*free_stmt)(void *conn, void *handle), void *conn) {
    for (unsigned i = 0; i < SQL_CACHE_BUCKETS; i++)
        while (c->buckets[i]) {
            if (c->buckets[i]->handle)
                free_stmt(conn, c->buckets[i]->handle);
            take_out(c, &c->buckets[i]);
        }
}

/* ---- trust ---------------------------------------------------------------------------------------------------- */

const char *sql_authorities(void) {
    static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                          "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}
