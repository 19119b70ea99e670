/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"
#include "util/jid.h"
#include "util/mem.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SECRET = 64 * 1024 };

struct fill {
    struct arena *arena;
    const char *what;
    struct conf_errors *e;
};
typedef void put_fn(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at);

static const struct mk_opt_decl *row_at(const struct mk_table *rows, uint32_t i) {
    return (const struct mk_opt_decl *)((const char *)rows->items + (size_t)i * rows->stride);
}

__attribute__((format(printf, 4, 5))) static void wrong(struct fill *f, const struct mk_opt_decl *row,
                                                        const struct conf_node *n, const char *fmt, ...) {
    struct buf text = { 0 };
    va_list args;
    va_start(args, fmt);
    char why[768];
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    buf_printf(&text, "option `%s` of %s %s", row->name, f->what, why);
    conf_error(f->e, n->file ? n : NULL, "%s", text.data);
    buf_free(&text);
}

/* The text of a node, also of one that --set took for a number; NULL if it has none. */
static const char *text_of(const struct conf_node *n) {
    return n->type == CONF_TEXT || (n->line == 0 && n->text) ? n->text : NULL;
}

static void put_bool(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    if (n->type == CONF_BOOL)
        *(bool *)at = n->number != 0;
    else
        wrong(f, row, n, "must be true or false");
}

static const char *example(uint32_t type) {
    return type == MK_T_DURATION
               ? "must be a duration such as \"30s\", \"10m\", \"2h\", \"7d\", or a number of milliseconds"
           : type == MK_T_SIZE ? "must be a size such as \"64K\", \"10M\", \"1G\", or a number of bytes"
                               : "must be a whole number";
}

static void put_amount(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    int64_t value = n->number;
    bool ok = n->type == CONF_INT;
    if (!ok && n->type == CONF_TEXT)
        ok = row->type == MK_T_DURATION ? duration_read(n->text, &value)
             : row->type == MK_T_SIZE   ? size_read(n->text, &value)
                                        : false;
    if (!ok) {
        wrong(f, row, n, "%s", example(row->type));
    } else if (value < row->min || value > row->max) {
        struct buf range = { 0 };
        amount_write(&range, row->type, row->min);
        buf_puts(&range, " to ");
        amount_write(&range, row->type, row->max);
        wrong(f, row, n, "must be in the range %s", range.data);
        buf_free(&range);
    } else {
        *(int64_t *)at = value;
    }
}

/* Reads a secret from a file; the last line's end is not part of it. */
static const char *secret_from_file(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n,
                                    const char *path) {
    FILE *file = fopen(path, "re");
    char *data = xmalloc(MAX_SECRET + 1);
    size_t len = file ? fread(data, 1, MAX_SECRET + 1, file) : 0;
    const char *why = !file || ferror(file)    ? strerror(errno)
                      : len > MAX_SECRET       ? "it is larger than 64 KB"
                      : !utf8_valid(data, len) ? "it is not UTF-8"
                                               : NULL;
    const char *secret = NULL;
    if (file)
        fclose(file);
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    if (why)
        wrong(f, row, n, "can't be read from \"%s\": %s", path, why);
    else
        secret = arena_memdup(f->arena, data, len);
    explicit_bzero(data, MAX_SECRET + 1);
    free(data);
    return secret;
}

static const char *resolve_secret(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n,
                                  const char *text) {
    if (strncmp(text, "file:", 5) == 0)
        return secret_from_file(f, row, n, text + 5);
    if (strncmp(text, "env:", 4) == 0) {
        const char *value = getenv(text + 4);
        if (!value)
            wrong(f, row, n, "wants the environment variable %s, which is not set", text + 4);
        return value;
    }
    return text;
}

static void put_text(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    const char *text = text_of(n);
    if (!text) {
        wrong(f, row, n, "must be a text in quotes");
        return;
    }
    if (row->flags & MK_OPT_SECRET)
        text = resolve_secret(f, row, n, text);
    if (text)
        *(const char **)at = arena_strdup(f->arena, text);
}

