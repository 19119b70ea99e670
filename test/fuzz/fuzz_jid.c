/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JID: what is taken must be taken again as the same, as a whole, in parts, and as stored text. */
#include "util/jid.h"
#include "util/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const char *what, int rc, const struct mk_jid *a, const struct mk_jid *b) {
    if (rc == 0 && mk_jid_same(a, b) && a->hash == b->hash && a->local_len == b->local_len &&
        a->domain_len == b->domain_len && a->resource_len == b->resource_len)
        return;
    fprintf(stderr, "fuzz_jid: %s: '%s' is '%s'\n", what, a->text, rc == 0 ? b->text : "(refused)");
    abort();
}

static void check(struct arena *arena, const struct mk_jid *a) {
    const struct mk_jid *b = NULL;
    struct mk_view local = mk_jid_local(a), domain = mk_jid_domain(a), resource = mk_jid_resource(a);
    if (strlen(a->text) != a->text_len || !utf8_valid(a->text, a->text_len) || !domain.len || local.len > 1023 ||
        domain.len > 1023 || resource.len > 1023)
        abort();
    int rc = jid_parse(arena, a->text, a->text_len, &b);
    same("parsed", rc, a, b);
    rc = jid_make(arena, local, domain, resource, &b);
    same("made", rc, a, b);
    rc = jid_read(arena, a->text, a->text_len, &b);
    same("read", rc, a, b);
    b = jid_bare(arena, a);
    const struct mk_jid *bare = b;
    rc = jid_parse(arena, bare->text, bare->text_len, &b);
    same("bare", rc, bare, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    const struct mk_jid *jid;
    arena_init(&arena);
    if (jid_parse(&arena, (const char *)data, size, &jid) == 0)
        check(&arena, jid);
    if (jid_make(&arena, (struct mk_view){ NULL, 0 }, (struct mk_view){ (const char *)data, size },
                 (struct mk_view){ NULL, 0 }, &jid) == 0)
        check(&arena, jid);
    arena_free(&arena);
    return 0;
}
