/* SPDX-License-Identifier: Apache-2.0 */
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing here may allocate. */
void out_of_memory(void) {
    static const char line[] = "meerkat: out of memory\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    abort();
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *old, size_t size) {
    void *p = realloc(old, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xmemdup(const void *data, size_t size) {
    char *p = xmalloc(size + 1);
    if (size)
        memcpy(p, data, size);
    p[size] = '\0';
    return p;
}

char *xstrdup(const char *text) {
    return xmemdup(text, strlen(text));
}
