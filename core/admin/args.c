/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/command.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct mk_arg_decl host_decl = { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Domain to do it for." };

/* ---- checking ------------------------------------------------------------------------------------------------------ */

static struct arg *find(const struct mk_args *args, const char *name) {
    for (uint32_t i = 0; i < args->count; i++)
        if (strcmp(args->items[i].decl->name, name) == 0)
            return &args->items[i];
    return NULL;
}

static int unknown(const struct mk_args *args, struct arena *arena, const char *name, struct mk_result *result) {
    const char **names = arena_alloc(arena, (args->count + 1) * sizeof *names);
    for (uint32_t i = 0; i < args->count; i++)
        names[i] = args->items[i].decl->name;
    const char *near = nearest_name(name, names, args->count);
    if (near)
        return mk_result_error(result, MK_E_INVALID, "there is no argument %.64s; did you mean %s?", name, near);
    if (!args->count)
        return mk_result_error(result, MK_E_INVALID, "there is no argument %.64s: the command takes none", name);
    struct buf all = { 0 };
    for (uint32_t i = 0; i < args->count; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    int rc = mk_result_error(result, MK_E_INVALID, "there is no argument %.64s; the command takes: %s", name, all.data);
    buf_free(&all);
    return rc;
}

static bool read_bool(const char *text, int64_t *out) {
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2;
            return true;
        }
    }
    return false;
}

static bool read_int(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && (*text == '-' || (*text >= '0' && *text <= '9')) && end != text;
}

static int read_value(struct arg *a, struct arena *arena, struct mk_result *result) {
    const char *name = a->decl->name;
    switch (a->decl->type) {
    case MK_ARG_JID:
        if (jid_parse(arena, a->text, strlen(a->text), &a->jid) != 0)
            return mk_result_error(result, MK_E_INVALID,
                                   "%s must be an address such as alice@example.org, not \"%.80s\"", name, a->text);
        return 0;
    case MK_ARG_INT:
        if (!read_int(a->text, &a->number))
            return mk_result_error(result, MK_E_INVALID, "%s must be a whole number, not \"%.80s\"", name, a->text);
        return 0;
    case MK_ARG_BOOL:
        if (!read_bool(a->text, &a->number))
            return mk_result_error(result, MK_E_INVALID, "%s must be true or false, not \"%.80s\"", name, a->text);
        return 0;
    default:
        return 0;
    }
}

/* A list's items are kept as one text, an item a line. */
static int put(struct arg *a, struct arena *arena, const char *value, struct mk_result *result) {
    size_t len = strlen(value);
    bool list = a->decl->type == MK_ARG_TEXTS;
    size_t most = a->decl->flags & MK_ARG_LONG ? ARG_LONG_BYTES : ARG_MAX_BYTES;
    if (len > most || (list && a->text && strlen(a->text) + len > most))
        return mk_result_error(result, MK_E_INVALID, "%s is longer than %zu bytes", a->decl->name, most);
    if (!utf8_valid_xml(value, len))
        return mk_result_error(result, MK_E_INVALID, "%s must be UTF-8 without control characters", a->decl->name);
    if (list && strchr(value, '\n'))
        return mk_result_error(result, MK_E_INVALID, "an item of %s must be one line", a->decl->name);
    if (a->text && !list)
        return mk_result_error(result, MK_E_INVALID, "%s is given twice", a->decl->name);
    a->text = a->text ? arena_printf(arena, "%s\n%s", a->text, value) : arena_memdup(arena, value, len);
    return read_value(a, arena, result);
}

static void set_up(struct mk_args *args, struct arena *arena, const struct mk_table *decls, bool with_host) {
    args->items = arena_zalloc(arena, (decls->count + 1) * sizeof *args->items);
    args->count = decls->count;
    for (uint32_t i = 0; i < decls->count; i++)
        args->items[i].decl = arg_row(decls, i);
    if (with_host && !find(args, host_decl.name))
        args->items[args->count++].decl = &host_decl;
}

int args_check(struct mk_args *args, struct arena *arena, const struct mk_table *decls, bool with_host, uint32_t count,
               const char *const *names, const char *const *values, struct mk_result *result) {
    set_up(args, arena, decls, with_host);
    if (count > ARG_MAX_COUNT)
        return mk_result_error(result, MK_E_INVALID, "more than %d arguments", ARG_MAX_COUNT);
    for (uint32_t i = 0; i < count; i++) {
        struct arg *a = find(args, names[i]);
        int rc = a ? put(a, arena, values[i], result) : unknown(args, arena, names[i], result);
        if (rc)
            return rc;
    }
    for (uint32_t i = 0; i < args->count; i++) {
        const struct mk_arg_decl *d = args->items[i].decl;
        if (!args->items[i].text && !(d->flags & MK_ARG_OPTIONAL))
            return mk_result_error(result, MK_E_INVALID, "argument %s is missing: %s", d->name, d->doc ? d->doc : "");
    }
    return 0;
}

void args_wipe(struct mk_args *args) {
    for (uint32_t i = 0; i < args->count; i++)
        if (args->items[i].decl->type == MK_ARG_SECRET && args->items[i].text)
            explicit_bzero(args->items[i].text, strlen(args->items[i].text));
}

/* ---- SDK ----------------------------------------------------------------------------------------------------------- */

static const struct arg *get(const struct mk_args *args, const char *name) {
    static const struct arg absent;
    const struct arg *a = find(args, name);
    assert(a && "the command does not declare this argument");
    return a ? a : &absent;
}

const char *mk_arg_text(const struct mk_args *args, const char *name) {
    return get(args, name)->text;
}
const struct mk_jid *mk_arg_jid(const struct mk_args *args, const char *name) {
    return get(args, name)->jid;
}
int64_t mk_arg_int(const struct mk_args *args, const char *name) {
    return get(args, name)->number;
}
bool mk_arg_bool(const struct mk_args *args, const char *name) {
    return get(args, name)->number != 0;
}
bool mk_arg_has(const struct mk_args *args, const char *name) {
    return get(args, name)->text != NULL;
}
