/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"
#include <stdio.h>
#include <string.h>

/* A value that is quoted in a message may hold anything; a message is one line. */
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static bool was_said(const struct conf_errors *e, const struct buf *line) {
    const char *at = e->lines.data;
    while (at && *at) {
        const char *end = strchr(at, '\n');
        if ((size_t)(end - at) == line->len && memcmp(at, line->data, line->len) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

void conf_error(struct conf_errors *e, const struct conf_node *where, const char *fmt, ...) {
    struct buf line = { 0 };
    if (where && where->line)
        buf_printf(&line, "%s:%d: ", where->file, where->line);
    else if (where && where->file)
        buf_printf(&line, "%s: ", where->file);

    va_list args;
    va_start(args, fmt);
    char text[1024];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_puts(&line, text);

    make_printable(line.data);
    if (!was_said(e, &line)) {
        buf_add(&e->lines, line.data, line.len);
        buf_puts(&e->lines, "\n");
        e->count++;
    }
    buf_free(&line);
}