static void put_file(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    const char *text = text_of(n);
    if (!text) {
        wrong(f, row, n, "must be a path in quotes");
        return;
    }
    const char *slash = n->line && n->file ? strrchr(n->file, '/') : NULL;
    const char *path = *text != '/' && slash
                           ? arena_printf(f->arena, "%.*s%s", (int)(slash - n->file + 1), n->file, text)
                           : arena_strdup(f->arena, text);
    struct stat st;
    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        wrong(f, row, n, "names the file \"%s\", which can't be read: %s", path, strerror(errno));
    else if (S_ISDIR(st.st_mode))
        wrong(f, row, n, "names \"%s\", which is a folder", path);
    else
        *(const char **)at = path;
}

static void put_jid(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    const char *text = text_of(n);
    const struct mk_jid *jid;
    if (text && jid_parse(f->arena, text, strlen(text), &jid) == 0)
        *(const struct mk_jid **)at = jid;
    else
        wrong(f, row, n, "must be a JID in quotes");
}

static void put_enum(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    const char *text = text_of(n);
    size_t count = 0;
    struct buf names = { 0 };
    for (; row->names[count]; count++) {
        if (text && strcmp(row->names[count], text) == 0) {
            *(int64_t *)at = (int64_t)count;
            buf_free(&names);
            return;
        }
        buf_printf(&names, "%s\"%s\"", count ? ", " : "", row->names[count]);
    }
    const char *near = text ? nearest_name(text, row->names, count) : NULL;
    wrong(f, row, n, "must be one of %s%s%s%s", names.data, near ? "; did you mean \"" : "", near ? near : "",
          near ? "\"?" : "");
    buf_free(&names);
}

static void put_texts(struct fill *f, const struct mk_opt_decl *row, const struct conf_node *n, void *at) {
    uint32_t count = 0;
    for (const struct conf_node *i = n->first; i; i = i->next)
        count++;
    if (n->type != CONF_LIST) {
        wrong(f, row, n, "must be a list of texts, [ \"...\", \"...\" ]");
        return;
    }
    const char **items = arena_zalloc(f->arena, (count + 1) * sizeof *items);
    count = 0;
    for (const struct conf_node *i = n->first; i; i = i->next) {
        if (i->type != CONF_TEXT) {
            wrong(f, row, i, "must be a list of texts; item %u is none", count + 1);
            return;
        }
        items[count++] = arena_strdup(f->arena, i->text);
    }
    *(struct mk_texts *)at = (struct mk_texts){ items, count };
}

static const struct {
    put_fn *put;
    size_t size;
} types[] = {
    [MK_T_BOOL] = { put_bool, sizeof(bool) },          [MK_T_INT] = { put_amount, sizeof(int64_t) },
    [MK_T_DURATION] = { put_amount, sizeof(int64_t) }, [MK_T_SIZE] = { put_amount, sizeof(int64_t) },
    [MK_T_TEXT] = { put_text, sizeof(const char *) },  [MK_T_JID] = { put_jid, sizeof(const struct mk_jid *) },
    [MK_T_ENUM] = { put_enum, sizeof(int64_t) },       [MK_T_TEXTS] = { put_texts, sizeof(struct mk_texts) },
    [MK_T_FILE] = { put_file, sizeof(const char *) },
};

size_t conf_value_size(uint32_t type) {
    return type < sizeof types / sizeof types[0] ? types[type].size : 0;
}

