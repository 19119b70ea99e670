/* SPDX-License-Identifier: Apache-2.0 */
/* XInclude as XEP-0227 has it: whole files, named relative to the one that includes them, below the folder of the dump. */
#include "move/dump.h"
#include "util/mem.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INCLUDES_MAX = 8 };

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A URI's path as a file's name, in place; false if it is none. */
static bool decode(char *text) {
    char *to = text;
    for (const char *p = text; *p; p++, to++) {
        if (*p != '%') {
            *to = *p;
            continue;
        }
        int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to = (char)(high * 16 + low);
        p += 2;
    }
    *to = '\0';
    return true;
}

static bool is_relative(const char *href) {
    size_t scheme = strspn(href, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return *href && *href != '/' && !(scheme && href[scheme] == ':') && !strpbrk(href, "?#");
}

/* The real path of HREF, OWNED; NULL if it does not exist or lies outside, which is said. */
static char *resolve(const struct dump *d, const char *href) {
    struct buf path = { 0 };
    const char *name = source_name(d->source), *slash = strrchr(name, '/');
    char *decoded = xstrdup(href);
    if (!is_relative(href) || !decode(decoded)) {
        dump_fail(d, "\"%.200s\" is no relative path, which alone can be included", href);
        free(decoded);
        return NULL;
    }
    if (slash)
        buf_add(&path, name, (size_t)(slash - name) + 1);
    buf_puts(&path, decoded);
    char *found = realpath(path.data, NULL);
    size_t len = strlen(d->folder);
    if (!found) {
        dump_fail(d, "%s can't be included: %s", path.data, strerror(errno));
    } else if (strncmp(found, d->folder, len) != 0 || (len > 1 && found[len] != '/')) {
        dump_fail(d, "%s lies outside of %s: it is not included", path.data, d->folder);
        free(found);
        found = NULL;
    }
    free(decoded);
    buf_free(&path);
    return found;
}

static FILE *open_file(const struct dump *d, const char *path) {
    struct stat s;
    FILE *file = fopen(path, "re");
    if (file && fstat(fileno(file), &s) == 0 && S_ISREG(s.st_mode))
        return file;
    dump_fail(d, "%s can't be included: %s", path, file ? "it is no file" : strerror(errno));
    if (file)
        fclose(file);
    return NULL;
}

bool dump_include(struct dump *d, const struct include *i) {
    if (!i->href || i->parse || i->xpointer)
        return dump_fail(d, "an <include/> must have `href`, and neither `parse` nor `xpointer`") != DUMP_STOP;
    if (!d->folder)
        return dump_fail(d, "what comes from a pipe can't include files") != DUMP_STOP;
    if (source_depth(d->source) > INCLUDES_MAX)
        return dump_fail(d, "files include each other more than %d deep", INCLUDES_MAX) != DUMP_STOP;
    char *path = resolve(d, i->href);
    FILE *file = path ? open_file(d, path) : NULL;
    bool good = file && dump_read(d, file, path);
    if (file)
        fclose(file);
    free(path);
    return good;
}
