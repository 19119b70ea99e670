/* SPDX-License-Identifier: Apache-2.0 */
/* A treap: an ordered tree whose nodes lie in what they order.  The caller compares. */
#ifndef MEMORY_TREE_H
#define MEMORY_TREE_H

#include <stdint.h>

struct tree_node {
    struct tree_node *parent, *left, *right;
    uint32_t priority; /* random: parents have the higher one, which keeps the depth logarithmic */
};
struct tree {
    struct tree_node *root;
    uint32_t seed;
};
/* Below, equal to or above 0: KEY is before, at, or behind NODE. */
typedef int tree_compare_fn(const void *key, const struct tree_node *node);

/* KEY is NODE's; there must be none that is equal. */
void tree_add(struct tree *t, struct tree_node *node, const void *key, tree_compare_fn *compare);
void tree_remove(struct tree *t, struct tree_node *node);

/* The first node that is not before KEY, the last that is not behind it; NULL if there is none. */
struct tree_node *tree_first(const struct tree *t, const void *key, tree_compare_fn *compare);
struct tree_node *tree_last(const struct tree *t, const void *key, tree_compare_fn *compare);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_prev(const struct tree_node *node);

#endif
