/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "queue.h"

static void push_n(struct queue *q, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct unacked *u = queue_push(q);
        u->sent_ms = q->acked + q->count;
    }
}

static void keeps_order_while_it_grows(void) {
    struct queue q = { .ring = NULL };
    push_n(&q, 3);
    queue_pop(&q);
    queue_pop(&q);
    push_n(&q, 100);
    CHECK_INT(q.count, 101);
    for (uint32_t i = 0; i < q.count; i++)
        CHECK_INT(queue_at(&q, i)->sent_ms, q.acked + 1 + i);
    queue_free(&q);
}

static void gives_memory_back(void) {
    struct queue q = { .ring = NULL };
    push_n(&q, 100);
    while (q.count)
        queue_pop(&q);
    CHECK(q.ring == NULL);
    CHECK_INT(q.acked, 100);
    CHECK_INT((uint32_t)(q.acked + q.count), 100);
    push_n(&q, 1);
    CHECK_INT((uint32_t)(q.acked + q.count), 101);
    queue_pop(&q);
    CHECK(q.ring == NULL); /* an idle session keeps none */
}

static void covers_what_was_sent_and_no_more(void) {
    struct queue q = { .ring = NULL };
    uint32_t n;
    CHECK(queue_covers(&q, q.count, 0, &n));
    CHECK_INT(n, 0);
    CHECK(!queue_covers(&q, q.count, 1, &n));
    push_n(&q, 5);
    CHECK(queue_covers(&q, q.count, 0, &n));
    CHECK_INT(n, 0);
    CHECK(queue_covers(&q, q.count, 3, &n));
    CHECK_INT(n, 3);
    CHECK(queue_covers(&q, q.count, 5, &n));
    CHECK_INT(n, 5);
    CHECK(!queue_covers(&q, q.count, 6, &n));
    CHECK(queue_covers(&q, 4, 4, &n));
    CHECK(!queue_covers(&q, 4, 5, &n)); /* there, but not sent yet */
    for (int i = 0; i < 3; i++)
        queue_pop(&q);
    CHECK(queue_covers(&q, q.count, 2, &n)); /* older than the last one */
    CHECK_INT(n, 0);
    queue_free(&q);
}

static void counts_past_the_end(void) {
    struct queue q = { .acked = UINT32_MAX - 1 };
    uint32_t n;
    push_n(&q, 4);
    CHECK_INT((uint32_t)(q.acked + q.count), 2);
    CHECK(queue_covers(&q, q.count, UINT32_MAX, &n));
    CHECK_INT(n, 1);
    CHECK(queue_covers(&q, q.count, 1, &n));
    CHECK_INT(n, 3);
    CHECK(!queue_covers(&q, q.count, 3, &n));
    for (int i = 0; i < 3; i++)
        queue_pop(&q);
    CHECK_INT(q.acked, 1);
    CHECK_INT(queue_at(&q, 0)->sent_ms, 2);
    queue_free(&q);
}

static void reads_numbers(void) {
    uint32_t n = 7;
    CHECK(read_uint32("0", &n));
    CHECK_INT(n, 0);
    CHECK(read_uint32("4294967295", &n));
    CHECK_INT(n, UINT32_MAX);
    n = 7;
    CHECK(!read_uint32("4294967296", &n));
    CHECK(!read_uint32("99999999999999999999999", &n));
    CHECK(!read_uint32("-1", &n));
    CHECK(!read_uint32("1x", &n));
    CHECK(!read_uint32(" 1", &n));
    CHECK(!read_uint32("", &n));
    CHECK(!read_uint32(NULL, &n));
    CHECK_INT(n, 7);
}

int main(void) {
    return CHECK_RUN(T(keeps_order_while_it_grows), T(gives_memory_back), T(covers_what_was_sent_and_no_more),
                     T(counts_past_the_end), T(reads_numbers));
}
