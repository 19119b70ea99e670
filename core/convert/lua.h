/* SPDX-License-Identifier: Apache-2.0 */
/* Data written as Lua, as Prosody stores it: tables, texts, numbers, booleans.  It is read, and nothing in it is run. */
#ifndef CONVERT_LUA_H
#define CONVERT_LUA_H

#include "util/arena.h"
#include <stdbool.h>
#include <stdio.h>

enum lua_type { LUA_NIL, LUA_BOOL, LUA_NUMBER, LUA_TEXT, LUA_TABLE };

/* KEY is NULL for entries without one, which are counted from 1 in Lua. */
struct lua_value;
struct lua_entry {
    struct lua_entry *next;
    const struct lua_value *key, *value;
};
struct lua_value {
    enum lua_type type;
    bool truth;
    double number;
    const char *text; /* of LUA_TEXT and LUA_NUMBER; a NUL in it ends it */
    struct lua_entry *first;
};

struct lua_file {
    FILE *file;
    const char *name;
    int line;
    bool failed; /* it was said why */
};

/* The next value behind WORD: "return" for a file of one, "item(" for a list.  NULL at the end, or if it failed. */
const struct lua_value *lua_next(struct lua_file *f, const char *word, struct arena *arena);

/* What the table has under a text; NULL if nothing, or if it is no table. */
const struct lua_value *lua_get(const struct lua_value *table, const char *key);
const char *lua_text(const struct lua_value *table, const char *key); /* NULL if it is neither text nor number */

#endif
