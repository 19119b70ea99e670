/* SPDX-License-Identifier: Apache-2.0 */
/* A build without liburing. */
#include "net/ring.h"

enum ring_use ring_use = RING_AUTO;
unsigned ring_least = 2;

bool ring_works(void) {
    return false;
}

struct ring *ring_new(void) {
    return NULL;
}

void ring_free(struct ring *r) {
    (void)r;
}

bool ring_read_later(struct ring *r, struct conn *c) {
    (void)r, (void)c;
    return false;
}

void ring_read(struct ring *r) {
    (void)r;
}

void ring_forget(struct ring *r, struct conn *c, bool keep) {
    (void)r, (void)c, (void)keep;
}

void ring_write(struct ring *r, struct conn **batch, unsigned count) {
    (void)r, (void)batch, (void)count;
}
