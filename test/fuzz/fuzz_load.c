/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server sends to meerkat-load, cut into stanzas: in pieces it must be cut as it is in one, and what is read of a
 * stanza must fit where it is put.  The first byte is the size of the pieces and of the room for what is read.
 */
#include "framer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool found, const char *out, size_t size) {
    if (found && memchr(out, '\0', size) == NULL)
        abort();
}

static void read_parts(const char *stanza, size_t size) {
    static const char *const names[] = { "id", "from", "h", "xmlns", "type" };
    static const char *const elements[] = { "jid", "challenge", "success", "first", "body" };
    char *out = malloc(size); /* of just that size, so that a byte more is seen */
    check(xml_name(stanza, out, size), out, size);
    for (unsigned i = 0; i < 5; i++) {
        check(xml_attr(stanza, names[i], out, size), out, size);
        check(xml_text(stanza, elements[i], out, size), out, size);
    }
    free(out);
}

static void read_stanza(const char *data, size_t len, size_t room) {
    char *copy = malloc(len + 1);
    memcpy(copy, data, len);
    copy[len] = '\0';
    read_parts(copy, room);
    free(copy);
}

/* As bytes come: what is known so far grows by PIECE. */
static enum frame scan(struct framer *f, const char *text, size_t size, size_t piece, size_t *at) {
    for (;;) {
        size_t known = size - *at < piece ? size : *at + piece, before = *at;
        enum frame got = framer_scan(f, text, known, at);
        if (*at > known || (got == FRAME_MORE && *at != known) || (got != FRAME_MORE && *at == before))
            abort();
        if (got != FRAME_MORE || known == size)
            return got;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct framer whole = { 0 }, pieces = { 0 };
    size_t at = 0, cut = 0, begin = 0;
    if (size < 1)
        return 0;
    size_t step = (size_t)(data[0] & 63) + 1;
    const char *text = (const char *)data + 1;
    size--;
    for (enum frame got = FRAME_HEADER; got != FRAME_MORE && got != FRAME_BAD && got != FRAME_END; begin = at) {
        got = scan(&whole, text, size, size + 1, &at);
        if (scan(&pieces, text, size, step, &cut) != got || cut != at || pieces.depth != whole.depth)
            abort();
        if (got == FRAME_STANZA)
            read_stanza(text + begin, at - begin, step);
    }
    return 0;
}
