/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"
#include <stddef.h>

/* xorshift32 */
static uint32_t next_random(struct tree *t) {
    uint32_t x = t->seed ? t->seed : 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return t->seed = x;
}

/* The pointer that leads to NODE. */
static struct tree_node **link_to(struct tree *t, struct tree_node *node) {
    if (!node->parent)
        return &t->root;
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/* NODE changes places with its parent. */
static void rotate_up(struct tree *t, struct tree_node *node) {
    struct tree_node *parent = node->parent, *middle;
    *link_to(t, parent) = node;
    node->parent = parent->parent;
    if (parent->left == node) {
        middle = node->right;
        parent->left = middle;
        node->right = parent;
    } else {
        middle = node->left;
        parent->right = middle;
        node->left = parent;
    }
    parent->parent = node;
    if (middle)
        middle->parent = parent;
}

void tree_add(struct tree *t, struct tree_node *node, const void *key, tree_compare_fn *compare) {
    struct tree_node **at = &t->root, *parent = NULL;
    while (*at) {
        parent = *at;
        at = compare(key, parent) < 0 ? &parent->left : &parent->right;
    }
    *node = (struct tree_node){ .parent = parent, .priority = next_random(t) };
    *at = node;
    while (node->parent && node->parent->priority < node->priority)
        rotate_up(t, node);
}

static struct tree_node *upper_child(const struct tree_node *node) {
    if (!node->left || !node->right)
        return node->left ? node->left : node->right;
    return node->left->priority > node->right->priority ? node->left : node->right;
}

void tree_remove(struct tree *t, struct tree_node *node) {
    struct tree_node *child;
    while ((child = upper_child(node)) != NULL)
        rotate_up(t, child);
    *link_to(t, node) = NULL;
}

struct tree_node *tree_first(const struct tree *t, const void *key, tree_compare_fn *compare) {
    struct tree_node *node = t->root, *best = NULL;
    while (node)
        if (compare(key, node) <= 0) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    return best;
}

struct tree_node *tree_last(const struct tree *t, const void *key, tree_compare_fn *compare) {
    struct tree_node *node = t->root, *best = NULL;
    while (node)
        if (compare(key, node) >= 0) {
            best = node;
            node = node->right;
        } else {
            node = node->left;
        }
    return best;
}

struct tree_node *tree_next(const struct tree_node *node) {
    if (node->right) {
        for (node = node->right; node->left;)
            node = node->left;
        return (struct tree_node *)node;
    }
    while (node->parent && node->parent->right == node)
        node = node->parent;
    return node->parent;
}

struct tree_node *tree_prev(const struct tree_node *node) {
    if (node->left) {
        for (node = node->left; node->right;)
            node = node->right;
        return (struct tree_node *)node;
    }
    while (node->parent && node->parent->left == node)
        node = node->parent;
    return node->parent;
}
