/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list with a head.  A node that is in no list has next == NULL. */
#ifndef UTIL_LIST_H
#define UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head) {
    head->next = head->prev = head;
}
static inline bool list_empty(const struct list *head) {
    return head->next == head;
}
static inline bool list_linked(const struct list *node) {
    return node->next != NULL;
}
static inline void list_append(struct list *head, struct list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void list_prepend(struct list *head, struct list *node) {
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
static inline struct list *list_pop(struct list *head) { /* NULL if empty */
    struct list *first = head->next;
    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

#endif
