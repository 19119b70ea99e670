/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"
#include <dirent.h>
#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32 };
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*"

struct reading {
    struct arena *arena;
    struct conf_errors *e;
    const char *path; /* of the file being read; libconfig names only what is included */
};

static void read_members(struct reading *r, struct conf_node *to, const config_setting_t *from, unsigned depth);

/* libconfig names an included file as the directive does, or with the folder it looked in, as its version goes. */
static const char *full_path(struct arena *arena, const char *top, const char *file) {
    const char *slash = strrchr(top, '/');
    size_t folder = slash ? (size_t)(slash - top) + 1 : 0;
    if (*file == '/' || strncmp(file, top, folder) == 0)
        return arena_strdup(arena, file);
    return arena_printf(arena, "%.*s%s", (int)folder, top, file);
}

static struct conf_node *read_setting(struct reading *r, struct conf_node *parent, config_setting_t *s,
                                      unsigned depth) {
    const char *file = config_setting_source_file(s);
    file = file && strcmp(file, r->path) != 0 ? full_path(r->arena, r->path, file) : r->path;
    const char *name = config_setting_name(s);
    struct conf_node *n = node_new(r->arena, parent, name, CONF_GROUP, file, (int)config_setting_source_line(s));
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        n->type = CONF_INT;
        n->number = config_setting_get_int64(s);
        break;
    case CONFIG_TYPE_BOOL:
        n->type = CONF_BOOL;
        n->number = config_setting_get_bool(s);
        break;
    case CONFIG_TYPE_FLOAT:
        n->type = CONF_FLOAT;
        n->real = config_setting_get_float(s);
        break;
    case CONFIG_TYPE_STRING:
        n->type = CONF_TEXT;
        n->text = arena_strdup(r->arena, config_setting_get_string(s) ? config_setting_get_string(s) : "");
        if (!utf8_valid(n->text, strlen(n->text))) {
            conf_error(r->e, n, "the text of `%s` is not UTF-8", name ? name : "an item");
            n->text = "";
        }
        break;
    case CONFIG_TYPE_GROUP:
        read_members(r, n, s, depth + 1);
        break;
    default:
        n->type = CONF_LIST;
        read_members(r, n, s, depth + 1);
    }
    return n;
}

static void read_members(struct reading *r, struct conf_node *to, const config_setting_t *from, unsigned depth) {
    if (depth > MAX_DEPTH) {
        conf_error(r->e, to, "groups and lists are nested more than %d deep", MAX_DEPTH);
        return;
    }
    int count = config_setting_length(from);
    for (int i = 0; i < count; i++)
        read_setting(r, to, config_setting_get_elem(from, (unsigned)i), depth);
}

/* The members of FROM become TO's.  Groups merge; anything else may be set once. */
static void merge(struct conf_node *to, struct conf_node *from, struct conf_errors *e) {
    for (struct conf_node *n = from->first, *next; n; n = next) {
        next = n->next;
        struct conf_node *have = node_child(to, n->name, strlen(n->name));
        if (have && have->type == CONF_GROUP && n->type == CONF_GROUP) {
            merge(have, n, e);
        } else if (have) {
            conf_error(e, n, "`%s` is already set at %s:%d", n->name, have->file, have->line);
        } else {
            struct conf_node **end = &to->first;
            while (*end)
                end = &(*end)->next;
            *end = n;
            n->next = NULL;
            n->parent = to;
        }
    }
}

static char *folder_of(struct arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? arena_memdup(arena, path, (size_t)(slash - path) + (slash == path)) : arena_strdup(arena, ".");
}

static void load_file(struct arena *arena, struct conf_node *root, const char *path, struct conf_errors *e) {
    if (!source_check(path, e))
        return;
    config_t config;
    config_init(&config);
    config_set_include_dir(&config, folder_of(arena, path));
    if (config_read_file(&config, path)) {
        struct reading r = { .arena = arena, .e = e, .path = arena_strdup(arena, path) };
        struct conf_node *read = node_new(arena, NULL, NULL, CONF_GROUP, r.path, 0);
        read_members(&r, read, config_root_setting(&config), 0);
        merge(root, read, e);
    } else {
        const char *file = config_error_file(&config);
        struct conf_node where = { .file = full_path(arena, path, file ? file : path),
                                   .line = config_error_line(&config) };
        conf_error(e, &where, "%s", config_error_text(&config));
    }
    config_destroy(&config);
}

