/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"
#include <stdlib.h>
#include <string.h>

struct conf_node *node_new(struct arena *arena, struct conf_node *parent, const char *name, enum conf_type type,
                           const char *file, int line) {
    struct conf_node *n = arena_zalloc(arena, sizeof *n);
    n->name = name ? arena_strdup(arena, name) : NULL;
    n->file = file;
    n->line = line;
    n->type = type;
    n->arena = arena;
    n->parent = parent;
    if (parent) {
        struct conf_node **end = &parent->first;
        while (*end)
            end = &(*end)->next;
        *end = n;
    }
    return n;
}

struct conf_node *node_child(const struct conf_node *group, const char *name, size_t len) {
    if (group->type == CONF_LIST && len > 0 && strspn(name, "0123456789") >= len) {
        unsigned long at = strtoul(name, NULL, 10);
        struct conf_node *n = group->first;
        while (n && at-- > 0)
            n = n->next;
        return n;
    }
    for (struct conf_node *n = group->first; n; n = n->next)
        if (n->name && strncmp(n->name, name, len) == 0 && n->name[len] == '\0')
            return n;
    return NULL;
}

void node_use(const struct conf_node *node) {
    for (; node; node = node->origin)
        ((struct conf_node *)node)->used = true;
}

void conf_use(const struct conf_node *node) {
    node_use(node);
    for (const struct conf_node *n = node->first; n; n = n->next)
        conf_use(n);
}

static void remember_asked(const struct conf_node *group, const char *name, size_t len) {
    if (!group->arena || group->type != CONF_GROUP)
        return;
    for (const struct conf_asked *a = group->asked; a; a = a->next)
        if (strncmp(a->name, name, len) == 0 && a->name[len] == '\0')
            return;
    struct conf_asked *a = arena_alloc(group->arena, sizeof *a);
    a->name = arena_memdup(group->arena, name, len);
    a->next = group->asked;
    ((struct conf_node *)group)->asked = a;
}

struct conf_node *conf_find(const struct conf_node *group, const char *path) {
    struct conf_node *n = (struct conf_node *)group;
    while (n && *path) {
        size_t len = strcspn(path, ".");
        remember_asked(n, path, len);
        n = node_child(n, path, len);
        if (n)
            node_use(n);
        path += len + (path[len] == '.');
    }
    return n;
}

static void overlay_member(struct arena *arena, struct conf_node *out, const struct conf_node *origin) {
    struct conf_node *n = node_child(out, origin->name, strlen(origin->name));
    if (!n)
        n = node_new(arena, out, origin->name, origin->type, NULL, 0);
    struct conf_node *next = n->next, *parent = n->parent;
    /* What it hides was written in vain, which is what overriding means: it is no unused setting. */
    if (n->origin)
        conf_use(n->origin);
    *n = *origin;
    n->next = next;
    n->parent = parent;
    n->origin = origin;
}

struct conf_node *conf_overlay(struct arena *arena, const struct conf_node *base, const struct conf_node *over) {
    const struct conf_node *main = over ? over : base;
    if (!main)
        return NULL;
    struct conf_node *out = node_new(arena, NULL, main->name, CONF_GROUP, main->file, main->line);
    out->parent = main->parent;
    out->origin = main;
    for (const struct conf_node *n = base ? base->first : NULL; n; n = n->next)
        if (n->name)
            overlay_member(arena, out, n);
    for (const struct conf_node *n = over ? over->first : NULL; n; n = n->next)
        if (n->name)
            overlay_member(arena, out, n);
    if (base)
        node_use(base);
    return out;
}

static void report_unused(const struct conf_node *n, struct conf_errors *e) {
    const char *names[128];
    size_t count = 0;
    for (const struct conf_asked *a = n->parent ? n->parent->asked : NULL; a && count < 128; a = a->next)
        names[count++] = a->name;
    const char *near = nearest_name(n->name ? n->name : "", names, count);
    const char *in = n->parent && n->parent->name ? n->parent->name : NULL;
    conf_error(e, n, "unknown setting `%s`%s%s%s%s%s%s", n->name ? n->name : "(item of a list)", in ? " in `" : "",
               in ? in : "", in ? "`" : "", near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

void conf_check_unused(const struct conf_node *root, struct conf_errors *e) {
    for (const struct conf_node *n = root->first; n; n = n->next) {
        bool plain_item = !n->name && n->type != CONF_GROUP && n->type != CONF_LIST;
        if (n->used)
            conf_check_unused(n, e);
        else if (!plain_item)
            report_unused(n, e);
    }
}
