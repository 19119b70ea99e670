/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of Prosody's SQL storage: values key by key, as text or JSON, and archives. */
#include "convert/convert.h"
#include "convert/db.h"
#include "convert/prosody.h"
#include "move/writer.h"
#include "util/mem.h"
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, DEPTH_MAX = 100 };

struct job {
    struct prosody prosody; /* first: the stores take one for the other */
    struct db *db;
    struct buf out;
};

static bool next(struct db_rows *rows) {
    if (rows && db_next(rows))
        return true;
    if (rows)
        db_done(rows);
    return false;
}

/* SQL in which names that are words of SQL stand in double quotes. */
static struct db_rows *run(struct job *job, const char *sql, int count, const char *const *params) {
    char *own = xstrdup(sql);
    for (char *p = own; *p; p++)
        *p = *p == '"' ? job->db->kind->quote : *p;
    struct db_rows *rows = job->prosody.failed ? NULL : db_query(job->db, own, count, params);
    job->prosody.failed |= !rows;
    free(own);
    return rows;
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static struct lua_value *from_json(struct arena *arena, const cJSON *json, int depth);

static void add(struct arena *arena, struct lua_value *table, const struct lua_value *key,
                const struct lua_value *value) {
    struct lua_entry **last = &table->first;
    while (*last)
        last = &(*last)->next;
    *last = arena_zalloc(arena, sizeof **last);
    **last = (struct lua_entry){ NULL, key, value };
}

static struct lua_value *text_of(struct arena *arena, const char *text) {
    struct lua_value *v = arena_zalloc(arena, sizeof *v);
    v->type = LUA_TEXT;
    v->text = arena_strdup(arena, text);
    return v;
}

/* Keys that are no texts are in "__hash", each before its value; what has none in "__array". */
static void add_member(struct arena *arena, struct lua_value *table, const cJSON *m, int depth) {
    const cJSON *item;
    if (strcmp(m->string, "__array") == 0) {
        cJSON_ArrayForEach(item, m) add(arena, table, NULL, from_json(arena, item, depth));
    } else if (strcmp(m->string, "__hash") == 0) {
        for (item = m->child; item && item->next; item = item->next->next)
            add(arena, table, from_json(arena, item, depth), from_json(arena, item->next, depth));
    } else {
        add(arena, table, text_of(arena, m->string), from_json(arena, m, depth));
    }
}

static struct lua_value *from_json(struct arena *arena, const cJSON *json, int depth) {
    struct lua_value *v = arena_zalloc(arena, sizeof *v);
    const cJSON *item;
    if (cJSON_IsString(json))
        return text_of(arena, json->valuestring);
    if (cJSON_IsBool(json)) {
        v->type = LUA_BOOL;
        v->truth = cJSON_IsTrue(json);
    } else if (cJSON_IsNumber(json)) {
        v->type = LUA_NUMBER;
        v->number = json->valuedouble;
        v->text = arena_printf(arena, "%.15g", json->valuedouble);
    } else if (cJSON_IsArray(json) || cJSON_IsObject(json)) {
        v->type = LUA_TABLE;
        cJSON_ArrayForEach(item, json) {
            if (depth > DEPTH_MAX)
                break;
            if (cJSON_IsArray(json))
                add(arena, v, NULL, from_json(arena, item, depth + 1));
            else
                add_member(arena, v, item, depth + 1);
        }
    }
    return v;
}

static const struct lua_value *read_value(struct job *job, struct db_rows *row) {
    struct arena *arena = &job->prosody.arena;
    const char *type = db_text(row, 1, NULL), *value = db_text(row, 2, NULL);
    if (strcmp(type, "string") == 0)
        return text_of(arena, value);
    cJSON *json = cJSON_Parse(value);
    if (!json)
        complain("%s@%s: a value is no JSON, and is left out", job->prosody.name, job->prosody.domain);
    const struct lua_value *v = from_json(arena, json, 0);
    cJSON_Delete(json);
    return v;
}

/* What has no text for a key is together under the empty one. */
static struct lua_value *read_store(struct job *job, const char *store) {
    struct arena *arena = &job->prosody.arena;
    const char *params[] = { job->prosody.domain, job->prosody.name, store };
    struct lua_value *table = arena_zalloc(arena, sizeof *table);
    struct db_rows *rows = run(
        job, "SELECT \"key\", \"type\", \"value\" FROM prosody WHERE \"host\" = ? AND \"user\" = ? AND \"store\" = ?",
        3, params);
    table->type = LUA_TABLE;
    while (next(rows)) {
        const char *key = db_text(rows, 0, NULL);
        const struct lua_value *name = *key ? text_of(arena, key) : NULL, *v = read_value(job, rows);
        if (name)
            add(arena, table, name, v);
        for (const struct lua_entry *e = name ? NULL : v->first; e; e = e->next)
            add(arena, table, e->key, e->value);
    }
    return table;
}

/* ---- archives ---------------------------------------------------------------------------------------------------------- */

static void put_message(struct job *job, struct db_rows *row, bool archived) {
    struct buf *out = &job->out;
    int64_t when = strtoll(db_text(row, 2, NULL), NULL, 10) * 1000000;
    size_t len;
    const char *xml = db_text(row, 3, &len);
    out->len = 0;
    if (archived) {
        buf_puts(out, "<result xmlns='urn:xmpp:mam:2'");
        put_attr(out, "id", db_text(row, 1, NULL));
        buf_puts(out, "><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='");
        put_stamp(out, when);
        buf_puts(out, "'/>");
    }
    if (!put_xml(out, xml, len, "jabber:client")) {
        complain("%s@%s: a message is no XML, and is left out", job->prosody.name, job->prosody.domain);
        return;
    }
    if (archived)
        buf_puts(out, "</forwarded></result>");
    else
        put_delay(out, job->prosody.domain, when);
    dump_text(out);
}

static void put_archive(struct job *job, const char *store) {
    const char *params[] = { job->prosody.domain, job->prosody.name, store };
    char sql[400];
    long long after = -1;
    int count;
    do {
        snprintf(
            sql, sizeof sql,
            "SELECT sort_id, \"key\", \"when\", \"value\" FROM prosodyarchive WHERE \"host\" = ? AND \"user\" = ? AND "
            "\"store\" = ? AND \"type\" = 'xml' AND sort_id > %lld ORDER BY sort_id LIMIT %d",
            after, PAGE);
        struct db_rows *rows = run(job, sql, 3, params);
        for (count = 0; next(rows); count++) {
            after = strtoll(db_text(rows, 0, NULL), NULL, 10);
            put_message(job, rows, *store == 'a');
        }
    } while (count == PAGE);
}

/* ---- accounts ---------------------------------------------------------------------------------------------------------- */

static void put_user(struct job *job) {
    prosody_account(&job->prosody, read_store(job, "accounts"), &job->out);
    for (int i = 0; i < PROSODY_STORES; i++) {
        const struct lua_value *v = read_store(job, prosody_stores[i].name);
        job->out.len = 0;
        if (v->first)
            prosody_stores[i].put(&job->prosody, v, &job->out);
        dump_text(&job->out);
    }
    arena_free(&job->prosody.arena);
    puts("<offline-messages>");
    put_archive(job, "offline");
    puts("</offline-messages>\n<archive xmlns='urn:xmpp:pie:0#mam'>");
    put_archive(job, "archive");
    puts("</archive>");
    dump_user(NULL, NULL);
}

static int put_users(struct job *job, char **after) {
    const char *params[] = { job->prosody.domain, *after };
    char sql[200];
    int count = 0;
    snprintf(sql, sizeof sql,
             "SELECT DISTINCT \"user\" FROM prosody WHERE \"host\" = ? AND \"store\" = 'accounts' AND \"user\" > ? "
             "ORDER BY 1 LIMIT %d",
             PAGE);
    struct db_rows *rows = run(job, sql, 2, params);
    for (; next(rows); count++) {
        free(*after);
        *after = xstrdup(db_text(rows, 0, NULL));
        job->prosody.name = *after;
        if (!job->prosody.failed)
            put_user(job);
    }
    return count;
}

bool prosody_sql(const char *url) {
    struct job job = { .db = db_open(url) };
    if (!job.db)
        return false;
    arena_init(&job.prosody.arena);
    dump_begin();
    struct db_rows *rows =
        run(&job, "SELECT DISTINCT \"host\" FROM prosody WHERE \"store\" = 'accounts' ORDER BY 1", 0, NULL);
    while (next(rows)) {
        char *after = xstrdup("");
        job.prosody.domain = xstrdup(db_text(rows, 0, NULL));
        dump_host(job.prosody.domain);
        while (!job.prosody.failed && put_users(&job, &after) == PAGE)
            ;
        dump_host(NULL);
        free(job.prosody.domain);
        free(after);
    }
    dump_end();
    bool good = !job.prosody.failed && !job.db->failed;
    db_close(job.db);
    buf_free(&job.out);
    return good;
}
