/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as a tree: meerkat.cfg, then every plugins.d/NAME.cfg beside it, then --set KEY=VALUE, merged by
 * name.  Every node knows where it was written.  Rows of options turn groups into bytes; what no row claims is an
 * error with the nearest right name.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "util/arena.h"
#include "util/text.h"
#include <meerkat/option.h>

enum conf_type { CONF_GROUP, CONF_LIST, CONF_TEXT, CONF_INT, CONF_FLOAT, CONF_BOOL };
struct conf_node {
    const char *name; /* NULL in lists */
    const char *file;
    int line; /* 0 for --set */
    enum conf_type type;
    int64_t number; /* CONF_INT, CONF_BOOL */
    double real;
    const char *text; /* CONF_TEXT; for --set values, as written */
    struct conf_node *first, *next, *parent;
    const struct conf_node *origin; /* in an overlay: the node this one stands for */
    struct conf_asked *asked;       /* names looked for in this group, to suggest one for a misspelt name */
    struct arena *arena;            /* the tree's */
    bool used;                      /* claimed by a row or by the server */
};

/* All that is wrong, a line each: "FILE:LINE: what is wrong; did you mean X?"  A line said before is not said again. */
struct conf_errors {
    struct buf lines;
    unsigned count;
};
void conf_error(struct conf_errors *e, const struct conf_node *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads the files.  SETS are "a.b.c=value", applied last; a value is read as libconfig would, or as plain text.  The
 * tree lives in ARENA; it is whole even if E got errors. */
struct conf_node *conf_load(struct arena *arena, const char *path, const char *const *sets, size_t set_count,
                            struct conf_errors *e);

/* "storage.default", "hosts.0.name"; marks it used; NULL if there is none, or if GROUP is NULL. */
struct conf_node *conf_find(const struct conf_node *group, const char *path);

/* A group with the members of BASE and OVER (both may be NULL), OVER's where both have one.  Using a member uses what
 * it stands for.  NULL if both are. */
struct conf_node *conf_overlay(struct arena *arena, const struct conf_node *base, const struct conf_node *over);

/*
 * Fills INST (already zeroed) from GROUP (NULL: defaults only) by ROWS of struct mk_opt_decl, and marks what it used.
 * WHAT names the group in messages: "plugin roster".  Unknown names inside GROUP are errors, except those in EXTRA
 * (ended by NULL, may be NULL).  Values live in ARENA and need neither the tree nor the rows.  A relative MK_T_FILE is
 * taken from the folder of the file that names it.
 */
void conf_fill(struct arena *arena, const char *what, const struct conf_node *group, const struct mk_table *rows,
               const char *const *extra, void *inst, struct conf_errors *e);

/* Whether two instances differ in an option of these flags: only LIVE ones, or only the others. */
bool conf_differs(const struct mk_table *rows, const void *a, const void *b, bool live);
/* Copies the options marked live. */
void conf_copy_live(const struct mk_table *rows, void *to, const void *from);

/* Marks a node and all below it used: it has been found wrong as a whole. */
void conf_use(const struct conf_node *node);

/* Every node that nobody used is an error. */
void conf_check_unused(const struct conf_node *root, struct conf_errors *e);

/* Bytes of the field that an option of this mk_opt_type fills; 0 for a type that this server does not know. */
size_t conf_value_size(uint32_t type);

/* Markdown of a table of rows: name, type, default, range, live, prose. */
void conf_manual(struct buf *out, const struct mk_table *rows);

#endif