static int is_config(const struct dirent *d) {
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot && strcmp(dot, ".cfg") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_folder(struct arena *arena, struct conf_node *root, const char *path, struct conf_errors *e) {
    const char *folder = arena_printf(arena, "%s/plugins.d", folder_of(arena, path));
    struct dirent **found;
    int count = scandir(folder, &found, is_config, by_name);
    for (int i = 0; i < count; i++) {
        load_file(arena, root, arena_printf(arena, "%s/%s", folder, found[i]->d_name), e);
        free(found[i]);
    }
    if (count >= 0)
        free(found);
}

static bool is_plain_number(const char *text) {
    size_t sign = *text == '-' || *text == '+';
    return text[sign] && text[sign + strspn(text + sign, "0123456789")] == '\0';
}

struct conf_node *value_read(struct arena *arena, const char *value) {
    struct conf_node *n = NULL;
    if (is_plain_number(value)) {
        errno = 0;
        int64_t number = strtoll(value, NULL, 10);
        if (errno == ERANGE)
            return NULL;
        n = node_new(arena, NULL, NULL, CONF_INT, NULL, 0);
        n->number = number;
        return n;
    }
    char *source = arena_printf(arena, "v = %s;", value);
    struct conf_errors ignored = { 0 };
    config_t config;
    config_init(&config);
    if (source_check_text(source, &ignored) && config_read_string(&config, source) &&
        config_setting_length(config_root_setting(&config)) == 1) {
        struct reading r = { .arena = arena, .e = &ignored, .path = "" };
        n = read_setting(&r, NULL, config_setting_get_elem(config_root_setting(&config), 0), 0);
    }
    config_destroy(&config);
    buf_free(&ignored.lines);
    return ignored.count ? NULL : n;
}

static void place(struct conf_node *n, struct conf_node *parent, const char *name, const char *file) {
    n->name = name;
    n->parent = parent;
    n->file = file;
    n->line = 0;
    for (struct conf_node *m = n->first; m; m = m->next)
        place(m, n, m->name, file);
}

static void replace(struct conf_node *parent, struct conf_node *old, struct conf_node *n) {
    struct conf_node **at = &parent->first;
    while (*at && *at != old)
        at = &(*at)->next;
    n->next = old ? old->next : NULL;
    *at = n;
}

static void set_value(struct arena *arena, struct conf_node *group, const char *name, const char *file,
                      const char *value) {
    struct conf_node *n = value_read(arena, value);
    if (!n)
        n = node_new(arena, NULL, NULL, CONF_TEXT, NULL, 0);
    if (n->type != CONF_TEXT || !n->text)
        n->text = arena_strdup(arena, value);
    place(n, group, group->type == CONF_GROUP ? name : NULL, file);
    replace(group, node_child(group, name, strlen(name)), n);
}

static const char *set_at(struct arena *arena, struct conf_node *group, const char *path, const char *file,
                          const char *value) {
    for (;;) {
        size_t len = strcspn(path, ".");
        struct conf_node *have = node_child(group, path, len);
        if (len == 0 || (!have && group->type != CONF_GROUP))
            return "there is no such item";
        if (path[len] == '\0') {
            set_value(arena, group, path, file, value);
            return NULL;
        }
        if (have && have->type != CONF_GROUP && have->type != CONF_LIST)
            return "what stands before the last dot is no group";
        group = have ? have : node_new(arena, group, arena_memdup(arena, path, len), CONF_GROUP, file, 0);
        path += len + 1;
    }
}

static void apply_set(struct arena *arena, struct conf_node *root, const char *set, struct conf_errors *e) {
    const char *equals = strchr(set, '=');
    const char *path = arena_memdup(arena, set, equals ? (size_t)(equals - set) : strlen(set));
    struct conf_node where = { .file = arena_printf(arena, "--set %s", path) };
    const char *why = NULL;
    if (!equals || path[strspn(path, NAME_CHARACTERS ".")])
        why = "must be NAME=VALUE, with a NAME like storage.default";
    else if (!utf8_valid(equals, strlen(equals)))
        why = "the value is not UTF-8";
    else
        why = set_at(arena, root, path, where.file, equals + 1);
    if (why)
        conf_error(e, &where, "%s", why);
}

struct conf_node *conf_load(struct arena *arena, const char *path, const char *const *sets, size_t set_count,
                            struct conf_errors *e) {
    struct conf_node *root = node_new(arena, NULL, NULL, CONF_GROUP, arena_strdup(arena, path), 0);
    root->used = true;
    load_file(arena, root, path, e);
    load_folder(arena, root, path, e);
    for (size_t i = 0; i < set_count; i++)
        apply_set(arena, root, sets[i], e);
    return root;
}
