/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

/* A power of two. */
enum { SMALL = 4 };

static void resize(struct queue *q, uint32_t cap) {
    struct unacked *ring = mk_malloc(cap * sizeof *ring);
    for (uint32_t i = 0; i < q->count; i++)
        ring[i] = *queue_at(q, i);
    mk_free(q->ring);
    q->ring = ring;
    q->first = 0;
    q->cap = cap;
}

struct unacked *queue_push(struct queue *q) {
    if (q->count == q->cap)
        resize(q, q->cap ? q->cap * 2 : SMALL);
    struct unacked *u = queue_at(q, q->count++);
    *u = (struct unacked){ .stanza = NULL };
    return u;
}

void queue_pop(struct queue *q) {
    q->first = (q->first + 1) & (q->cap - 1);
    q->count--;
    q->acked++;
    if (!q->count)
        queue_free(q);
}

void queue_free(struct queue *q) {
    mk_free(q->ring);
    q->ring = NULL;
    q->first = q->count = q->cap = 0;
}

bool queue_covers(const struct queue *q, uint32_t sent, uint32_t h, uint32_t *count) {
    uint32_t ahead = h - q->acked;
    *count = ahead > UINT32_MAX / 2 ? 0 : ahead; /* behind what it acknowledged before: nothing new */
    return *count <= sent;
}

bool read_uint32(const char *text, uint32_t *out) {
    uint64_t value = 0;
    if (!text || !*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}
