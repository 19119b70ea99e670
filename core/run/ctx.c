/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and text of a turn. */
#include "run/turn.h"
#include "util/datetime.h"
#include "util/mem.h"
#include <stdlib.h>

void *mk_alloc(struct mk_ctx *c, size_t size) {
    return arena_zalloc(&c->arena, size);
}

char *mk_printf(struct mk_ctx *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(&c->arena, fmt, args);
    va_end(args);
    return text;
}

char *mk_text_of(struct mk_ctx *c, struct mk_view text) {
    return arena_memdup(&c->arena, text.s, text.len);
}

const char *mk_time_text(struct mk_ctx *c, int64_t time) {
    char *text = arena_alloc(&c->arena, DATETIME_SIZE);
    datetime_write(text, time);
    return text;
}

int mk_time_parse(const char *text, int64_t *time) {
    return datetime_read(text, time) ? MK_OK : MK_E_INVALID;
}

void *mk_malloc(size_t size) {
    return xcalloc(1, size);
}

void mk_free(void *memory) {
    free(memory);
}
