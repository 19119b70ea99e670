/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of conf/ share. */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/conf.h"

struct conf_asked {
    struct conf_asked *next;
    const char *name;
};

struct conf_node *node_new(struct arena *arena, struct conf_node *parent, const char *name, enum conf_type type,
                           const char *file, int line); /* appended to PARENT, which may be NULL */
struct conf_node *node_child(const struct conf_node *group, const char *name, size_t len); /* marks nothing; NULL */
void node_use(const struct conf_node *node);                                               /* and what it stands for */

/*
 * Looks at the source of PATH and of what it includes for what libconfig gets wrong: it cuts numbers of more than 32
 * bits without saying so, ends the process if it is to read a folder, and finds a text without end only at the end of
 * the file.  False: E says why, don't parse.
 */
bool source_check(const char *path, struct conf_errors *e);
bool source_check_text(const char *text, struct conf_errors *e);

/* Reads VALUE as libconfig would into a node that has no parent; NULL if it is not one value. */
struct conf_node *value_read(struct arena *arena, const char *value);

/* Durations in ms and sizes in bytes from their texts, "30s", "64K", "infinite".  False if TEXT is none. */
bool duration_read(const char *text, int64_t *out);
bool size_read(const char *text, int64_t *out);
/* The other way round, as short as it goes; for numbers without unit, "infinite" included, as enum mk_opt_type says. */
void amount_write(struct buf *out, uint32_t type, int64_t amount);

#endif
