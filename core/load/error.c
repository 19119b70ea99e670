/* SPDX-License-Identifier: Apache-2.0 */
#include "load/load.h"
#include "util/mem.h"
#include <stdio.h>
#include <stdlib.h>

const char *mk_strerror(int rc) {
    static const char *const texts[] = {
        "success", "not found",     "conflict",    "busy: a queue is full", "the server stops",
        "timeout", "not supported", "invalid",     "backend failure",       "over a limit",
        "denied",  "malformed JID", "unavailable",
    };
    return rc <= 0 && rc > -(int)(sizeof texts / sizeof texts[0]) ? texts[-rc] : "unknown error";
}

int mk_fail(struct mk_err *err, enum mk_rc rc, const char *fmt, ...) {
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    err->rc = rc;
    err->text.len = 0;
    buf_puts(&err->text, text);
    free(text);
    return rc;
}

void load_err_free(struct mk_err *err) {
    buf_free(&err->text);
}