/* A default is written as the value in a file would be, but texts go without quotes and lists may be "a, b". */
static struct conf_node *default_node(struct arena *arena, const struct mk_opt_decl *row) {
    struct conf_node *n = NULL;
    switch (row->type) {
    case MK_T_BOOL:
    case MK_T_INT:
    case MK_T_DURATION:
    case MK_T_SIZE:
        n = value_read(arena, row->dflt);
        break;
    case MK_T_TEXTS:
        if (*row->dflt == '[' || *row->dflt == '(')
            return value_read(arena, row->dflt);
        n = node_new(arena, NULL, NULL, CONF_LIST, NULL, 0);
        for (const char *at = row->dflt + strspn(row->dflt, ", "); *at; at += strspn(at, ", ")) {
            size_t len = strcspn(at, ", ");
            node_new(arena, n, NULL, CONF_TEXT, NULL, 0)->text = arena_memdup(arena, at, len);
            at += len;
        }
        return n;
    }
    if (!n) {
        n = node_new(arena, NULL, NULL, CONF_TEXT, NULL, 0);
        n->text = row->dflt;
    }
    return n;
}

static void check_names(struct fill *f, const struct conf_node *group, const struct mk_table *rows,
                        const char *const *extra) {
    uint32_t extra_count = 0;
    while (extra && extra[extra_count])
        extra_count++;
    const char **names = arena_alloc(f->arena, (rows->count + extra_count + 1) * sizeof *names);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++)
        names[count++] = row_at(rows, i)->name;
    for (uint32_t i = 0; i < extra_count; i++)
        names[count++] = extra[i];
    for (const struct conf_node *n = group->first; n; n = n->next) {
        uint32_t i = 0;
        while (i < count && strcmp(names[i], n->name) != 0)
            i++;
        if (i < count)
            continue;
        const char *near = nearest_name(n->name, names, count);
        conf_error(f->e, n, "unknown option `%s` in %s%s%s%s", n->name, f->what, near ? "; did you mean `" : "",
                   near ? near : "", near ? "`?" : "");
        conf_use(n);
    }
}

void conf_fill(struct arena *arena, const char *what, const struct conf_node *group, const struct mk_table *rows,
               const char *const *extra, void *inst, struct conf_errors *e) {
    struct fill f = { .arena = arena, .what = what, .e = e };
    if (group) {
        node_use(group);
        if (group->type != CONF_GROUP) {
            conf_error(e, group, "%s must be a group, { ... }", what);
            conf_use(group);
            group = NULL;
        } else {
            check_names(&f, group, rows, extra);
        }
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct mk_opt_decl *row = row_at(rows, i);
        const struct conf_node *n = group ? node_child(group, row->name, strlen(row->name)) : NULL;
        if (n)
            conf_use(n);
        else if (row->dflt)
            n = default_node(arena, row);
        if (n)
            types[row->type].put(&f, row, n, (char *)inst + row->offset);
        else if (row->flags & MK_OPT_REQUIRED)
            conf_error(e, group, "%s needs the option `%s`: %s", what, row->name, row->doc);
    }
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static bool same_text(const char *a, const char *b) {
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

static bool same_texts(const struct mk_texts *a, const struct mk_texts *b) {
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_value(uint32_t type, const void *a, const void *b) {
    const struct mk_jid *ja, *jb;
    switch (type) {
    case MK_T_TEXT:
    case MK_T_FILE:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case MK_T_JID:
        ja = *(const struct mk_jid *const *)a;
        jb = *(const struct mk_jid *const *)b;
        return !ja || !jb ? ja == jb : strcmp(ja->text, jb->text) == 0;
    case MK_T_TEXTS:
        return same_texts(a, b);
    default:
        return memcmp(a, b, conf_value_size(type)) == 0;
    }
}

bool conf_differs(const struct mk_table *rows, const void *a, const void *b, bool live) {
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct mk_opt_decl *row = row_at(rows, i);
        if (!!(row->flags & MK_OPT_LIVE) == live &&
            !same_value(row->type, (const char *)a + row->offset, (const char *)b + row->offset))
            return true;
    }
    return false;
}

void conf_copy_live(const struct mk_table *rows, void *to, const void *from) {
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct mk_opt_decl *row = row_at(rows, i);
        if (row->flags & MK_OPT_LIVE)
            memcpy((char *)to + row->offset, (const char *)from + row->offset, conf_value_size(row->type));
    }
}
