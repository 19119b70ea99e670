/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"
#include "util/mem.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAX_SOURCE = 4 << 20,
    MAX_INCLUDES = 10 /* libconfig's own limit */
};

struct source {
    const char *path, *top; /* of this file, and of the one that includes: libconfig looks in the latter's folder */
    const char *at;
    int line;
    unsigned depth; /* of includes */
    struct conf_errors *e;
    bool bad;
};

static bool check_file(const char *path, const char *top, unsigned depth, struct conf_errors *e);

__attribute__((format(printf, 2, 3))) static void wrong(struct source *s, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct conf_node where = { .file = s->path, .line = s->line };
    conf_error(s->e, &where, "%s", text);
    s->bad = true;
}

static void skip_to(struct source *s, const char *end) {
    const char *found = strstr(s->at, end);
    const char *stop = found ? found + strlen(end) : s->at + strlen(s->at);
    for (; s->at < stop; s->at++)
        s->line += *s->at == '\n';
}

static void skip_text(struct source *s) {
    int begun = s->line;
    for (s->at++; *s->at && *s->at != '"'; s->at++) {
        if (*s->at == '\\' && s->at[1])
            s->at++;
        s->line += *s->at == '\n';
    }
    if (*s->at == '"') {
        s->at++;
    } else {
        s->line = begun;
        wrong(s, "the text that begins here has no end");
    }
}

static void skip_word(struct source *s) {
    while (isalnum((unsigned char)*s->at) || strchr("-_*", *s->at ? *s->at : ' '))
        s->at++;
}

static void check_number(struct source *s) {
    const char *start = s->at;
    bool hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X');
    char *end;
    errno = 0;
    unsigned long long value = strtoull(start, &end, hex ? 16 : 10);
    s->at = end;
    if (!hex && strchr(".eE", *end ? *end : ' ')) {
        strtod(start, &end);
        s->at = end;
        return;
    }
    bool wide = *end == 'L';
    while (*s->at == 'L')
        s->at++;
    if (errno == ERANGE || value > LLONG_MAX)
        wrong(s, "%.*s is more than 64 bits can hold", (int)(s->at - start), start);
    else if (!wide && value > INT_MAX)
        wrong(s, "%.*s must be written with an L behind it, as all numbers above 2147483647", (int)(s->at - start),
              start);
}

static void check_include(struct source *s) {
    const char *name = s->at + strspn(s->at, " \t");
    if (*name != '"')
        return;
    const char *end = strpbrk(++name, "\"\n");
    if (!end || *end != '"')
        return;
    s->at = end + 1;

    struct buf path = { 0 };
    const char *slash = strrchr(s->top, '/');
    if (*name != '/' && slash)
        buf_add(&path, s->top, (size_t)(slash - s->top) + 1);
    buf_add(&path, name, (size_t)(end - name));
    struct stat st;
    if (stat(path.data, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            wrong(s, "@include \"%s\": this is no file", path.data);
        else if (s->depth < MAX_INCLUDES)
            s->bad |= !check_file(path.data, s->top, s->depth + 1, s->e);
    }
    buf_free(&path);
}

static void check_text(struct source *s) {
    while (*s->at) {
        unsigned char c = (unsigned char)*s->at;
        if (c == '#' || (c == '/' && s->at[1] == '/')) {
            skip_to(s, "\n");
        } else if (c == '/' && s->at[1] == '*') {
            skip_to(s, "*/");
        } else if (c == '"') {
            skip_text(s);
        } else if (isdigit(c)) {
            check_number(s);
        } else if (isalpha(c) || c == '*') {
            skip_word(s);
        } else if (strncmp(s->at, "@include", 8) == 0) {
            s->at += 8;
            check_include(s);
        } else {
            s->line += c == '\n';
            s->at++;
        }
    }
}

static bool check_file(const char *path, const char *top, unsigned depth, struct conf_errors *e) {
    struct source s = { .path = path, .top = top, .depth = depth, .e = e };
    struct stat st;
    FILE *f = fopen(path, "re");
    if (!f || fstat(fileno(f), &st) != 0) {
        wrong(&s, "can't be read: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        wrong(&s, "this is no file");
    } else if (st.st_size > MAX_SOURCE) {
        wrong(&s, "is larger than 4 MB");
    } else {
        char *text = xmalloc((size_t)st.st_size + 1);
        size_t len = fread(text, 1, (size_t)st.st_size, f);
        text[len] = '\0';
        s.line = 1;
        s.at = text;
        if (memchr(text, '\0', len))
            wrong(&s, "holds a NUL byte: this is no text");
        else
            check_text(&s);
        free(text);
    }
    if (f)
        fclose(f);
    return !s.bad;
}

bool source_check(const char *path, struct conf_errors *e) {
    return check_file(path, path, 0, e);
}

bool source_check_text(const char *text, struct conf_errors *e) {
    struct source s = { .path = "", .top = "", .at = text, .line = 1, .depth = MAX_INCLUDES, .e = e };
    check_text(&s);
    return !s.bad;
}
