/* SPDX-License-Identifier: Apache-2.0 */
/* Stanzas on streams whose default namespace is not that of clients: those of servers and components. */
#include "net/conn.h"
#include "stream/stream.h"
#include "xml/out.h"
#include "xml/wire.h"
#include <string.h>

/* Some elements say the namespace of clients' streams, where it is the default one: here that is another. */
static bool says_client(const struct mk_stanza *s) {
    const char *ns = xml_profile_ns(XML_CLIENT);
    return memmem(s->wire, s->wire_len, ns, strlen(ns)) != NULL;
}

static void write_tree(struct conn *c, const struct mk_stanza *s) {
    struct arena arena;
    arena_init(&arena);
    struct mk_out *o = out_fragment(NULL, &arena);
    out_tree(o, mk_root(s));
    struct mk_view bytes = out_bytes(o);
    conn_write(c, bytes.s, bytes.len);
    arena_free(&arena);
}

void foreign_write(struct conn *c, const struct mk_stanza *s, const struct mk_jid *to) {
    if (!to && says_client(s))
        write_tree(c, s);
    else if (to)
        conn_wrote(c, wire_write_to(conn_room(c, wire_room_to(s, to)), s, to));
    else
        conn_write(c, s->wire, s->wire_len);
}
