/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lua.h"
#include "util/text.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 100, TEXT_MAX = 16 << 20 };

static const struct lua_value *fail(struct lua_file *f, const char *what) {
    if (!f->failed)
        fprintf(stderr, "%s:%d: %s\n", f->name, f->line, what);
    f->failed = true;
    return NULL;
}

static int get(struct lua_file *f) {
    int c = getc(f->file);
    f->line += c == '\n';
    return c;
}

static void unget(struct lua_file *f, int c) {
    f->line -= c == '\n';
    if (c != EOF)
        ungetc(c, f->file);
}

/* White space and comments to the end of a line. */
static int get_solid(struct lua_file *f) {
    int c = get(f);
    while (c != EOF && (isspace(c) || c == '-')) {
        if (c == '-') {
            int second = get(f);
            if (second != '-') {
                unget(f, second);
                return c;
            }
            while (c != EOF && c != '\n')
                c = get(f);
        }
        c = get(f);
    }
    return c;
}

/* ---- texts ----------------------------------------------------------------------------------------------------------- */

static int hex_digit(int c) {
    return c >= '0' && c <= '9' ? c - '0' : isxdigit(c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* The character behind a backslash; -1 if it is none. */
static int read_escape(struct lua_file *f) {
    static const char from[] = "abfnrtv\\\"'\n", to[] = "\a\b\f\n\r\t\v\\\"'\n";
    int c = get(f);
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (known)
        return (unsigned char)to[known - from];
    if (c == 'x') {
        int high = hex_digit(get(f)), low = hex_digit(get(f));
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
    int number = -1;
    for (int i = 0; i < 3 && c >= '0' && c <= '9'; i++) {
        number = (number < 0 ? 0 : number * 10) + c - '0';
        c = get(f);
    }
    unget(f, c);
    return number > 255 ? -1 : number;
}

static const struct lua_value *read_text(struct lua_file *f, int quote, struct arena *arena) {
    struct buf text = { 0 };
    struct lua_value *v = arena_zalloc(arena, sizeof *v);
    int c;
    buf_add(&text, "", 0);
    while ((c = get(f)) != quote && c != EOF && c != '\n' && text.len < TEXT_MAX) {
        if (c == '\\')
            c = read_escape(f);
        if (c < 0)
            break;
        char byte = (char)c;
        buf_add(&text, &byte, 1);
    }
    v->type = LUA_TEXT;
    v->text = text.data ? arena_memdup(arena, text.data, text.len) : "";
    buf_free(&text);
    return c == quote ? v : fail(f, "a text has no end, or something in it that no text may have");
}

/* ---- words and numbers ------------------------------------------------------------------------------------------------- */

static void read_word(struct lua_file *f, int c, char *word, size_t size) {
    size_t n = 0;
    for (; c != EOF && (isalnum(c) || strchr("_.+-", c)) && n + 1 < size; c = get(f))
        word[n++] = (char)c;
    word[n] = '\0';
    unget(f, c);
}

static const struct lua_value *read_plain(struct lua_file *f, int c, struct arena *arena) {
    struct lua_value *v = arena_zalloc(arena, sizeof *v);
    char word[64], *end;
    read_word(f, c, word, sizeof word);
    v->text = arena_strdup(arena, word);
    v->number = strtod(word, &end);
    if (strcmp(word, "nil") == 0)
        v->type = LUA_NIL;
    else if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
        v->type = LUA_BOOL;
    else if (*word && !*end)
        v->type = LUA_NUMBER;
    else
        return fail(f, "there is neither a text, a number, a table, true, false nor nil: this is no data");
    v->truth = *word == 't';
    return v;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------ */

static const struct lua_value *read_value(struct lua_file *f, int c, int depth, struct arena *arena);

/* [KEY] = VALUE, or VALUE; C is its first character. */
static struct lua_entry *read_entry(struct lua_file *f, int c, int depth, struct arena *arena) {
    struct lua_entry *e = arena_zalloc(arena, sizeof *e);
    if (c == '[') {
        e->key = read_value(f, get_solid(f), depth, arena);
        if (e->key && (get_solid(f) != ']' || get_solid(f) != '='))
            e->key = fail(f, "an entry of a table has no value");
        c = e->key ? get_solid(f) : EOF;
    }
    e->value = f->failed ? NULL : read_value(f, c, depth, arena);
    return e->value ? e : NULL;
}

static const struct lua_value *read_table(struct lua_file *f, int depth, struct arena *arena) {
    struct lua_value *v = arena_zalloc(arena, sizeof *v);
    struct lua_entry **last = &v->first;
    int c;
    v->type = LUA_TABLE;
    while ((c = get_solid(f)) != '}') {
        struct lua_entry *e = read_entry(f, c, depth + 1, arena);
        if (!e)
            return NULL;
        *last = e;
        last = &e->next;
        c = get_solid(f);
        if (c == '}')
            break;
        if (c != ';' && c != ',')
            return fail(f, "a table has no end");
    }
    return v;
}

static const struct lua_value *read_value(struct lua_file *f, int c, int depth, struct arena *arena) {
    if (depth > DEPTH_MAX)
        return fail(f, "tables are nested too deep");
    if (c == '"' || c == '\'')
        return read_text(f, c, arena);
    return c == '{' ? read_table(f, depth, arena) : read_plain(f, c, arena);
}

const struct lua_value *lua_next(struct lua_file *f, const char *word, struct arena *arena) {
    int c = get_solid(f);
    while (c == ';' || c == ')')
        c = get_solid(f);
    if (c == EOF)
        return NULL;
    for (; *word; word++, c = get(f))
        if (c != *word)
            return fail(f, "this is no data of Prosody");
    unget(f, c);
    const struct lua_value *v = read_value(f, get_solid(f), 0, arena);
    return v && v->type != LUA_TABLE ? fail(f, "there is no table") : v;
}

const struct lua_value *lua_get(const struct lua_value *table, const char *key) {
    for (const struct lua_entry *e = table && table->type == LUA_TABLE ? table->first : NULL; e; e = e->next)
        if (e->key && e->key->type == LUA_TEXT && strcmp(e->key->text, key) == 0)
            return e->value;
    return NULL;
}

const char *lua_text(const struct lua_value *table, const char *key) {
    const struct lua_value *v = lua_get(table, key);
    return v && (v->type == LUA_TEXT || v->type == LUA_NUMBER) ? v->text : NULL;
}
