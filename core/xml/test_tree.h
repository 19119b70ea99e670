/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: whether two ways to read an element come to the same. */
#ifndef XML_TEST_TREE_H
#define XML_TEST_TREE_H

#include "xml/plain.h"
#include "xml/wire.h"
#include <string.h>

static inline bool tree_same_attr(const struct xml_attr *a, const struct xml_attr *b) {
    return strcmp(a->name, b->name) == 0 && strcmp(a->ns, b->ns) == 0 && strcmp(a->value, b->value) == 0;
}

/* Of one element or text, where it stands in the sources A_WIRE and B_WIRE included. */
static inline bool tree_same_node(const struct mk_elem *a, const struct mk_elem *b, const char *a_wire,
                                  const char *b_wire) {
    if (!a->name || !b->name)
        return !a->name && !b->name && a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    if (strcmp(a->name, b->name) != 0 || strcmp(a->ns, b->ns) != 0 || a->attr_count != b->attr_count ||
        a->scope != b->scope || a->raw - a_wire != b->raw - b_wire || a->raw_len != b->raw_len || a->inner != b->inner)
        return false;
    for (unsigned i = 0; i < a->attr_count; i++)
        if (!tree_same_attr(&a->attrs[i], &b->attrs[i]))
            return false;
    return true;
}

static inline bool tree_same(const struct mk_elem *a, const struct mk_elem *b, const char *a_wire, const char *b_wire) {
    if (!tree_same_node(a, b, a_wire, b_wire))
        return false;
    const struct mk_elem *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next)
        if (x->parent != a || y->parent != b || !tree_same(x, y, a_wire, b_wire))
            return false;
    return !x && !y;
}

enum tree_verdict { TREE_SAME, TREE_NOT_PLAIN, TREE_DIFFERS };

/* Reads the element by plain.c and by libxml2.  What is not plain is no difference. */
static inline enum tree_verdict tree_compare(enum xml_profile profile, const char *data, size_t len) {
    struct mk_stanza *plain = stanza_new(), *full = stanza_new();
    struct root_facts of_plain = { 0 }, of_full = { 0 };
    const char *plain_src = arena_memdup(&plain->arena, data, len), *full_src = arena_memdup(&full->arena, data, len);
    enum tree_verdict verdict = TREE_NOT_PLAIN;
    if (plain_parse(plain, profile, plain_src, len, &of_plain)) {
        struct context *x = context_new(profile, NULL);
        bool same = context_parse(x, full, full_src, len, &of_full) && of_plain.is_content == of_full.is_content &&
                    of_plain.has_prefix == of_full.has_prefix &&
                    tree_same(plain->root, full->root, plain_src, full_src);
        verdict = same ? TREE_SAME : TREE_DIFFERS;
        context_free(x);
    }
    mk_release(plain);
    mk_release(full);
    return verdict;
}

#endif
