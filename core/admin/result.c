/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/command.h"
#include <inttypes.h>
#include <string.h>

void result_init(struct mk_result *r, struct arena *arena) {
    *r = (struct mk_result){ .arena = arena };
    r->last = &r->first;
    r->last_line = &r->lines;
}

static void add_field(struct mk_result *r, const char *name, enum mk_arg_type type, const char *value) {
    if (!r->row) {
        r->row = arena_zalloc(r->arena, sizeof *r->row);
        r->row->last = &r->row->first;
        *r->last = r->row;
        r->last = &r->row->next;
        r->count++;
    }
    struct result_field *f = arena_zalloc(r->arena, sizeof *f);
    *f = (struct result_field){ NULL, arena_strdup(r->arena, name), value, type };
    *r->row->last = f;
    r->row->last = &f->next;
}

void mk_result_text(struct mk_result *r, const char *name, const char *value) {
    add_field(r, name, MK_ARG_TEXT, arena_strdup(r->arena, value ? value : ""));
}

void mk_result_int(struct mk_result *r, const char *name, int64_t value) {
    add_field(r, name, MK_ARG_INT, arena_printf(r->arena, "%" PRId64, value));
}

void mk_result_bool(struct mk_result *r, const char *name, bool value) {
    add_field(r, name, MK_ARG_BOOL, value ? "true" : "false");
}

/* The row begins with its first field: one too many of these makes no empty row. */
void mk_result_next(struct mk_result *r) {
    r->row = NULL;
    r->list = true;
}

static void add_line(struct mk_result *r, const char *text) {
    struct result_line *l = arena_alloc(r->arena, sizeof *l);
    *l = (struct result_line){ NULL, text };
    *r->last_line = l;
    r->last_line = &l->next;
    r->joined = NULL;
}

void result_say_text(struct mk_result *r, const char *text) {
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = strchrnul(text, '\n');
        add_line(r, arena_memdup(r->arena, text, (size_t)(end - text)));
    }
}

void mk_result_say(struct mk_result *r, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    result_say_text(r, arena_vprintf(r->arena, fmt, args));
    va_end(args);
}

int mk_result_error(struct mk_result *r, int rc, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    r->why = arena_vprintf(r->arena, fmt, args);
    va_end(args);
    return rc;
}

unsigned mk_result_rows(const struct mk_result *r) {
    return r->count;
}

const char *mk_result_get(struct mk_ctx *c, const struct mk_result *r, unsigned row, const char *name) {
    const struct result_row *w = r->first;
    (void)c;
    for (; w && row; row--)
        w = w->next;
    for (const struct result_field *f = w ? w->first : NULL; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f->value;
    return NULL;
}

const char *mk_result_lines(const struct mk_result *r) {
    struct mk_result *m = (struct mk_result *)r; /* only what was asked for before is remembered in it */
    if (m->joined)
        return m->joined;
    size_t len = 0;
    for (const struct result_line *l = r->lines; l; l = l->next)
        len += strlen(l->text) + 1;
    char *to = arena_alloc(m->arena, len + 1);
    m->joined = to;
    for (const struct result_line *l = r->lines; l; l = l->next) {
        to = stpcpy(to, l->text);
        if (l->next)
            *to++ = '\n';
    }
    *to = '\0';
    return m->joined;
}

void mk_result_more(struct mk_result *r, const char *name, const char *value) {
    r->more_name = arena_strdup(r->arena, name);
    r->more_value = arena_strdup(r->arena, value);
}

const char *mk_result_more_name(const struct mk_result *r) {
    return r->more_name;
}

const char *mk_result_more_value(const struct mk_result *r) {
    return r->more_value;
}

const char *mk_result_why(const struct mk_result *r) {
    return r->why;
}

void result_copy(struct mk_result *to, const struct mk_result *from) {
    for (const struct result_row *row = from->first; row; row = row->next) {
        to->row = NULL;
        for (const struct result_field *f = row->first; f; f = f->next)
            add_field(to, f->name, f->type, arena_strdup(to->arena, f->value));
    }
    to->list |= from->list;
    if (from->more_name)
        mk_result_more(to, from->more_name, from->more_value);
    for (const struct result_line *l = from->lines; l; l = l->next)
        add_line(to, arena_strdup(to->arena, l->text));
    if (from->why)
        to->why = arena_strdup(to->arena, from->why);
}
